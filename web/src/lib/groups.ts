import { columnGroups } from "../texts";
import type { Column, TextColumn } from "./types";

const OF_COLUMN: Record<string, keyof typeof columnGroups> = {
  label: "data", split: "data", order: "data", cluster: "groups", predicted: "model", agreement: "model", probability: "model",
  own: "model", familiarity: "model", trust: "model",
};

/** Columns under the names of their groups; a group without a column is left out. */
export function grouped<Text extends TextColumn = never>(
  columns: readonly Column[], texts: readonly Text[] = [],
): { title: string; columns: (Column | Text)[] }[] {
  const groupOf = ({ name, kind, data }: Column | Text): string => (data ? "data" : OF_COLUMN[name]) ?? (kind === "category" ? "data" : "picture");
  return Object.entries(columnGroups)
    .map(([group, title]) => ({ title, columns: [...columns, ...texts].filter((column) => groupOf(column) === group) }))
    .filter((each) => each.columns.length > 0);
}
