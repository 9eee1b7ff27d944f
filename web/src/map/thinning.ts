/**
 * Which images have room for a thumbnail, at every zoom: an image that is shown stays shown while one zooms in.
 *
 * Level 0 keeps images a quarter of a unit apart (so that squares of that side do not overlap); four further levels halve
 * the distance, and each adds to those before. Levels are computed when they are first asked for.
 */
export class Thinning {
  readonly #levels: Uint8Array;
  #waiting: Uint32Array;
  /** All with room so far, level by level, and where each level ends. */
  readonly #shown: number[] = [];
  readonly #ends: number[] = [];

  /** `order` holds those positions that may have a thumbnail, the most important first. */
  constructor(readonly points: Float32Array, order: Uint32Array) {
    this.#levels = new Uint8Array(points.length / 2).fill(NEVER);
    this.#waiting = order;
  }

  /** The level at which squares of a given side, in units of the map, do not overlap. */
  static levelFor(side: number): number {
    return Math.max(0, Math.min(MOST_LEVELS, Math.floor(4 * Math.log2(WIDEST / side))));
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

  /** Positions with room, the most important first: the first `count(level)` of them have room at a level. */
  get shown(): readonly number[] {
    return this.#shown;
  }

  /** Compute levels up to this one, for at most `milliseconds`; returns the level that is ready. */
  prepare(level: number, milliseconds: number): number {
    const start = performance.now();
    while (this.#ends.length <= level && this.#waiting.length > 0 && performance.now() - start < milliseconds) {
      this.#compute(this.#ends.length);
    }
    return this.#waiting.length > 0 ? Math.min(level, this.#ends.length - 1) : level;
  }

  #compute(level: number): void {
    const side = Thinning.sideOf(level);
    const { points } = this;
    // at most one shown image in a cell, so the nine cells around a place hold all that could be too near
    const cells = new Cells(side, points.length / 2);
    for (const position of this.#shown) cells.add(points[2 * position]!, points[2 * position + 1]!, position);
    const left: number[] = [];
    for (const position of this.#waiting) {
      const x = points[2 * position]!;
      const y = points[2 * position + 1]!;
      if (cells.isFree(x, y, points)) {
        cells.add(x, y, position);
        this.#levels[position] = level;
        this.#shown.push(position);
      } else left.push(position);
    }
    this.#waiting = Uint32Array.from(left);
    this.#ends.push(this.#shown.length);
  }
}

const NEVER = 255;
const WIDEST = 0.25;
const MOST_LEVELS = 48;
const EMPTY = 0xffffffff;

class Cells {
  readonly #across: number;
  readonly #dense: Uint32Array | null;
  readonly #sparse = new Map<number, number>();

  constructor(readonly side: number, count: number) {
    this.#across = Math.ceil(2 / side) + 1;
    const cells = this.#across ** 2;
    this.#dense = cells <= Math.max(4e6, 4 * count) ? new Uint32Array(cells).fill(EMPTY) : null;
  }

  add(x: number, y: number, position: number): void {
    const cell = this.#row(y) * this.#across + this.#row(x);
    if (this.#dense) this.#dense[cell] = position;
    else this.#sparse.set(cell, position);
  }

  isFree(x: number, y: number, points: Float32Array): boolean {
    const [column, row] = [this.#row(x), this.#row(y)];
    for (let r = Math.max(0, row - 1); r <= Math.min(this.#across - 1, row + 1); r++) {
      for (let c = Math.max(0, column - 1); c <= Math.min(this.#across - 1, column + 1); c++) {
        const cell = r * this.#across + c;
        const there = this.#dense ? this.#dense[cell]! : (this.#sparse.get(cell) ?? EMPTY);
        if (there === EMPTY) continue;
        const isNear = Math.abs(points[2 * there]! - x) < this.side && Math.abs(points[2 * there + 1]! - y) < this.side;
        if (isNear) return false;
      }
    }
    return true;
  }

  #row(value: number): number {
    return Math.max(0, Math.min(this.#across - 1, Math.floor((value + 1) / this.side)));
  }
}

/**
 * An order of positions for thinning: `first` ones before all others, then sheet by sheet, so that few sheets have to be
 * loaded for an overview; within a sheet by chance, but always the same.
 */
export function thinningOrder(count: number, perSheet: number, allow: (p: number) => boolean, first?: Set<number>): Uint32Array {
  const order: number[] = [];
  const rest: number[] = [];
  for (let start = 0; start < count; start += perSheet) {
    const size = Math.min(perSheet, count - start);
    const step = coprimeStep(size);
    for (let i = 0; i < size; i++) {
      const position = start + ((i * step) % size);
      if (!allow(position)) continue;
      if (first?.has(position)) order.push(position);
      else rest.push(position);
    }
  }
  return Uint32Array.from(order.concat(rest));
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
