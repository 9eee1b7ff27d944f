/** Columns by name and kind. */
import type { CategoryColumn, Column, ModelView, NumberColumn } from "../lib/types";

export function category(view: ModelView | null, name: string): CategoryColumn | null {
  return categories(view).find((column) => column.name === name) ?? null;
}

export function categories(view: ModelView | null): CategoryColumn[] {
  return view?.columns.filter((column) => column.kind === "category") ?? [];
}

export function numeric(view: ModelView | null, name: string): NumberColumn | null {
  return view?.columns.filter((column) => column.kind === "number").find((column) => column.name === name) ?? null;
}

/** Whether no image has a value of it: labels that nobody has given yet. */
export function isEmptyColumn(column: Column): boolean {
  return column.kind === "category" && column.values.length === 0;
}
