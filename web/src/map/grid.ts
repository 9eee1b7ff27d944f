/** Cell of an image that the map does not hold. */
const NOWHERE = 0xffffffff;

/**
 * Finds points by place: a square grid, built by counting in one pass over the points, so that a million take a moment.
 */
export class PointGrid {
  readonly #side: number;
  readonly #starts: Uint32Array;
  readonly #members: Uint32Array;

  constructor(readonly points: Float32Array) {
    const count = points.length / 2;
    this.#side = Math.max(1, Math.min(1024, Math.round(Math.sqrt(count / 2))));
    const cells = new Uint32Array(count);
    this.#starts = new Uint32Array(this.#side ** 2 + 1);
    for (let i = 0; i < count; i++) {
      if (Number.isNaN(points[2 * i]!)) cells[i] = NOWHERE;
      if (cells[i] === NOWHERE) continue;
      const cell = this.#cell(points[2 * i + 1]!) * this.#side + this.#cell(points[2 * i]!);
      cells[i] = cell;
      this.#starts[cell + 1]!++;
    }
    for (let cell = 0; cell < this.#side ** 2; cell++) this.#starts[cell + 1]! += this.#starts[cell]!;
    const next = this.#starts.slice();
    this.#members = new Uint32Array(count);
    for (let i = 0; i < count; i++) if (cells[i] !== NOWHERE) this.#members[next[cells[i]!]!++] = i;
  }

  /** About how many points lie inside the rectangle: all of the cells that it touches. */
  count(left: number, bottom: number, right: number, top: number): number {
    const [first, last] = [this.#cell(left), this.#cell(right)];
    let count = 0;
    for (let row = this.#cell(bottom); row <= this.#cell(top); row++) {
      count += this.#starts[row * this.#side + last + 1]! - this.#starts[row * this.#side + first]!;
    }
    return count;
  }

  /** Call `use` with every position inside the rectangle. */
  within(left: number, bottom: number, right: number, top: number, use: (position: number) => void): void {
    const { points } = this;
    const [first, last] = [this.#cell(left), this.#cell(right)];
    for (let row = this.#cell(bottom); row <= this.#cell(top); row++) {
      // cells of one row lie side by side
      const end = this.#starts[row * this.#side + last + 1]!;
      for (let k = this.#starts[row * this.#side + first]!; k < end; k++) {
        const position = this.#members[k]!;
        const x = points[2 * position]!;
        const y = points[2 * position + 1]!;
        if (x >= left && x <= right && y >= bottom && y <= top) use(position);
      }
    }
  }

  /** The nearest position within a distance that `allow` lets through; null if there is none. */
  nearest(x: number, y: number, distance: number, allow: (position: number) => boolean = () => true): number | null {
    let best: number | null = null;
    let least = distance ** 2;
    this.within(x - distance, y - distance, x + distance, y + distance, (position) => {
      const apart = (this.points[2 * position]! - x) ** 2 + (this.points[2 * position + 1]! - y) ** 2;
      if (apart > least || !allow(position)) return;
      least = apart;
      best = position;
    });
    return best;
  }

  #cell(value: number): number {
    return Math.max(0, Math.min(this.#side - 1, Math.floor(((value + 1) / 2) * this.#side)));
  }
}
