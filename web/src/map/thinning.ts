import { Squares } from "./squares";
import { boundsOf } from "./view";

/**
 * Which images have room for a thumbnail, at every zoom: an image that is shown stays shown while one zooms in.
 *
 * Level 0 has squares with a side of a quarter of a unit; four further levels halve it. `base` is the level of the whole
 * map: it is packed first, and as tight as can be. Coarser levels leave out some of its images, finer ones add others when
 * they are first asked for.
 *
 * A square may stand up to half its side from its point, so a crowd shows more images and each still touches its own point.
 * Its shift is kept in sides. Two points then keep their order, so squares that are apart stay apart while one zooms in.
 */
export class Thinning {
  readonly #levels: Uint8Array;
  /** How far each square is from its point: x0, y0, x1, y1, … in sides. */
  readonly #shifts: Float32Array;
  /** Of the points: a square that is moved farther would leave the canvas. */
  readonly #bounds: readonly number[];
  #waiting: Uint32Array;
  /** All with room so far, level by level, and where each level ends. */
  #shown: number[] = [];
  #ends: number[] = [];
  /** A level that is being computed: how many of those that wait were tried, and how many of them found no room. */
  #begun: { squares: Squares; tried: number; left: number } | null = null;

  /** `order` holds those positions that may have a thumbnail, the most important first. */
  constructor(readonly points: Float32Array, order: Uint32Array, base = 0) {
    this.#levels = new Uint8Array(points.length / 2).fill(NEVER);
    this.#shifts = new Float32Array(points.length);
    this.#bounds = boundsOf(points);
    this.#waiting = order.slice(); // those that find no room move to its front
    this.#add(base, Infinity);
    this.#leaveOut(base);
  }

  /** The level at which squares of a given side, in units of the map, do not overlap. */
  static levelFor(side: number): number {
    return Math.max(0, Math.min(MOST_LEVELS, Math.floor(4 * Math.log2(WIDEST / side) + 1e-6)));
  }

  /** The side of these squares at a level. */
  static sideOf(level: number): number {
    return WIDEST * 2 ** (-level / 4);
  }

  /** Whether an image has room at a level that `prepare` has reached. */
  has(position: number, level: number): boolean {
    return this.#levels[position]! <= level;
  }

  /** Number of images that have room at a level. */
  count(level: number): number {
    return this.#ends[Math.min(level, this.#ends.length - 1)] ?? 0;
  }

  /** Positions with room: the first `count(level)` of them have room at a level. */
  get shown(): readonly number[] {
    return this.#shown;
  }

  /** How far the square of an image that has room stands from its point, right and up, in sides. */
  shift(position: number): [number, number] {
    return [this.#shifts[2 * position]!, this.#shifts[2 * position + 1]!];
  }

  /** Compute levels up to this one, for at most `milliseconds`; returns the level that is ready. */
  prepare(level: number, milliseconds: number): number {
    const end = performance.now() + milliseconds;
    while (this.#ends.length <= level && this.#waiting.length > 0) {
      if (!this.#add(this.#ends.length, end)) break;
    }
    return this.#waiting.length > 0 ? Math.min(level, this.#ends.length - 1) : level;
  }

  /** Show all that have room at a level besides those that are shown; false if time was over before. */
  #add(level: number, end: number): boolean {
    const side = Thinning.sideOf(level);
    if (!this.#begun) {
      const squares = new Squares(side, this.points.length / 2, this.#bounds);
      for (const position of this.#shown) squares.add(...this.#square(position, side));
      this.#begun = { squares, tried: 0, left: 0 };
    }
    const { squares, tried } = this.#begun;
    let { left } = this.#begun;
    for (let i = tried; i < this.#waiting.length; i++) {
      if (i > tried && i % AT_ONCE === 0 && performance.now() > end) {
        this.#begun = { squares, tried: i, left };
        return false;
      }
      const position = this.#waiting[i]!;
      const x = this.points[2 * position]!;
      const y = this.points[2 * position + 1]!;
      const place = squares.room(x, y);
      if (place) {
        squares.add(...place);
        this.#shifts[2 * position] = (place[0] - x) / side;
        this.#shifts[2 * position + 1] = (place[1] - y) / side;
        this.#levels[position] = level;
        this.#shown.push(position);
      } else this.#waiting[left++] = position;
    }
    this.#begun = null;
    this.#waiting = this.#waiting.subarray(0, left);
    this.#ends[level] = this.#shown.length;
    return true;
  }

  /** From level to coarser level, leave out what has no room. */
  #leaveOut(base: number): void {
    let kept = this.#shown;
    const dropped: number[][] = [];
    for (let level = base - 1; level >= 0; level--) {
      const side = Thinning.sideOf(level);
      const squares = new Squares(side, this.points.length / 2);
      const [having, lacking]: [number[], number[]] = [[], []];
      for (const position of kept) {
        const place = this.#square(position, side);
        if (squares.isFree(...place)) {
          squares.add(...place);
          having.push(position);
          this.#levels[position] = level;
        } else lacking.push(position);
      }
      dropped.unshift(lacking);
      kept = having;
    }
    this.#shown = [kept, ...dropped].flat();
    let end = 0;
    this.#ends = [kept, ...dropped].map((part) => (end += part.length));
  }

  #square(position: number, side: number): [number, number] {
    const [across, up] = this.shift(position);
    return [this.points[2 * position]! + across * side, this.points[2 * position + 1]! + up * side];
  }
}

const NEVER = 255;
const WIDEST = 0.25;
const MOST_LEVELS = 48;
/** Images that are tried between two looks at the clock. */
const AT_ONCE = 1024;
/** Images among which the order for thinning goes from left to right, at least. */
const SWEPT = 2048;
/** So many images are sorted like that; all further ones only fill gaps. */
const MOST_SWEPT = 65_536;

/**
 * An order of positions for thinning: `first` ones before all others, then some sheets after others, so that few sheets have
 * to be loaded for an overview. Within these sheets it goes from left to right, for squares pack tighter that way.
 */
export function thinningOrder(points: Float32Array, perSheet: number, allow: (p: number) => boolean, first?: Set<number>): Uint32Array {
  const count = points.length / 2;
  const swept = Math.ceil(SWEPT / perSheet) * perSheet;
  const order = new Uint32Array(count);
  let length = 0;
  for (let start = 0; start < count; start += swept) {
    const from = length;
    for (let position = start; position < Math.min(start + swept, count); position++) if (allow(position)) order[length++] = position;
    if (start < MOST_SWEPT) order.subarray(from, length).sort((a, b) => points[2 * a]! - points[2 * b]!);
  }
  const all = order.subarray(0, length);
  if (!first) return all;
  const rest = all.filter((position) => !first.has(position));
  all.set(all.filter((position) => first.has(position)));
  all.set(rest, length - rest.length);
  return all;
}

/** A step that visits all of 0 … count - 1 in a scattered order. */
export function coprimeStep(count: number): number {
  if (count < 3) return 1;
  let step = Math.max(1, Math.round(count * 0.6180339887));
  while (commonDivisor(step, count) !== 1) step++;
  return step;
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}
