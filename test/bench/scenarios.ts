import type { Burst } from "./load.ts";

/** The key of every request. */
export const KEY = "svk_VEYLs4uE5CkzDBW2lAo0eBXcNdTqRgJ7mHPyUv1nZ9f";

/** The servers: the program of each, and its variables. */
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
  /** Idle connections that the first of the two servers has besides. */
  readonly idle: number;
  /** Bursts on each of the two, in turn on its processes. */
  readonly rounds: number;
  /** Processes of each of the two. */
  readonly processes: number;
}

/** A request that is accepted. */
export const ACCEPTED: string = post(KEY, '{"status":"SUCCESS"}');
/** A request whose key differs from the right one in one character. */
export const DENIED: string = post(KEY.replace("VEY", "VEX"), '{"status":"SUCCESS"}');
/** A request without a key. */
export const WITHOUT_KEY: string = ACCEPTED.replace(/X-API-Key: .*\r\n/, "");
/** Bodies of which the model takes one member. */
const BODY_OF_16_KB = post(KEY, JSON.stringify({ status: "SUCCESS", note: "x".repeat(16_000) }));
const BODY_OF_1_MB = post(KEY, JSON.stringify({ status: "SUCCESS", note: "x".repeat(1_000_000) }));
const INVALID = post(KEY, '{"state":"SUCCESS"}');
const DOCS = "GET /docs HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";

/** All that is measured. Quick ones are shorter and vary more. */
export function scenarios(isQuick: boolean): Scenario[] {
  const { usual, slow } = isQuick ? QUICK : THOROUGH;
  return [
    { ...usual, name: "accepted", request: ACCEPTED },
    { ...usual, name: "accepted, log on", of: "service with log", request: ACCEPTED },
    { ...usual, name: "denied", request: DENIED, status: 401 },
    { ...usual, name: "no key", request: WITHOUT_KEY, status: 401 },
    { ...usual, name: "422", request: INVALID, status: 422 },
    { ...usual, name: "docs page", request: DOCS },
    { ...usual, name: "1 connection", request: ACCEPTED, connections: 1 },
    { ...usual, name: "body of 16 KB", request: BODY_OF_16_KB },
    { ...usual, name: "body of 1 MB", request: BODY_OF_1_MB },
    { ...slow, name: "4,000 connections, 500 ms", request: ACCEPTED },
    {
      ...usual,
      name: "64 keys beside 1",
      of: "service with 64 keys",
      beside: "service",
      request: ACCEPTED,
    },
    {
      ...usual,
      name: "10,000 connections beside 50",
      of: "service with 10,000 idle",
      beside: "service",
      request: ACCEPTED,
      idle: 9950,
      processes: 1,
    },
  ];
}

/** What most scenarios have in common. */
const USUAL = {
  of: "service",
  beside: "floor",
  status: 200,
  connections: 50,
  idle: 0,
  spreadMs: 0,
} as const;

/** What those have in common whose responses take 500 ms. */
const SLOW = {
  ...USUAL,
  of: "slow service",
  beside: "slow floor",
  connections: 4000,
  spreadMs: 500,
  processes: 1,
} as const;

const QUICK = {
  usual: { ...USUAL, processes: 2, ms: 300, rounds: 4 },
  slow: { ...SLOW, ms: 1000, rounds: 2 },
};

const THOROUGH = {
  usual: { ...USUAL, processes: 3, ms: 1000, rounds: 9 },
  slow: { ...SLOW, ms: 2500, rounds: 6 },
};

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
