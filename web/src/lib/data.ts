import { dataTexts } from "../texts";
import type { Column, DataColumn, ModelView, TextColumn } from "./types";

/** The collection's own columns have this before their names: a table may have a "label", too. */
const DATA = "data:";
const DAY = 86_400; // seconds
/** What the column with the bytes of a file says of it. */
export const FILE_SIZE = "size";

/** A model with the collection's own columns, which can then colour the map as all others do. */
export function withData(view: ModelView, found: readonly DataColumn[]): ModelView {
  if (found.length === 0) return view;
  const columns: Column[] = [];
  const texts: TextColumn[] = [];
  found.forEach(({ name, kind, missing, distinct, low, high, values, ofFile }, index) => {
    if (distinct + Number(missing > 0) < 2) return; // the same of every image says nothing
    const own = {
      name: DATA + name, title: columnTitle(name, ofFile), description: dataTexts.about(missing), data: { index, kind, ofFile },
    };
    if (kind === "text") texts.push({ ...own, kind });
    else if (kind === "number" || kind === "date") {
      const scale = kind === "date" ? DAY : 1;
      columns.push({ ...own, kind: "number", min: (low ?? 0) / scale, max: (high ?? 0) / scale, perMap: false });
    } else {
      columns.push({ ...own, kind: "category", values: values.map(({ value }) => value), counts: values.map(({ count }) => count) });
    }
  });
  return { ...view, columns: [...view.columns, ...columns], texts };
}

/** What a column is called. `ofFile`: what it says of the image's file; null for a column of a table. */
export function columnTitle(name: string, ofFile: string | null): string {
  const known = ofFile === null ? undefined : dataTexts.ofFile[ofFile];
  return known ?? name.charAt(0).toUpperCase() + name.slice(1);
}

/** Whether the numbers of a column are days since 1970. */
export function isDate(column: Column): boolean {
  return column.data?.kind === "date";
}
