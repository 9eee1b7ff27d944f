import { SvelteSet } from "svelte/reactivity";
import { problemTexts, waitTexts } from "../texts";
import { decodeAddress, encodeAddress, type Camera, type Origin, type Panel, type Theme, type ViewState } from "./address";
import { browserAddress, type AddressBar } from "./history";
import { pickOf } from "./pick";
import { findColumn, RowIndex, SceneLoader, type Scene, type Target } from "./scene";
import { SheetStore } from "./sheets";
import type { Source } from "./source";
import { Tasks } from "./tasks.svelte";
import { Tiles, type Tile } from "./thumbnails";
import type {
  CollectionInfo, Column, Finding, Findings, ImageInfo, Match, ModelView, Numbers, Position, Row, Running, SearchAnswer,
} from "./types";

export type { Panel, Theme };

/** Images picked out together, and what picked them. */
export interface Selection {
  positions: Uint32Array;
  /** lasso: an area of the map; column: a value of a column; text: file names; answer: a search; finding: a finding; images: by hand. */
  by: "lasso" | "column" | "text" | "answer" | "finding" | "images";
  title: string;
  /** How to pick the same images again; null if that is too long for an address. */
  origin: Origin | null;
}

/** A category column gives every image a code; this one stands for none. */
export const NO_CODE = 65535;

/** Sheets that are asked for with a map; more come as the map finds room for thumbnails. */
const FIRST_SHEETS = 4;

/** Polls of an idle server in a row without a new column: clusters are not coming any more. */
const MOST_IN_VAIN = 15;
/** Once these are there, so is everything. */
const LATE_COLUMNS = ["cluster", "order"];

/**
 * What the page shows. Components read its fields and call its methods; nothing else holds state.
 *
 * Large arrays are `$state.raw`: replaced as a whole, never written into.
 */
export class Explorer {
  readonly source: Source;
  readonly tasks = new Tasks();
  /** Decoded sheets of thumbnails. */
  readonly sheets = new SheetStore();
  readonly #bar: AddressBar;
  readonly #loader: SceneLoader;
  #target: Target = { model: "", map: "umap", beside: null, column: "" };
  // eslint-disable-next-line svelte/prefer-svelte-reactivity -- nothing on the page shows it
  readonly #visited = new Set<Row>();
  /** Counts calls of restore(): a later one takes the place of those under way. */
  #restored = 0;
  #inVain = 0;

  info = $state.raw<CollectionInfo | null>(null);
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
  values = $state.raw<Float32Array | null>(null);
  /** Codes of the column "label", whatever colours the points; null where the images have none. */
  labels = $state.raw<Uint16Array | null>(null);
  /** Codes of the colouring column that the legend has switched off: their points are grey. */
  hidden = new SvelteSet<number>();
  selection = $state.raw<Selection | null>(null);
  hovered = $state<Position | null>(null);
  /** The image that was clicked, with all that is known of it. */
  row = $state<Row | null>(null);
  image = $state.raw<ImageInfo | null>(null);
  /** Answer to the last search by an image from outside, and an object URL of that image. */
  answer = $state.raw<SearchAnswer | null>(null);
  answerPicture = $state<string | null>(null);
  /** The image from outside itself. */
  asked: Blob | null = null;
  findings = $state.raw<Findings | null>(null);
  numbers = $state.raw<Numbers | null>(null);
  running = $state.raw<Running | null>(null);
  panel = $state<Panel | null>(null);
  theme = $state<Theme>("auto");
  /** What dragging on the map does. */
  tool = $state<"pan" | "lasso">("pan");
  /** Where the map is looked at; null until somebody moves it. */
  camera = $state.raw<Camera | null>(null);
  /** Where the map shall look at next; every map obeys once to every new value: a camera, images to fly to, null for all. */
  wish = $state.raw<{ to: Camera | Uint32Array | null }>({ to: null });

