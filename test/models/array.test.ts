import assert from "node:assert/strict";
import { test } from "node:test";

import { array, integer } from "../../src/models/model.ts";
import { Problems } from "../../src/models/problems.ts";

/** How many items there must be and are, and what pydantic says. */
const MESSAGES: readonly (readonly [
  limits: { readonly minItems?: number; readonly maxItems?: number },
  items: number[],
  message: string,
])[] = [
  [{ minItems: 1 }, [], "at least 1 item after validation, not 0"],
  [{ minItems: 2 }, [7], "at least 2 items after validation, not 1"],
  [{ maxItems: 0 }, [7], "at most 0 items after validation, not 1"],
  [{ maxItems: 1 }, [7, 8], "at most 1 item after validation, not 2"],
];

for (const [limits, items, message] of MESSAGES) {
  test(`a list of ${items.length} with ${JSON.stringify(limits)} should have ${message}`, () => {
    const problems = new Problems();
    array(integer(), limits).check(items, ["body"], problems);
    assert.deepEqual(
      problems.list.map(({ msg }) => msg),
      [`List should have ${message}`],
    );
  });
}
