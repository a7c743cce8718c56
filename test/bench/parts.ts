import { HttpError, json, type Reply } from "../../src/http/reply.ts";
import { type Route, route } from "../../src/http/route.ts";
import { createRouter } from "../../src/http/router.ts";
import { readParameters } from "../../src/models/parameters.ts";
import { Problems } from "../../src/models/problems.ts";
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
} from "../../src/models/model.ts";
import { lowerQuartile } from "./statistics.ts";

/** What a part of the work for a request takes beyond the same work without it. */
export interface Part {
  readonly name: string;
  /** The lower quartile of the differences, in µs. */
  readonly microseconds: number;
}

/**
 * Measures, in this process, a path parameter beside a path without one, query parameters beside
 * none, and the body of a job beside its JSON.parse. Both sides run in turn.
 */
export function measureParts(rounds: number): Part[] {
  const find = finder(ROUTES);
  const check = checker();
  const parts: readonly (readonly [name: string, whole: () => unknown, rest: () => unknown])[] = [
    ["a path parameter", () => find(JOB_PATH, ""), () => find("/jobs/export", "")],
    ["query parameters", () => find("/jobs", QUERY), () => find("/jobs/export", QUERY)],
    ["the body of a job", () => check(JSON.parse(BODY)), () => JSON.parse(BODY)],
  ];
  return parts.map(([name, whole, rest]) => {
    const differences = Array.from({ length: rounds }, () => time(whole) - time(rest));
    return { name, microseconds: lowerQuartile(differences) };
  });
}

const NEW_JOB = object(
  {
    name: string({ minLength: 1, maxLength: 100 }),
    priority: optional(integer({ minimum: 0, maximum: 9 }), 5),
    tags: optional(array(string({ maxLength: 20 }), { maxItems: 10 }), []),
    callback: nullable(string({ format: "uri" })),
    mode: literal("fast", "safe"),
    options: object({ dry_run: boolean(), timeout_s: number({ exclusiveMinimum: 0 }) }),
  },
  { additionalProperties: false },
);

const handler = (input: object): Reply => json(200, input);

/** Those of the jobs in src/README.md that read something. */
const ROUTES: readonly Route[] = [
  route({
    method: "GET",
    path: "/jobs",
    parameters: {
      mode: optional(literal("fast", "safe")),
      tag: optional(array(string()), []),
      limit: optional(integer({ minimum: 1, maximum: 100 }), 20),
    },
    handler,
  }),
  route({ method: "GET", path: "/jobs/export", handler }),
  route({
    method: "GET",
    path: "/jobs/{id}",
    parameters: { id: string({ format: "uuid" }) },
    handler,
  }),
];

const JOB_PATH = "/jobs/5f0c6b0e-3d2a-4b8f-9c1d-7e6a5b4c3d2e";
const QUERY = "?mode=fast&tag=red&tag=blue&limit=50";
const BODY = JSON.stringify({
  name: "Resize the pictures of March",
  priority: 7,
  tags: ["pictures", "march", "2027"],
  callback: "https://app.example/jobs/done?id=17",
  mode: "safe",
  options: { dry_run: false, timeout_s: 2.5 },
});

const CALLS = 20_000;

/** The CPU time that a call takes, in µs: other load on the machine counts little. */
function time(action: () => unknown): number {
  const before = process.cpuUsage();
  for (let call = 0; call < CALLS; call += 1) action();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / CALLS;
}

/** Returns what finds a route and reads its parameters. */
function finder(routes: readonly Route[]): (path: string, query: string) => object {
  const router = createRouter(routes);
  return (path, query) => {
    const match = router("GET", path, query);
    if (match instanceof HttpError) throw new Error(`no route has the path ${path}`);
    const problems = new Problems();
    const values = {};
    readParameters(match.parameters, match.texts, query, values, problems);
    if (!problems.isEmpty) throw new Error(`a problem with ${path}${query}`);
    return values;
  };
}

/** Returns what checks the body of a new job. */
function checker(): (input: unknown) => unknown {
  return (input) => {
    const problems = new Problems();
    const value = NEW_JOB.check(input, ["body"], problems);
    if (!problems.isEmpty) throw new Error("a problem with the body of a job");
    return value;
  };
}
