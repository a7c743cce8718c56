import { HttpError } from "../../src/http/reply.ts";
import type { Dependency, Route } from "../../src/http/route.ts";
import { createRouter } from "../../src/http/router.ts";
import { readParameters } from "../../src/models/parameters.ts";
import { Problems } from "../../src/models/problems.ts";
import { jobsRoutes } from "../support/jobs-routes.ts";
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
  const guard: Dependency = () => undefined;
  const routes = jobsRoutes({
    validateAuthentication: guard,
    admins: [],
    maxRunning: 1,
    runnerUrl: "http://127.0.0.1",
  });
  const find = finder(routes);
  const check = checker(routes);
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
function checker(routes: readonly Route[]): (input: unknown) => unknown {
  const body = routes.find(({ method, path }) => method === "POST" && path === "/jobs")?.body;
  return (input) => {
    const problems = new Problems();
    const value = body?.check(input, ["body"], problems);
    if (!problems.isEmpty) throw new Error("a problem with the body of a job");
    return value;
  };
}
