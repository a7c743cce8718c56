// npm run build: compiles everything into dist/.
import { compile } from "./compile.js";

if (!compile()) process.exitCode = 1;
