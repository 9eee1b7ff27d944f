/** The values of a number column: from where to where they reach, and how they are spread. */

/** From and to, both within. */
export type Range = readonly [number, number];

/** The smallest and the largest value; null where no image has one. */
export function rangeOf(values: Float32Array): Range | null {
  let [least, most] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return least <= most ? [least, most] : null;
}

/** How many values lie in each of `bins` equal parts of a range; those outside count nowhere. */
export function histogram(values: Float32Array, [low, high]: Range, bins: number): number[] {
  const counts = new Array<number>(bins).fill(0);
  const scale = bins / (high - low || 1);
  for (const value of values) {
    if (value >= low && value <= high) counts[Math.min(bins - 1, Math.floor((value - low) * scale))]!++;
  }
  return counts;
}

/** Whether a value is outside; an image without a value always is. */
export function isOutside(value: number, [low, high]: Range): boolean {
  return !(value >= low && value <= high);
}