  /** What is being waited for, in words; null when nothing is. */
  readonly busy = $derived(this.tasks.busy);
  readonly error = $derived(this.tasks.error);
  readonly column: Column | null = $derived(this.view && this.columnName ? findColumn(this.view, this.columnName) : null);
  readonly tiles = $derived(this.view && new Tiles(this.view.sheets));
  /** How many images the legend leaves in colour. */
  readonly visible = $derived.by(() => this.#countVisible());
  readonly #index = $derived(new RowIndex(this.rows));
  readonly #labelNames = $derived(this.view?.columns.find((c) => c.name === "label" && c.kind === "category"));

  constructor(source: Source, bar: AddressBar = browserAddress) {
    this.source = source;
    this.#bar = bar;
    this.#loader = new SceneLoader(source);
  }

  // ---- opening, and what the address says

  /** Show what the address asks for, or the collection's defaults; follow the back button. Returns a function that stops that. */
  async open(): Promise<() => void> {
    await this.tasks.run("open", waitTexts.opening, () => this.source.collection(), (info) => (this.info = info));
    if (this.info) {
      this.#target.model = this.info.model;
      await this.restore(decodeAddress(this.#bar.read()));
      await this.checkProgress();
    }
    return this.#bar.watch((hash) => void this.restore(decodeAddress(hash)));
  }

  /** All that the address keeps. */
  readonly state: ViewState = $derived({
    model: this.view?.key ?? "",
    map: this.mapId,
    beside: this.secondMapId,
    column: this.columnName,
    hidden: [...this.hidden],
    camera: this.camera,
    row: this.row,
    panel: this.panel,
    origin: this.selection?.origin ?? null,
    theme: this.theme,
  });

  /** Bring the address up to date; with `push` the back button returns to what was before. */
  writeAddress(push = false): void {
    if (this.view) this.#bar.write(encodeAddress(this.state), push);
  }

  /** Show the page as a state describes it; what it does not mention takes its default. */
  async restore(state: Partial<ViewState>): Promise<void> {
    const turn = ++this.#restored;
    const isLate = (): boolean => turn !== this.#restored;
    for (const kind of ["scene", "selection"]) this.tasks.drop(kind); // what another address asked for
    const known = this.info?.models.some(({ key }) => key === state.model);
    const model = (known && state.model) || this.info?.model || this.#target.model;
    const { map = "umap", column = "", beside = null, row = null, panel = null, theme = "auto" } = state;
    this.theme = theme;
    if (!this.#shows({ model, map, beside, column })) await this.#show({ model, map, beside, column });
    if (isLate() || !this.view) return;
    this.hidden.clear();
    for (const code of state.hidden ?? []) this.hidden.add(code);
    if (state.camera && JSON.stringify(state.camera) !== JSON.stringify(this.camera)) this.wish = { to: state.camera };
    this.panel = panel;
    if (row !== this.row) await this.#look(row);
    if (isLate()) return;
    if (JSON.stringify(state.origin ?? null) !== JSON.stringify(this.selection?.origin ?? null)) {
      if (state.origin) await this.#pick(state.origin, panel);
      else this.clearSelection();
      if (isLate()) return;
      this.panel = panel;
    }
    await this.#fillPanel();
  }

  // ---- model, maps, colour

  async showModel(key: string): Promise<void> {
    await this.#show({ model: key });
  }

  async showMap(id: string): Promise<void> {
    const beside = id === this.#target.beside ? null : this.#target.beside;
    await this.#show({ map: id, beside });
  }

  async showSecondMap(id: string | null): Promise<void> {
    await this.#show({ beside: id });
  }

  async colourBy(column: string): Promise<void> {
    await this.#show({ column });
  }

  /** Ask for the collection again: a running embedding has added to it. */
  async refresh(): Promise<void> {
    await this.tasks.run("open", waitTexts.opening, () => this.source.collection(), (info) => (this.info = info));
    await this.#show({}, true);
  }

  #shows(target: Target): boolean {
    return (
      this.view?.key === target.model && this.mapId === target.map && this.secondMapId === target.beside &&
      this.columnName === (findColumn(this.view, target.column)?.name ?? "")
    );
  }

  async #show(change: Partial<Target>, fresh = false): Promise<void> {
    const target = { ...this.#target, ...change };
    this.#target = target;
    const wanted = target.model === this.view?.key ? this.view.maps.find(({ id }) => id === target.map) : undefined;
    const words = wanted && !wanted.ready ? waitTexts.newMap(wanted.title) : waitTexts.map;
    const used = await this.tasks.run("scene", words, () => this.#loader.load(target, fresh), (scene) => this.#use(scene));
    if (!used && this.#target === target && this.view) {
      this.#target = { model: this.view.key, map: this.mapId, beside: this.secondMapId, column: this.columnName };
    }
    if (used) await this.#fillPanel();
  }

  #use(scene: Scene): void {
    const before = this.view;
    const { view, mapId, secondMapId, columnName } = scene;
    const isOtherModel = before?.key !== view.key;
    const isOtherState = isOtherModel || before.state !== view.state;
    const isOtherMap = isOtherModel || before.count !== view.count || this.mapId !== mapId;
    const sameValues = valuesOf(this.column) === valuesOf(findColumn(view, columnName));
    if (this.columnName !== columnName || !sameValues) this.hidden.clear();
    const chosen = isOtherState && this.selection ? Array.from(this.selection.positions, (p) => this.rows[p] as Row) : null;
    this.hovered = null;
    if (isOtherState) this.#askForFirstSheets(view);
    Object.assign(this, scene);
    this.#target = { model: view.key, map: mapId, beside: secondMapId, column: columnName };
    this.view = { ...view, maps: view.maps.map((m) => (m.id === mapId || m.id === secondMapId ? { ...m, ready: true } : m)) };
    if (chosen && this.selection) this.selection = { ...this.selection, positions: this.#index.findAll(chosen) };
    if (isOtherMap || isOtherState) {
      this.numbers = null;
      this.tasks.drop("numbers");
    }
    if (isOtherMap && this.answer) this.answer = { ...this.answer, place: null };
    if (!before || !isOtherState) return;
    this.findings = null;
    this.#inVain = 0;
    for (const kind of ["findings", "selection"]) this.tasks.drop(kind);
    if (!isOtherModel) return;
    this.dropAnswer();
    if (this.row !== null) void this.#look(this.row);
  }

  /** An overview shows the first sheets: they come while its first frame is made. Any earlier, the map would wait for them. */
  #askForFirstSheets(view: ModelView): void {
    for (let i = 0; i < Math.min(FIRST_SHEETS, view.sheets.count); i++) this.sheets.get(this.source.sheet(view, i));
  }

  // ---- the legend

  toggleValue(code: number): void {
    if (!this.hidden.delete(code)) this.hidden.add(code);
  }

  /** Leave only this value in colour; once more shows all again. */
  onlyValue(code: number): void {
    const { column } = this;
    if (column?.kind !== "category") return;
    const others = column.values.map((_, other) => other).filter((other) => other !== code);
    const already = !this.hidden.has(code) && others.every((other) => this.hidden.has(other));
    this.hidden.clear();
    if (!already) for (const other of others) this.hidden.add(other);
  }

  showAllValues(): void {
    this.hidden.clear();
  }

  #countVisible(): number {
    const total = this.rows.length;
    if (this.hidden.size === 0 || this.column?.kind !== "category") return total;
    const counts = this.column.counts;
    return total - [...this.hidden].reduce((sum, code) => sum + (counts[code] ?? 0), 0);
  }

  // ---- selections

  select(positions: Iterable<Position>, by: Selection["by"], title: string, origin?: Origin): void {
    const chosen = Uint32Array.from(positions);
    const rows = (): Row[] => Array.from(chosen, (p) => this.rows[p] as Row);
    const short = by !== "lasso" && by !== "column" && by !== "text" && chosen.length <= 200;
    this.selection = { positions: chosen, by, title, origin: origin ?? (short ? { by, rows: rows() } : null) };
    this.tasks.drop("selection");
    this.panel = "selection";
  }

  clearSelection(): void {
    this.selection = null;
    this.tasks.drop("selection");
    if (this.panel === "selection") this.panel = this.row === null ? null : "image";
  }

  /** Images whose file name holds a text. */
  async findText(text: string): Promise<void> {
    await this.#pick({ by: "text", text });
  }

  /** Images with this value of a column. */
  async findValue(column: string, code: number): Promise<void> {
    await this.#pick({ by: "column", column, code });
  }

  /** Look-alikes of several images together. */
  async query(rows: Row[]): Promise<void> {
    await this.#pick({ by: "answer", rows });
  }

  async #pick(origin: Origin, panel: Panel | null = "selection"): Promise<void> {
    if (!this.view) return;
    const { words, title, find } = pickOf(origin, this.view, this.#loader, this.#index);
    await this.tasks.run("selection", words, find, (positions) => {
      this.select(positions, origin.by, title, origin);
      this.panel = panel;
    });
  }

  // ---- one image

  /** Show an image in the panel; the back button returns to the one before. */
  async focus(row: Row): Promise<void> {
    this.writeAddress(); // what the back button returns to
    this.panel = "image";
    if (row === this.row && this.image) return;
    this.#visited.add(row);
    const coming = this.#look(row);
    this.writeAddress(true);
    await coming;
  }

  /** Go on to the nearest neighbour that was not visited yet. */
  async travel(): Promise<void> {
    const next = this.image?.neighbors.find(({ row }) => !this.#visited.has(row));
    if (next) await this.focus(next.row);
  }

  back(): void {
    this.#bar.back();
  }

  async #look(row: Row | null): Promise<void> {
    this.row = row;
    this.tasks.drop("image");
    if (row === null) this.#visited.clear();
    if (this.image?.row !== row) this.image = null;
    const { view } = this;
    if (row === null || !view) return;
    await this.tasks.run("image", waitTexts.image, () => this.source.image(view, row), (image) => (this.image = image));
  }

  /** Look-alikes of an image from outside. */
  async searchImage(blob: Blob): Promise<void> {
    const { view, mapId } = this;
    if (!view) return;
    this.dropAnswer();
    void this.#look(null);
    this.answerPicture = URL.createObjectURL(blob);
    this.asked = blob;
    this.panel = "image";
    await this.#ask(view, blob, mapId, false);
  }

  /** The same image once more, also where it fills only a part of another. */
  async lookInside(): Promise<void> {
    if (this.view && this.asked) await this.#ask(this.view, this.asked, this.mapId, true);
  }

  async #ask(view: ModelView, blob: Blob, mapId: string, inside: boolean): Promise<void> {
    const words = inside ? waitTexts.inside : waitTexts.lookAlikes;
    await this.tasks.run("answer", words, () => this.source.search(view, blob, mapId, inside), (answer) => {
      const isSameMap = this.mapId === mapId && this.view?.count === view.count;
      this.answer = isSameMap ? answer : { ...answer, place: null };
    });
  }

  /** An image of the collection as the question: it is shown with its neighbours, and the map goes to all of them. */
  async searchRow(row: Row): Promise<void> {
    if (this.position(row) === undefined) {
      this.tasks.error = this.noRow(row);
      return;
    }
    await this.focus(row);
    if (this.row !== row) return; // another was clicked meanwhile
    this.flyTo(this.#index.findAll([row, ...(this.image?.neighbors ?? []).map((match) => match.row)]));
  }

  /** Return from an image to the answer that it was found in. */
  showAnswer(): void {
    void this.#look(null);
    this.panel = "image";
  }

  /** Forget the image from outside and its answer. */
  dropAnswer(): void {
    this.tasks.drop("answer");
    if (this.answerPicture) URL.revokeObjectURL(this.answerPicture);
    this.answerPicture = this.answer = this.asked = null;
  }

  // ---- findings, numbers, panels

  async loadFindings(): Promise<void> {
    const { view } = this;
    if (!view || this.findings) return;
    await this.tasks.run("findings", waitTexts.findings, () => this.source.findings(view), (f) => (this.findings = f));
  }

  /** Remember that a finding is no problem, or is one after all. */
  async dismiss(finding: Finding, dismissed: boolean): Promise<void> {
    const { view } = this;
    if (!view) return;
    this.#mark(finding.key, dismissed);
    const kept = await this.tasks.run(
      `dismiss ${finding.key}`, waitTexts.remembering, () => this.source.dismiss(view, finding, dismissed), () => undefined,
    );
    if (!kept && this.tasks.error) this.#mark(finding.key, !dismissed);
  }

  #mark(key: string, dismissed: boolean): void {
    if (!this.findings) return;
    const findings = this.findings.findings.map((f) => (f.key === key ? { ...f, dismissed } : f));
    this.findings = { ...this.findings, findings };
  }

  async loadNumbers(): Promise<void> {
    const { view, mapId } = this;
    if (!view || this.numbers) return;
    await this.tasks.run("numbers", waitTexts.numbers, () => this.source.numbers(view, mapId), (n) => (this.numbers = n));
    void this.#takeNewColumns(); // what was measured for the numbers can colour the map
  }

  showPanel(panel: Panel | null): void {
    this.panel = panel;
    void this.#fillPanel();
  }

  async #fillPanel(): Promise<void> {
    if (this.panel === "findings") await this.loadFindings();
    if (this.panel === "numbers") await this.loadNumbers();
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
  }

