import { decodeAddress, encodeAddress, type Origin, type Panel, type Theme, type ViewState } from "../lib/address";
import { MINE } from "../lib/given";
import { browserAddress, type AddressBar } from "../lib/history";
import type { Target } from "../lib/scene";
import type { Pictures, Source } from "../lib/source";
import type { PickQuery, Position, Row } from "../lib/types";
import type { Effect } from "../map/gestures";
import { combined } from "../panels/tally";
import { fewTexts, pickTexts, waitTexts } from "../texts";
import { AnswerState } from "./answer.svelte";
import { CollectionState, SELDOM } from "./collection.svelte";
import { FilesState } from "./files.svelte";
import { FilterState } from "./filters.svelte";
import { FindingsState } from "./findings.svelte";
import { ImageState } from "./image.svelte";
import { LabellingState } from "./labelling.svelte";
import { LegendState } from "./legend.svelte";
import { MapState } from "./map.svelte";
import { MovedState } from "./moved.svelte";
import { NumbersState } from "./numbers.svelte";
import { SceneState, type Change } from "./scene.svelte";
import { SelectionState, type Selection } from "./selection.svelte";
import { Tasks } from "./tasks.svelte";
import { ThumbnailState } from "./thumbnails.svelte";
import { TokensState } from "./tokens.svelte";
import { WeightsState } from "./weights.svelte";

/** Work that takes fewer seconds begins at once: the page does not ask first. */
const MOMENT = 3;

/**
 * What the page shows. Components read the fields of its parts and call their methods; what concerns several parts stands
 * here, and so does the address. Nothing else holds state that outlives a panel.
 */
export class Explorer {
  readonly source: Source;
  readonly tasks = new Tasks();
  readonly collection: CollectionState;
  readonly scene: SceneState;
  readonly thumbnails: ThumbnailState;
  readonly filters: FilterState;
  readonly legend: LegendState;
  readonly map = new MapState();
  readonly selection: SelectionState;
  readonly image: ImageState;
  readonly answer: AnswerState;
  readonly findings: FindingsState;
  readonly labelling: LabellingState;
  readonly numbers: NumbersState;
  readonly moved: MovedState;
  readonly tokens: TokensState;
  readonly colours: TokensState;
  readonly weights: WeightsState;
  readonly files: FilesState;
  theme = $state<Theme>("auto");
  #panel = $state<Panel | null>(null);
  readonly #bar: AddressBar;
  /** Counts calls of restore(): a later one takes the place of those under way. */
  #restored = 0;

