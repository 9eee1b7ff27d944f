/**
 * The files that a report writes itself, the same as a server's: src/dinoscope/explorer/export.py and storage/files.py.
 * Both are held to tests/data/export.json.
 */
export type Cell = string | number | null;

/** A table with a header. A text that a spreadsheet would take for a formula gets an apostrophe in front. */
export function csvText(columns: string[], rows: Cell[][]): string {
  return [columns, ...rows].map((row) => `${row.map(cellText).join(",")}\r\n`).join("");
}

/** One name a line; a line break in one is written with a backslash. */
export function listText(names: string[]): string {
  return names.map((name) => `${name.replaceAll("\r", "\\r").replaceAll("\n", "\\n")}\n`).join("");
}

/** A float of 32 bits with four digits. Exactly between two, the even one is taken, as Python does. */
export function fourDigits(value: number): string {
  if (Number.isNaN(value)) return "nan";
  const scaled = value * 10_000; // exact: 24 bits times 14
  const below = Math.floor(scaled);
  return scaled - below === 0.5 && below % 2 === 0 ? (below / 10_000).toFixed(4) : value.toFixed(4);
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

function cellText(cell: Cell): string {
  const text = cell === null ? "" : String(cell);
  const isFormula = typeof cell === "string" && /^[=+\-@\t\r]/.test(text) && !NUMBER.test(text);
  const harmless = isFormula ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
