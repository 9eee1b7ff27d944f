import type { GivenLabels, LabelAnswer, LabelChange, LabelRest, Labelling } from "./api";
import type {
  Checks, CollectionInfo, Copied, DataColumn, DataOrigin, ExportFormat, FilesInfo, Finding, Findings, ImageInfo, Match, ModelView, Moved, Numbers, PatchPairs, PatchView, Picked, PickQuery, Position, ProgressInfo, Question, Reasons, Row,
  Running, SearchAnswer, Subject, TokensInfo, Values, WeightsInfo,
} from "./types";

/**
 * Where the page has its data from: a server (HttpSource), or the file that it stands in itself (FileSource).
 *
 * What only reads can be aborted by a signal; what is ready at once may ignore it. What writes is never aborted:
 * nobody would know whether it was kept. A download is: what has come of it stays.
 */
export interface Source {
  collection(signal?: AbortSignal): Promise<CollectionInfo>;
  model(key: string, signal?: AbortSignal): Promise<ModelView>;
  /** Row number of each position. */
  rows(model: ModelView, signal?: AbortSignal): Promise<Uint32Array>;
  /** x0, y0, x1, y1, … from -1 to 1, y upwards. A map that is not ready is computed first. */
  map(model: ModelView, map: string, signal?: AbortSignal): Promise<Float32Array>;
  /** A map of a partner, turned and mirrored onto a map of the model; NaN where it has no image. Both are computed if need be. */
  mapBeside(model: ModelView, map: string, partner: string, partnersMap: string, signal?: AbortSignal): Promise<Float32Array>;
  /** What the model and a partner see differently. */
  moved(model: ModelView, partner: string, signal?: AbortSignal): Promise<Moved>;
  /** How far a map is that is being computed; null where nobody knows. */
  mapProgress(model: ModelView, map: string): Promise<ProgressInfo | null>;
  /** Codes of a category column; 65535 where the image has no value. */
  codes(model: ModelView, column: string, signal?: AbortSignal): Promise<Uint16Array>;
  /** Values of a number column; NaN where there is none. `map` counts for columns that every map has its own of. */
  values(model: ModelView, column: string, map: string, signal?: AbortSignal): Promise<Values>;
  /** The collection's own columns. */
  dataColumns(model: ModelView, signal?: AbortSignal): Promise<DataColumn[]>;
  /** Values of one of these: numbers, days since 1970, or places in `values`; NaN where there is none. */
  dataValues(model: ModelView, origin: DataOrigin, signal?: AbortSignal): Promise<Values>;
  /** Positions of the images whose text in one of these holds another, in any case. */
  dataFind(model: ModelView, index: number, text: string, signal?: AbortSignal): Promise<Position[]>;
  /** Address of a sheet of thumbnails, as photographs or in the colours of their patches. */
  sheet(model: ModelView, index: number, pictures: Pictures): string;
  /** Address of the largest available picture of an image. */
  picture(model: ModelView, row: Row): string;
  image(model: ModelView, row: Row, signal?: AbortSignal): Promise<ImageInfo>;
  /** What in each of some look-alikes makes it like an image, of the collection or from outside; takes a second or more. */
  reasons(model: ModelView, query: Row | Blob, of: Row[], signal?: AbortSignal): Promise<Reasons>;
  /** What the model sees in an image and its nearest neighbours, patch by patch. */
  patches(model: ModelView, row: Row, signal?: AbortSignal): Promise<PatchView>;
  /** The patches of two images that match. */
  patchPairs(model: ModelView, row: Row, other: Row, signal?: AbortSignal): Promise<PatchPairs>;
  /** Where else in the collection there is a patch like the one at a place of an image, from the left and from the top as shares. */
  findPatch(model: ModelView, row: Row, place: [number, number], signal?: AbortSignal): Promise<SearchAnswer>;
  /** Whether something that needs a look at all images is kept, or what it takes to make it; the latter takes a few seconds. */
  kept(model: ModelView, what: Kept, signal?: AbortSignal): Promise<TokensInfo>;
  /** Make and keep it. What is done stays when this is aborted. */
  keep(model: ModelView, what: Kept, signal?: AbortSignal): Promise<void>;
  /** Of how many images it is kept; null where nobody keeps it at this moment. */
  keeping(model: ModelView, what: Kept): Promise<ProgressInfo | null>;
  /** How much of the tokens has been read for the first search among them; null where they are not being read. */
  readingTokens(model: ModelView): Promise<ProgressInfo | null>;
  findings(model: ModelView, signal?: AbortSignal): Promise<Findings>;
  /** Remember what a person says of a finding: no problem, or one; neither forgets it. */
  judge(model: ModelView, finding: Finding, said: Said): Promise<void>;
  /** What was said of findings that were drawn at random, and which to check next. */
  checks(model: ModelView, signal?: AbortSignal): Promise<Checks>;
  /** What to ask next about a subject. */
  question(model: ModelView, about: Subject, signal?: AbortSignal): Promise<Question>;
  /** Remember what a person answers, null if nobody can say; the next question. */
  answer(model: ModelView, about: Subject, rows: Row[], yes: boolean | null): Promise<Question>;
  /** Forget all answers about a subject; the first question. */
  forgetAnswers(model: ModelView, about: Subject): Promise<Question>;
  /** Show another number of clusters, which takes seconds the first time; the model has to be asked for again. */
  divide(model: ModelView, clusters: number): Promise<void>;
  /** Labels and tags that people gave, of the images that changed after a revision; `model` is a key, as they come before it is shown. */
  labels(model: string, seen: number): Promise<GivenLabels>;
  giveLabels(model: ModelView, change: LabelChange): Promise<GivenLabels>;
  stepLabels(model: ModelView, back: "undo" | "redo", seen: number): Promise<GivenLabels>;
  /** The next question to a person who labels. */
  labelling(model: ModelView, seen: number, batches: boolean, signal?: AbortSignal): Promise<Labelling>;
  answerLabel(model: ModelView, answer: LabelAnswer): Promise<Labelling>;
  /** Take all proposals as labels, or ask again about what was put off. */
  settleLabels(model: ModelView, rest: LabelRest): Promise<Labelling>;
  /** Address of the labels and tags that people gave as CSV, for a link. */
  labelsAddress(model: ModelView): string;
  numbers(model: ModelView, map: string, signal?: AbortSignal): Promise<Numbers>;
  /** Look-alikes of an image from outside; `inside`, those that hold something like it, which takes longer the first time. */
  search(model: ModelView, image: Blob, map: string, inside: boolean, signal?: AbortSignal): Promise<SearchAnswer>;
  /** How many images a search inside them has looked into; null where none is under way. */
  insideProgress(model: ModelView): Promise<ProgressInfo | null>;
  /** Fetch the weights that a question needed and that are not on the server's machine; aborting ends that. */
  fetchWeights(model: ModelView, signal?: AbortSignal): Promise<void>;
  /** How many bytes of them have come; null where none are being fetched. */
  weightsProgress(model: ModelView): Promise<ProgressInfo | null>;
  /** Look-alikes of one or several images of the collection together. */
  query(model: ModelView, rows: Row[], k: number, signal?: AbortSignal): Promise<Match[]>;
  /** A few images that stand for the others. */
  pick(model: ModelView, asked: PickQuery, signal?: AbortSignal): Promise<Picked>;
  /** Rows of images whose id (name of the file) holds this text, at most 1,000. */
  find(model: ModelView, text: string, signal?: AbortSignal): Promise<Row[]>;
  /** A file to save; for "collection" the answer is the new collection's name as text. */
  export(model: ModelView, rows: Row[], format: ExportFormat, name: string): Promise<Blob>;
  /** How many files images have and how large they are, before they are fetched. */
  files(model: ModelView, rows: Row[]): Promise<FilesInfo>;
  /** Address of these files as a ZIP, for a link; `name` is what the browser calls it. */
  filesAddress(model: ModelView, key: string, name: string): string;
  /** Copy the files of images into a folder of the server's machine. */
  copyFiles(model: ModelView, rows: Row[], folder: string): Promise<Copied>;
  copyProgress(model: ModelView): Promise<ProgressInfo | null>;
  /** Take copies away again. */
  undoCopies(model: ModelView, key: string): Promise<Copied>;
  /** A run that embeds into this collection at this moment. */
  progress(): Promise<Running | null>;
}

/** What the numbers of a column stand in: those of dates are too fine for 32 bits. */
export function arrayOf(kind: DataColumn["kind"]): Float32ArrayConstructor | Float64ArrayConstructor {
  return kind === "date" ? Float64Array : Float32Array;
}

/** How thumbnails are drawn. */
export type Pictures = "photo" | "colours";

/** What the model sees of all images: tokens, which a search by a patch needs, and the colours of patches. */
export type Kept = "tokens" | "colours";

/** What a person says of a finding. */
export interface Said {
  dismissed: boolean;
  confirmed: boolean;
}

/** What went wrong, in words for the person before the page. */
export class SourceError extends Error {
  /** `weights` are what is to be fetched first, if that is why. */
  constructor(message: string, readonly weights: WeightsInfo | null = null) {
    super(message);
  }
}

export type { Position };
