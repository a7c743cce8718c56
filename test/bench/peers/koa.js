// Koa with its common parser of bodies.
import { randomUUID } from "node:crypto";

import Koa from "koa";
import { bodyParser } from "@koa/bodyparser";

import { addedFields, DENIED, INVALID, isKey, isValid, reportListening } from "./shared.js";

const app = new Koa();
app.use(async (context, next) => {
  context.set(addedFields());
  if (isKey(context.headers["x-api-key"])) return next();
  context.status = 401;
  context.body = DENIED;
});
app.use(bodyParser());
app.use((context) => {
  if (context.method !== "POST" || context.path !== "/process") return;
  const { body } = context.request;
  context.status = isValid(body) ? 200 : 422;
  context.body = isValid(body) ? { status: body.status, id: randomUUID() } : INVALID;
});
const server = app.listen(0, "127.0.0.1", () => reportListening(server));
