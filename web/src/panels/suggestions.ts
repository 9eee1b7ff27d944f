/** What the search box offers while somebody types. */
import type { CategoryColumn, ModelView, Row } from "../lib/types";
import { categories } from "./columns";

export interface ValueSuggestion {
  kind: "value";
  column: CategoryColumn;
  code: number;
  value: string;
  count: number;
}

export interface RowSuggestion {
  kind: "row";
  row: Row;
}

export interface NamesSuggestion {
  kind: "names";
  text: string;
  rows: Row[];
}

export type Suggestion = ValueSuggestion | RowSuggestion | NamesSuggestion;

/** The most rows that Source.find tells. */
export const MOST_NAMES = 1000;
const LEAST_WORD = 3;

/** How well a value answers what was typed; 0 where it does not. */
export function likeness(value: string, text: string): number {
  const [name, asked] = [fold(value), fold(text)];
  if (asked === "") return 1;
  if (name === asked) return 4;
  if (name.startsWith(asked)) return 3;
  const words = name.split(/[^\p{L}\p{N}]+/u);
  if (words.some((word) => word.startsWith(asked))) return 2;
  return name.includes(asked) ? 1 : 0;
}

/** How well a value answers one of several words that were typed, where it does not answer all of them together; below 1. */
function likenessOfWords(value: string, words: readonly string[]): number {
  const found = words.map((word) => likeness(value, word)).filter((each) => each > 1); // not in the middle of a word
  return found.reduce((sum, each) => sum + each, 0) / (5 * words.length);
}

/** The words of what was typed, if there are several; short ones say too little. */
export function wordsOf(text: string): string[] {
  const words = text.trim().split(/\s+/);
  return words.length > 1 ? words.filter((word) => word.length >= LEAST_WORD) : [];
}

/**
 * Values of the category columns that fit, best first; those that answer a single word of several come last.
 *
 * Among equally good ones the columns keep their order (labels come first) and then the frequent come first. Nothing
 * typed offers the first column's values, so that somebody new sees what there is.
 */
export function matchingValues(view: ModelView | null, text: string, most = 8): ValueSuggestion[] {
  const columns = categories(view);
  const asked = fold(text) === "" ? columns.slice(0, 1) : columns;
  const words = wordsOf(text);
  const found = asked.flatMap((column, order) =>
    column.values.map((value, code) => ({
      suggestion: { kind: "value" as const, column, code, value, count: column.counts[code] ?? 0 },
      rank: likeness(value, text) || likenessOfWords(value, words),
      order,
    })),
  );
  return found
    .filter(({ rank, suggestion }) => rank > 0 && suggestion.count > 0)
    .sort((one, other) => other.rank - one.rank || one.order - other.order || other.suggestion.count - one.suggestion.count)
    .slice(0, most)
    .map(({ suggestion }) => suggestion);
}

/** The row that is meant by "#17" or "17"; null for all else. */
export function rowMeant(text: string): Row | null {
  const digits = /^\s*#?\s*(\d{1,10})\s*$/.exec(text)?.[1];
  return digits === undefined ? null : Number(digits);
}

/** Whether somebody clearly asks for a row: then it is offered first. */
export function asksForRow(text: string): boolean {
  return text.trim().startsWith("#");
}

/** Lower case, without accents, trimmed. */
function fold(text: string): string {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().trim();
}