  constructor(source: Source, bar: AddressBar = browserAddress) {
    this.source = source;
    this.#bar = bar;
    const { tasks } = this;
    const scene = new SceneState(source, tasks, (change) => this.#follow(change));
    this.scene = scene;
    this.collection = new CollectionState(source, tasks);
    this.thumbnails = new ThumbnailState(source, scene);
    this.labelling = new LabellingState(source, scene, tasks);
    this.filters = new FilterState(source, scene, tasks, this.labelling);
    this.legend = new LegendState(scene, this.filters);
    this.selection = new SelectionState(scene, tasks);
    this.image = new ImageState(source, scene, tasks);
    this.answer = new AnswerState(source, scene, tasks);
    this.findings = new FindingsState(source, scene, tasks);
    this.numbers = new NumbersState(source, scene, tasks);
    this.moved = new MovedState(source, scene, tasks);
    this.tokens = new TokensState("tokens", source, scene, tasks);
    this.colours = new TokensState("colours", source, scene, tasks);
    this.weights = new WeightsState(source, scene, tasks);
    this.files = new FilesState(source, scene);
  }

  // ---- opening, and what the address says

  /** Show what the address asks for, or the collection's defaults; follow the back button. Returns a function that stops that. */
  async open(): Promise<() => void> {
    await this.collection.load();
    const { info } = this.collection;
    if (info) {
      const state = decodeAddress(this.#bar.read());
      const labels = info.live ? this.labelling.load(info.model) : null;
      if (state.column === MINE) await labels; // else nothing waits for them
      await this.restore(state);
      await this.checkProgress();
    }
    return this.#bar.watch((hash) => void this.restore(decodeAddress(hash)));
  }

  /** All that the address keeps. */
  readonly state: ViewState = $derived.by(() => ({
    model: this.scene.view?.key ?? "",
    map: this.scene.mapId,
    beside: this.scene.secondMapId,
    column: this.scene.columnName,
    filter: this.filters.conditions,
    hiding: this.filters.isHiding,
    camera: this.map.camera,
    pictures: this.thumbnails.pictures,
    row: this.image.row,
    panel: this.panel,
    origin: this.selection.current?.origin ?? null,
    theme: this.theme,
  }));

  /** Bring the address up to date; with `push` the back button returns to what was before. */
  writeAddress(push = false): void {
    if (this.scene.view) this.#bar.write(encodeAddress(this.state), push);
  }

  /** Show the page as a state describes it; what it does not mention takes its default. */
  async restore(state: ReturnType<typeof decodeAddress>): Promise<void> {
    const turn = ++this.#restored;
    const isLate = (): boolean => turn !== this.#restored;
    this.tasks.drop("scene", "selection"); // what another address asked for
    const model = this.collection.modelKey(state.model) ?? "";
    const { map = "umap", column = "", beside = null, row = null, panel = null, theme = "auto", origin = null, pictures = "photo" } = state;
    this.theme = theme;
    if (!this.scene.shows({ model, map, beside, column })) await this.show({ model, map, beside, column });
    if (isLate() || !this.scene.view) return;
    this.filters.restore(state.filter ?? [], state.isFilterCut ?? false);
    this.filters.isHiding = state.hiding ?? false;
    this.legend.takeEarlier(state.hidden, state.range);
    if (state.camera) this.map.lookFrom(state.camera);
    if (pictures !== this.thumbnails.pictures && this.collection.canLook(model)) void this.paint(pictures);
    this.panel = panel;
    if (row !== this.image.row) await this.image.look(row);
    if (isLate()) return;
    if (!this.selection.isFrom(origin)) {
      if (origin) await this.#pick(origin, panel);
      else this.selection.clear();
      if (isLate()) return;
      this.panel = panel;
    }
    await this.#fillPanel();
  }

  // ---- model, maps, colour

  /** Show another model, map or colour; `fresh` asks for the model again, as it may have grown. */
  async show(change: Partial<Target>, fresh = false): Promise<void> {
    if (fresh) this.moved.expire();
    if (await this.scene.show(change, fresh)) await this.#fillPanel();
  }

  /** Divide the images into another number of clusters. */
  async divide(clusters: number): Promise<void> {
    const { view } = this.scene;
    if (!view) return;
    const work = (): Promise<void> => this.source.divide(view, clusters);
    if (await this.tasks.run("clusters", waitTexts.clusters(clusters), work, () => undefined)) await this.show({}, true);
  }

  /** Ask for the collection again: a running embedding has added to it. */
  async refresh(): Promise<void> {
    await this.collection.load();
    await this.show({}, true);
  }

  /** Milliseconds until the next such check: while a panel is open it is seldom, because new columns make it ask again. */
  get pause(): number {
    return this.panel === null || this.collection.running ? this.collection.pause : SELDOM;
  }

  async checkProgress(): Promise<void> {
    if (!this.collection.info?.live) return;
    await this.collection.checkRun();
    await this.#takeNewColumns();
  }

  async #takeNewColumns(): Promise<void> {
    const { view } = this.scene;
    if (view && (await this.collection.hasNewColumns(view)) && this.scene.view === view) await this.show({}, true);
  }

  /** Another scene has come: what belonged to the one before goes, or follows. */
  #follow({ isFirst, model, images, state, map, maps, rows }: Change): void {
    const hovered = this.map.hovered === null || maps ? undefined : rows[this.map.hovered];
    this.map.hovered = hovered === undefined ? null : (this.scene.position(hovered) ?? null);
    this.filters.follow();
    const inColours = this.wantsColours;
    if (images) {
      this.colours.cancel();
      this.selection.follow(rows);
    }
    if (state) {
      // sheets in patch colours are asked for once it is known that there are some: one that is missing is not asked for again at once
      this.thumbnails.pictures = "photo";
      this.thumbnails.askForFirst();
    }
    if (map || state) this.numbers.forget();
    if (state) this.moved.forget();
    if (map) this.answer.forgetPlace();
    if (isFirst || !state) return;
    this.collection.expectColumns();
    // colours that are being made go on, and are shown once they are there
    if (inColours && !this.tasks.isWaitingFor("colours")) void this.paint("colours");
    if (!images) {
      this.findings.expire();
      this.selection.expire();
      return;
    }
    this.findings.forget();
    this.tasks.drop("selection");
    this.tokens.cancel();
    if (!model) return;
    this.answer.drop();
    if (this.image.row !== null) void this.image.look(this.image.row);
  }

