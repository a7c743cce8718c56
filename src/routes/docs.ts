import { hash } from "node:crypto";

import { renderPage } from "../docs/page.ts";
import type { Reply } from "../http/reply.ts";
import { type Context, type Route, route } from "../http/route.ts";

/**
 * The routes of the docs page, of what it loads, and of the OpenAPI document. As in FastAPI, it lists none of them.
 * `read`: the text of a file of the docs.
 */
export function docsRoutes(read: (name: string) => string): Route[] {
  const openapi = read("openapi.json");
  return [
    fileRoute("/docs", "text/html; charset=utf-8", renderPage(JSON.parse(openapi)), PAGE_HEADERS),
    fileRoute("/docs/docs.css", "text/css; charset=utf-8", read("docs.css"), ASSET_HEADERS),
    fileRoute("/docs/docs.js", "text/javascript; charset=utf-8", read("docs.js"), ASSET_HEADERS),
    fileRoute("/docs/icon.svg", "image/svg+xml", read("icon.svg"), ASSET_HEADERS),
    fileRoute("/openapi.json", "application/json", openapi, []),
  ];
}

const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; " +
  "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const ASSET_HEADERS: readonly string[] = ["Cross-Origin-Resource-Policy", "same-origin"];

const PAGE_HEADERS: readonly string[] = [
  ...["Content-Security-Policy", CSP, "Referrer-Policy", "no-referrer"],
  ...["Cross-Origin-Opener-Policy", "same-origin", ...ASSET_HEADERS],
];

function fileRoute(path: string, type: string, text: string, headers: readonly string[]): Route {
  const body = Buffer.from(text);
  const etag = `"${hash("sha256", body, "base64url").slice(0, 22)}"`;
  const common = ["Cache-Control", "no-cache", "ETag", etag, ...headers];
  const whole: Reply = { status: 200, headers: ["Content-Type", type, ...common], body };
  const unchanged: Reply = { status: 304, headers: common, body: "" };
  const handler = (_body: undefined, { request }: Context): Reply =>
    matches(request.headers["if-none-match"] ?? "", etag) ? unchanged : whole;
  return route({ method: "GET", path, includeInSchema: false, handler });
}

/** Whether an If-None-Match field names the tag: `"*"`, or a list of tags compared weakly (RFC 9110 13.1.2). */
const matches = (field: string, etag: string): boolean =>
  field.trim() === "*" || field.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
