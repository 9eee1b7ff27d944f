import { problemTexts } from "../texts";
import { csvText, fourDigits, listText } from "./export";
import { unpackPlaces } from "./http";
import { arrayOf, SourceError, type Source } from "./source";
import { Tiles } from "./thumbnails";
import {
  isPerMap, NO_CODE, type CollectionInfo, type DataColumn, type DataOrigin, type ExportFormat, type Findings, type ImageInfo, type Match, type ModelView,
  type Numbers, type PatchPairs, type PatchView, type Position, type Reasons, type Row,
  type Running, type SearchAnswer, type TokensInfo, type Values, type Verdict,
} from "./types";

/*
 * What a report file embeds; the writer is src/dinoscope/report/embedded.py. Everything stands in <script> elements that no browser
 * runs, found by their id. Two kinds:
 *
 *   <script type="application/json" id="…">                 JSON, with every "<" written as \u003c
 *   <script type="application/octet-stream;base64" id="…">  bytes, little endian; white space is skipped
 *
 *   id                                        holds
 *   collection                                CollectionInfo with live and writable: false
 *   model/KEY                                 ModelView; sheets.positions is null, or is replaced by the next but one
 *   model/KEY/rows                            uint32 (N)
 *   model/KEY/positions                       uint32: position of every tile, where not every image has a thumbnail (optional)
 *   model/KEY/maps/MAP                        uint16 (N, 2): 0..65535 stands for -1..1
 *   model/KEY/maps/MAP/trust                  float32 (N)
 *   model/KEY/maps/MAP/numbers                JSON, Numbers
 *   model/KEY/columns/NAME                    uint16 (N) codes or float32 (N) values, as by the server
 *   model/KEY/sheets/I                        the sheet as a WebP, PNG or JPEG file, I from 0
 *   model/KEY/neighbors                       uint32 (N, k): positions of the nearest neighbours, the nearest first
 *   model/KEY/similarities                    uint8 (N, k): their cosine, 0..255 stands for 0..1
 *   model/KEY/images                          JSON {"ids": [...], "sizes": [[width, height], ...]} of all N
 *   model/KEY/table                           JSON, Columns: those that the file holds (optional)
 *   model/KEY/table/I                         float32 or, of dates, float64 (N): values of column I of it, as by the server
 *   model/KEY/verdicts                        JSON, Verdict or null of all N, without voters (optional)
 *   model/KEY/findings                        JSON, Findings (optional)
 *
 * KEY, MAP and NAME stand as they are in ModelInfo.key, MapInfo.id and Column.name; N is ModelView.count.
 */

const NO_FINDINGS: Findings = { findings: [], selfTest: null, threshold: 1, suggested: 1, answers: 0, checks: [] };

/** The file that the page stands in: `dinoscope report`. */
export class FileSource implements Source {
  readonly #addresses = new Map<string, string>();
  readonly #parsed = new Map<string, unknown>();
  #lastPicture = "";

  /** `read` gives the text of an embedded element, null where there is none. */
  constructor(readonly read: (id: string) => string | null = (id) => document.getElementById(id)?.textContent ?? null) {}

