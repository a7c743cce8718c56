/** The value below which `part` of the values lie, 0 to 1; between two of them by proportion. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = part * (sorted.length - 1);
  const below = sorted[Math.floor(place)] ?? NaN;
  return below + (place % 1) * ((sorted[Math.ceil(place)] ?? NaN) - below);
}

/** What the quiet rounds show: other work on the machine only ever makes it more. */
export function lowerQuartile(values: readonly number[]): number {
  return quantile(values, 0.25);
}
