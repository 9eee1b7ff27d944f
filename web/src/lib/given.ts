import type { GivenLabels } from "./api";
import { NO_CODE, type CategoryColumn, type Row } from "./types";

/** The column that holds the labels that people gave: the page makes it, for it changes with every key. */
export const MINE = "mine";

/** What was said of images. */
export type Said = ReadonlyMap<Row, { label: string | null; tags: string[] }>;

export const nothingSaid: Said = new Map();

/** What holds after a change. */
export function after(said: Said, found: GivenLabels): Said {
  const now = new Map(said);
  found.rows.forEach((row, at) => {
    const tags = found.tagged[at] ?? [];
    const label = found.labels[found.codes[at] ?? -1] ?? null;
    if (label === null && tags.length === 0) now.delete(row);
    else now.set(row, { label, tags });
  });
  return now;
}

/** Labels in the order in which they came: a key never changes its meaning. */
export function inOrder(labels: string[], found: GivenLabels): string[] {
  const known = new Set(labels);
  return [...labels, ...found.labels.filter((label) => !known.has(label))];
}

/** The labels as a column. */
export function asColumn(labels: string[], found: GivenLabels, title: string, description: string): CategoryColumn {
  const counts = new Map(found.labels.map((label, at) => [label, found.counts[at] ?? 0]));
  return { kind: "category", name: MINE, title, description, values: labels, counts: labels.map((label) => counts.get(label) ?? 0) };
}

/** The code of each row's label. */
export function codesOf(rows: Uint32Array, labels: string[], said: Said): Uint16Array {
  const codes = new Map(labels.map((label, code) => [label, code]));
  return Uint16Array.from(rows, (row) => codes.get(said.get(row)?.label ?? "") ?? NO_CODE);
}
