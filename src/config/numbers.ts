import type { NumberOptions } from "./reader.ts";

/** The longest delay of setTimeout(), in ms. With a longer one it fires at once. */
export const MAX_DELAY_MS = 2_147_483_647;

/** More requests or connections than any machine can hold: as good as no limit. */
const MAX_COUNT = 1_000_000_000;

/** More bytes than Node lets a process use without further options: as good as no limit. */
const MAX_MEMORY = 8_589_934_592;

/** The settings that are numbers, by their members of Settings. */
export const NUMBERS = {
  port: {
    name: "PORT",
    fallback: 8000,
    min: 0,
    max: 65_535,
  },
  workers: {
    name: "WORKERS",
    fallback: 1,
    min: 1,
    max: 1024,
  },
  processDelayMs: {
    name: "PROCESS_DELAY_MS",
    fallback: 500,
    min: 0,
    max: MAX_DELAY_MS,
  },
  maxBodyBytes: {
    name: "MAX_BODY_BYTES",
    fallback: 1_048_576,
    min: 1,
    max: 268_435_456,
  },
  maxBodyMemory: {
    name: "MAX_BODY_MEMORY",
    fallback: 67_108_864,
    min: 1,
    max: MAX_MEMORY,
  },
  maxInFlight: {
    name: "MAX_IN_FLIGHT",
    fallback: 10_000,
    min: 1,
    max: MAX_COUNT,
  },
  maxConnections: {
    name: "MAX_CONNECTIONS",
    fallback: 2500,
    min: 1,
    max: MAX_COUNT,
  },
  headersTimeoutMs: {
    name: "HEADERS_TIMEOUT_MS",
    fallback: 10_000,
    min: 1,
    max: MAX_DELAY_MS,
  },
  requestTimeoutMs: {
    name: "REQUEST_TIMEOUT_MS",
    fallback: 30_000,
    min: 1,
    max: MAX_DELAY_MS,
  },
  keepAliveTimeoutMs: {
    name: "KEEP_ALIVE_TIMEOUT_MS",
    fallback: 65_000,
    min: 1,
    max: MAX_DELAY_MS,
  },
  shutdownDelayMs: {
    name: "SHUTDOWN_DELAY_MS",
    fallback: 0,
    min: 0,
    max: MAX_DELAY_MS,
  },
  shutdownTimeoutMs: {
    name: "SHUTDOWN_TIMEOUT_MS",
    fallback: 10_000,
    min: 0,
    max: MAX_DELAY_MS,
  },
} satisfies Readonly<Record<string, NumberOptions>>;
