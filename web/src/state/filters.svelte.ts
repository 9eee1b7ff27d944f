import { SvelteMap } from "svelte/reactivity";
import { MINE } from "../lib/given";
import {
  binsOf, conditionOf, countBins, countCodes, failing, failingAny, MOST_CONDITIONS, NONE, onlyOn, passing, switched, tooLongOf, valuesOff, type Condition, type Test,
} from "../lib/filter";
import type { Source } from "../lib/source";
import { isPerMap, type CategoryColumn, type Column, type Row, type TextColumn, type Values } from "../lib/types";
import { rangeOf, type Range } from "../map/range";
import { filterTexts, waitTexts } from "../texts";
import type { SceneState } from "./scene.svelte";
import type { Tasks } from "./tasks.svelte";

/** Images have any number of tags: as a column they are the page's own. */
export const TAGS = "tags";
const CLUSTER = "cluster";

/** Tags that people gave. */
interface Tagged {
  readonly tags: string[];
  tagsOf(row: Row): string[];
}

/** How the values of a number column are spread: all of them, and those of images that pass the other conditions. */
export interface Spread {
  domain: Range;
  all: number[];
  passing: number[];
}

/** A value of a category column, whether its images pass, and how many of these pass the other conditions. */
export interface Choice {
  value: string;
  isOn: boolean;
  count: number;
}

type Arrays = { codes: Uint16Array } | { values: Values } | { has: Uint8Array };

/** Which images are shown: conditions on columns, that of the legend among them. */
export class FilterState {
  conditions = $state.raw<readonly Condition[]>([]);
  /** Whether images that do not pass are left out of the map; else they are grey. */
  isHiding = $state(false);
  readonly #source: Source;
  readonly #scene: SceneState;
  readonly #tasks: Tasks;
  readonly #tagged: Tagged;
  /** The clusters that were there last, with their sizes. */
  #clusters: string | null = null;
  /** What has been fetched, by model, state and column. */
  readonly #arrays = new SvelteMap<string, Arrays>();
  readonly #places = new WeakMap<Values, { domain: Range; bins: number; places: Uint8Array }>();

