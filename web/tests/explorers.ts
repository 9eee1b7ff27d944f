/** Explorers whose source and address are the test's own. */
import type { GivenLabels, Labelling } from "../src/lib/api";
import { Explorer } from "../src/state/explorer.svelte";
import type { Source } from "../src/lib/source";
import type { AddressBar } from "../src/lib/history";
import type { ImageInfo, ModelView, Question } from "../src/lib/types";

export const modelView = (key: string, rows: number[]): ModelView => ({
  key, count: rows.length, state: "s", images: "i",
  columns: [{ kind: "category", name: "label", title: "Label", description: "", values: ["a", "b", "c"], counts: [1, 2, 1] }],
  maps: [{ id: "umap", title: "UMAP", settings: {}, ready: true, seconds: null }, { id: "pca", title: "PCA", settings: {}, ready: false, seconds: 40 }],
  sheets: { tile: 1, columns: 1, rows: 1, count: 4, positions: null }, failures: [],
});

const QUESTION: Question = {
  rows: [2, 4], sizes: [[28, 28], [28, 28]], yes: 0, no: 0, unsure: 0, enough: 10, suggested: 0.9, threshold: 0.9, count: 1, precision: null, recall: null, note: null,
};
const ROWS: Record<string, number[]> = { one: [2, 4, 6, 8], two: [4, 6, 10] };
const image = (row: number): ImageInfo => ({
  row, id: `${row}.png`, label: null, split: null, caption: null, labels: [], cluster: null, width: 1, height: 1, verdict: null, columns: [],
  neighbors: [4, 6, 8].filter((other) => other !== row).map((other) => ({ row: other, id: "", label: null, similarity: 1 })),
});

const GIVEN: GivenLabels = { revision: 0, labels: [], counts: [], tags: [], rows: [], codes: [], tagged: [], undoable: 0, redoable: 0 };
const LABELLING: Labelling = {
  question: { kind: "one", rows: [2], label: "shirt", probability: 0.7, likely: ["shirt"] },
  progress: { answers: 0, named: 0, count: 4, taken: 0, putOff: 0, sample: 0, unanswered: 0, low: 0, high: 1, stop: false },
  given: GIVEN,
};

/** What the server says after these images got a label. */
export function given(rows: number[], label: string | null, revision = 1): GivenLabels {
  const labels = label ? [label] : [];
  return { ...GIVEN, revision, labels, counts: labels.map(() => rows.length), rows, codes: rows.map(() => (label ? 0 : -1)), tagged: rows.map(() => []), undoable: 1 };
}

