/** What the server (src/dinoscope/server.py) and a report file tell the page. One word a concept: docs/glossary.md. */

/** An image of the collection, for ever: the number never changes and is the same in every model. */
export type Row = number;
/** The place of an image in every array of one model, 0 to count - 1. */
export type Position = number;

/** GET /api/collection */
export interface CollectionInfo {
  name: string;
  kind: string;
  version: string;
  /** Key of the model that is shown first. */
  model: string;
  models: ModelInfo[];
  /** False in a report: nothing can be uploaded, dismissed or written. */
  live: boolean;
  /** Whether pictures larger than the thumbnails are at hand. */
  originals: boolean;
}

export interface ModelInfo {
  key: string;
  name: string;
  dim: number;
  resolution: number | null;
  pooling: string;
  images: number;
}

/** GET /api/models/{model} */
export interface ModelView {
  key: string;
  count: number;
  /** Changes whenever any array of this model does; part of every cacheable address. */
  state: string;
  columns: Column[];
  maps: MapInfo[];
  sheets: Sheets;
  failures: { row: Row; id: string; reason: string }[];
}

export type Column = CategoryColumn | NumberColumn;

export interface CategoryColumn {
  kind: "category";
  /** label, cluster, predicted, split, … */
  name: string;
  title: string;
  description: string;
  /** In the order of their codes. */
  values: string[];
  counts: number[];
}

export interface NumberColumn {
  kind: "number";
  /** trust, probability, … */
  name: string;
  title: string;
  description: string;
  min: number;
  max: number;
  /** True for trust: every map has its own. */
  perMap: boolean;
}

/** Whether every map has its own values of this column. */
export function isPerMap(model: ModelView, column: string): boolean {
  return model.columns.some((c) => c.name === column && c.kind === "number" && c.perMap);
}

export interface MapInfo {
  /** umap, tsne, pca, or another stored map. */
  id: string;
  title: string;
  settings: Record<string, string | number>;
  /** False: it is computed when it is asked for first, which may take a while. */
  ready: boolean;
}

/** Thumbnails in pictures of columns x rows tiles; position p is tile p % (columns * rows) of sheet p / (columns * rows). */
export interface Sheets {
  /** Pixels a side of one tile; a thumbnail is centred in it, on transparent ground. */
  tile: number;
  columns: number;
  rows: number;
  /** Number of sheets; in a report perhaps fewer than needed for every image. */
  count: number;
  /** Positions that have a thumbnail, in the order of the tiles; null if every position has its own. */
  positions: Uint32Array | null;
}

export interface Match {
  row: Row;
  id: string;
  label: string | null;
  /** Cosine, 1 is the same. */
  similarity: number;
}

export interface Verdict {
  label: string;
  probability: number;
  /** Labels of which one is the truth in `setLevel` of the cases. */
  set: string[];
  setLevel: number;
  unknown: boolean;
  /** How far out the image lies: further than this many percent of its class; null where that is not known. */
  percentile: number | null;
  /** The neighbours that decided. */
  voters: Match[];
}

/** GET /api/models/{model}/images/{row} */
export interface ImageInfo {
  row: Row;
  id: string;
  label: string | null;
  split: string | null;
  cluster: number | null;
  width: number;
  height: number;
  /** What the other images say of this one; null without labels. */
  verdict: Verdict | null;
  neighbors: Match[];
}

/** Left, top, width and height as shares of a square. */
export type Part = [left: number, top: number, width: number, height: number];

/** POST /api/models/{model}/search (the image itself as the body), POST /api/models/{model}/query (several rows). */
export interface SearchAnswer {
  matches: Match[];
  verdict: Verdict | null;
  /** On the map that was asked for, in its units (-1 to 1). */
  place: [number, number] | null;
  /** Time on the server. */
  seconds: number;
  /** Where in its tile each match is like it, as shares; null for the image as a whole, and for all where nobody looked inside. */
  parts: (Part | null)[] | null;
}

