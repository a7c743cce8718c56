// Fastify, with its schemas for the body and the response.
import { randomUUID } from "node:crypto";

import fastify from "fastify";

import { addedFields, DENIED, isKey, reportListening } from "./shared.js";

const text = { type: "string" };
const app = fastify();
app.post("/process", {
  schema: {
    body: { type: "object", required: ["status"], properties: { status: text } },
    response: { 200: { type: "object", properties: { status: text, id: text } } },
  },
  onRequest: async (request, reply) => {
    reply.headers(addedFields());
    if (!isKey(request.headers["x-api-key"])) await reply.code(401).send(DENIED);
  },
  schemaErrorFormatter: (errors) =>
    Object.assign(new Error(errors[0].message), { statusCode: 422 }),
  handler: async ({ body }) => ({ status: body.status, id: randomUUID() }),
});
await app.listen({ port: 0, host: "127.0.0.1" });
reportListening(app.server);
