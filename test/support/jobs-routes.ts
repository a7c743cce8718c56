import { randomUUID } from "node:crypto";
import { Readable } from "node:stream";

import { empty, HttpError, json, text } from "../../src/http/reply.ts";
import { type Dependency, type Interceptor, type Route, route } from "../../src/http/route.ts";
import {
  array,
  boolean,
  integer,
  literal,
  nullable,
  number,
  object,
  optional,
  string,
  type ValueOf,
} from "../../src/models/model.ts";

// An example of endpoints: jobs that are created, listed, exported, read, run by another service
// and deleted. They are kept in memory, so each process has its own.

const members = {
  name: string({ minLength: 1, maxLength: 100, description: "Shown in lists." }),
  priority: optional(integer({ minimum: 0, maximum: 9 }), 5),
  tags: optional(array(string({ maxLength: 20 }), { maxItems: 10 }), []),
  callback: nullable(string({ format: "uri" })),
  mode: literal("fast", "safe"),
  options: object({ dry_run: boolean(), timeout_s: number({ exclusiveMinimum: 0 }) }),
};
const newJob = object(members, { title: "NewJob", additionalProperties: false });
const id = string({ format: "uuid", description: "What the job got when it was created." });
const job = object({ id, ...members }, { title: "Job" });
const result = object({ state: literal("done", "failed") }, { title: "RunResult" });

type Job = ValueOf<typeof job>;

const NO_SUCH_JOB = new HttpError(404, "No such job");
const NO_RUNNER = new HttpError(502, "The runner did not respond as it should");

/** What the routes need. */
export interface JobsOptions {
  /** Checks the key. */
  readonly validateAuthentication: Dependency;
  /** The names of the keys that may delete jobs. */
  readonly admins: readonly string[];
  /** How many jobs a key may have running at once, in each process. */
  readonly maxRunning: number;
  /** The service that runs jobs. */
  readonly runnerUrl: string;
}

/** The routes of jobs. */
export function jobsRoutes(options: JobsOptions): Route[] {
  const jobs = new Map<string, Job>();
  const guard = options.validateAuthentication;
  return [
    createRoute(jobs, guard),
    listRoute(jobs, guard),
    exportRoute(jobs, guard),
    readRoute(jobs, guard),
    deleteRoute(jobs, [guard, allowKeys(options.admins)]),
    runRoute(jobs, [guard, limitPerKey(options.maxRunning)], options.runnerUrl),
  ];
}

function createRoute(jobs: Map<string, Job>, guard: Dependency): Route {
  return route({
    method: "POST",
    path: "/jobs",
    dependencies: [guard],
    summary: "Create a job",
    tags: ["jobs"],
    body: newJob,
    responses: {
      201: {
        description: "The job was created.",
        body: job,
        headers: { Location: string({ description: "Where the job is." }) },
      },
    },
    handler: ({ body }) => {
      const created = { id: randomUUID(), ...body };
      jobs.set(created.id, created);
      return json(201, created, ["Location", `jobs/${created.id}`]);
    },
  });
}

function listRoute(jobs: Map<string, Job>, guard: Dependency): Route {
  return route({
    method: "GET",
    path: "/jobs",
    dependencies: [guard],
    summary: "List jobs",
    tags: ["jobs"],
    parameters: {
      mode: optional(literal("fast", "safe")),
      tag: optional(array(string()), []),
      limit: optional(integer({ minimum: 1, maximum: 100 }), 20),
    },
    responses: { 200: { description: "The first jobs that have all tags.", body: array(job) } },
    handler: ({ mode, tag, limit }) => {
      const found = [...jobs.values()].filter((one) => {
        const hasMode = mode === undefined || one.mode === mode;
        return hasMode && tag.every((name) => one.tags.includes(name));
      });
      return json(200, found.slice(0, limit));
    },
  });
}

function exportRoute(jobs: Map<string, Job>, guard: Dependency): Route {
  return route({
    method: "GET",
    path: "/jobs/export",
    dependencies: [guard],
    summary: "Export all jobs",
    tags: ["jobs"],
    responses: { 200: { description: "A line for each job.", type: "text/csv" } },
    handler: () => text(200, "text/csv; charset=utf-8", Readable.from(csvRecords(jobs))),
  });
}

