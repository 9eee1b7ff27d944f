import { problemTexts } from "../texts";
import type {
  ClusterQuery, Columns, CopyQuery, Dismissal, ErrorAnswer, ExportQuery, FilesQuery, GivenLabels, LabelAnswer, LabelChange, LabelRest, Labelling, Matches, Positions, QuestionAnswer, Rows,
  RowsQuery,
} from "./api";
import { arrayOf, SourceError, type Kept, type Pictures, type Said, type Source } from "./source";
import {
  isPerMap, type Checks, type CollectionInfo, type Copied, type DataColumn, type DataOrigin, type ExportFormat, type FilesInfo, type Finding, type Findings, type ImageInfo, type Match,
  type ModelView, type Moved, type Numbers, type PatchPairs, type PatchView, type Picked, type PickQuery, type Position, type ProgressInfo, type Question, type Reasons, type Row, type Running, type SearchAnswer, type Subject, type TokensInfo, type Values,
} from "./types";

/** What is asked beside the address. */
type Asked = Omit<RequestInit, "signal"> & { signal?: AbortSignal | undefined };

/** The server of `dinoscope explore`. */
export class HttpSource implements Source {
  constructor(readonly root = "") {}

  collection(signal?: AbortSignal): Promise<CollectionInfo> {
    return this.#json("/api/collection", { signal });
  }

  model(key: string, signal?: AbortSignal): Promise<ModelView> {
    return this.#json(modelPath(key), { signal });
  }

