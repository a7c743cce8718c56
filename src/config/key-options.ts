import type { KeyOptions, Rate } from "../auth/keys.ts";
import { failure, type Result } from "./result.ts";

/** One option: the member that it sets, how its text is read, and what is wrong if it can't be. */
interface Option {
  readonly member: keyof KeyOptions;
  /** Undefined if the text is not valid. */
  readonly parse: (text: string) => KeyOptions[keyof KeyOptions];
  readonly problem: string;
}

const BAD_DATE = "bad date: write a real one, in UTC, like 2027-01-31T00:00:00Z";

/** The options that a line of the keys file may have, by their labels. */
const OPTIONS: ReadonlyMap<string, Option> = new Map<string, Option>([
  ["expires", { member: "expires", parse: parseDate, problem: BAD_DATE }],
  ["not_before", { member: "notBefore", parse: parseDate, problem: BAD_DATE }],
  [
    "rate",
    {
      member: "rate",
      parse: parseRate,
      problem: "bad rate: write N/s or N/m, with N from 1 to 999999",
    },
  ],
  [
    "in_flight",
    {
      member: "inFlight",
      parse: parseCount,
      problem: "bad in_flight: write a number from 1 to 999999",
    },
  ],
]);

/** How long the periods of a rate are, in ms. */
const PERIODS: Readonly<Record<string, Rate["periodMs"]>> = { s: 1000, m: 60_000 };

/** Reads the options of a line of the keys file, or finds the first problem with them. */
export function readKeyOptions(texts: readonly string[]): Result<KeyOptions> {
  const options: Partial<Record<keyof KeyOptions, unknown>> = {};
  for (const text of texts) {
    const equals = text.indexOf("=");
    const option = OPTIONS.get(text.slice(0, Math.max(equals, 0)));
    if (option === undefined) {
      return failure(`unknown option: only ${[...OPTIONS.keys()].join("=, ")}= are known`);
    }
    const { member, parse, problem } = option;
    if (member in options) return failure("an option given twice: keep one");
    const value = parse(text.slice(equals + 1));
    if (value === undefined) return failure(problem);
    options[member] = value;
  }
  return { ok: true, value: options as KeyOptions };
}

/**
 * Reads RFC 3339's date-time in UTC and whole seconds, as ms since the epoch; undefined if it is
 * not a real date, such as February 30 or 24:00:00. Only a real one comes back unchanged.
 */
function parseDate(text: string): number | undefined {
  const withMilliseconds = text.replace("Z", ".000Z");
  const isReal = /^\d{4}-/.test(text) && new Date(text).toJSON() === withMilliseconds;
  return isReal ? Date.parse(text) : undefined;
}

function parseRate(text: string): Rate | undefined {
  const [, digits = "", period = ""] = /^(\d+)\/([sm])$/.exec(text) ?? [];
  const count = parseCount(digits);
  const periodMs = PERIODS[period];
  return count === undefined || periodMs === undefined ? undefined : { count, periodMs };
}

/** Reads a number from 1 to 999999, without zeros before it. */
function parseCount(text: string): number | undefined {
  return /^[1-9]\d{0,5}$/.test(text) ? Number(text) : undefined;
}
