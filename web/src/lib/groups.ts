import { columnGroups } from "../texts";
import type { Column } from "./types";

const OF_COLUMN: Record<string, keyof typeof columnGroups> = {
  label: "data", split: "data", order: "data", cluster: "groups", predicted: "model", agreement: "model", probability: "model",
  own: "model", familiarity: "model", trust: "model",
};

/** Columns under the names of their groups; a group without a column is left out. */
export function grouped(columns: readonly Column[]): { title: string; columns: Column[] }[] {
  const groupOf = ({ name, kind }: Column): string => OF_COLUMN[name] ?? (kind === "category" ? "data" : "picture");
  return Object.entries(columnGroups)
    .map(([group, title]) => ({ title, columns: columns.filter((column) => groupOf(column) === group) }))
    .filter((each) => each.columns.length > 0);
}
