/** `value` with `attack` before each of its texts, but for those that have a meaning of their own. */
export function poison<T>(value: T, attack: string): T {
  return poisoned(value, attack) as T;
}

function poisoned(value: unknown, attack: string): unknown {
  if (typeof value === "string")
    return /^(#\/.*|apiKey|header)$/.test(value) ? value : attack + value;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => poisoned(item, attack));
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, poisoned(item, attack)]),
  );
}
