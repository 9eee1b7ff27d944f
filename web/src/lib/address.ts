import type { Range } from "../map/range";
import { decodeConditions, encodeConditions, isCut, type Condition } from "./filter";
import type { Pictures } from "./source";
import type { Row } from "./types";

/** What picked a selection, short enough for the address. */
export type Origin =
  | { by: "lasso"; map: string; /** A partner's map, as it lies beside that one. */ beside?: string; polygon: number[] }
  | { by: "column"; column: string; code: number }
  | { by: "text"; text: string }
  | { by: "answer"; rows: Row[] }
  | { by: "finding" | "images"; rows: Row[] };

/** What the map shows: its middle, in the map's units, and how often it is enlarged. */
export interface Camera {
  x: number;
  y: number;
  zoom: number;
}

/** All that the address tells of the page: whoever opens it sees the same. */
export interface ViewState {
  model: string;
  map: string;
  beside: string | null;
  column: string;
  filter: readonly Condition[];
  /** Whether images that do not pass are left out. */
  hiding: boolean;
  camera: Camera | null;
  pictures: Pictures;
  row: Row | null;
  panel: Panel | null;
  origin: Origin | null;
  theme: Theme;
}

/** What is read of an address alone. */
interface Read {
  /** There were conditions that it has no room for. */
  isFilterCut: boolean;
}

/** What addresses of version 0.1 say of the colouring column: codes that are switched off, and a range. */
interface Earlier {
  hidden: number[];
  range: Range;
}

const PANELS = ["image", "selection", "filter", "findings", "label", "moved", "numbers"] as const;
const THEMES = ["auto", "light", "dark"] as const;
export type Panel = (typeof PANELS)[number];
export type Theme = (typeof THEMES)[number];

/** More rows than this make an address that mail programs cut. */
export const MOST_ROWS = 200;
const MOST_CORNERS = 32;
const MOST_TEXT = 200;

/** Write a state as the part of the address after #. */
export function encodeAddress(state: ViewState): string {
  const parts: [string, string | null][] = [
    ["model", state.model],
    ["map", state.map],
    ["beside", state.beside],
    ["by", state.column],
    ["filter", encodeConditions(state.filter)],
    ["rest", state.hiding ? "hidden" : null],
    ["at", state.camera && [state.camera.x, state.camera.y, state.camera.zoom].map(short).join()],
    ["pictures", state.pictures === "photo" ? null : state.pictures],
    ["row", state.row === null ? null : String(state.row)],
    ["pick", state.origin && encodeOrigin(state.origin)],
    ["panel", state.panel ?? "none"],
    ["theme", state.theme === "auto" ? null : state.theme],
  ];
  return parts.flatMap(([key, value]) => (value ? [`${key}=${escape(value)}`] : [])).join("&");
}

/** Read the part of the address after #; what makes no sense is left out. */
export function decodeAddress(hash: string): Partial<ViewState & Read & Earlier> {
  const fields = new Map<string, string>();
  for (const part of hash.replace(/^#/, "").split("&")) {
    const [key, value] = part.split("=", 2);
    if (key && value) fields.set(key, unescape(value));
  }
  const state: Partial<ViewState & Read & Earlier> = {};
  const text = (key: string): string | undefined => fields.get(key)?.slice(0, MOST_TEXT);
  const model = text("model");
  const map = text("map");
  const beside = text("beside");
  const column = text("by");
  if (model) state.model = model;
  if (map) state.map = map;
  if (beside) state.beside = beside;
  if (column) state.column = column;
  const filter = decodeConditions(fields.get("filter") ?? "");
  if (filter.length > 0) state.filter = filter;
  if (isCut(fields.get("filter") ?? "")) state.isFilterCut = true;
  if (fields.get("rest") === "hidden") state.hiding = true;
  const hidden = wholeNumbers(fields.get("hide"));
  if (hidden) state.hidden = hidden;
  const range = numbers(fields.get("range"));
  if (range?.length === 2 && range[0]! <= range[1]!) state.range = [range[0]!, range[1]!];
  const camera = numbers(fields.get("at"));
  if (camera?.length === 3) {
    const [x, y, zoom] = camera as [number, number, number];
    if (Math.abs(x) <= 10 && Math.abs(y) <= 10 && zoom > 0 && zoom < 1e5) state.camera = { x, y, zoom };
  }
  if (fields.get("pictures") === "colours") state.pictures = "colours";
  const row = wholeNumbers(fields.get("row"));
  if (row?.length === 1) state.row = row[0] as number;
  const origin = decodeOrigin(fields.get("pick"));
  if (origin) state.origin = origin;
  const panel = PANELS.find((name) => name === fields.get("panel"));
  if (panel) state.panel = panel;
  if (fields.get("panel") === "none") state.panel = null;
  const theme = THEMES.find((name) => name === fields.get("theme"));
  if (theme) state.theme = theme;
  return state;
}

function encodeOrigin(origin: Origin): string {
  switch (origin.by) {
    case "lasso":
      return `lasso:${[origin.map, origin.beside ?? []].flat().map(encodeURIComponent).join("/")}:${thinned(origin.polygon).map(short).join()}`;
    case "column":
      return `column:${encodeURIComponent(origin.column)}:${String(origin.code)}`;
    case "text":
      return `text:${origin.text}`;
    default:
      return `${origin.by}:${origin.rows.slice(0, MOST_ROWS).join()}`;
  }
}

function decodeOrigin(text: string | undefined): Origin | null {
  const [by, first, second] = cut(text ?? "");
  if (!first) return null;
  if (by === "text") return { by, text: `${first}${second === undefined ? "" : `:${second}`}`.slice(0, MOST_TEXT) };
  if (by === "column") {
    const code = wholeNumbers(second);
    return code?.length === 1 ? { by, column: unescape(first), code: code[0] as number } : null;
  }
  if (by === "lasso") {
    const polygon = numbers(second);
    const [map = "", beside] = first.split("/").map(unescape);
    return polygon && polygon.length >= 6 && polygon.length % 2 === 0 ? { by, map, ...(beside ? { beside } : {}), polygon } : null;
  }
  if (by === "answer" || by === "finding" || by === "images") {
    const rows = wholeNumbers(first);
    return rows && rows.length <= MOST_ROWS ? { by, rows } : null;
  }
  return null;
}

/** At most three parts: a colon in the last one is its own. */
function cut(text: string): [string, string | undefined, string | undefined] {
  const [by = "", first, ...rest] = text.split(":");
  return [by, first, rest.length > 0 ? rest.join(":") : undefined];
}

/** Every so-manieth corner of x0, y0, x1, y1, …, so that an address stays short. */
function thinned(polygon: number[]): number[] {
  const corners = polygon.length / 2;
  const step = Math.ceil(corners / MOST_CORNERS);
  return polygon.filter((_, i) => Math.floor(i / 2) % step === 0);
}

function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}

function numbers(text: string | undefined): number[] | null {
  if (!text) return null;
  const found = text.split(",").map((part) => (/^-?\d+(\.\d+)?(e-?\d+)?$/.test(part) ? Number(part) : NaN));
  return found.every(Number.isFinite) ? found : null;
}

function wholeNumbers(text: string | undefined): number[] | null {
  const found = numbers(text);
  return found?.every((value) => Number.isSafeInteger(value) && value >= 0) ? found : null;
}

function escape(text: string): string {
  return encodeURIComponent(text).replace(/%2C/g, ",").replace(/%3A/g, ":").replace(/%3B/g, ";");
}

function unescape(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
