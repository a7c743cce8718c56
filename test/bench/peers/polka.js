// Polka, with a parser of bodies by hand: it has none.
import { randomUUID } from "node:crypto";

import polka from "polka";

import { DENIED, INVALID, isKey, isValid, reportListening, respond } from "./shared.js";

const app = polka().post("/process", guard, readBody, (request, response) => {
  if (isValid(request.body)) respond(response, 200, { ...request.body, id: randomUUID() });
  else respond(response, 422, INVALID);
});
app.listen(0, "127.0.0.1", () => reportListening(app.server));

function guard(request, response, next) {
  if (isKey(request.headers["x-api-key"])) next();
  else respond(response, 401, DENIED);
}

function readBody(request, response, next) {
  let text = "";
  request.setEncoding("utf8");
  request.on("data", (chunk) => (text += chunk));
  request.on("end", () => {
    request.body = JSON.parse(text);
    next();
  });
}
