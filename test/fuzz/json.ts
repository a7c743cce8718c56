import { isUtf8 } from "node:buffer";

import { parseBody } from "../../src/http/body.ts";
import { locateJsonError } from "../../src/http/json.ts";
import { HttpError } from "../../src/http/reply.ts";
import { isJson, referenceError } from "../support/json.ts";
import { mutate, type Random } from "./random.ts";
import { check, quote, type Target } from "./target.ts";

/** Malformed JSON is explained as a recursive reading of the grammar explains it. */
export function jsonTarget(locate: typeof locateJsonError = locateJsonError): Target {
  return {
    name: "json",
    work: { base: 100, perByte: 12, every: 64 },
    run: (random) => {
      const bytes = someJson(random);
      const text = bytes.toString();
      const expected = referenceError(text);
      const found = locate(text);
      const isRight = found.position === expected.position && found.message === expected.message;
      check(isRight, () => `${JSON.stringify(found)} for ${quote(bytes)}`);
      return bytes.length;
    },
  };
}

/** Any bytes of a body are a value or one of three responses. */
export function bodyTarget(parse: typeof parseBody = parseBody): Target {
  return {
    name: "body",
    work: { base: 100, perByte: 12, every: 64 },
    run: (random) => {
      const bytes = random.oneIn(8) ? random.bytes(random.below(40)) : someJson(random);
      const result = parse(bytes);
      const status = result instanceof HttpError ? result.status : 200;
      check(status === expectedStatus(bytes), () => `${status} for ${quote(bytes)}`);
      // Whatever it is, it can be written.
      if (status === 200) JSON.stringify(result);
      return bytes.length;
    },
  };
}

function expectedStatus(bytes: Buffer): number {
  if (bytes.length === 0) return 422;
  if (!isUtf8(bytes)) return 400;
  return isJson(bytes.toString().replace(/^\ufeff/, "")) ? 200 : 422;
}

const JSON_PIECES = [
  ..."[]{}:,\"'\\0-+.eE \n",
  "true",
  "nul",
  "NaN",
  "1e400",
  '""',
  '"a":',
  "\\n",
  "\\u12",
  "\\ud800",
  "\\x",
];

/** JSON, most of it spoiled. */
export function someJson(random: Random): Buffer {
  const depth = random.oneIn(50) ? 200 : random.below(5);
  const json = Buffer.from(`${randomJson(random, depth)}`);
  return random.oneIn(5) ? json : mutate(random, json, JSON_PIECES);
}

const SCALARS = ["0", "-1.5e3", "123456789012345678901", "true", "null", '"é😀\\n"', '"\\ud83d"'];

function randomJson(random: Random, depth: number): string {
  if (depth === 0 || random.oneIn(20)) return random.pick(SCALARS);
  // One member of a deep value is deep; several would be too many.
  const width = depth > 5 ? 1 : random.below(3);
  const members = Array.from({ length: width }, () => randomJson(random, depth - 1));
  if (random.oneIn(2)) return `[${members.join(random.pick([",", " ,\n", ", "]))}]`;
  return `{${members.map((value, index) => `"${"ab"[index % 2]}":${value}`).join()}}`;
}
