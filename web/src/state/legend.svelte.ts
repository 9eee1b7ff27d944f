import { SvelteSet } from "svelte/reactivity";
import { isOutside, type Range } from "../map/range";
import type { SceneState } from "./scene.svelte";

/** Which values of the colouring column are in colour. */
export class LegendState {
  /** Codes that are switched off: their points are grey. */
  readonly hidden = new SvelteSet<number>();
  /** Only images whose value lies within are in colour; null for all. */
  range = $state.raw<Range | null>(null);
  /** Whether some images may be grey. */
  readonly isFiltered = $derived(this.hidden.size > 0 || this.range !== null);
  /** How many images are left in colour. */
  readonly visible = $derived.by(() => this.#countVisible());
  readonly #scene: SceneState;

  constructor(scene: SceneState) {
    this.#scene = scene;
  }

  toggle(code: number): void {
    if (!this.hidden.delete(code)) this.hidden.add(code);
  }

  /** Leave only this value in colour; once more shows all again. */
  only(code: number): void {
    const { column } = this.#scene;
    if (column?.kind !== "category") return;
    const others = column.values.map((_, other) => other).filter((other) => other !== code);
    const already = !this.hidden.has(code) && others.every((other) => this.hidden.has(other));
    this.hide(already ? [] : others);
  }

  /** Switch off these values and no others; all numbers are in colour again. */
  hide(codes: number[]): void {
    this.range = null;
    this.hidden.clear();
    for (const code of codes) this.hidden.add(code);
  }

  #countVisible(): number {
    const { rows, column, values } = this.#scene;
    const { range } = this;
    if (range && values) return values.reduce((sum, value) => sum + (isOutside(value, range) ? 0 : 1), 0);
    if (this.hidden.size === 0 || column?.kind !== "category") return rows.length;
    return rows.length - [...this.hidden].reduce((sum, code) => sum + (column.counts[code] ?? 0), 0);
  }
}
