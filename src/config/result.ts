/** What was read, or what is wrong with the text that it was to be read from. */
export type Result<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: string };

/** Says what is wrong with a text, without quoting it. */
export function failure(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}
