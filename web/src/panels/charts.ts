/** What the charts show, before they are drawn. */
import type { Cell, Score } from "../lib/types";

export interface ScoreGroup {
  /** "map" of "map: trustworthiness". */
  name: string;
  scores: Score[];
}

/** Scores by what they speak of: the word before the colon. The groups keep the order of their first scores. */
export function scoreGroups(scores: readonly Score[]): ScoreGroup[] {
  const groups = new Map<string, Score[]>();
  for (const score of scores) {
    const cut = score.name.indexOf(": ");
    const name = cut < 0 ? "" : score.name.slice(0, cut);
    const own = { ...score, name: cut < 0 ? score.name : score.name.slice(cut + 2) };
    groups.set(name, [...(groups.get(name) ?? []), own]);
  }
  return [...groups].map(([name, members]) => ({ name, scores: members }));
}

export interface Heat {
  rows: string[];
  columns: string[];
  counts: number[][];
  /** Places of the rows and columns in the whole table. */
  rowPlaces: number[];
  columnPlaces: number[];
}

/** The part of a table with the largest sums, its rows and columns in their order. */
export function largestPart(rows: readonly string[], columns: readonly string[], counts: readonly number[][], most: number): Heat {
  const rowSums = rows.map((_, row) => columns.reduce((sum, _name, column) => sum + at(counts, row, column), 0));
  const columnSums = columns.map((_, column) => rows.reduce((sum, _name, row) => sum + at(counts, row, column), 0));
  const [rowPlaces, columnPlaces] = [largest(rowSums, most), largest(columnSums, most)];
  return {
    rows: rowPlaces.map((row) => rows[row] ?? ""),
    columns: columnPlaces.map((column) => columns[column] ?? ""),
    counts: rowPlaces.map((row) => columnPlaces.map((column) => at(counts, row, column))),
    rowPlaces,
    columnPlaces,
  };
}

/** The labels with the most mistakes, made of them or for them, against each other. */
export function mostMistaken(labels: readonly string[], cells: readonly Cell[], most: number): Heat {
  const wrong = labels.map(() => 0);
  for (const [row, column, count] of cells) {
    if (row === column) continue;
    wrong[row] = (wrong[row] ?? 0) + count;
    wrong[column] = (wrong[column] ?? 0) + count;
  }
  const places = largest(wrong, most);
  const names = places.map((place) => labels[place] ?? "");
  const counts = places.map(() => places.map(() => 0));
  const line = new Map(places.map((place, at) => [place, at]));
  for (const [row, column, count] of cells) {
    const [own, at] = [counts[line.get(row) ?? -1], line.get(column)];
    if (own && at !== undefined) own[at] = count;
  }
  return { rows: names, columns: names, counts, rowPlaces: places, columnPlaces: places };
}

export interface Mistake {
  row: number;
  column: number;
  count: number;
  /** Of all images of that label. */
  share: number;
}

/** The most frequent confusions of one label with another. */
export function mistakes(cells: readonly Cell[], most: number): Mistake[] {
  const totals = new Map<number, number>();
  for (const [row, , count] of cells) totals.set(row, (totals.get(row) ?? 0) + count);
  return cells
    .filter(([row, column]) => row !== column)
    .sort((one, other) => other[2] - one[2])
    .slice(0, most)
    .map(([row, column, count]) => ({ row, column, count, share: count / (totals.get(row) ?? count) }));
}

/**
 * Strength of a cell's colour, 0 to 1: the root of its share of the row, so that a few per cent can be seen.
 */
export function strength(counts: readonly number[][], row: number, column: number): number {
  const total = (counts[row] ?? []).reduce((sum, count) => sum + count, 0);
  return total > 0 ? Math.sqrt(at(counts, row, column) / total) : 0;
}

function largest(sums: number[], most: number): number[] {
  return sums
    .map((sum, place) => ({ sum, place }))
    .sort((one, other) => other.sum - one.sum || one.place - other.place)
    .slice(0, most)
    .map(({ place }) => place)
    .sort((one, other) => one - other);
}

function at(counts: readonly number[][], row: number, column: number): number {
  return counts[row]?.[column] ?? 0;
}