  async checkProgress(): Promise<void> {
    if (!this.info?.live) return;
    try {
      this.running = await this.source.progress();
    } catch {
      this.running = null; // the next question comes in a moment; a warning would only distract
    }
    await this.#takeNewColumns();
  }

  /** A server that has just started finds clusters, verdicts and properties, the last of all, behind the first map. */
  async #takeNewColumns(): Promise<void> {
    const { view } = this;
    if (this.running || this.busy !== null) this.#inVain = 0; // afterwards there may be more
    const isDone = this.#inVain >= MOST_IN_VAIN || LATE_COLUMNS.every((late) => view?.columns.some(({ name }) => name === late));
    if (!view || this.running || isDone) return;
    this.#inVain++;
    const now = await this.source.model(view.key).catch(() => view);
    if (this.view === view && now.count === view.count && now.columns.length > view.columns.length) await this.#show({}, true);
  }

  // ---- places

  position(row: Row): Position | undefined {
    return this.#index.find(row);
  }

  labelOf(position: Position): string | null {
    const code = this.labels?.[position];
    if (code === undefined || code === NO_CODE || this.#labelNames?.kind !== "category") return null;
    return this.#labelNames.values[code] ?? null;
  }

  /** Codes of any category column, for counting. */
  async codesOf(column: string): Promise<Uint16Array> {
    return this.view ? this.#loader.codes(this.view, column) : new Uint16Array();
  }

  /** Why there is no image of this row. */
  noRow(row: Row): string {
    const { rows } = this;
    const [first, last] = [rows.reduce((a, b) => Math.min(a, b)), rows.reduce((a, b) => Math.max(a, b))];
    return problemTexts.noRow(row, first, last, last - first >= rows.length);
  }

  /** Where the thumbnail of an image lies, and in which picture; null where it has none. */
  tile(position: Position): (Tile & { url: string }) | null {
    const tile = this.tiles?.find(position);
    return tile && this.view ? { ...tile, url: this.source.sheet(this.view, tile.sheet) } : null;
  }

  /** Move the map so that these images are in view. */
  flyTo(positions: Iterable<Position>): void {
    this.wish = { to: Uint32Array.from(positions) };
  }

  showEverything(): void {
    this.wish = { to: null };
  }

  /** Close the innermost thing that is open; false if nothing was. */
  escape(): boolean {
    if (this.tasks.error !== null) this.tasks.error = null;
    else if (this.tool === "lasso") this.tool = "pan";
    else if (this.answer || this.answerPicture) this.dropAnswer();
    else if (this.panel === "image" && this.row !== null) {
      void this.#look(null);
      this.panel = this.selection ? "selection" : null;
    } else if (this.selection) this.clearSelection();
    else if (this.panel !== null) this.panel = null;
    else return false;
    return true;
  }
}

function valuesOf(column: Column | null): string {
  return column?.kind === "category" ? column.values.join("\n") : "";
}

export type { Camera, Match };
