import type { Burst } from "./load.ts";

/** The key of every request. */
export const KEY = "svk_VEYLs4uE5CkzDBW2lAo0eBXcNdTqRgJ7mHPyUv1nZ9f";

/** The servers: the program that each is, and what is set for it alone. */
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

/** One load, put on two servers in turn. */
export interface Scenario extends Omit<Burst, "do"> {
  readonly name: string;
  readonly of: ServerName;
  readonly beside: ServerName;
  readonly connections: number;
  /** Connections that stay open beside, on the first of the two servers. */
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

/** All that is measured. */
export function scenarios(isQuick: boolean): Scenario[] {
  const pair = {
    of: "service",
    beside: "floor",
    status: 200,
    connections: 50,
    idle: 0,
    spreadMs: 0,
  } as const;
  const processes = isQuick ? 2 : 3;
  const usual = { ...pair, processes, ms: isQuick ? 300 : 1000, rounds: isQuick ? 4 : 9 };
  const burst = isQuick ? { ms: 1000, rounds: 2 } : { ms: 2500, rounds: 6 };
  const slow = {
    ...pair,
    ...burst,
    processes: 1,
    of: "slow service",
    beside: "slow floor",
    spreadMs: 500,
  } as const;
  return [
    { ...usual, name: "accepted", request: ACCEPTED },
    { ...usual, name: "accepted, log on", of: "service with log", request: ACCEPTED },
    { ...usual, name: "denied", request: DENIED, status: 401 },
    { ...usual, name: "422", request: INVALID, status: 422 },
    { ...usual, name: "docs page", request: DOCS },
    { ...slow, name: "4,000 connections, 500 ms", connections: 4000, request: ACCEPTED },
    {
      ...usual,
      name: "64 keys beside 1",
      of: "service with 64 keys",
      beside: "service",
      request: ACCEPTED,
    },
    {
      ...usual,
      processes: 1,
      name: "10,000 connections beside 50",
      of: "service with 10,000 idle",
      beside: "service",
      request: ACCEPTED,
      idle: 9950,
    },
  ];
}

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
