/** How a figure is drawn as a bar. */
import type { Score } from "../lib/types";

const HALF = ["map: trustworthiness", "map: continuity"]; // a map by chance has one half

/** Where a figure lies from chance (0) to best (1); null for those that have no best. `common` is the share of the most common label. */
export function fromChance({ name, value }: Score, common: number): number | null {
  if (name.startsWith("embedding:")) return null;
  const chance = HALF.includes(name) ? 0.5 : name.startsWith("labels: k-NN accuracy") ? common : 0;
  return chance >= 1 ? null : Math.max(0, Math.min(1, (value - chance) / (1 - chance)));
}
