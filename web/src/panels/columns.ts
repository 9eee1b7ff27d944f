/** Columns by name and kind. */
import type { CategoryColumn, ModelView, NumberColumn } from "../lib/types";

export function category(view: ModelView | null, name: string): CategoryColumn | null {
  return categories(view).find((column) => column.name === name) ?? null;
}

export function categories(view: ModelView | null): CategoryColumn[] {
  return view?.columns.filter((column) => column.kind === "category") ?? [];
}

export function numeric(view: ModelView | null, name: string): NumberColumn | null {
  return view?.columns.filter((column) => column.kind === "number").find((column) => column.name === name) ?? null;
}
