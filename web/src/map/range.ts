/** The values of a number column: from where to where they reach. */
import type { Values } from "../lib/types";

/** From and to, both within. */
export type Range = readonly [number, number];

/** The smallest and the largest value; null where no image has one. */
export function rangeOf(values: Values): Range | null {
  let [least, most] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return least <= most ? [least, most] : null;
}

/** Whether a value is outside; an image without a value always is. */
export function isOutside(value: number, [low, high]: Range): boolean {
  return !(value >= low && value <= high);
}
