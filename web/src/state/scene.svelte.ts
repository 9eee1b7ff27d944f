import { findColumn, partnerOf, RowIndex, SceneLoader, type Coming, type OwnColumn, type Scene, type Target } from "../lib/scene";
import type { Source } from "../lib/source";
import { NO_CODE, type CategoryColumn, type Column, type ModelView, type Position, type Row, type Values } from "../lib/types";
import { problemTexts, waitTexts } from "../texts";
import { Progress } from "./progress.svelte";
import type { Tasks } from "./tasks.svelte";

/** In what a scene differs from the one before it. */
export interface Change {
  /** There was none before. */
  isFirst: boolean;
  model: boolean;
  /** Other images or vectors: all that was asked about them is over. */
  images: boolean;
  /** The model, or anything of it, such as a new column. */
  state: boolean;
  map: boolean;
  /** Another map is shown, or another one beside it. */
  maps: boolean;
  /** Rows of the scene before. */
  rows: Uint32Array;
}

/**
 * The model, the maps and the colours that are shown, with all arrays that belong to them.
 *
 * Large arrays are `$state.raw`: replaced as a whole, never written into.
 */
export class SceneState implements Omit<Scene, "view"> {
  view = $state.raw<ModelView | null>(null);
  rows = $state.raw<Uint32Array>(new Uint32Array());
  /** The map that is shown, and the second one beside it. */
  mapId = $state("umap");
  points = $state.raw<Float32Array>(new Float32Array());
  secondMapId = $state<string | null>(null);
  secondPoints = $state.raw<Float32Array | null>(null);
  /** The column that colours the points: exactly one of codes and values is there. */
  columnName = $state("");
  codes = $state.raw<Uint16Array | null>(null);
  values = $state.raw<Values | null>(null);
  /** Codes of the column "label", whatever colours the points; null where the images have none. */
  labels = $state.raw<Uint16Array | null>(null);

  readonly column: Column | null = $derived(this.view && this.columnName ? findColumn(this.view, this.columnName) : null);
  /** The partner whose map stands beside; null while there is none. */
  readonly foreign = $derived(partnerOf(this.view, this.secondMapId));
  /** Names the model and its images; new columns leave it as it is. */
  readonly imagesKey = $derived(this.view ? `${this.view.key}/${this.view.images}` : "");
  readonly index = $derived(new RowIndex(this.rows));
  readonly #labelNames = $derived(this.view?.columns.find((c) => c.name === "label" && c.kind === "category"));

  /** A map that is computed for the first time; null while none is. */
  computing = $state.raw<{ id: string; isBeside: boolean; title: string; seconds: number | null } | null>(null);
  readonly progress = new Progress();
  readonly loader: SceneLoader;
  readonly #tasks: Tasks;
  readonly #tell: (change: Change) => void;
  /** What somebody did not want to wait for. */
  #cancelled: Target | null = null;
  #target: Target = { model: "", map: "umap", beside: null, column: "" };

  /** `tell` is called whenever another scene has come. */
  constructor(source: Source, tasks: Tasks, tell: (change: Change) => void) {
    this.loader = new SceneLoader(source);
    this.#tasks = tasks;
    this.#tell = tell;
  }

  /** Whether this is what is shown. */
  shows(target: Target): boolean {
    return (
      this.view?.key === target.model && this.mapId === target.map && this.secondMapId === target.beside &&
      this.columnName === (findColumn(this.view, target.column)?.name ?? "")
    );
  }

