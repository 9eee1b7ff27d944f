import type { Position, Sheets } from "./types";

/** Where a thumbnail lies: `x` and `y` count tiles of the sheet. */
export interface Tile {
  sheet: number;
  x: number;
  y: number;
}

/** Finds thumbnails in the sheets of one model. */
export class Tiles {
  readonly #slots: Map<Position, number> | null;

  constructor(readonly sheets: Sheets) {
    this.#slots = sheets.positions && new Map(Array.from(sheets.positions, (position, slot) => [position, slot]));
  }

  /** The tile of an image; null where there is none (a report holds some only). */
  find(position: Position): Tile | null {
    const { columns, rows, count } = this.sheets;
    const slot = this.#slots ? this.#slots.get(position) : position;
    if (slot === undefined) return null;
    const sheet = Math.floor(slot / (columns * rows));
    if (sheet >= count) return null;
    const within = slot % (columns * rows);
    return { sheet, x: within % columns, y: Math.floor(within / columns) };
  }
}
