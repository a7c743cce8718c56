/** The key of the contract's cases. */
export const KEY = "test-key-1234567890";

/** A key that is not weak, for what takes the place of the first. */
export const OTHER_KEY = "svk_other-0123456789-abcdefghijklmnopqrstuvwxyz";

/** A request of these lines: CRLF after each, and an empty line at the end. */
export function lines(...text: readonly string[]): string {
  return `${text.join("\r\n")}\r\n\r\n`;
}

/** A GET request. `fields` are further header lines. */
export function get(target: string, fields: readonly string[] = []): string {
  return lines(`GET ${target} HTTP/1.1`, "Host: x", ...fields);
}

/** A HEAD request. */
export function head(target: string, fields: readonly string[] = []): string {
  return lines(`HEAD ${target} HTTP/1.1`, "Host: x", ...fields);
}

/** What a POST request has besides its body. */
export interface PostOptions {
  readonly path?: string;
  /** The value of X-API-Key; without the field if it is empty. */
  readonly key?: string;
  /** The value of Content-Type; without the field if it is empty. */
  readonly type?: string;
}

/** A POST request, by default to `/process` with the contract's key. */
export function post(
  body: string | Buffer,
  fields: readonly string[] = [],
  options: PostOptions = {},
): Buffer {
  const bytes = Buffer.from(body);
  const headerSection = postHead([`Content-Length: ${bytes.length}`, ...fields], options);
  return Buffer.concat([headerSection, bytes]);
}

/** A POST request to the route `echo`. */
export function postEcho(body: string | Buffer, ...fields: readonly string[]): Buffer {
  return post(body, fields, ECHO);
}

/** A POST request to the route `echo`, in chunks of `size` bytes. */
export function postChunks(
  body: string | Buffer,
  size: number,
  ...fields: readonly string[]
): Buffer {
  const bytes = Buffer.from(body);
  const parts: Uint8Array[] = [postHead(["Transfer-Encoding: chunked", ...fields], ECHO)];
  for (let at = 0; at < bytes.length; at += size) {
    const chunk = bytes.subarray(at, at + size);
    parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n"));
  }
  return Buffer.concat([...parts, Buffer.from("0\r\n\r\n")]);
}

/** The header section of a POST request whose framing is among `fields`. */
export function postHead(
  fields: readonly string[],
  { path = "/process", key = KEY, type = "application/json" }: PostOptions = {},
): Buffer {
  const text = [`POST ${path} HTTP/1.1`, "Host: x"];
  if (key !== "") text.push(`X-API-Key: ${key}`);
  if (type !== "") text.push(`Content-Type: ${type}`);
  return Buffer.from(lines(...text, ...fields), "latin1");
}

const ECHO: PostOptions = { path: "/echo", key: "" };