  // ---- thumbnails

  /** Whether thumbnails are drawn in patch colours, or will be: the page asks what that takes, or does it. */
  get wantsColours(): boolean {
    return this.thumbnails.pictures === "colours" || this.colours.plan !== null || this.tasks.isWaitingFor("colours");
  }

  /** Draw thumbnails as photographs, or in the colours of their patches; what that takes is asked first, unless it is a moment. */
  async paint(pictures: Pictures): Promise<void> {
    if (pictures === "photo") {
      this.colours.cancel();
      this.thumbnails.pictures = "photo";
      return;
    }
    const areKept = await this.colours.areKept();
    this.thumbnails.pictures = areKept ? "colours" : "photo";
    const { plan } = this.colours;
    if (plan?.obstacle === null && plan.seconds < MOMENT) await this.makeColours();
  }

  /** Look at all images for the colours of their patches, then draw thumbnails in these. */
  async makeColours(): Promise<void> {
    if (await this.colours.keep()) this.thumbnails.pictures = "colours";
  }

  // ---- selections

  select(positions: Iterable<Position>, by: Selection["by"], title: string, origin?: Origin): void {
    this.selection.take(positions, by, title, origin);
    if (this.panel === "label") this.labelling.chosen = this.selectedRows();
    else this.panel = "selection";
  }

  /** Those of the selection that pass the filter: what is done with a selection is done with them. */
  selectedRows(): Row[] {
    const passing = this.filters.among(this.selection.current?.positions ?? new Uint32Array());
    return Array.from(passing, (position) => this.scene.rows[position] as Row);
  }

  /** Let the keys of the panel "Label" be about these images. */
  label(rows: Row[]): void {
    this.labelling.chosen = rows;
    this.showPanel("label");
  }

  /** Add images to those that are selected, or take them from these; what is left is a selection by hand. */
  combine(positions: Iterable<Position>, effect: Exclude<Effect, "new">): void {
    const { current } = this.selection;
    const left = combined(current?.positions ?? [], positions, effect);
    if (left.length > 0) this.select(left, "images", current?.title ?? pickTexts.area);
    else if (current) this.clearSelection();
  }

  clearSelection(): void {
    this.selection.clear();
    this.map.comeBack();
    if (this.panel === "selection") this.panel = this.image.row === null ? null : "image";
  }

  /** Images whose file name holds a text; a single one is opened. */
  async findText(text: string): Promise<void> {
    await this.#pick({ by: "text", text });
    const [only, ...others] = this.selection.current?.positions ?? [];
    if (only !== undefined && others.length === 0) await this.searchRow(this.scene.rows[only] as Row);
  }

  /** Images with this value of a column. */
  async findValue(column: string, code: number): Promise<void> {
    await this.#pick({ by: "column", column, code });
  }

  /** Look-alikes of several images together. */
  async query(rows: Row[]): Promise<void> {
    await this.#pick({ by: "answer", rows });
  }

  /** Select the images that a rule picks. */
  async pickFew(asked: PickQuery, title: string): Promise<void> {
    const { view } = this.scene;
    if (!view) return;
    await this.tasks.run("pick", fewTexts.picking, (signal) => this.source.pick(view, asked, signal), ({ rows, distance, randomDistance }) => {
      this.select(this.scene.index.findAll(rows), "images", title);
      this.selection.note = fewTexts.result(distance, randomDistance);
    });
  }

