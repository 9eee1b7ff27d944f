import { Shared } from "./shared";
import type { Source } from "./source";
import { withData } from "./data";
import { isPerMap, NO_CODE, type CategoryColumn, type Column, type DataColumn, type DataOrigin, type ModelView, type PartnerInfo, type Values } from "./types";

/** What should be shown; a name that the model does not have gives way to its default. */
export interface Target {
  model: string;
  map: string;
  beside: string | null;
  column: string;
}

/** Everything that changes together when model, map or colour change. */
export interface Scene {
  view: ModelView;
  rows: Uint32Array;
  mapId: string;
  points: Float32Array;
  secondMapId: string | null;
  /** Images that a partner has no vector of have NaN. */
  secondPoints: Float32Array | null;
  columnName: string;
  codes: Uint16Array | null;
  values: Values | null;
  labels: Uint16Array | null;
}

/** What a scene waits for. */
export interface Coming {
  view: ModelView;
  /** A map that is computed for the first time, of the model or of a partner; null where there is none. */
  map: Omit<ModelView["maps"][number], "settings"> | null;
  /** Whether it is the second one. */
  isBeside: boolean;
}

/** The model that is shown, and the one that is coming or was shown before. */
const MOST_KEPT = 2;

/** What names of arrays of partners begin with. */
const BESIDE = "beside";
/** Milliseconds after which a partner's map is not stored, but being computed: nobody says so before. */
const SLOW = 1000;

/** A column that the page itself makes, of every model. */
export interface OwnColumn {
  column: CategoryColumn;
  codesOf: (rows: Uint32Array) => Uint16Array;
}

/** Fetches arrays of models and keeps those of the models that were asked for last. */
export class SceneLoader {
  /** Arrays by name, of every model in each of its states; the one asked for last at the end. */
  readonly #kept = new Map<string, Map<string, Shared<unknown>>>();
  #view: ModelView | null = null;
  own: OwnColumn | null = null;

  constructor(readonly source: Source) {}

  /**
   * Everything for `target`; `fresh` asks for the model again, as it may have grown. `tell` is called once the model is known,
   * with a map that is to be computed first, if there is one.
   */
  async load(target: Target, fresh: boolean, signal?: AbortSignal, tell: (coming: Coming) => void = () => undefined): Promise<Scene> {
    const found = this.#view?.key === target.model && !fresh ? this.#view : await this.source.model(target.model, signal);
    signal?.throwIfAborted();
    this.#view = found;
    const bare = this.withOwn(found);
    const map = bare.maps.find(({ id }) => id === target.map) ?? bare.maps.find(({ ready }) => ready) ?? bare.maps[0];
    const mapId = map?.id ?? "umap";
    const second = bare.maps.find(({ id }) => id === target.beside && id !== mapId);
    const foreign = partnerOf(bare, target.beside);
    const secondMapId = second?.id ?? (foreign && target.beside);
    const missing = [map, second].find((each) => each?.ready === false) ?? null;
    tell({ view: bare, map: missing, isBeside: map?.ready !== false });
    if (fresh) this.#forgetPartners(bare); // they may have changed while this model did not
    const theirs = foreign && this.mapBeside(bare, mapId, foreign, signal);
    if (foreign && theirs && !missing) {
      const title = `${foreign.partner.title} · ${foreign.map.title}`;
      ifSlow(theirs, () => { tell({ view: bare, map: { id: nameOf(foreign.partner, foreign.map), title, ready: false, seconds: null }, isBeside: true }); });
    }
    const [rows, points, secondPoints, labels, data] = await Promise.all([
      this.rows(bare, signal),
      this.map(bare, mapId, signal),
      theirs ?? (second ? this.map(bare, second.id, signal) : null),
      bare.columns.some(({ name }) => name === "label") ? this.codes(bare, "label", signal) : null,
      this.data(bare, signal),
    ]);
    if (this.#view === found) this.#view = withReady(found, mapId, secondMapId);
    const view = withData(withReady(bare, mapId, secondMapId), data);
    const column = findColumn(view, target.column);
    const [codes, values] = await Promise.all([
      column?.kind === "category" ? this.codes(view, column.name, signal) : null,
      column?.kind === "number" ? this.values(view, column.name, mapId, signal) : null,
    ]);
    return { view, rows, mapId, points, secondMapId, secondPoints, columnName: column?.name ?? "", codes, values, labels };
  }

  rows(view: ModelView, signal?: AbortSignal): Promise<Uint32Array> {
    return this.#once(view, "rows", signal, (all) => this.source.rows(view, all));
  }

  map(view: ModelView, map: string, signal?: AbortSignal): Promise<Float32Array> {
    return this.#once(view, `map ${map}`, signal, (all) => this.source.map(view, map, all));
  }

  /** A partner's map, turned and mirrored onto a map of the model. */
  mapBeside(view: ModelView, map: string, { partner, map: theirs }: PartnersMap, signal?: AbortSignal): Promise<Float32Array> {
    return this.#once(view, `${BESIDE} ${map} ${nameOf(partner, theirs)}`, signal, (all) =>
      this.source.mapBeside(view, map, partner.id, theirs.id, all),
    );
  }