/** What in a look-alike makes it like the image that was asked about. */
export interface ReasonInfo {
  row: Row;
  /** Similarity while the most important square is hidden. */
  without: number;
  /** How much each of 16 x 16 places matters, from 0 to 255, row by row. */
  heat: number[];
  /** Where these places lie on its tile, as shares. */
  place: Part;
}

/** GET /api/models/{model}/images/{row}/reasons, POST /api/models/{model}/reasons (the image itself as the body) */
export interface Reasons {
  reasons: ReasonInfo[];
}

export type FindingKind = "duplicate" | "outlier" | "label_error" | "leak";

export interface Finding {
  /** Stable over runs and models; what is remembered when the finding is dismissed. */
  key: string;
  kind: FindingKind;
  /** The images that it is about, the most important first. */
  rows: Row[];
  /** Images shown as evidence: neighbours, voters. */
  evidence: Row[];
  /** One line, plain text. */
  text: string;
  /** Suggested label, or file to keep. */
  suggestion: string | null;
  /** Larger is surer; the list is sorted by it. */
  score: number;
  dismissed: boolean;
}

/** GET /api/models/{model}/findings */
export interface Findings {
  findings: Finding[];
  /** What the self-test expects of the list of label errors, in one sentence; null without labels. */
  selfTest: string | null;
  /** Score from which pairs are near-duplicates, and the one that the collection suggests. */
  threshold: number;
  suggested: number;
  /** Answers that set the threshold; 0 while the collection does. */
  answers: number;
}

/** GET, PUT and DELETE /api/models/{model}/pairs: two images that may show the same picture, and what the answers say. */
export interface PairQuestion {
  /** Null where no pair is left. */
  rows: [Row, Row] | null;
  same: number;
  different: number;
  unsure: number;
  /** Answers from which the threshold is theirs. */
  enough: number;
  suggested: number;
  /** The one in use, and the pairs that reach it. */
  threshold: number;
  pairs: number;
  /** Of these pairs, and of all that show the same picture: lower bound, median, upper bound; null without enough answers. */
  precision: [number, number, number] | null;
  recall: [number, number, number] | null;
}

export interface Score {
  name: string;
  value: number;
  meaning: string;
}

export interface ClusterInfo {
  cluster: number;
  size: number;
  medoid: Row;
  cohesion: number;
  purity: number | null;
  labels: [string, number][];
  /** What sets it apart from all other images, in words; empty where nothing does. */
  traits: string;
}

/** How far a property, or the labels, goes along with neighbours: 0 is chance, 1 the same. */
export interface PropertyInfo {
  name: string;
  embedding: number;
  map: number;
  withinLabels: number | null;
  byLabels: number | null;
  /** Where on the map there is more of it, in words; empty where that cannot be said. */
  rises: string;
}

/** Row, column and count of a table that is mostly zeros. */
export type Cell = [row: number, column: number, count: number];

/** GET /api/models/{model}/maps/{map}/numbers */
export interface Numbers {
  scores: Score[];
  clusters: ClusterInfo[];
  /** Images of each cluster (rows) and label (columns). */
  confusion: { rows: string[]; columns: string[]; counts: number[][] } | null;
  /** Named by neighbours, each image left out in turn. */
  evaluation: {
    accuracy: number;
    labels: string[];
    precision: (number | null)[];
    recall: (number | null)[];
    /** Places of the true label and of the one given, and how many images; no zeros. */
    confusion: Cell[];
  } | null;
  /** What this map is made of, the properties most alike among neighbours on it first; null for very few images. */
  explained: { labels: PropertyInfo | null; properties: PropertyInfo[]; conclusions: string[] } | null;
}

/** GET /api/progress */
export interface Running {
  done: number;
  total: number;
  imagesPerSecond: number;
  secondsLeft: number;
}

export type ExportFormat = "csv" | "files" | "collection";
