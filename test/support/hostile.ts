/** Texts of an OpenAPI document that other parts of it depend on. */
const KEPT = /^(#\/.*|apiKey|header|path|query)$/;

/** `value` with `attack` in front of each of its texts, except those that have a meaning. */
export function poison<T>(value: T, attack: string): T {
  return poisonAny(value, attack) as T;
}

function poisonAny(value: unknown, attack: string): unknown {
  if (typeof value === "string") return KEPT.test(value) ? value : attack + value;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => poisonAny(item, attack));
  const members = Object.entries(value).map(([name, item]) => [name, poisonAny(item, attack)]);
  return Object.fromEntries(members);
}
