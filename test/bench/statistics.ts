/** The value below which `part` of the values lie, from 0 to 1; interpolated between two values. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = part * (sorted.length - 1);
  const below = sorted[Math.floor(place)] ?? NaN;
  return below + (place % 1) * ((sorted[Math.ceil(place)] ?? NaN) - below);
}

/** The figure of the quiet rounds: other load on the machine can only make it higher. */
export function lowerQuartile(values: readonly number[]): number {
  return quantile(values, 0.25);
}

/** The same for figures that other load can only make lower. */
export function upperQuartile(values: readonly number[]): number {
  return quantile(values, 0.75);
}
