import type { PointGrid } from "./grid";
import type { Look } from "./layer";
import { coprimeStep } from "./thinning";
import type { View } from "./view";

/** Fewer points are all drawn, wherever one looks. */
const MANY = 200_000;
/** What is near has to be at most this share of all, or it gains nothing. */
const SHARE = 1 / 3;
/** From this enlargement on, in areas, what was near for the view before is too much. */
const LOOSE = 16;

/** If there are many points, those near what is in view: then a frame draws only them, not all. */
export class Nearby {
  #part: { of: Look; bounds: readonly number[]; area: number; look: Look } | null = null;

  /** `groups`: in which of the look's groups each point of the grid is, in their order. */
  constructor(readonly grid: PointGrid, readonly groups: Uint8Array) {}

  /** What to draw of all points from here: the same object for as long as that stays the same. */
  of(all: Look, view: View): Look {
    if (all.order.length < MANY) return all;
    const [left, bottom, right, top] = view.bounds(EDGE);
    const [width, height] = [right - left, top - bottom];
    const before = this.#part;
    const isInside = before && contains(before.bounds, [left, bottom, right, top]) && before.area < LOOSE * width * height;
    if (before && isInside && before.of === all) return before.look;
    if (before && isInside && before.of.order === all.order) {
      const { order, contextCount, chosenCount } = before.look;
      this.#part = { ...before, of: all, look: { ...all, order, contextCount, chosenCount } };
      return this.#part.look;
    }
    // half of the view on every side: the map moves a while before other points are near
    const bounds = [left - width / 2, bottom - height / 2, right + width / 2, top + height / 2] as const;
    if (this.grid.count(...bounds) > SHARE * all.order.length) return all;
    this.#part = { of: all, bounds, area: 4 * width * height, look: this.#take(all, bounds) };
    return this.#part.look;
  }

  #take(all: Look, bounds: readonly [number, number, number, number]): Look {
    const found = new Uint32Array(this.grid.count(...bounds));
    const counts: [number, number, number] = [0, 0, 0];
    let length = 0;
    this.grid.within(...bounds, (position) => {
      found[length++] = position;
      counts[this.groups[position]!]!++;
    });
    const [context, ordinary, chosen] = counts;
    const order = new Uint32Array(context + ordinary + chosen);
    const next = [0, context, context + ordinary];
    const step = coprimeStep(length);
    for (let i = 0, at = 0; i < length; i++, at = (at + step) % length) {
      const position = found[at]!;
      order[next[this.groups[position]!]!++] = position;
    }
    return { ...all, order, contextCount: context, chosenCount: chosen };
  }
}

/** Pixels: points whose middle is outside still reach into the view. */
const EDGE = 8;

function contains(outer: readonly number[], [left, bottom, right, top]: readonly [number, number, number, number]): boolean {
  return left >= outer[0]! && bottom >= outer[1]! && right <= outer[2]! && top <= outer[3]!;
}
