import { integer } from "../models/model.ts";
import type { JsonObject } from "./document.ts";

/** The version of the API. */
export const API_VERSION = "0.1.0";

/** The members of the document that do not depend on the routes. */
export const BASE: JsonObject = {
  openapi: "3.1.0",
  info: {
    title: "API",
    version: API_VERSION,
    description:
      "Runs a task for callers that hold an API key. Every response is JSON, including errors.",
    contact: { name: "The operator of this service" },
  },
  servers: [{ url: ".", description: "The service that this document comes from." }],
};

/** The groups that operations belong to, with their descriptions. */
export const TAGS: Readonly<Record<string, string>> = {
  health: "The state of the service, for load balancers.",
  process: "Tasks, for callers with a key.",
};

/** What guards stand for, by the names that they give. */
export const SECURITY_SCHEMES: Readonly<Record<string, JsonObject>> = {
  APIKeyHeader: {
    type: "apiKey",
    in: "header",
    name: "X-API-Key",
    description:
      "A key given out by whoever runs the service. " +
      "Send it in exactly one header field of this name.",
  },
};

/** The header fields that the service itself adds to responses. */
export const HEADERS: Readonly<Record<string, JsonObject>> = {
  "X-Request-Id": {
    description:
      "Names the request in the log. Yours, if you sent 1 to 128 visible ASCII characters.",
    required: true,
    schema: { type: "string", minLength: 1, maxLength: 128 },
    example: "0e9a1c52-8d47-4f3b-a6c0-2b7d5e8f9013",
  },
  Accept: {
    description: "The media type that the body must have. Present if it had another.",
    schema: { type: "string", const: "application/json" },
    example: "application/json",
  },
  "Accept-Encoding": {
    description: "Present if the body was compressed: send it uncompressed.",
    schema: { type: "string", const: "identity" },
    example: "identity",
  },
  "Retry-After": {
    description: "Seconds to wait before the next try.",
    required: true,
    schema: integer({ minimum: 1 }).schema,
  },
};

/** The content of errors. */
export const SCHEMAS: Readonly<Record<string, JsonObject>> = {
  HTTPError: {
    description: "Why there is no result.",
    type: "object",
    required: ["detail"],
    properties: {
      detail: {
        type: "string",
        minLength: 1,
        description: "What went wrong, for a person to read.",
      },
    },
  },
  HTTPValidationError: {
    description: "Everything that is wrong with the parameters and the body.",
    type: "object",
    required: ["detail"],
    properties: {
      detail: {
        type: "array",
        minItems: 1,
        maxItems: 100,
        items: { $ref: "#/components/schemas/ValidationError" },
        description: "One entry for each problem.",
      },
    },
  },
  ValidationError: {
    description: "One problem of a parameter or the body.",
    type: "object",
    required: ["loc", "msg", "type"],
    properties: {
      type: { type: "string", description: "The kind of problem, for a program to read." },
      loc: {
        type: "array",
        items: { anyOf: [{ type: "string" }, { type: "integer" }] },
        description:
          "Where it is: path, query or body, then names, indices or a character's offset.",
      },
      msg: { type: "string", description: "The problem, for a person to read." },
      input: { description: "The value that was sent. Left out if it is large." },
      ctx: {
        type: "object",
        description: "What the message says, for a program to read.",
        properties: {
          error: { description: "What is wrong with malformed JSON." },
        },
      },
    },
  },
};

/** The responses that the service itself can give, by status. */
export const RESPONSES: Readonly<Record<number, JsonObject>> = {
  400: errorResponse(
    "The request is not well-formed HTTP, or its body is not UTF-8.",
    "There was an error parsing the body",
  ),
  404: errorResponse("Nothing has this path.", "Not Found"),
  408: errorResponse(
    "The request arrived too slowly.",
    "Request Timeout: the request has not arrived in time",
  ),
  413: errorResponse(
    "The body is larger than the service accepts.",
    "Content Too Large: the body may have at most 1048576 bytes",
  ),
  415: errorResponse(
    "The body is not declared as JSON, or it is compressed.",
    "Unsupported Media Type: send the body as Content-Type: application/json",
    ["Accept", "Accept-Encoding"],
  ),
  417: errorResponse(
    "The Expect header asks for something unknown.",
    "Expectation Failed: the only Expect accepted is 100-continue",
  ),
  422: {
    description:
      "Parameters or body are missing, malformed or of the wrong shape. Each problem is listed.",
    headers: headerReferences([]),
    content: {
      "application/json": {
        schema: { $ref: "#/components/schemas/HTTPValidationError" },
        examples: {
          "wrong-type": {
            summary: "Wrong type",
            value: {
              detail: [
                {
                  type: "string_type",
                  loc: ["body", "status"],
                  msg: "Input should be a valid string",
                  input: 1,
                },
              ],
            },
          },
          "malformed-json": {
            summary: "Malformed JSON",
            value: {
              detail: [
                {
                  type: "json_invalid",
                  loc: ["body", 10],
                  msg: "JSON decode error",
                  input: {},
                  ctx: { error: "Expecting value" },
                },
              ],
            },
          },
        },
      },
    },
  },
  431: errorResponse(
    "The header section is over 16 KiB, or has over 100 fields.",
    "Request Header Fields Too Large: at most 100 fields and 16384 bytes",
  ),
  501: errorResponse(
    "The body comes in an unknown transfer coding.",
    "Not Implemented: the only Transfer-Encoding accepted is chunked",
  ),
  503: errorResponse(
    "Too much is in progress. Wait as long as Retry-After says.",
    "Service Unavailable: too many requests are in flight",
    ["Retry-After"],
  ),
  505: errorResponse(
    "The request is of an unknown version of HTTP.",
    "HTTP Version Not Supported: use HTTP/1.1",
  ),
};

function errorResponse(
  description: string,
  detail: string,
  headers: readonly string[] = [],
): JsonObject {
  const schema = { $ref: "#/components/schemas/HTTPError" };
  return {
    description,
    headers: headerReferences(headers),
    content: { "application/json": { schema, example: { detail } } },
  };
}

/** These header fields, and the one that every response has. */
function headerReferences(names: readonly string[]): JsonObject {
  const all = [...names, "X-Request-Id"];
  return Object.fromEntries(all.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}
