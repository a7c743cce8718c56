/** The names in braces of a path, as its type. */
export type PathNames<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? Name | PathNames<Rest>
  : never;

/** The path of a route, taken apart. */
export interface ParsedPath {
  /** What stands between the slashes; a parameter is `PARAMETER`. Empty for the path "/". */
  readonly segments: readonly string[];
  /** The names of the parameters, from left to right. */
  readonly names: readonly string[];
}

/** Stands for a parameter among segments. No literal segment has braces. */
export const PARAMETER = "{}";

/**
 * Takes the path of a route apart; undefined if it is not valid. A parameter is a whole segment.
 *
 * @example
 *     parsePath("/jobs/{id}"); // { segments: ["jobs", "{}"], names: ["id"] }
 */
export function parsePath(path: string): ParsedPath | undefined {
  if (!PATH.test(path)) return undefined;
  const parts = path === "/" ? [] : path.slice(1).split("/");
  const names = parts.filter((part) => part.startsWith("{")).map((part) => part.slice(1, -1));
  return { segments: parts.map((part) => (part.startsWith("{") ? PARAMETER : part)), names };
}

// path = "/" / 1*( "/" ( 1*unreserved / "{" name "}" ) ): RFC 3986 without percent-encoding,
// sub-delims and dot segments. A name can be a member's name in TypeScript without quotes.
const PATH = /^(?:\/|(?:\/(?!\.{1,2}(?:\/|$))(?:[A-Za-z0-9._~-]+|\{[A-Za-z_][A-Za-z0-9_]*\}))+)$/;

/**
 * The text that a segment of a request's path stands for: percent-decoded, once. undefined if it is
 * empty, not valid, or decodes to a dot segment, or to something with "/" or NUL.
 */
export function decodeSegment(segment: string): string | undefined {
  if (!SEGMENT.test(segment)) return undefined;
  if (!segment.includes("%")) return isDots(segment) ? undefined : segment;
  try {
    const text = decodeURIComponent(segment);
    return isDots(text) || /[/\0]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

// Visible ASCII but "#". RFC 3986 wants a few of these encoded, too, but clients don't do that.
const SEGMENT = /^[!-"$-~]+$/;

function isDots(text: string): boolean {
  return text === "." || text === "..";
}
