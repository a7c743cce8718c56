import type { Burst } from "./load.ts";

/** The key of every request. */
export const KEY = "svk_VEYLs4uE5CkzDBW2lAo0eBXcNdTqRgJ7mHPyUv1nZ9f";

/** The servers: their program, and the variables that only they have. */
export const SERVERS = {
  floor: { program: "floor", variables: {} },
  service: { program: "service", variables: {} },
  "service with log": { program: "service", variables: { LOG_LEVEL: "info" } },
  "service with 64 keys": { program: "service", variables: { SERVICE_API_KEYS_FILE: "63-keys" } },
  "service with 10,000 idle": { program: "service", variables: {} },
  "slow floor": { program: "floor", variables: { PROCESS_DELAY_MS: "500" } },
  "slow service": { program: "service", variables: { PROCESS_DELAY_MS: "500" } },
  "stuck floor": { program: "floor", variables: { PROCESS_DELAY_MS: "60000" } },
  "stuck service": { program: "service", variables: { PROCESS_DELAY_MS: "60000" } },
} as const;

/** One of SERVERS. */
export type ServerName = keyof typeof SERVERS;

/** One load on two servers in turn. */
export interface Scenario extends Omit<Burst, "do"> {
  readonly name: string;
  readonly of: ServerName;
  readonly beside: ServerName;
  readonly connections: number;
  /** Further connections to the first of the two servers, which stay idle. */
  readonly idle: number;
  /** Bursts on each of the two, in turn on its processes. */
  readonly rounds: number;
  readonly processes: number;
}

/** A request that is accepted. */
export const ACCEPTED: string = post(KEY, '{"status":"SUCCESS"}');
const DENIED = post(KEY.replace("VEY", "VEX"), '{"status":"SUCCESS"}');
const INVALID = post(KEY, '{"state":"SUCCESS"}');
const DOCS = "GET /docs HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";

/** All that is measured. `isQuick` takes less time, and is less exact. */
export function scenarios(isQuick: boolean): Scenario[] {
  const usual = isQuick
    ? { ...PAIR, processes: 2, ms: 300, rounds: 4 }
    : { ...PAIR, processes: 3, ms: 1000, rounds: 9 };
  const burst = isQuick ? { ms: 1000, rounds: 2 } : { ms: 2500, rounds: 6 };
  const slow: Omit<Scenario, "name" | "request"> = {
    ...PAIR,
    ...burst,
    processes: 1,
    of: "slow service",
    beside: "slow floor",
    spreadMs: 500,
  };
  return [
    { ...usual, name: "accepted", request: ACCEPTED },
    { ...usual, name: "accepted, log on", of: "service with log", request: ACCEPTED },
    { ...usual, name: "denied", request: DENIED, status: 401 },
    { ...usual, name: "422", request: INVALID, status: 422 },
    { ...usual, name: "docs page", request: DOCS },
    { ...slow, name: "4,000 connections, 500 ms", connections: 4000, request: ACCEPTED },
    { ...usual, ...MANY_KEYS, request: ACCEPTED },
    { ...usual, ...MANY_CONNECTIONS, request: ACCEPTED },
  ];
}

const PAIR = {
  of: "service",
  beside: "floor",
  status: 200,
  connections: 50,
  idle: 0,
  spreadMs: 0,
} as const;

const MANY_KEYS = {
  name: "64 keys beside 1",
  of: "service with 64 keys",
  beside: "service",
} as const;

const MANY_CONNECTIONS = {
  name: "10,000 connections beside 50",
  of: "service with 10,000 idle",
  beside: "service",
  processes: 1,
  idle: 9950,
} as const;

function post(key: string, body: string): string {
  const head = [
    "POST /process HTTP/1.1",
    "Host: localhost",
    `X-API-Key: ${key}`,
    "Content-Type: application/json",
    "Accept: */*",
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}
