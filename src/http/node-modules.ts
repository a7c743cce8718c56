import type * as https from "node:https";
import type * as tls from "node:tls";

/*
 * What the program takes from Node without an `import`, to start in less time: an import of
 * `node:http` reads everything that the module exports, and so loads its client for WebSocket
 * (nodejs/node issue 59686); one of `node:process` computes all that it exports. TLS takes as long
 * to load, and most services leave it to a proxy.
 */

const { getBuiltinModule, versions } = process;

/** What the program calls of `node:http`. */
export const { createServer, METHODS, STATUS_CODES, validateHeaderName, validateHeaderValue } =
  getBuiltinModule("node:http");

/** `node:https`, for a service that speaks TLS itself. */
export const loadHttps = (): typeof https => getBuiltinModule("node:https");

/** `node:tls`, likewise. */
export const loadTls = (): typeof tls => getBuiltinModule("node:tls");

/** Whether `end(body)` of a response makes two writes, of which the second is empty. */
export const ENDS_IN_TWO_WRITES: boolean = Number.parseInt(versions.node) < 24;
