import { codesOff } from "../lib/filter";
import type { Range } from "../map/range";
import type { FilterState } from "./filters.svelte";
import type { SceneState } from "./scene.svelte";

/** The colouring column as a filter: which of its values pass. */
export class LegendState {
  readonly #scene: SceneState;
  readonly #filters: FilterState;
  readonly #condition = $derived.by(() => this.#filters.of(this.#scene.columnName));
  /** Codes that are switched off. */
  readonly hidden: ReadonlySet<number> = $derived.by(() => {
    const { column } = this.#scene;
    return codesOff(column?.kind === "category" ? column.values : [], this.#condition);
  });
  /** Only images whose value lies within pass; null for all. */
  readonly range: Range | null = $derived(this.#condition?.by === "range" ? this.#condition.range : null);
  /** Whether something is asked of this column. */
  readonly isFiltered = $derived(this.#condition !== null);

  constructor(scene: SceneState, filters: FilterState) {
    this.#scene = scene;
    this.#filters = filters;
  }

  /** Switch a value on or off. */
  toggle(code: number): void {
    const { column } = this.#scene;
    if (column?.kind === "category") this.#filters.toggle(column, column.values[code] ?? "");
  }

  /** Leave only this value; once more shows all again. */
  only(code: number): void {
    const { column } = this.#scene;
    if (column?.kind === "category") this.#filters.only(column, column.values[code] ?? "");
  }

  /** Show all values. */
  clear(): void {
    this.#filters.set(this.#scene.columnName, null);
  }

  /** What an address of an earlier version says: codes that are switched off, or a range. */
  takeEarlier(codes: readonly number[] = [], range: Range | null = null): void {
    const { column } = this.#scene;
    if (column?.kind === "category") {
      for (const code of codes) if (code < column.values.length) this.toggle(code);
    } else if (column?.kind === "number" && range) this.#filters.setRange(column.name, range);
  }
}