  /** Conditions on columns that there are. */
  readonly active = $derived.by(() => this.conditions.filter((condition) => this.#isKnown(condition)));
  readonly #tests = $derived.by(() => this.active.map((condition) => this.#test(condition)));
  /** Conditions that each image fails, as bits; null where there is none. */
  readonly #fails = $derived.by(() =>
    this.#tests.some((test) => test !== null) ? failing(this.#scene.rows.length, this.#tests.map((test) => test ?? { has: everything(this.#scene.rows.length) })) : null,
  );
  /** 1 for each image that does not pass; null where all do. */
  readonly hidden = $derived.by(() => this.#fails && failingAny(this.#fails));
  /** How many images pass. */
  readonly visible = $derived.by(() => {
    const { hidden } = this;
    if (!hidden) return this.#scene.rows.length;
    let count = 0;
    for (let i = 0; i < hidden.length; i++) count += 1 - hidden[i]!;
    return count;
  });
  readonly #mine = $derived.by(() => (this.#scene.view && this.#scene.loader.own?.codesOf(this.#scene.rows)) ?? new Uint16Array());

  constructor(source: Source, scene: SceneState, tasks: Tasks, tagged: Tagged) {
    this.#source = source;
    this.#scene = scene;
    this.#tasks = tasks;
    this.#tagged = tagged;
  }

  // ---- what is asked for

  /** What holds of a column; null for nothing. */
  of(column: string): Condition | null {
    return this.active.find((each) => each.column === column) ?? null;
  }

  /** Ask for something of a column in place of what was asked of it before; null for nothing. */
  set(column: string, condition: Condition | null): void {
    const place = this.conditions.findIndex((each) => each.column === column);
    if (place < 0) this.take(condition ? [...this.conditions, condition] : this.conditions);
    else this.take(condition ? this.conditions.with(place, condition) : this.conditions.toSpliced(place, 1));
  }

  /** Ask for these and for nothing else. */
  take(conditions: readonly Condition[]): void {
    this.conditions = conditions.slice(0, MOST_CONDITIONS);
    this.load();
  }

  /** Ask for what an address says; where it had no room for all, those that it cannot say stay as they are. */
  restore(conditions: readonly Condition[], isCut: boolean): void {
    const isNamed = ({ column }: Condition): boolean => conditions.some((each) => each.column === column);
    const kept = isCut ? tooLongOf(this.conditions).filter((each) => !isNamed(each)) : [];
    this.take([...conditions, ...kept]);
  }

  /** Whether an image passes. */
  passes(position: number): boolean {
    return this.hidden?.[position] !== 1;
  }

  /** Those of the positions that pass. */
  among(positions: Uint32Array): Uint32Array {
    return this.hidden ? positions.filter((position) => this.passes(position)) : positions;
  }

  /** Switch these values of a category column off, and no others. */
  setOff(column: CategoryColumn, off: ReadonlySet<string>): void {
    this.set(column.name, conditionOf(column.name, this.#values(column), off));
  }

  /** Let a value pass, or not any more. */
  toggle(column: CategoryColumn, value: string): void {
    this.setOff(column, switched(this.#off(column), value));
  }

  /** Let nothing but this value pass; once more lets all pass again. */
  only(column: CategoryColumn, value: string): void {
    this.setOff(column, onlyOn(this.#values(column), this.#off(column), value));
  }

  setRange(column: string, range: Range | null): void {
    this.set(column, range && { column, by: "range", range });
  }

  setText(column: string, text: string): void {
    this.set(column, text.trim() ? { column, by: "text", text: text.trim() } : null);
  }

  /** Tags of which an image needs one. */
  toggleTag(tag: string): void {
    const condition = this.of(TAGS);
    const before = condition?.by === "is" ? condition.values : [];
    const values = before.includes(tag) ? before.filter((other) => other !== tag) : [...before, tag];
    this.set(TAGS, values.length > 0 ? { column: TAGS, by: "is", values } : null);
  }

  // ---- what there is

  column(name: string): Column | null {
    return this.#scene.view?.columns.find((column) => column.name === name) ?? null;
  }

  text(name: string): TextColumn | null {
    return this.#scene.view?.texts?.find((column) => column.name === name) ?? null;
  }

  /** How a number column is spread; null until its values are there. */
  spread(column: Column, bins: number): Spread | null {
    const arrays = this.#arraysOf(column);
    if (!arrays || !("values" in arrays)) return null;
    const { values } = arrays;
    let known = this.#places.get(values);
    if (known?.bins !== bins) {
      const domain = rangeOf(values);
      if (!domain) return null;
      known = { domain, bins, places: binsOf(values, domain, bins) };
      this.#places.set(values, known);
    }
    const { domain, places } = known;
    return { domain, all: Array.from(countBins(places, bins, null, 0)), passing: Array.from(countBins(places, bins, this.#fails, this.#bit(column.name))) };
  }

  /** The values of a category column with their counts; null until its codes are there. */
  choices(column: CategoryColumn): Choice[] | null {
    const arrays = this.#arraysOf(column);
    if (!arrays || !("codes" in arrays)) return null;
    const off = this.#off(column);
    const counts = countCodes(arrays.codes, column.values.length, this.#fails, this.#bit(column.name));
    return this.#values(column).map((value, place) => ({
      value, isOn: !off.has(value), count: counts[value === NONE ? column.values.length : place] ?? 0,
    }));
  }

  /** The tags with their counts. */
  tagChoices(): Choice[] {
    const condition = this.of(TAGS);
    const bit = this.#bit(TAGS);
    const counts = this.#tagged.tags.map((tag) => ({ value: tag, count: 0, isOn: condition?.by === "is" && condition.values.includes(tag) }));
    this.#scene.rows.forEach((row, position) => {
      if (this.#fails && (this.#fails[position]! & ~bit) !== 0) return;
      for (const tag of this.#tagged.tagsOf(row)) counts[this.#tagged.tags.indexOf(tag)]!.count++;
    });
    return counts;
  }

  // ---- arrays

  /** Fetch what the conditions, and these columns, need and is not here. */
  load(...columns: string[]): void {
    for (const { column } of this.active) void this.#fetch(column);
    for (const column of columns) void this.#fetch(column);
  }

  /** Another scene has come. */
  follow(): void {
    const { view } = this.#scene;
    for (const key of [...this.#arrays.keys()]) if (!view || !key.startsWith(`${view.key} ${view.state} `)) this.#arrays.delete(key);
    this.#dropOfOtherClusters();
    this.load();
  }

  /** Once the images are divided anew, a name that is still there stands for other images. */
  #dropOfOtherClusters(): void {
    const column = this.column(CLUSTER);
    if (column?.kind !== "category") return;
    const now = JSON.stringify([column.values, column.counts]);
    if (this.#clusters !== null && this.#clusters !== now) this.conditions = this.conditions.filter((each) => each.column !== CLUSTER);
    this.#clusters = now;
  }

  async #fetch(name: string): Promise<void> {
    const { view } = this.#scene;
    const column = this.column(name);
    const text = this.text(name);
    const condition = this.of(name);
    if (!view || name === MINE || (!column && condition?.by !== "text")) return;
    const key = this.#key(name, condition);
    if (this.#arrays.has(key)) return;
    const { length } = this.#scene.rows;
    const work = async (signal: AbortSignal): Promise<Arrays> => {
      if (column?.kind === "category") return { codes: await this.#scene.codesOf(name, signal) };
      if (column) return { values: await this.#scene.valuesOf(name, signal) };
      const found = condition?.by === "text" && text ? await this.#source.dataFind(view, text.data.index, condition.text, signal) : [];
      const has = new Uint8Array(length);
      for (const position of found) has[position] = 1;
      return { has };
    };
    const words = waitTexts.column((column ?? text)?.title ?? filterTexts.tags);
    const ask = text ? this.#tasks.run.bind(this.#tasks) : this.#tasks.join.bind(this.#tasks);
    await ask(text ? `filter ${name}` : `filter ${key}`, words, work, (found: Arrays) => this.#arrays.set(key, found));
  }

  #key(name: string, condition: Condition | null): string {
    const { view, mapId } = this.#scene;
    const more = view && isPerMap(view, name) ? mapId : condition?.by === "text" ? condition.text : "";
    return `${view?.key ?? ""} ${view?.state ?? ""} ${name} ${more}`;
  }

  #arraysOf(column: Column): Arrays | undefined {
    if (column.name === MINE) return { codes: this.#mine };
    const { columnName, codes, values } = this.#scene; // those of the legend are here
    if (column.name === columnName && codes) return { codes };
    if (column.name === columnName && values) return { values };
    return this.#arrays.get(this.#key(column.name, null));
  }

  #test(condition: Condition): Test | null {
    const { column: name } = condition;
    const column = this.column(name);
    if (name === TAGS && condition.by === "is") {
      const { values } = condition;
      return { has: Uint8Array.from(this.#scene.rows, (row) => Number(this.#tagged.tagsOf(row).some((tag) => values.includes(tag)))) };
    }
    if (condition.by === "text") {
      const found = this.#arrays.get(this.#key(name, condition));
      return found && "has" in found ? found : null;
    }
    const arrays = column && this.#arraysOf(column);
    if (!arrays) return null;
    if (condition.by === "range") return "values" in arrays ? { values: arrays.values, range: condition.range } : null;
    return column.kind === "category" && "codes" in arrays ? { codes: arrays.codes, passes: passing(column.values, condition) } : null;
  }

  /** A model has no such column, or clusters have other names once they are divided anew: that asks for nothing. */
  #isKnown(condition: Condition): boolean {
    const column = this.column(condition.column);
    if (!column) return condition.column === TAGS || this.text(condition.column) !== null;
    if (condition.by === "range") return column.kind === "number";
    if (condition.by === "text" || column.kind !== "category") return false;
    const { values } = condition;
    return values.length === 0 || values.some((value) => value === NONE || column.values.includes(value));
  }

  #bit(column: string): number {
    const place = this.active.findIndex((each) => each.column === column);
    return place < 0 ? 0 : 1 << place;
  }

  #off(column: CategoryColumn): ReadonlySet<string> {
    return valuesOff(this.#values(column), this.of(column.name));
  }

  /** The values of a column, and that of images without one if there are such. */
  #values(column: CategoryColumn): string[] {
    const some = column.counts.reduce((sum, count) => sum + count, 0);
    return some < this.#scene.rows.length ? [...column.values, NONE] : column.values;
  }
}

function everything(count: number): Uint8Array {
  return new Uint8Array(count).fill(1);
}
