import type { Rule } from "./base.ts";
import { expected, type ProblemKind } from "./problems.ts";

// These expressions take time linear in the text: no part of one can match in two ways.
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
// RFC 3986 3: a scheme, then any of the characters of a URI.
const URI = /^[a-z][a-z0-9+.-]*:(?:[a-z0-9._~:/?#[\]@!$&'()*+,;=-]|%[0-9a-f]{2})*$/i;
// RFC 3339 5.6, but for leap seconds, which a Date can't hold.
const DATE = /^\d{4}-\d\d-\d\d$/;
const TIME = /^T(?:[01]\d|2[0-3])(?::[0-5]\d){2}(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/i;

/** What `format` can be, with the rule for each. A rule takes time linear in the text. */
export const FORMATS = {
  uuid: {
    isMet: (text) => UUID.test(text),
    problem: invalid("uuid_parsing", "a valid UUID", "expected 8-4-4-4-12 hexadecimal digits"),
  },
  uri: {
    // A handler can give it to new URL(), which throws if it can't parse it.
    isMet: (text) => URI.test(text) && URL.canParse(text),
    problem: invalid("url_parsing", "a valid URL", "expected an absolute URI as in RFC 3986"),
  },
  "date-time": {
    isMet: (text) => {
      const [date, time] = [text.slice(0, 10), text.slice(10)];
      return isDate(date) && TIME.test(time);
    },
    problem: invalid("datetime_parsing", "a valid datetime", "expected a date-time as in RFC 3339"),
  },
  date: {
    isMet: isDate,
    problem: invalid("date_parsing", "a valid date", "expected a full-date as in RFC 3339"),
  },
} satisfies Readonly<Record<string, Rule<string>>>;

function invalid(type: string, words: string, error: string): ProblemKind {
  return expected(type, `${words}, ${error}`, { error });
}

/** Whether the calendar has that day: a Date takes February 30 for a day in March. */
function isDate(text: string): boolean {
  if (!DATE.test(text)) return false;
  const time = Date.parse(text);
  if (Number.isNaN(time)) return false;
  return new Date(time).toISOString().startsWith(text);
}