  async #pick(origin: Origin, panel: Panel | null = "selection"): Promise<void> {
    if (await this.selection.pick(origin)) this.panel = panel;
  }

  // ---- one image

  /** Show an image in the panel; the back button returns to the one before. */
  async focus(row: Row): Promise<void> {
    this.writeAddress(); // what the back button returns to
    this.panel = "image";
    if (row === this.image.row && this.image.current) return;
    const coming = this.image.visit(row);
    this.writeAddress(true);
    await coming;
  }

  /** Go on to the nearest neighbour that was not visited yet. */
  async travel(): Promise<void> {
    const next = this.image.next();
    if (next !== undefined) await this.focus(next);
  }

  back(): void {
    this.#bar.back();
  }

  /** An image of the collection as the question: it is shown with its neighbours, and the map goes to all of them. */
  async searchRow(row: Row): Promise<void> {
    if (this.scene.position(row) === undefined) {
      this.tasks.error = this.scene.noRow(row);
      return;
    }
    await this.focus(row);
    if (this.image.row !== row) return; // another was clicked meanwhile
    this.map.flyTo(this.scene.index.findAll([row, ...(this.image.current?.neighbors ?? []).map((match) => match.row)]));
  }

  /** Look-alikes of an image from outside, or of a part of one of the collection. */
  async searchImage(blob: Blob, partOf: Row | null = null): Promise<void> {
    if (!this.scene.view) return;
    this.showAnswer();
    await this.answer.search(blob, partOf);
    if (this.answer.asked === blob) this.#flyToAnswer();
  }

  /** Where else there is a patch like the one at a place of an image; `picture` shows it. */
  async searchPatch(picture: Blob, row: Row, place: [number, number]): Promise<void> {
    if (!this.scene.view) return;
    this.showAnswer();
    await this.answer.searchPatch(picture, row, place);
    if (this.answer.partOf === row) this.#flyToAnswer();
  }

  /** The look-alikes, and the mark of what was asked about, may be out of view. */
  #flyToAnswer(): void {
    const { current } = this.answer;
    if (current && this.map.camera) this.map.flyTo(this.scene.index.findAll(current.matches.map(({ row }) => row)));
  }

  /** Return from an image to the answer that it was found in. */
  showAnswer(): void {
    void this.image.look(null);
    this.panel = "image";
  }

  /** Put the image from outside away. */
  dropAnswer(): void {
    this.answer.drop();
    this.map.comeBack();
  }

  // ---- panels

  get panel(): Panel | null {
    return this.#panel;
  }

  set panel(panel: Panel | null) {
    if (panel !== "findings") this.findings.leave();
    if (panel !== "moved") this.moved.leave();
    if (panel !== "numbers") this.numbers.leave();
    this.#panel = panel;
  }

  showPanel(panel: Panel | null): void {
    this.panel = panel;
    void this.#fillPanel();
  }

  async loadNumbers(): Promise<void> {
    if (await this.numbers.load()) void this.#takeNewColumns(); // what was measured for the numbers can colour the map
  }

  async #fillPanel(): Promise<void> {
    if (this.panel === "findings") await this.findings.load();
    if (this.panel === "label") await this.labelling.ask();
    if (this.panel === "moved") await this.moved.load();
    if (this.panel === "numbers") await this.loadNumbers();
  }

  /** Close the innermost thing that is open; false if nothing was. */
  escape(): boolean {
    if (this.tasks.error !== null && !this.tasks.isErrorRead) this.tasks.error = null;
    else if (this.map.tool !== "pan") this.map.tool = "pan";
    else if (this.panel === "label" && this.labelling.chosen !== null) this.labelling.chosen = null;
    else if (this.answer.current || this.answer.picture) this.dropAnswer();
    else if (this.panel === "image" && this.image.row !== null) {
      void this.image.look(null);
      this.map.comeBack();
      this.panel = this.selection.current ? "selection" : null;
    } else if (this.selection.current) this.clearSelection();
    else if (this.panel !== null) this.panel = null;
    else return false;
    return true;
  }
}