  collection(): Promise<CollectionInfo> {
    return answer(() => this.#json<CollectionInfo>("collection"));
  }

  model(key: string): Promise<ModelView> {
    return answer(() => {
      const view = this.#json<ModelView>(`model/${key}`);
      const positions = this.#bytes(`model/${key}/positions`);
      return positions ? { ...view, sheets: { ...view.sheets, positions: new Uint32Array(positions) } } : view;
    });
  }

  rows(model: ModelView): Promise<Uint32Array> {
    return answer(() => new Uint32Array(this.#needed(model, "rows")));
  }

  map(model: ModelView, map: string): Promise<Float32Array> {
    return answer(() => unpackPlaces(new Uint16Array(this.#needed(model, `maps/${map}`))));
  }

  mapBeside(): Promise<Float32Array> {
    return Promise.reject(new SourceError(problemTexts.needsServer));
  }

  moved(): Promise<never> {
    return Promise.reject(new SourceError(problemTexts.needsServer));
  }

  codes(model: ModelView, column: string): Promise<Uint16Array> {
    return answer(() => new Uint16Array(this.#needed(model, `columns/${column}`)));
  }

  values(model: ModelView, column: string, map: string): Promise<Values> {
    const name = isPerMap(model, column) ? `maps/${map}/${column}` : `columns/${column}`;
    return answer(() => new Float32Array(this.#needed(model, name)));
  }

  dataColumns(model: ModelView): Promise<DataColumn[]> {
    return answer(() => this.#optional<{ columns: DataColumn[] }>(`model/${model.key}/table`)?.columns ?? []);
  }

  dataValues(model: ModelView, { index, kind }: DataOrigin): Promise<Values> {
    const Numbers = arrayOf(kind);
    return answer(() => new Numbers(this.#needed(model, `table/${index}`)));
  }

  dataFind(): Promise<Position[]> {
    return Promise.reject(new SourceError(problemTexts.needsServer));
  }

  sheet(model: ModelView, index: number): string {
    const id = `model/${model.key}/sheets/${index}`;
    let address = this.#addresses.get(id);
    if (address === undefined) {
      const bytes = this.#bytes(id);
      address = bytes ? URL.createObjectURL(new Blob([bytes])) : "";
      this.#addresses.set(id, address);
    }
    return address;
  }

  /** A report holds thumbnails only: a picture of one tile, cut from its sheet by a drawing that embeds the sheet. */
  picture(model: ModelView, row: Row): string {
    const position = this.#positions(model).get(row);
    const tile = position === undefined ? null : new Tiles(model.sheets).find(position);
    const sheet = tile && this.read(`model/${model.key}/sheets/${tile.sheet}`);
    if (!tile || !sheet) return "";
    const { tile: side, columns, rows } = model.sheets;
    const drawing =
      `<svg xmlns="http://www.w3.org/2000/svg" width="${side}" height="${side}" ` +
      `viewBox="${tile.x * side} ${tile.y * side} ${side} ${side}">` +
      `<image href="data:image/webp;base64,${sheet.replace(/\s/g, "")}" width="${columns * side}" height="${rows * side}" ` +
      `preserveAspectRatio="xMinYMin" style="image-rendering:pixelated"/></svg>`;
    if (this.#lastPicture) URL.revokeObjectURL(this.#lastPicture);
    this.#lastPicture = URL.createObjectURL(new Blob([drawing], { type: "image/svg+xml" }));
    return this.#lastPicture;
  }

  image(model: ModelView, row: Row): Promise<ImageInfo> {
    return answer(() => {
      const position = this.#position(model, row);
      const { ids, sizes, captions, labels } = this.#images(model);
      const [width, height] = sizes[position] ?? [0, 0];
      const verdicts = this.#kept(`model/${model.key}/verdicts`, (id) => this.#optional<(Verdict | null)[]>(id));
      const verdict = verdicts?.[position] ?? null;
      return {
        row, id: ids[position] ?? "", width, height,
        label: this.#value(model, "label", position),
        split: this.#value(model, "split", position),
        caption: captions?.[position] ?? null,
        labels: labels?.[position] ?? [],
        cluster: this.#code(model, "cluster", position),
        verdict: verdict && { ...verdict, voters: [] },
        neighbors: this.#neighbors(model, position),
        columns: [],
      };
    });
  }

  findings(model: ModelView): Promise<Findings> {
    return answer(() => this.#optional<Findings>(`model/${model.key}/findings`) ?? NO_FINDINGS);
  }

  readonly judge = unwritable;
  readonly files = unwritable;
  readonly copyFiles = unwritable;
  readonly undoCopies = unwritable;
  readonly checks = unwritable;
  readonly pick = unwritable;
  readonly question = unwritable;
  readonly answer = unwritable;
  readonly forgetAnswers = unwritable;
  readonly divide = unwritable;
  readonly labels = unwritable;
  readonly giveLabels = unwritable;
  readonly stepLabels = unwritable;
  readonly labelling = unwritable;
  readonly settleLabels = unwritable;
  readonly answerLabel = unwritable;

  reasons(): Promise<Reasons> {
    return Promise.reject(new SourceError(problemTexts.needsServer));
  }

  patches(): Promise<PatchView> {
    return Promise.reject(new SourceError(problemTexts.needsServer));
  }

  patchPairs(): Promise<PatchPairs> {
    return Promise.reject(new SourceError(problemTexts.needsServer));
  }

  findPatch(): Promise<SearchAnswer> {
    return Promise.reject(new SourceError(problemTexts.needsServer));
  }

  kept(): Promise<TokensInfo> {
    return Promise.reject(new SourceError(problemTexts.needsServer));
  }

  keep(): Promise<void> {
    return Promise.reject(new SourceError(problemTexts.needsServer));
  }

  keeping(): Promise<null> {
    return Promise.resolve(null);
  }

  readingTokens(): Promise<null> {
    return Promise.resolve(null);
  }

  numbers(model: ModelView, map: string): Promise<Numbers> {
    return answer(() => this.#json<Numbers>(`model/${model.key}/maps/${map}/numbers`));
  }

  search(): Promise<SearchAnswer> {
    return Promise.reject(new SourceError(problemTexts.needsServer));
  }

  /** From the stored neighbours of the images asked for. */
  query(model: ModelView, rows: Row[], k: number): Promise<Match[]> {
    return answer(() => {
      const places = this.#positions(model);
      const asked = rows.flatMap((row) => places.get(row) ?? []);
      const scores = this.#votes(model, asked);
      for (const position of asked) scores.delete(position);
      const best = [...scores].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, k);
      return best.map(([position, similarity]) => this.#match(model, position, similarity));
    });
  }

  find(model: ModelView, text: string): Promise<Row[]> {
    return answer(() => {
      const wanted = text.toLowerCase();
      const rows = this.#rows(model);
      const found = this.#images(model).ids.flatMap((id, i) => (id.toLowerCase().includes(wanted) ? [rows[i] ?? 0] : []));
      return found.slice(0, 1000);
    });
  }

  export(model: ModelView, rows: Row[], format: ExportFormat): Promise<Blob> {
    if (format === "collection") return unwritable();
    return answer(() => {
      const positions = rows.map((row) => this.#position(model, row));
      const images = this.#images(model);
      const ids = positions.map((position) => images.ids[position] ?? "");
      const sets = positions.map((position) => images.labels?.[position]?.join(" | "));
      if (format === "files") return new Blob([listText(ids)], { type: "text/plain" });
      const found = model.columns.map(({ name }) => name).filter((name) => ["cluster", "predicted", "probability"].includes(name));
      const [labels, ...cells] = ["label", "split", ...found].map((name) => this.#cells(model, name, positions));
      const lines = rows.map((row, i) => [row, ids[i] ?? "", sets[i] || (labels?.[i] ?? null), ...cells.map((column) => column[i] ?? null)]);
      return new Blob([csvText(["row", "id", "label", "split", ...found], lines)], { type: "text/csv" });
    });
  }

  labelsAddress(): string {
    return "";
  }

  filesAddress(): string {
    return "";
  }

  copyProgress(): Promise<null> {
    return Promise.resolve(null);
  }

  mapProgress(): Promise<null> {
    return Promise.resolve(null);
  }

  insideProgress(): Promise<null> {
    return Promise.resolve(null);
  }

  fetchWeights(): Promise<void> {
    return Promise.reject(new SourceError(problemTexts.needsServer));
  }

  weightsProgress(): Promise<null> {
    return Promise.resolve(null);
  }

  progress(): Promise<Running | null> {
    return Promise.resolve(null);
  }

  /** The cells of a column that is a category or a number. */
  #cells(model: ModelView, column: string, positions: number[]): (string | null)[] {
    if (column === "cluster") return positions.map((position) => this.#code(model, column, position)?.toString() ?? null);
    if (model.columns.find(({ name }) => name === column)?.kind !== "number") {
      return positions.map((position) => this.#value(model, column, position));
    }
    const values = new Float32Array(this.#needed(model, `columns/${column}`));
    return positions.map((position) => fourDigits(values[position] ?? Number.NaN));
  }

  #neighbors(model: ModelView, position: number): Match[] {
    const { neighbors, similarities } = this.#graph(model);
    const k = neighbors.length / model.count;
    return Array.from({ length: k }, (_, i) => {
      const similarity = (similarities[position * k + i] ?? 0) / 255;
      return this.#match(model, neighbors[position * k + i] ?? 0, similarity);
    });
  }

  /** Mean similarity of every stored neighbour to the images asked for; 0 where it is no neighbour of one. */
  #votes(model: ModelView, asked: number[]): Map<number, number> {
    const { neighbors, similarities } = this.#graph(model);
    const k = neighbors.length / model.count;
    const scores = new Map<number, number>();
    for (const position of asked) {
      for (let i = position * k; i < (position + 1) * k; i++) {
        const other = neighbors[i] ?? 0;
        scores.set(other, (scores.get(other) ?? 0) + (similarities[i] ?? 0) / 255 / asked.length);
      }
    }
    return scores;
  }

  #match(model: ModelView, position: number, similarity: number): Match {
    const row = this.#rows(model)[position] ?? 0;
    const id = this.#images(model).ids[position] ?? "";
    return { row, id, label: this.#value(model, "label", position), similarity };
  }

  #value(model: ModelView, column: string, position: number): string | null {
    const found = model.columns.find(({ name }) => name === column);
    const code = this.#code(model, column, position);
    return found?.kind === "category" && code !== null ? (found.values[code] ?? null) : null;
  }

  #code(model: ModelView, column: string, position: number): number | null {
    if (model.columns.find(({ name }) => name === column)?.kind !== "category") return null;
    const codes = this.#kept(`model/${model.key}/columns/${column}`, () => new Uint16Array(this.#needed(model, `columns/${column}`)));
    const code = codes[position] ?? NO_CODE;
    return code === NO_CODE ? null : code;
  }

  #rows(model: ModelView): Uint32Array {
    return this.#kept(`model/${model.key}/rows`, () => new Uint32Array(this.#needed(model, "rows")));
  }

  #position(model: ModelView, row: Row): number {
    const position = this.#positions(model).get(row);
    if (position === undefined) throw new SourceError(problemTexts.noRowHere(row));
    return position;
  }

  #positions(model: ModelView): Map<Row, number> {
    return this.#kept(`places of ${model.key}`, () => new Map(Array.from(this.#rows(model), (row, position) => [row, position])));
  }

  #graph(model: ModelView): { neighbors: Uint32Array; similarities: Uint8Array } {
    return this.#kept(`graph of ${model.key}`, () => ({
      neighbors: new Uint32Array(this.#needed(model, "neighbors")),
      similarities: new Uint8Array(this.#needed(model, "similarities")),
    }));
  }

  #images(model: ModelView): { ids: string[]; sizes: [number, number][]; captions?: (string | null)[]; labels?: string[][] } {
    return this.#kept(`model/${model.key}/images`, (id) => this.#json(id));
  }

  // The page trusts its own file: a caller names the type of what it reads.
  /* eslint-disable @typescript-eslint/no-unnecessary-type-parameters */

  /** What is asked for often is decoded once. */
  #kept<T>(id: string, decode: (id: string) => T): T {
    if (!this.#parsed.has(id)) this.#parsed.set(id, decode(id));
    return this.#parsed.get(id) as T;
  }

  #json<T>(id: string): T {
    const found = this.#optional<T>(id);
    if (found === null) throw incomplete(id);
    return found;
  }

  #optional<T>(id: string): T | null {
    const text = this.read(id);
    return text === null ? null : (JSON.parse(text) as T);
  }

  /* eslint-enable @typescript-eslint/no-unnecessary-type-parameters */

  #needed(model: ModelView, name: string): ArrayBuffer {
    const id = `model/${model.key}/${name}`;
    const bytes = this.#bytes(id);
    if (!bytes) throw incomplete(id);
    return bytes;
  }

  #bytes(id: string): ArrayBuffer | null {
    const text = this.read(id);
    if (text === null) return null;
    const binary = atob(text.replace(/\s/g, ""));
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes.buffer;
  }
}

function answer<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(work());
  });
}

function incomplete(id: string): SourceError {
  return new SourceError(problemTexts.incomplete(id));
}

function unwritable(): Promise<never> {
  return Promise.reject(new SourceError(problemTexts.readOnly));
}
