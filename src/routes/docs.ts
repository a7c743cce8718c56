import { hash } from "node:crypto";

import { renderPage } from "../docs/page.ts";
import { HttpError, type Reply } from "../http/reply.ts";
import { type Route, route } from "../http/route.ts";

/**
 * The routes of the docs page, of the files that it loads, and of the OpenAPI document. As in
 * FastAPI, the document does not list them.
 *
 * `read` returns the text of a file of the docs.
 */
export function docsRoutes(read: (name: string) => string): Route[] {
  const openapi = read("openapi.json");
  return [
    fileRoute({
      path: "/docs",
      type: "text/html; charset=utf-8",
      text: renderPage(JSON.parse(openapi)),
      headers: PAGE_HEADERS,
    }),
    fileRoute({
      path: "/docs/docs.css",
      type: "text/css; charset=utf-8",
      text: read("docs.css"),
      headers: ASSET_HEADERS,
    }),
    fileRoute({
      path: "/docs/docs.js",
      type: "text/javascript; charset=utf-8",
      text: read("docs.js"),
      headers: ASSET_HEADERS,
    }),
    fileRoute({
      path: "/docs/icon.svg",
      type: "image/svg+xml; charset=utf-8",
      text: read("icon.svg"),
      headers: ASSET_HEADERS,
    }),
    fileRoute({
      path: "/openapi.json",
      type: "application/json",
      text: openapi,
      headers: [],
    }),
  ];
}

/** A file that is served as it is. */
interface ServedFile {
  readonly path: string;
  /** The value of Content-Type. */
  readonly type: string;
  readonly text: string;
  /** Further header fields: names and values in turn. */
  readonly headers: readonly string[];
}

/** The page may load its own files and call its own service, and nothing else. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const ASSET_HEADERS: readonly string[] = ["Cross-Origin-Resource-Policy", "same-origin"];

const PAGE_HEADERS: readonly string[] = [
  "Content-Security-Policy",
  CONTENT_SECURITY_POLICY,
  "Referrer-Policy",
  "no-referrer",
  "Cross-Origin-Opener-Policy",
  "same-origin",
  ...ASSET_HEADERS,
];

function fileRoute({ path, type, text, headers }: ServedFile): Route {
  const body = Buffer.from(text);
  const etag = `"${hash("sha256", body, "base64url").slice(0, 22)}"`;
  const commonHeaders = ["Cache-Control", "no-cache", "ETag", etag, ...headers];
  const fullReply: Reply = {
    status: 200,
    headers: ["Content-Type", type, ...commonHeaders],
    body,
  };
  const notModified: Reply = { status: 304, headers: commonHeaders, body: "" };
  return route({
    method: "GET",
    path,
    includeInSchema: false,
    handler: (_input, { request }) => {
      const { "if-match": ifMatch, "if-none-match": ifNoneMatch } = request.headers;
      // RFC 9110 13.2.2 for the order, 13.1.1 for the strong and 13.1.2 for the weak comparison.
      if (ifMatch !== undefined && !namesTag(ifMatch, [etag])) return PRECONDITION_FAILED;
      if (ifNoneMatch !== undefined && namesTag(ifNoneMatch, [etag, `W/${etag}`])) {
        return notModified;
      }
      return fullReply;
    },
  });
}

const PRECONDITION_FAILED = new HttpError(
  412,
  "Precondition Failed: If-Match does not name the current entity tag",
);

/**
 * Whether an If-Match or If-None-Match field is `*`, or a list with one of `tags`. It is split at
 * each comma, although tags may contain one: no part of another tag has quotes on both sides.
 */
function namesTag(field: string, tags: readonly string[]): boolean {
  if (field.trim() === "*") return true;
  return field.split(",").some((tag) => tags.includes(tag.trim()));
}