  data(view: ModelView, signal?: AbortSignal): Promise<DataColumn[]> {
    return this.#once(view, "data", signal, (all) => this.source.dataColumns(view, all));
  }

  /** A model with the column that the page makes. */
  withOwn(view: ModelView): ModelView {
    const { own } = this;
    return own ? { ...view, columns: [...view.columns.filter(({ name }) => name !== own.column.name), own.column] } : view;
  }

  async codes(view: ModelView, column: string, signal?: AbortSignal): Promise<Uint16Array> {
    if (column === this.own?.column.name) return this.own.codesOf(await this.rows(view, signal));
    const origin = originOf(view, column);
    return this.#once(view, `codes ${column}`, signal, async (all) =>
      origin === undefined ? this.source.codes(view, column, all)
        : Uint16Array.from(await this.source.dataValues(view, origin, all), (place) => (Number.isNaN(place) ? NO_CODE : place)),
    );
  }

  values(view: ModelView, column: string, map: string, signal?: AbortSignal): Promise<Values> {
    const name = isPerMap(view, column) ? `values ${column} ${map}` : `values ${column}`;
    const origin = originOf(view, column);
    return this.#once(view, name, signal, (all) =>
      origin === undefined ? this.source.values(view, column, map, all) : this.source.dataValues(view, origin, all),
    );
  }

  /** An array that is there or coming; its request is aborted once all who asked for it do not want it any more. */
  #once<T>(view: ModelView, name: string, signal: AbortSignal | undefined, fetch: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const arrays = this.#arraysOf(view);
    const kept = arrays.get(name) as Shared<T> | undefined;
    if (kept && !kept.isOver) return kept.ask(signal);
    const coming = new Shared(fetch);
    arrays.set(name, coming);
    const array = coming.ask(signal);
    array.catch(() => arrays.get(name) === coming && arrays.delete(name));
    return array;
  }

  #forgetPartners(view: ModelView): void {
    const arrays = this.#arraysOf(view);
    for (const name of [...arrays.keys()]) if (name.startsWith(BESIDE)) arrays.delete(name);
  }

  #arraysOf(view: ModelView): Map<string, Shared<unknown>> {
    const key = `${view.key} ${view.state}`;
    const arrays = this.#kept.get(key) ?? new Map<string, Shared<unknown>>();
    this.#kept.delete(key);
    this.#kept.set(key, arrays);
    for (const oldest of [...this.#kept.keys()].slice(0, -MOST_KEPT)) this.#kept.delete(oldest);
    return arrays;
  }
}

/** A map of a partner. */
export interface PartnersMap {
  partner: PartnerInfo;
  map: PartnerInfo["maps"][number];
}

/** How a partner's map is called among the maps that can stand beside one. */
export function nameOf(partner: PartnerInfo, map: PartnersMap["map"]): string {
  return `${partner.id}:${map.id}`;
}

/** The partner's map of this name; null for a map of the model itself, and for none. */
export function partnerOf(view: ModelView | null, name: string | null): PartnersMap | null {
  for (const partner of view?.partners ?? []) {
    const map = partner.maps.find((each) => nameOf(partner, each) === name);
    if (map) return { partner, map };
  }
  return null;
}

function ifSlow(answer: Promise<unknown>, tell: () => void): void {
  const timer = setTimeout(tell, SLOW);
  const stop = (): void => clearTimeout(timer);
  answer.then(stop, stop);
}

/** A model that knows that these maps are there. */
function withReady(view: ModelView, ...ids: (string | null)[]): ModelView {
  return { ...view, maps: view.maps.map((each) => (ids.includes(each.id) ? { ...each, ready: true } : each)) };
}

function originOf(view: ModelView, column: string): DataOrigin | undefined {
  return view.columns.find(({ name }) => name === column)?.data;
}

/** The column of this name, else labels, else clusters; null where there is none: then all points have one colour. */
export function findColumn(view: ModelView, name: string): Column | null {
  const wishes = [name, "label", "cluster"];
  return wishes.map((wish) => view.columns.find((column) => column.name === wish)).find((column) => column) ?? null;
}

/** Finds the position of a row: by bisection where rows ascend, as they do unless somebody sorted them otherwise. */
export class RowIndex {
  readonly #places: Map<number, number> | null;

  constructor(readonly rows: Uint32Array) {
    const ascend = rows.every((row, i) => i === 0 || row > (rows[i - 1] as number));
    this.#places = ascend ? null : new Map(Array.from(rows, (row, position) => [row, position]));
  }

  find(row: number): number | undefined {
    if (this.#places) return this.#places.get(row);
    let low = 0;
    let high = this.rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.rows[middle] as number) < row) low = middle + 1;
      else high = middle;
    }
    return this.rows[low] === row ? low : undefined;
  }

  /** Positions of those rows that this model has, in their order. */
  findAll(rows: Iterable<number>): Uint32Array {
    const found: number[] = [];
    for (const row of rows) {
      const position = this.find(row);
      if (position !== undefined) found.push(position);
    }
    return Uint32Array.from(found);
  }
}
