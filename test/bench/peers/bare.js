// An inline handler on node:http.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";

import { DENIED, INVALID, isKey, isValid, reportListening, respond } from "./shared.js";

const server = createServer((request, response) => {
  if (request.method !== "POST" || request.url !== "/process") {
    respond(response, 404, { detail: "Not Found" });
  } else if (!isKey(request.headers["x-api-key"])) {
    respond(response, 401, DENIED);
  } else {
    let text = "";
    request.setEncoding("utf8");
    request.on("data", (chunk) => (text += chunk));
    request.on("end", () => {
      const body = JSON.parse(text);
      if (!isValid(body)) respond(response, 422, INVALID);
      else respond(response, 200, { status: body.status, id: randomUUID() });
    });
  }
});
server.listen(0, "127.0.0.1", () => reportListening(server));
