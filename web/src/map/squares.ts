/** How far a square may stand from its point, in sides. With more, two points could change their order. */
const FARTHEST = 0.5;
/** The distance of squares that touch, in sides: rounding does not make them overlap. */
const TOUCHING = 1.001;
/** Parts of a side: a point is as good as another in the same part. */
const PARTS = 8;

/** Middles of squares of one side that do not overlap, in cells of that side: a cell holds one of them at most. */
export class Squares {
  readonly #cells: Table;
  /** Where a point has found no room, in parts of a cell: in a crowd most points need no other look. */
  readonly #full: Uint8Array | null;
  readonly #across: number;
  readonly #xs: number[] = [0]; // 0 stands for an empty cell
  readonly #ys: number[] = [0];
  readonly #near: number[] = [];
  readonly #acrosses: number[] = [];
  readonly #ups: number[] = [];

  /**
   * `side`: in units of the map, whose points lie between -1 and 1; `count`: of these points; `bounds`: left, bottom, right
   * and top of where a square's middle may be moved to.
   */
  constructor(readonly side: number, count: number, readonly bounds: readonly number[] = [-1, -1, 1, 1]) {
    this.#across = Math.ceil(2 / side) + 3;
    this.#cells = new Table(this.#across ** 2, Math.max(4e6, 4 * count));
    const parts = (PARTS * this.#across) ** 2;
    this.#full = parts <= Math.max(1e6, 4 * count) ? new Uint8Array(parts) : null;
  }

  add(x: number, y: number): void {
    this.#cells.set(this.#cell(y) * this.#across + this.#cell(x), this.#xs.length);
    this.#xs.push(x);
    this.#ys.push(y);
  }

  /** Where the square of a point finds room, as near to it as can be; null if there is none. */
  room(x: number, y: number): [number, number] | null {
    const part = Math.floor(this.#at(y) * PARTS) * PARTS * this.#across + Math.floor(this.#at(x) * PARTS);
    if (this.#full?.[part]) return null;
    const place = this.#nearest(x, y);
    if (!place && this.#full) this.#full[part] = 1;
    return place;
  }

  /** Whether a square in this very place overlaps no other. */
  isFree(x: number, y: number): boolean {
    return this.#look(x, y, 1) && this.#isClear(x, y);
  }

  #nearest(x: number, y: number): [number, number] | null {
    if (!this.#look(x, y, 1 + FARTHEST)) return null;
    if (this.#isClear(x, y)) return [x, y];
    // the nearest free place touches a square on one side or on two
    const wide = this.#touching(x, 0, this.#acrosses);
    const high = this.#touching(y, 1, this.#ups);
    let best: [number, number] | null = null;
    let least = Infinity;
    for (let i = 0; i < wide; i++) {
      for (let j = 0; j < high; j++) {
        const [across, up] = [this.#acrosses[i]!, this.#ups[j]!];
        const away = (across - x) ** 2 + (up - y) ** 2;
        if (away >= least || !this.#isClear(across, up)) continue;
        least = away;
        best = [across, up];
      }
    }
    return best;
  }

  /** Note the squares within a reach of a place, in sides; false if one leaves no room wherever the new one goes. */
  #look(x: number, y: number, sides: number): boolean {
    this.#near.length = 0;
    const reach = sides * this.side;
    const [first, last] = [this.#cell(x - reach), this.#cell(x + reach)];
    for (let row = this.#cell(y - reach); row <= this.#cell(y + reach); row++) {
      for (let column = first; column <= last; column++) {
        const there = this.#cells.get(row * this.#across + column);
        if (there === 0) continue;
        const apart = Math.max(Math.abs(this.#xs[there]! - x), Math.abs(this.#ys[there]! - y));
        if (apart < (1 - FARTHEST) * this.side) return false;
        if (apart < reach) this.#near.push(there);
      }
    }
    return true;
  }

  #isClear(x: number, y: number): boolean {
    for (const there of this.#near) {
      if (Math.abs(this.#xs[there]! - x) < this.side && Math.abs(this.#ys[there]! - y) < this.side) return false;
    }
    return true;
  }

  /** Collect `value` and where a square near it would just touch a near one; returns how many these are. */
  #touching(value: number, axis: 0 | 1, into: number[]): number {
    const all = axis === 0 ? this.#xs : this.#ys;
    const least = Math.max(value - FARTHEST * this.side, this.bounds[axis]!);
    const most = Math.min(value + FARTHEST * this.side, this.bounds[axis + 2]!);
    const touching = TOUCHING * this.side;
    let count = 0;
    into[count++] = value;
    for (const there of this.#near) {
      const edge = all[there]! + (all[there]! < value ? touching : -touching);
      if (edge >= least && edge <= most) into[count++] = edge;
    }
    return count;
  }

  #cell(value: number): number {
    return Math.floor(this.#at(value));
  }

  /** In cells from the left or lower rim; squares reach beyond the points. */
  #at(value: number): number {
    return Math.max(0, Math.min(this.#across - 1, (value + 1) / this.side + 1));
  }
}

/** Whole numbers by cell, 0 where there is none. */
class Table {
  readonly #dense: Uint32Array | null;
  readonly #sparse = new Map<number, number>();

  constructor(cells: number, most: number) {
    this.#dense = cells <= most ? new Uint32Array(cells) : null;
  }

  get(cell: number): number {
    return this.#dense ? this.#dense[cell]! : (this.#sparse.get(cell) ?? 0);
  }

  set(cell: number, value: number): void {
    if (this.#dense) this.#dense[cell] = value;
    else this.#sparse.set(cell, value);
  }
}
