// Hono on its adapter for Node.
import { randomUUID } from "node:crypto";

import { serve } from "@hono/node-server";
import { Hono } from "hono";

import { addedFields, DENIED, INVALID, isKey, isValid, reportListening } from "./shared.js";

const app = new Hono();
app.post("/process", async (context) => {
  const fields = addedFields();
  if (!isKey(context.req.header("x-api-key"))) return context.json(DENIED, 401, fields);
  const body = await context.req.json();
  if (!isValid(body)) return context.json(INVALID, 422, fields);
  return context.json({ status: body.status, id: randomUUID() }, 200, fields);
});
const server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, () => {
  reportListening(server);
});