  async rows(model: ModelView, signal?: AbortSignal): Promise<Uint32Array> {
    return new Uint32Array(await this.#bytes(model, "/rows", 4, signal));
  }

  async map(model: ModelView, map: string, signal?: AbortSignal): Promise<Float32Array> {
    return unpackPlaces(new Uint16Array(await this.#bytes(model, `/maps/${encodeURIComponent(map)}`, 4, signal)));
  }

  async mapBeside(model: ModelView, map: string, partner: string, partnersMap: string, signal?: AbortSignal): Promise<Float32Array> {
    const asked = `?other=${encodeURIComponent(partner)}&map=${encodeURIComponent(partnersMap)}`;
    return new Float32Array(await this.#bytes(model, `/maps/${encodeURIComponent(map)}/beside${asked}`, 8, signal));
  }

  moved(model: ModelView, partner: string, signal?: AbortSignal): Promise<Moved> {
    return this.#json(this.#path(model, `/moved?other=${encodeURIComponent(partner)}`), { signal });
  }

  mapProgress(model: ModelView, map: string): Promise<ProgressInfo | null> {
    return this.#json(this.#path(model, `/maps/${encodeURIComponent(map)}/progress`));
  }

  async codes(model: ModelView, column: string, signal?: AbortSignal): Promise<Uint16Array> {
    return new Uint16Array(await this.#bytes(model, `/columns/${encodeURIComponent(column)}`, 2, signal));
  }

  async values(model: ModelView, column: string, map: string, signal?: AbortSignal): Promise<Float32Array> {
    const path = isPerMap(model, column) ? `/maps/${encodeURIComponent(map)}/${encodeURIComponent(column)}` : `/columns/${encodeURIComponent(column)}`;
    return new Float32Array(await this.#bytes(model, path, 4, signal));
  }

  async dataColumns(model: ModelView, signal?: AbortSignal): Promise<DataColumn[]> {
    return (await this.#json<Columns>(this.#path(model, "/columns"), { signal })).columns;
  }

  async dataValues(model: ModelView, { index, kind }: DataOrigin, signal?: AbortSignal): Promise<Values> {
    const Numbers = arrayOf(kind);
    return new Numbers(await this.#bytes(model, `/columns/${index}/values`, Numbers.BYTES_PER_ELEMENT, signal));
  }

  async dataFind(model: ModelView, index: number, text: string, signal?: AbortSignal): Promise<Position[]> {
    const path = `${this.#path(model, `/columns/${index}/find`)}&text=${encodeURIComponent(text)}`;
    return (await this.#json<Positions>(path, { signal })).rows;
  }

  sheet(model: ModelView, index: number, pictures: Pictures): string {
    return this.root + this.#path(model, `/${pictures === "photo" ? "sheets" : "colours"}/${index}`);
  }

  picture(model: ModelView, row: Row): string {
    return this.root + this.#path(model, `/images/${row}/picture`);
  }

  image(model: ModelView, row: Row, signal?: AbortSignal): Promise<ImageInfo> {
    return this.#json(this.#path(model, `/images/${row}`), { signal });
  }

  reasons(model: ModelView, query: Row | Blob, of: Row[], signal?: AbortSignal): Promise<Reasons> {
    const rows = of.map((each) => `&of=${each}`).join("");
    if (typeof query === "number") return this.#json(this.#path(model, `/images/${query}/reasons`) + rows, { signal });
    return this.#json(this.#path(model, "/reasons") + rows, { ...asImage(query), signal });
  }

  patches(model: ModelView, row: Row, signal?: AbortSignal): Promise<PatchView> {
    return this.#json(this.#path(model, `/images/${row}/patches`), { signal });
  }

  patchPairs(model: ModelView, row: Row, other: Row, signal?: AbortSignal): Promise<PatchPairs> {
    return this.#json(this.#path(model, `/images/${row}/patches/${other}`), { signal });
  }

  findPatch(model: ModelView, row: Row, [x, y]: [number, number], signal?: AbortSignal): Promise<SearchAnswer> {
    return this.#json(`${this.#path(model, `/images/${row}/patches/search`)}&x=${x}&y=${y}&k=24`, { signal });
  }

  kept(model: ModelView, what: Kept, signal?: AbortSignal): Promise<TokensInfo> {
    return this.#json(this.#path(model, `/${what}`), { signal });
  }

  async keep(model: ModelView, what: Kept, signal?: AbortSignal): Promise<void> {
    await this.#ask(this.#path(model, `/${what}`), { method: "PUT", signal });
  }

  keeping(model: ModelView, what: Kept): Promise<ProgressInfo | null> {
    return this.#json(this.#path(model, `/${what}/progress`));
  }

  readingTokens(model: ModelView): Promise<ProgressInfo | null> {
    return this.#json(this.#path(model, "/tokens/reading"));
  }

  findings(model: ModelView, signal?: AbortSignal): Promise<Findings> {
    return this.#json(this.#path(model, "/findings"), { signal });
  }

  async judge(model: ModelView, finding: Finding, said: Said): Promise<void> {
    const path = this.#path(model, `/findings/${encodeURIComponent(finding.key)}`);
    await this.#ask(path, { method: "PUT", ...asJson(said satisfies Dismissal) });
  }

  checks(model: ModelView, signal?: AbortSignal): Promise<Checks> {
    return this.#json(this.#path(model, "/findings/checks"), { signal });
  }

  pick(model: ModelView, asked: PickQuery, signal?: AbortSignal): Promise<Picked> {
    return this.#json(this.#path(model, "/pick"), { method: "POST", ...asJson(asked), signal });
  }

  question(model: ModelView, about: Subject, signal?: AbortSignal): Promise<Question> {
    return this.#json(this.#questions(model, about), { signal });
  }

  answer(model: ModelView, about: Subject, rows: Row[], yes: boolean | null): Promise<Question> {
    return this.#json(this.#questions(model, about), { method: "PUT", ...asJson({ rows, yes } satisfies QuestionAnswer) });
  }

  forgetAnswers(model: ModelView, about: Subject): Promise<Question> {
    return this.#json(this.#questions(model, about), { method: "DELETE" });
  }

  async divide(model: ModelView, clusters: number): Promise<void> {
    await this.#ask(this.#path(model, "/clusters"), { method: "PUT", ...asJson({ k: clusters } satisfies ClusterQuery) });
  }

  labels(model: string, seen: number): Promise<GivenLabels> {
    return this.#json(`${modelPath(model)}/labels?seen=${seen}`);
  }

  giveLabels(model: ModelView, change: LabelChange): Promise<GivenLabels> {
    return this.#json(this.#path(model, "/labels"), { method: "PUT", ...asJson(change) });
  }

  stepLabels(model: ModelView, back: "undo" | "redo", seen: number): Promise<GivenLabels> {
    return this.#json(`${this.#path(model, `/labels/${back}`)}&seen=${seen}`, { method: "POST" });
  }

  labelling(model: ModelView, seen: number, batches: boolean, signal?: AbortSignal): Promise<Labelling> {
    return this.#json(`${this.#path(model, "/labelling")}&seen=${seen}&batches=${batches}`, { signal });
  }

  answerLabel(model: ModelView, answer: LabelAnswer): Promise<Labelling> {
    return this.#json(this.#path(model, "/labelling"), { method: "PUT", ...asJson(answer) });
  }

  settleLabels(model: ModelView, rest: LabelRest): Promise<Labelling> {
    return this.#json(this.#path(model, "/labelling/rest"), { method: "PUT", ...asJson(rest) });
  }

  labelsAddress(model: ModelView): string {
    return this.root + this.#path(model, "/labels/file");
  }

  numbers(model: ModelView, map: string, signal?: AbortSignal): Promise<Numbers> {
    return this.#json(this.#path(model, `/maps/${encodeURIComponent(map)}/numbers`), { signal });
  }

  search(model: ModelView, image: Blob, map: string, inside: boolean, signal?: AbortSignal): Promise<SearchAnswer> {
    const path = `${this.#path(model, "/search")}&map=${encodeURIComponent(map)}&k=24&inside=${inside}`;
    return this.#json(path, { ...asImage(image), signal });
  }

  insideProgress(model: ModelView): Promise<ProgressInfo | null> {
    return this.#json(this.#path(model, "/inside"));
  }

  async fetchWeights(model: ModelView, signal?: AbortSignal): Promise<void> {
    await this.#ask(this.#path(model, "/weights"), { method: "POST", signal });
  }

  weightsProgress(model: ModelView): Promise<ProgressInfo | null> {
    return this.#json(this.#path(model, "/weights"));
  }

  async query(model: ModelView, rows: Row[], k: number, signal?: AbortSignal): Promise<Match[]> {
    const answer = await this.#ask(this.#path(model, "/query"), { method: "POST", ...asJson({ rows, k } satisfies RowsQuery), signal });
    return ((await answer.json()) as Matches).matches;
  }

  async find(model: ModelView, text: string, signal?: AbortSignal): Promise<Row[]> {
    return (await this.#json<Rows>(`${this.#path(model, "/find")}&text=${encodeURIComponent(text)}`, { signal })).rows;
  }

  async export(model: ModelView, rows: Row[], format: ExportFormat, name: string): Promise<Blob> {
    const answer = await this.#ask(this.#path(model, "/export"), { method: "POST", ...asJson({ rows, format, name } satisfies ExportQuery) });
    if (format !== "collection") return answer.blob();
    return new Blob([((await answer.json()) as { name: string }).name], { type: "text/plain" });
  }

  files(model: ModelView, rows: Row[]): Promise<FilesInfo> {
    return this.#json(this.#path(model, "/files"), { method: "POST", ...asJson({ rows } satisfies FilesQuery) });
  }

  filesAddress(model: ModelView, key: string, name: string): string {
    return `${this.root}${modelPath(model.key)}/files/${encodeURIComponent(key)}?name=${encodeURIComponent(name)}`;
  }

  copyFiles(model: ModelView, rows: Row[], folder: string): Promise<Copied> {
    return this.#json(this.#path(model, "/copies"), { method: "POST", ...asJson({ rows, folder } satisfies CopyQuery) });
  }

  copyProgress(model: ModelView): Promise<ProgressInfo | null> {
    return this.#json(this.#path(model, "/copies"));
  }

  undoCopies(model: ModelView, key: string): Promise<Copied> {
    return this.#json(this.#path(model, `/copies/${encodeURIComponent(key)}`), { method: "DELETE" });
  }

  progress(): Promise<Running | null> {
    return this.#json("/api/progress");
  }

  #questions(model: ModelView, about: Subject): string {
    return this.#path(model, `/questions?about=${encodeURIComponent(about)}`);
  }

  /** A place of the model in the state that this page shows, whatever was added to the collection meanwhile. */
  #path(model: ModelView, place: string): string {
    return `${modelPath(model.key)}${place}${place.includes("?") ? "&" : "?"}v=${encodeURIComponent(model.state)}`;
  }

  async #json<T>(path: string, request: Asked = {}): Promise<T> {
    return (await (await this.#ask(path, request)).json()) as T;
  }

  /** An array of the model, of `size` bytes an image. */
  async #bytes(model: ModelView, place: string, size: number, signal?: AbortSignal): Promise<ArrayBuffer> {
    const answer = await this.#ask(this.#path(model, place), { signal });
    const bytes = await answer.arrayBuffer();
    if (bytes.byteLength !== size * model.count) {
      throw new SourceError(problemTexts.changed);
    }
    return bytes;
  }

  async #ask(path: string, { signal, ...request }: Asked = {}): Promise<Response> {
    let answer: Response;
    try {
      answer = await fetch(this.root + path, { ...request, signal: signal ?? null });
    } catch (problem) {
      if (signal?.aborted) throw problem; // nobody waits for it any more
      throw new SourceError(problemTexts.noServer);
    }
    if (!answer.ok) throw await problem(answer);
    return answer;
  }
}

function modelPath(model: string): string {
  return `/api/models/${encodeURIComponent(model)}`;
}

/** 0..65535 stands for -1..1. */
export function unpackPlaces(packed: Uint16Array): Float32Array {
  return Float32Array.from(packed, (value) => value / 32767.5 - 1);
}

function asImage(image: Blob): Asked {
  return { method: "POST", body: image, headers: { "Content-Type": image.type || "application/octet-stream" } };
}

function asJson(body: unknown): Asked {
  return { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
}

async function problem(answer: Response): Promise<SourceError> {
  try {
    const body = (await answer.json()) as Partial<ErrorAnswer>;
    if (typeof body.error === "string") return new SourceError(asSentence(body.error), body.weights ?? null);
  } catch {
    // not the server's own words: a proxy's page, or a cut answer
  }
  return new SourceError(problemTexts.status(answer.status));
}

/** The server's words with a capital letter, unless they begin with a name, and a full stop. */
export function asSentence(words: string): string {
  const begun = words.replace(/^[a-z]+(?=[ ,:])/, (first) => first.charAt(0).toUpperCase() + first.slice(1));
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}
