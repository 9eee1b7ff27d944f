/**
 * What the server and a report file tell the page. One word a concept: docs/glossary.md.
 *
 * The server's own description says what its answers hold: api.ts is made from it (`npm run types`). Here stand the page's
 * names for them, and what the description leaves open.
 */
import type * as api from "./api";

export type {
  CategoryColumn, CheckedInfo, Checks, ClusterInfo, CollectionInfo, Copied, FilesInfo, Finding, Findings, ImageInfo, MatchInfo as Match, ModelInfo, Moved, MovedImage, NumberColumn, Numbers, PatchImage, PatchPair, PatchPairs, PartnerInfo, PatchView, Picked, PickQuery, ProgressInfo, PropertyInfo, ReasonInfo,
  Reasons, Running, ScoreInfo as Score, SearchAnswer, TokensInfo, VerdictInfo as Verdict, WeightsInfo,
} from "./api";

/** An image of the collection, for ever: the number never changes and is the same in every model. */
export type Row = number;
/** The place of an image in every array of one model, 0 to count - 1. */
export type Position = number;

/** A category column gives every image a code; this one stands for none. */
export const NO_CODE = 65535;

/** Numbers of a column. */
export type Values = Float32Array | Float64Array;

/** A column of the collection's own: of a table, of the files, of their EXIF. */
export type DataColumn = api.ColumnInfo;

/** Where a column comes from that is the collection's own; `index` is its number among these. */
export interface DataOrigin {
  index: number;
  kind: DataColumn["kind"];
  ofFile?: DataColumn["ofFile"];
}

export type Column = (api.CategoryColumn | api.NumberColumn) & { data?: DataOrigin };
/** A column of texts: it colours nothing, but images can be found by it. */
export interface TextColumn {
  kind: "text";
  name: string;
  title: string;
  description: string;
  data: DataOrigin;
}
export type FindingKind = api.Finding["kind"];
/** Kinds whose findings can be checked at random. */
export type CheckedKind = api.CheckedInfo["kind"];
export type ExportFormat = api.ExportQuery["format"];
/** Left, top, width and height as shares of a square. */
export type Part = api.ReasonInfo["place"];
/** Row, column and count of a table that is mostly zeros. */
export type Cell = api.LabelEvaluation["confusion"][number];

/** Thumbnails in pictures of columns x rows tiles; position p is tile p % (columns * rows) of sheet p / (columns * rows). */
export interface Sheets extends Omit<api.Sheets, "positions"> {
  /** Positions that have a thumbnail, in the order of the tiles: a report holds some only. Null if every position has its own. */
  positions: Uint32Array | null;
}

/** One model's arrays: what there is, and the state in which it is; every address that may be cached names that state. */
export interface ModelView extends Omit<api.ModelView, "sheets" | "columns" | "partners"> {
  /** Other models of the same images; a report has none. */
  partners?: api.PartnerInfo[];
  sheets: Sheets;
  columns: Column[];
  texts?: TextColumn[];
}

/** What is asked: do two images show the same picture, or is one of a kind of poor pictures? */
export type Subject = api.paths["/api/models/{model}/questions"]["get"]["parameters"]["query"]["about"];

/** Two images or one that a person is asked about, null where nothing is left to ask, and what the answers say. */
export interface Question extends api.Question {
  /** Lower bound, median, upper bound; null without enough answers. */
  precision: [number, number, number] | null;
  recall: [number, number, number] | null;
}

/** Whether every map has its own values of this column. */
export function isPerMap(model: ModelView, column: string): boolean {
  return model.columns.some((c) => c.name === column && c.kind === "number" && c.perMap);
}