/** RFC 4180: the names of the fields, then a record for each job. */
function* csvRecords(jobs: Map<string, Job>): Generator<string> {
  yield "id,name,priority,mode\r\n";
  for (const one of jobs.values()) {
    const name = `"${one.name.replaceAll('"', '""')}"`;
    yield `${one.id},${name},${one.priority},${one.mode}\r\n`;
  }
}

function readRoute(jobs: Map<string, Job>, guard: Dependency): Route {
  return route({
    method: "GET",
    path: "/jobs/{id}",
    dependencies: [guard],
    summary: "Read a job",
    tags: ["jobs"],
    parameters: { id },
    responses: {
      200: { description: "The job.", body: job },
      404: { description: "There is no such job." },
    },
    handler: (input) => {
      const found = jobs.get(input.id);
      return found === undefined ? NO_SUCH_JOB : json(200, found);
    },
  });
}

function deleteRoute(jobs: Map<string, Job>, dependencies: readonly Dependency[]): Route {
  return route({
    method: "DELETE",
    path: "/jobs/{id}",
    dependencies,
    summary: "Delete a job",
    tags: ["jobs"],
    parameters: { id },
    responses: {
      204: { description: "There is no such job any more." },
      404: { description: "There was no such job." },
    },
    handler: (input) => (jobs.delete(input.id) ? empty() : NO_SUCH_JOB),
  });
}

function runRoute(
  jobs: Map<string, Job>,
  dependencies: readonly Dependency[],
  runnerUrl: string,
): Route {
  return route({
    method: "POST",
    path: "/jobs/{id}/run",
    dependencies,
    summary: "Run a job",
    description: "Waits until it has run. If the client goes away, so does the call of the runner.",
    tags: ["jobs"],
    parameters: { id },
    responses: {
      200: { description: "The job has run.", body: result },
      404: { description: "There is no such job." },
      502: { description: "The runner did not respond as it should." },
    },
    handler: async (input, { signal }) => {
      const found = jobs.get(input.id);
      if (found === undefined) return NO_SUCH_JOB;
      const state = await callRunner(runnerUrl, found, signal);
      return state === undefined ? NO_RUNNER : json(200, { state });
    },
  });
}

/** Runs a job, until `signal` aborts. undefined if the runner can't be reached, or fails. */
async function callRunner(
  url: string,
  { name, options }: Job,
  signal: AbortSignal,
): Promise<"done" | "failed" | undefined> {
  const body = JSON.stringify({ name, options });
  try {
    const response = await fetch(url, { method: "POST", body, signal });
    if (!response.ok) return undefined;
    return (await response.text()) === "done" ? "done" : "failed";
  } catch {
    return undefined;
  }
}

/** A second guard, behind one that checks keys: only keys with these names pass. */
function allowKeys(names: readonly string[]): Dependency {
  const forbidden = new HttpError(403, "This key may not do that");
  const guard: Dependency = ({ key = "" }) => {
    return names.includes(key) ? undefined : forbidden;
  };
  const responses = { 403: { description: "The key is not one that may do that." } };
  return Object.assign(guard, { responses });
}

/** Lets a key have only so many requests running at once, in each process. */
function limitPerKey(most: number): Dependency {
  const tooMany = new HttpError(429, "Too many jobs of this key are running", ["Retry-After", "1"]);
  const running = new Map<string, number>();
  const admit: Dependency["admit"] = (context) => {
    const { key = "" } = context;
    const count = running.get(key) ?? 0;
    if (count >= most) return tooMany;
    running.set(key, count + 1);
    context.onEnd(() => running.set(key, (running.get(key) ?? 1) - 1));
    return undefined;
  };
  const responses = { 429: { description: "Too many jobs of this key are running." } };
  return Object.assign((): void => {}, { admit, responses });
}

/** CORS: lets the pages of one origin call the service from a browser. */
export function allowOrigin(origin: string): Interceptor {
  return (context) => {
    const { method, headers } = context.request;
    context.addHeader("Vary", "Origin");
    if (headers.origin !== origin) return undefined;
    context.addHeader("Access-Control-Allow-Origin", origin);
    const isPreflight = method === "OPTIONS" && "access-control-request-method" in headers;
    return isPreflight ? PREFLIGHT : undefined;
  };
}

const PREFLIGHT = empty([
  "Access-Control-Allow-Methods",
  "GET, POST, DELETE",
  "Access-Control-Allow-Headers",
  "Content-Type, X-API-Key",
]);