  /** Show another model, map or colour; `fresh` asks for the model again. Tells whether it came to that. */
  async show(change: Partial<Target>, fresh: boolean): Promise<boolean> {
    const beside = change.map === this.#target.beside ? null : this.#target.beside; // the same map twice says nothing
    const target = { ...this.#target, beside, ...change };
    this.#target = target;
    this.computing = null;
    let coming: Coming | null = null;
    let stop = (): void => undefined;
    const tell = (told: Coming): void => {
      if (this.#target !== target) return;
      coming = told;
      const { view, map, isBeside } = told;
      if (!map) return;
      this.computing = { id: map.id, isBeside, title: map.title, seconds: map.seconds };
      if (!partnerOf(view, map.id)) stop = this.progress.follow(() => this.loader.source.mapProgress(view, map.id));
    };
    const used = await this.#tasks.run(
      "scene", waitTexts.map, (signal) => this.loader.load(target, fresh, signal, tell), (scene) => this.#use(scene),
    );
    stop();
    if (this.#target === target || used) this.computing = null;
    const other = !used && !this.view && this.#cancelled === target ? quickestBut(coming) : undefined;
    if (other) return this.show({ map: other.id, beside: null }, false); // an empty page offers nothing to go on with
    if (!used && this.#target === target && this.view) {
      this.#target = { model: this.view.key, map: this.mapId, beside: this.secondMapId, column: this.columnName };
    }
    return used;
  }

  /** Wait no longer for another scene; what is shown stays. Where nothing is, the quickest other map comes. */
  cancel(): void {
    this.#cancelled = this.#target;
    this.#tasks.drop("scene");
  }

  /** Take a column that the page makes, or another state of it: its colours change at once. */
  useOwn(column: CategoryColumn, codesOf: OwnColumn["codesOf"]): void {
    this.loader.own = { column, codesOf };
    if (!this.view) return;
    this.view = this.loader.withOwn(this.view);
    if (this.columnName === column.name) this.codes = codesOf(this.rows);
  }

  position(row: Row): Position | undefined {
    return this.index.find(row);
  }

  labelOf(position: Position): string | null {
    const code = this.labels?.[position];
    if (code === undefined || code === NO_CODE || this.#labelNames?.kind !== "category") return null;
    return this.#labelNames.values[code] ?? null;
  }

  /** Codes of any category column, for counting. */
  async codesOf(column: string, signal?: AbortSignal): Promise<Uint16Array> {
    return this.view ? this.loader.codes(this.view, column, signal) : new Uint16Array();
  }

  /** Values of any number column, on the map that is shown. */
  async valuesOf(column: string, signal?: AbortSignal): Promise<Values> {
    return this.view ? this.loader.values(this.view, column, this.mapId, signal) : new Float32Array();
  }

  /** Why there is no image of this row. */
  noRow(row: Row): string {
    const { rows } = this;
    const [first, last] = [rows.reduce((a, b) => Math.min(a, b)), rows.reduce((a, b) => Math.max(a, b))];
    return problemTexts.noRow(row, first, last, last - first >= rows.length);
  }

  #use(scene: Scene): void {
    const { view, mapId, secondMapId, columnName } = scene;
    const change = this.#changeTo(scene);
    Object.assign(this, scene, { secondPoints: same(this.secondPoints, scene.secondPoints) });
    // nobody asked for this colour: a better one may be found meanwhile
    const column = this.#target.column && columnName;
    this.#target = { model: view.key, map: mapId, beside: secondMapId, column };
    this.#tell(change);
  }

  #changeTo({ view, mapId, secondMapId }: Scene): Change {
    const before = this.view;
    const model = before?.key !== view.key;
    return {
      isFirst: !before,
      model,
      images: model || before.images !== view.images,
      state: model || before.state !== view.state,
      map: model || before.count !== view.count || this.mapId !== mapId,
      maps: model || this.mapId !== mapId || this.secondMapId !== secondMapId,
      rows: this.rows,
    };
  }
}

/** Places that are asked for anew are those that were there unless they differ: a map keeps its camera then. */
function same(before: Float32Array | null, now: Float32Array | null): Float32Array | null {
  return before && now?.length === before.length && now.every((place, at) => Object.is(place, before[at])) ? before : now;
}

/** The map that is there soonest, but for one that is being computed. */
function quickestBut(coming: Coming | null): ModelView["maps"][number] | undefined {
  const others = coming?.view.maps.filter(({ id }) => id !== coming.map?.id) ?? [];
  const wait = ({ ready, seconds }: ModelView["maps"][number]): number => (ready ? 0 : (seconds ?? Infinity));
  return others.sort((one, other) => wait(one) - wait(other))[0];
}