/** A source whose answers wait for the test where `held` names them. */
export function makeSource(held: Record<string, Promise<unknown>> = {}): Source {
  const wait = async <T>(name: string, value: T): Promise<T> => {
    await held[name];
    return value;
  };
  return {
    divide: () => wait("divide", undefined),
    collection: () => wait("collection", {
      name: "n", kind: "folder", version: "1", model: "one", live: true, originals: false, files: false, writable: true, copiesTo: null,
      models: Object.keys(ROWS).map((key) => ({ key, name: key, dim: 1, resolution: 1, pooling: "cls", focus: "image", images: 4, patches: true })),
    }),
    model: (key) => wait(`model ${key}`, modelView(key, ROWS[key] ?? [])),
    rows: (model) => wait("rows", Uint32Array.from(ROWS[model.key] ?? [])),
    map: (model, map) => wait(`map ${map}`, new Float32Array(2 * model.count).fill(map === "pca" ? 0.5 : 0)),
    mapBeside: (model) => wait("mapBeside", new Float32Array(2 * model.count).fill(0.25).fill(NaN, 0, 2)),
    moved: (model) => wait("moved", {
      k: 10, shared: 4.2, chance: 0.1, images: model.count, onlyHere: 0, onlyThere: 0, moved: [{ row: 4, kept: 1, here: [2, 6], there: [6, 8] }],
    }),
    codes: (model) => wait("codes", Uint16Array.from([0, 1, 1, 2]).slice(0, model.count)),
    values: (model) => wait("values", new Float32Array(model.count)),
    dataColumns: () => wait("dataColumns", []),
    dataValues: (model) => wait("dataValues", new Float32Array(model.count)),
    dataFind: () => wait("dataFind", [1, 3]),
    sheet: (_, index, pictures) => `${pictures === "photo" ? "" : "coloured "}sheet ${index}`,
    picture: () => "",
    image: (_, row) => wait(`image ${row}`, image(row)),
    reasons: () => wait("reasons", { reasons: [] }),
    patches: (_, row) => wait("patches", {
      images: [{ row, rows: 1, columns: 2, colours: [1, 2, 3, 4, 5, 6], foreground: [0, 255], sure: 0.9, clear: true, parts: [0, 1], attention: null, similar: "" }],
      bundled: true, basis: "b",
    }),
    patchPairs: () => wait("patchPairs", { pairs: [], patches: 2 }),
    findPatch: () => wait("findPatch", { here: null, matches: [{ row: 6, id: "", label: null, similarity: 1 }], verdict: null, place: null, seconds: 0, parts: [[0, 0, 1, 1]] }),
    kept: (_, what) => wait(what, { kept: false, images: 4, megabytes: 1, seconds: 10, resumes: false, obstacle: null }),
    keep: (_, what) => wait(`keep ${what}`, undefined),
    keeping: (_, what) => wait(`keeping ${what}`, { done: 1, total: 4 }),
    readingTokens: () => wait("readingTokens", null),
    findings: () => wait("findings", { findings: [{ key: "f", kind: "outlier", rows: [2], evidence: [], text: "", suggestion: null, score: 1, dismissed: false, confirmed: false }], selfTest: null, threshold: 0.9, suggested: 0.9, answers: 0, checks: [{ kind: "outlier", checked: 0, right: 0, rest: 1, low: 0, high: 1, next: ["f"] }] }),
    question: () => wait("question", QUESTION),
    answer: () => wait("answer", QUESTION),
    forgetAnswers: () => wait("forgetAnswers", QUESTION),
    labels: () => wait("labels", GIVEN),
    giveLabels: (_, { rows, label }) => wait("giveLabels", given(rows, label ?? null)),
    stepLabels: () => wait("stepLabels", GIVEN),
    labelling: () => wait("labelling", LABELLING),
    labelsAddress: () => "labels.csv",
    settleLabels: () => wait("settleLabels", LABELLING),
    answerLabel: (_, { rows, label }) => wait("answerLabel", { ...LABELLING, given: given(rows, label) }),
    judge: () => wait("judge", undefined),
    checks: () => wait("checks", { checks: [{ kind: "outlier", checked: 1, right: 1, rest: 0, low: 0, high: 0, next: [] }] }),
    mapProgress: () => wait("mapProgress", { done: 1, total: 4 }),
    pick: (_, { rows }) => wait("pick", { rows: (rows ?? [8, 4]).slice(0, 2), distance: 0.1, randomDistance: 0.3 }),
    numbers: () => wait("numbers", { judged: [], scores: [], clusters: [], confusion: null, evaluation: null, explained: null }),
    search: () => wait("search", { here: null, matches: [], verdict: null, place: [0, 0], seconds: 0, parts: null }),
    query: (_, rows) => wait("query", rows.map((row) => ({ row: row + 2, id: "", label: null, similarity: 1 }))),
    find: () => wait("find", [8, 2, 99]),
    export: () => wait("export", new Blob()),
    files: (_, rows) => wait("files", { key: "k", files: rows.length, bytes: 1000, missing: 0 }),
    filesAddress: (_, key, name) => `${key}/${name}`,
    copyFiles: (_, rows, folder) => wait("copyFiles", { folder, done: rows.length, there: 0, stayed: 0, reasons: [], journal: "j", key: "k" }),
    copyProgress: () => wait("copyProgress", { done: 1, total: 4 }),
    undoCopies: () => wait("undoCopies", { folder: "f", done: 1, there: 0, stayed: 0, reasons: [], journal: "j", key: null }),
    fetchWeights: () => wait("fetchWeights", undefined),
    weightsProgress: () => wait("weightsProgress", { done: 1, total: 4 }),
    insideProgress: () => wait("insideProgress", { done: 1, total: 4 }),
    progress: () => wait("progress", null),
  };
}

class Bar implements AddressBar {
  pages: string[];
  then: (hash: string) => void = () => undefined;
  constructor(hash = "") {
    this.pages = [hash];
  }
  read(): string {
    return this.pages.at(-1) ?? "";
  }
  write(hash: string, push: boolean): void {
    if (!push) this.pages.pop();
    this.pages.push(hash);
  }
  back(): void {
    this.pages.pop();
    this.then(this.read());
  }
  watch(then: (hash: string) => void): () => void {
    this.then = then;
    return () => (this.then = () => undefined);
  }
}

export async function open(hash = "", source = makeSource()): Promise<{ explorer: Explorer; bar: Bar }> {
  const bar = new Bar(hash);
  const explorer = new Explorer(source, bar);
  await explorer.open();
  return { explorer, bar };
}

/** Something that the test lets happen when it wants. */
export function hold(): { held: Promise<void>; release: () => void } {
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  return { held, release };
}

export const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
