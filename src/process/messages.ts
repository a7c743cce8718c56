import type { Secrets, Settings } from "../config/settings.ts";
import { isSamples, type Samples } from "../metrics-text.ts";

/** From the primary to a worker: what to serve with from now on. The API keys are hashes. */
export interface ServeMessage {
  readonly type: "serve";
  readonly settings: Settings;
  readonly secrets: Secrets;
  /** Grows with each change of the secrets. */
  readonly version: number;
}

/** From the primary to a worker. */
export type PrimaryMessage =
  | ServeMessage
  | { readonly type: "stop" }
  /** It is to send its samples. */
  | { readonly type: "report_samples" }
  /** The metrics of all workers that it has asked for. */
  | { readonly type: "metrics"; readonly text: string };

/** From a worker to its primary. */
export type WorkerMessage =
  /** It can receive messages. */
  | { readonly type: "ready" }
  /** It uses the secrets of this version, and no others. */
  | { readonly type: "secrets_set"; readonly version: number }
  /** What it counts and measures, at this moment. */
  | { readonly type: "samples"; readonly samples: Samples }
  /** Someone has asked it for the metrics of all workers. */
  | { readonly type: "metrics_wanted" }
  /** It can't serve, and exits. */
  | { readonly type: "failed"; readonly reason: string };

/** Whether a message is the primary's. A library may send others through the same channel. */
export function isPrimaryMessage(message: unknown): message is PrimaryMessage {
  const type = typeOf(message);
  return typeof type === "string" && PRIMARY_TYPES.includes(type);
}

/** Whether a message is a worker's, and not a library's. */
export function isWorkerMessage(message: unknown): message is WorkerMessage {
  switch (typeOf(message)) {
    case "ready":
    case "metrics_wanted":
      return true;
    case "samples":
      return isSamples((message as { samples?: unknown }).samples);
    case "secrets_set":
      return typeof (message as { version?: unknown }).version === "number";
    case "failed":
      return typeof (message as { reason?: unknown }).reason === "string";
    default:
      return false;
  }
}

const PRIMARY_TYPES: readonly string[] = ["serve", "stop", "report_samples", "metrics"];

function typeOf(message: unknown): unknown {
  if (typeof message !== "object" || message === null) return undefined;
  return (message as { type?: unknown }).type;
}
