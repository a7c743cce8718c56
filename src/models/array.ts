import type { Check, Keywords, Model } from "./base.ts";
import { expected, type ProblemKind } from "./problems.ts";

/** An array of items of one model. As a parameter it has an item for each text. */
export function array<T>(
  model: Model<T>,
  options: Keywords<"minItems" | "maxItems"> = {},
): Model<T[]> {
  const { minItems = 0, maxItems = Infinity } = options;
  const check: Check<T[]> = (input, location, problems) => {
    if (!Array.isArray(input)) {
      problems.add(NOT_A_LIST, input, location);
      return [];
    }
    const { length } = input;
    if (length > maxItems) {
      problems.add(wrongLength("long", "most", maxItems, length), input, location);
      return [];
    }
    const { count } = problems;
    // Most items stay as they are. Then so does the array: a copy takes longer than the checks.
    let items: T[] = input;
    for (let index = 0; index < length && !problems.isFull; index += 1) {
      location.push(index);
      const item = model.check(input[index], location, problems);
      location.pop();
      if (item === input[index]) continue;
      if (items === input) items = [...items];
      items[index] = item;
    }
    if (length < minItems && problems.count === count) {
      problems.add(wrongLength("short", "least", minItems, length), input, location);
    }
    return items;
  };
  const schema = { type: "array", items: model.schema, ...options };
  // The text of an item can't be a list of its own.
  return Object.freeze(
    model.texts === "last" ? { schema, check, texts: "all" } : { schema, check },
  );
}

function wrongLength(type: string, words: string, limit: number, length: number): ProblemKind {
  const items = limit === 1 ? "1 item" : `${limit} items`;
  const msg = `List should have at ${words} ${items} after validation, not ${length}`;
  const name = type === "long" ? "max_length" : "min_length";
  const ctx = { field_type: "List", [name]: limit, actual_length: length };
  return { type: `too_${type}`, msg, ctx };
}

const NOT_A_LIST = expected("list_type", "a valid list");
