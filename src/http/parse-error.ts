import { HEADER_TOO_LARGE, NOT_HTTP, VERSION_NOT_SUPPORTED } from "./head.ts";
import { isOtherVersion } from "./node-internals.ts";
import { METHODS } from "./node-modules.ts";
import { HttpError } from "./reply.ts";

/** An error of node:http's parser or clock, as its `clientError` event has it. */
export interface ParseError extends NodeJS.ErrnoException {
  /** How far the parser got in `rawPacket`. */
  readonly bytesParsed?: number;
  /** The bytes of the latest read. */
  readonly rawPacket?: Buffer;
}

/**
 * The response to bytes that node:http can't make a request of. Undefined if the socket failed, not
 * the bytes: then there is no one to respond to.
 */
export function rejectionOf(error: ParseError): HttpError | undefined {
  const { code = "" } = error;
  if (code === "HPE_INVALID_METHOD") return rejectMethod(methodLineOf(error));
  if (code === "HPE_INVALID_VERSION" && isOtherVersion(error)) return VERSION_NOT_SUPPORTED;
  return REJECTIONS[code] ?? (code.startsWith("HPE_") ? NOT_HTTP : undefined);
}

const REJECTIONS: Readonly<Record<string, HttpError>> = {
  HPE_HEADER_OVERFLOW: HEADER_TOO_LARGE,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: new HttpError(
    413,
    "Content Too Large: the chunk extensions are too long",
  ),
  ERR_HTTP_REQUEST_TIMEOUT: new HttpError(
    408,
    "Request Timeout: the request has not arrived in time",
  ),
};

const UNKNOWN_METHOD = new HttpError(501, "Not Implemented: this method is not known");

// A request line: method = token, HTTP-version = "HTTP/" DIGIT "." DIGIT (RFC 9112 2.3, 3). If its
// end has not arrived yet, the method and the blank behind it decide.
const TOKEN_CHARACTER = /[!#$%&'*+.^_`|~0-9A-Za-z-]/;
const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+(?= )/;
const TARGET_AND_VERSION = /^ \S+ HTTP\/(\d\.\d)$/;

/** The part of a request line that has arrived in the latest read. */
interface RequestLine {
  readonly text: string;
  /** Its line end has arrived. */
  readonly isWhole: boolean;
}

/**
 * The request line at whose method the parser stopped. It begins with the method: a body that has
 * no line end may stand right before it.
 */
function methodLineOf({ rawPacket, bytesParsed = 0 }: ParseError): RequestLine {
  const text = rawPacket?.toString("latin1") ?? "";
  let start = bytesParsed;
  while (start > 0 && TOKEN_CHARACTER.test(text.charAt(start - 1))) start -= 1;
  const end = text.indexOf("\n", start);
  if (end === -1) return { text: text.slice(start), isWhole: false };
  return { text: text.slice(start, end).replace(/\r$/, ""), isWhole: true };
}

function rejectMethod({ text, isWhole }: RequestLine): HttpError {
  const method = METHOD.exec(text)?.[0];
  if (method === undefined) return NOT_HTTP;
  if (isWhole) {
    const version = TARGET_AND_VERSION.exec(text.slice(method.length))?.[1];
    if (version === undefined) return NOT_HTTP;
    if (version !== "1.0" && version !== "1.1") return VERSION_NOT_SUPPORTED;
  }
  // A known method in the wrong case is a mistake of the client, not another method.
  return METHODS.includes(method.toUpperCase()) ? NOT_HTTP : UNKNOWN_METHOD;
}
