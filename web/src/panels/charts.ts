/** What the charts show, before they are drawn. */
import type { Score } from "../lib/types";

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
  return part(rows, columns, counts, largest(rowSums, most), largest(columnSums, most));
}

/** The labels with the most mistakes, made of them or for them, against each other. */
export function mostMistaken(labels: readonly string[], counts: readonly number[][], most: number): Heat {
  const wrong = labels.map((_, label) =>
    labels.reduce((sum, _name, other) => (other === label ? sum : sum + at(counts, label, other) + at(counts, other, label)), 0),
  );
  const places = largest(wrong, most);
  return part(labels, labels, counts, places, places);
}

export interface Mistake {
  row: number;
  column: number;
  count: number;
  /** Of all images of that label. */
  share: number;
}

/** The most frequent confusions of one label with another. */
export function mistakes(counts: readonly number[][], most: number): Mistake[] {
  return counts
    .flatMap((line, row) => {
      const total = line.reduce((sum, count) => sum + count, 0);
      return line.map((count, column) => ({ row, column, count, share: total > 0 ? count / total : 0 }));
    })
    .filter(({ row, column, count }) => row !== column && count > 0)
    .sort((one, other) => other.count - one.count)
    .slice(0, most);
}

/**
 * Strength of a cell's colour, 0 to 1: the root of its share of the row, so that a few per cent can be seen.
 */
export function strength(counts: readonly number[][], row: number, column: number): number {
  const total = (counts[row] ?? []).reduce((sum, count) => sum + count, 0);
  return total > 0 ? Math.sqrt(at(counts, row, column) / total) : 0;
}

function part(
  rows: readonly string[], columns: readonly string[], counts: readonly number[][], rowPlaces: number[], columnPlaces: number[],
): Heat {
  return {
    rows: rowPlaces.map((row) => rows[row] ?? ""),
    columns: columnPlaces.map((column) => columns[column] ?? ""),
    counts: rowPlaces.map((row) => columnPlaces.map((column) => at(counts, row, column))),
    rowPlaces,
    columnPlaces,
  };
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
