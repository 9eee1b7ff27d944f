import { MOST_ROWS, type Origin } from "../lib/address";
import { pickOf } from "../lib/pick";
import type { Position, Row } from "../lib/types";
import type { SceneState } from "./scene.svelte";
import type { Tasks } from "./tasks.svelte";

/** Images picked out together, and what picked them. */
export interface Selection {
  positions: Uint32Array;
  /** lasso: an area of the map; column: a value of a column; text: file names; answer: a search; finding: a finding; images: by hand. */
  by: "lasso" | "column" | "text" | "answer" | "finding" | "images";
  title: string;
  /** How to pick the same images again; null if that is too long for an address. */
  origin: Origin | null;
}

/** The images that are picked out together. */
export class SelectionState {
  current = $state.raw<Selection | null>(null);
  /** What is to be said of it; empty for nothing. */
  note = $state("");
  readonly #scene: SceneState;
  readonly #tasks: Tasks;
  /** What is being looked for. */
  #coming: Origin | null = null;

  constructor(scene: SceneState, tasks: Tasks) {
    this.#scene = scene;
    this.#tasks = tasks;
  }

  /** Take these images, whatever was being looked for. */
  take(positions: Iterable<Position>, by: Selection["by"], title: string, origin?: Origin): void {
    this.#set(positions, by, title, origin);
    this.#tasks.drop("selection");
  }

  clear(): void {
    this.current = null;
    this.#tasks.drop("selection");
  }

  /** Look for images and take those. Tells whether it came to that. */
  async pick(origin: Origin): Promise<boolean> {
    const { view, loader, index } = this.#scene;
    if (!view) return false;
    const { words, title, find } = pickOf(origin, view, loader, index);
    this.#coming = origin;
    return this.#tasks.run("selection", words, find, (positions) => this.#set(positions, origin.by, title, origin));
  }

  /** Whether this picked what is selected. */
  isFrom(origin: Origin | null): boolean {
    return JSON.stringify(origin) === JSON.stringify(this.current?.origin ?? null);
  }

  /** The values of a column may be others now: whoever looks for one of them would get the images of another. */
  expire(): void {
    if (this.#coming?.by === "column") this.#tasks.drop("selection");
  }

  /** Keep the same images where their positions are others now. */
  follow(rowsBefore: Uint32Array): void {
    if (!this.current) return;
    const rows = Array.from(this.current.positions, (position) => rowsBefore[position] as Row);
    this.current = { ...this.current, positions: this.#scene.index.findAll(rows) };
  }

  #set(positions: Iterable<Position>, by: Selection["by"], title: string, origin?: Origin): void {
    const chosen = Uint32Array.from(positions);
    const rows = (): Row[] => Array.from(chosen, (p) => this.#scene.rows[p] as Row);
    const short = by !== "lasso" && by !== "column" && by !== "text" && chosen.length <= MOST_ROWS;
    this.note = "";
    this.current = { positions: chosen, by, title, origin: origin ?? (short ? { by, rows: rows() } : null) };
  }
}
