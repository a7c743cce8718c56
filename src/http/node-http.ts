import { getBuiltinModule } from "node:process";

/**
 * What the program calls of `node:http`. An `import` would read everything that `node:http`
 * exports, and so load its client for WebSocket, which takes an eighth of the CPU time of a start
 * (nodejs/node issue 59686).
 */
export const { createServer, METHODS, STATUS_CODES, validateHeaderName, validateHeaderValue } =
  getBuiltinModule("node:http");
