import type { CategoryColumn } from "../lib/types";
import type { MapName } from "./overlay";

/** Cells a side of the map in which images are counted. */
const CELLS = 28;
/** Share of a value's images that have to lie together for its name to stand there. */
const TOGETHER = 0.12;
const MOST_NAMES = 30;

/** Where the names of a column's values stand: each where its images lie closest together, the largest first. */
export function namesOn(
  points: Float32Array, codes: Uint16Array | null, column: CategoryColumn, hidden: ReadonlySet<number>,
): MapName[] {
  if (!codes || codes.length * 2 !== points.length) return [];
  const byCount = column.values.map((_, code) => code).filter((code) => !hidden.has(code) && column.counts[code]! > 0);
  byCount.sort((a, b) => column.counts[b]! - column.counts[a]!);
  // a cluster without a name of its own says nothing where it lies
  const wanted = byCount.filter((code) => !/^Cluster \d+$/.test(column.values[code]!)).slice(0, MOST_NAMES);
  const cells = new Map(wanted.map((code) => [code, new Uint32Array(CELLS ** 2)]));
  for (let i = 0; i < codes.length; i++) {
    const counts = cells.get(codes[i]!);
    if (counts) counts[row(points[2 * i + 1]!) * CELLS + row(points[2 * i]!)]!++;
  }
  return wanted.flatMap((code) => {
    const counts = cells.get(code)!;
    const [cell, count] = peak(counts);
    // an image that the map does not hold lies in no cell
    if (count === 0 || count < TOGETHER * counts.reduce((sum, each) => sum + each, 0)) return [];
    const place = middle(points, codes, code, cell);
    return [{ text: column.values[code]!, place }];
  });
}

/** The cell that has most images in it and around it, and how many these are. */
function peak(counts: Uint32Array): [cell: number, count: number] {
  let best: [number, number] = [0, 0];
  for (let cell = 0; cell < counts.length; cell++) {
    if (counts[cell] === 0) continue;
    let count = 0;
    for (const other of around(cell)) count += counts[other]!;
    if (count > best[1]) best = [cell, count];
  }
  return best;
}

function middle(points: Float32Array, codes: Uint16Array, code: number, cell: number): [number, number] {
  const cells = new Set(around(cell));
  let [x, y, count] = [0, 0, 0];
  for (let i = 0; i < codes.length; i++) {
    if (codes[i] !== code || !cells.has(row(points[2 * i + 1]!) * CELLS + row(points[2 * i]!))) continue;
    x += points[2 * i]!;
    y += points[2 * i + 1]!;
    count++;
  }
  return [x / count, y / count];
}

function around(cell: number): number[] {
  const [across, down] = [cell % CELLS, Math.floor(cell / CELLS)];
  const cells: number[] = [];
  for (let r = Math.max(0, down - 1); r <= Math.min(CELLS - 1, down + 1); r++) {
    for (let c = Math.max(0, across - 1); c <= Math.min(CELLS - 1, across + 1); c++) cells.push(r * CELLS + c);
  }
  return cells;
}

function row(value: number): number {
  return Math.max(0, Math.min(CELLS - 1, Math.floor(((value + 1) / 2) * CELLS)));
}
