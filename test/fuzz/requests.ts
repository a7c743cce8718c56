import { mutate, type Random } from "./random.ts";

/** One request whose response is known. */
export interface KnownRequest {
  readonly id: string;
  readonly bytes: Buffer;
  /** The statuses that the response may have. */
  readonly statuses: readonly number[];
  /** Its header section: what a body has in it must never be taken for one. */
  readonly method: string;
}

/** The id of requests that stand in bodies. */
const SMUGGLED = "smuggled-from-a-body";

const BODY_TEXTS = [
  `GET /health HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${SMUGGLED}\r\n\r\n`,
  "0\r\n\r\n",
  "\r\n",
  '{"status":"SUCCESS"}',
  '"',
  "a",
];

/** Field lines that change neither the framing nor the response. */
const HARMLESS = [
  "Accept: */*;q=0, text/html",
  "Accept-Encoding: gzip, br",
  "Connection: keep-alive",
  "Upgrade: h2c",
  "Cookie: a=b; c",
  "Content-Encoding: identity",
  "X-Forwarded-For: 1.2.3.4, [::1]:80",
  "Authorization: Basic Og==",
  "Empty:",
  "Foo: \xff\x80",
  "Range: bytes=0-0",
  "TE: trailers",
  "If-Modified-Since: x",
  "X-HTTP-Method-Override: DELETE",
];

/** A request with valid framing, to some route, and the statuses that it may get. */
export function knownRequest(random: Random, id: string, key: string): KnownRequest {
  const [method, target, hasBody, statuses] = random.pick<
    [method: string, target: string, hasBody: boolean, statuses: readonly number[]]
  >([
    ["GET", "/health", false, [200]],
    ["HEAD", "/health", false, [200]],
    ["GET", "http://other/health?x=/process", false, [200]],
    ["GET", "/none", random.oneIn(3), [404]],
    ["GET", "/health/", false, [307]],
    ["DELETE", "/process", random.oneIn(3), [405]],
    ["GET", "/docs/icon.svg", false, [200]],
    ["POST", "/process", random.oneIn(2), [401]],
    ["POST", "/process", true, [200, 422, 500]],
    ["POST", "/process", true, [415]],
  ]);
  const lines = [`${method} ${target} HTTP/1.1`, "Host: x", `X-Request-Id: ${id}`];
  if (!statuses.includes(401)) lines.push(`X-API-Key: ${key}`);
  if (!statuses.includes(415)) lines.push("Content-Type: application/json");
  lines.push(...new Set(random.list(4, () => random.pick(HARMLESS))));
  const bytes = hasBody
    ? withBody(random, lines)
    : Buffer.from([...lines, "", ""].join("\r\n"), "latin1");
  return { id, bytes, statuses, method };
}

function withBody(random: Random, lines: readonly string[]): Buffer {
  const body = Buffer.from(random.pick(BODY_TEXTS) + random.text(4, BODY_TEXTS), "latin1");
  const isChunked = random.oneIn(2);
  const framing = isChunked ? "Transfer-Encoding: chunked" : `Content-Length: ${body.length}`;
  const head = Buffer.from([...lines, framing, "", ""].join("\r\n"), "latin1");
  return Buffer.concat([head, isChunked ? chunksOf(random, body) : body]);
}

function chunksOf(random: Random, body: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const chunk = body.subarray(at, at + 1 + random.below(40));
    const extension = random.pick(["", "", ";a", ";a=b", ';a="b"']);
    const size = random.pick(["", "0"]) + chunk.length.toString(16);
    parts.push(Buffer.from(`${size}${extension}\r\n`), chunk, Buffer.from("\r\n"));
    at += chunk.length;
  }
  const trailers = random.pick([
    "",
    "",
    "A: b\r\n",
    `X-API-Key: none\r\nX-Request-Id: ${SMUGGLED}\r\n`,
  ]);
  return Buffer.concat([...parts, Buffer.from(`0\r\n${trailers}\r\n`)]);
}

const WIRE_PIECES = [
  "\r\n",
  "\n",
  "\r",
  "\r\n\r\n",
  " ",
  "\t",
  ":",
  "HTTP/1.0",
  "HTTP/1.2",
  "HTTP/2.0",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "\x16\x03\x01\x02",
  "CONNECT a:1 HTTP/1.1\r\n",
  "BREW",
  "Content-Length: 5\r\n",
  "Content-Length: -1\r\n",
  "Content-Length: 5, 5\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding: gzip, chunked\r\n",
  "Transfer-Encoding: identity\r\n",
  "Expect: 100-continue\r\n",
  "Expect: x\r\n",
  "Connection: close\r\n",
  "Connection: close\t, x\r\n",
  "Upgrade: websocket\r\n",
  "Host: a b\r\n",
  "Host: [::1]:80\r\n",
  " folded\r\n",
  "X-API-Key: a\r\n",
  "Content-Encoding: gzip\r\n",
  "Content-Type: application/x+json;q=1\r\n",
  "If-None-Match: *\r\n",
  'If-Match: ""\r\n',
  "0\r\n\r\n",
  "ffffffffffffffff\r\n",
  ";ext",
];

/** Requests that are spoiled somewhere, or bytes that never were requests. */
export function spoiledRequests(random: Random, key: string): Buffer {
  if (random.oneIn(20)) return random.bytes(1 + random.below(200));
  if (random.oneIn(20)) return Buffer.from(random.text(12, WIRE_PIECES), "latin1");
  const requests = Buffer.concat(random.list(4, () => knownRequest(random, "a", key).bytes));
  if (random.oneIn(2)) return replaceWord(random, requests);
  return mutate(random, requests, [...WIRE_PIECES, "a".repeat(17_000)]);
}

/** Words of a request, and others in their places. */
const WORDS: readonly (readonly [word: string, others: readonly string[]])[] = [
  ["HTTP/1.1", ["HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/1.", "http/1.1", "HTTP/1.1 ", "x"]],
  [" HTTP/1.1", ["", " HTTP/1.1 HTTP/1.1", ".json HTTP/1.1 HTTP/1.1", "  HTTP/1.1", "\tHTTP/1.1"]],
  ["GET", ["BREW", "get", "CONNECT", "M-SEARCH", "OPTIONS", "PRI", "G ET", "", "POST"]],
  ["POST", ["BREW", "post", "PATCH", "GET", "HEAD", "QUERY", "P\0ST"]],
  ["Host: x", ["Host: ", "Host: x y", "Host: x\r\nHost: x", "host:[::1]:1", "Hos: x", "Host : x"]],
  ["Content-Length: ", ["Content-Length: +", "Content-Length: 0", "content-length:", "X: ", ""]],
  ["chunked", ["Chunked", "gzip, chunked", "chunked, chunked", "identity", "xchunked", ""]],
  ["application/json", ["text/plain", "application/x+json", "Application/JSON ;x", "a", ""]],
  ["\r\n", ["\n", "\r", "\r\r\n", "\r\n ", "\r\n\r\n", " \r\n", ""]],
  ["svk_", ["SVK_", " svk_", "svk_, svk_", "", "\xff"]],
  ["/", ["//", "/%2f", "/../", "*", "http:/", "/?", "/#", "\\", "/a".repeat(9000)]],
];

function replaceWord(random: Random, requests: Buffer): Buffer {
  const text = requests.toString("latin1");
  const [word, others] = random.pick(WORDS);
  const parts = text.split(word);
  if (parts.length === 1) return requests;
  const at = 1 + random.below(parts.length - 1);
  const [before, after] = [parts.slice(0, at).join(word), parts.slice(at).join(word)];
  return Buffer.from(before + random.pick(others) + after, "latin1");
}
