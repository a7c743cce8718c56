// npm run openapi: writes src/docs/openapi.json, as the routes declare it.
import { writeFileSync } from "node:fs";

import { compile } from "./compile.js";

if (compile()) await write();
else process.exitCode = 1;

async function write() {
  // Named at run time: in a fresh clone there is nothing for the compiler to look at.
  const { href } = new URL("../../dist/src/app.js", import.meta.url);
  const { openApiText } = await import(href);
  writeFileSync("src/docs/openapi.json", openApiText());
}
