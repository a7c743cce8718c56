// Express with its parser of JSON.
import { randomUUID } from "node:crypto";

import express from "express";

import { addedFields, DENIED, INVALID, isKey, isValid, reportListening } from "./shared.js";

const app = express();
app.post("/process", guard, express.json(), (request, response) => {
  const { body } = request;
  if (isValid(body)) response.json({ status: body.status, id: randomUUID() });
  else response.status(422).json(INVALID);
});
const server = app.listen(0, "127.0.0.1", () => reportListening(server));

function guard(request, response, next) {
  response.set(addedFields());
  if (isKey(request.headers["x-api-key"])) next();
  else response.status(401).json(DENIED);
}
