import type { CategoryColumn } from "../lib/types";
import type { View } from "./view";

/** A word on the map. */
export interface MapName {
  text: string;
  /** In units of the map. */
  place: [number, number];
  /** Whether an image is one of those that it names. */
  names: (position: number) => boolean;
}

/** Pixels. */
export const NAME_HEIGHT = 20;
/** Pixels between a name and its place, at most. */
const FARTHEST = 90;
/** Pixels by which a place has to be nearer for a name to go there: a name that moves draws the eye. */
const MUCH = 1.5 * NAME_HEIGHT;
/** Pixels: pictures that are no farther from a name seem to be what it names. */
const BESIDE = 16;
/** Where a name may stand, from its place: the nearest first. */
const WAYS = Array.from({ length: 31 * 31 }, (_, i) => [6 * ((i % 31) - 15), 6 * (Math.floor(i / 31) - 15)] as const)
  .sort(([a, b], [c, d]) => Math.hypot(a, b) - Math.hypot(c, d));

/** A rectangle by its middle and half its sides. */
export interface Box {
  x: number;
  y: number;
  wide: number;
  high: number;
  /** The image that a picture shows; a name shows none. */
  position?: number;
}

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
    return [{ text: column.values[code]!, place, names: (position) => codes[position] === code }];
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

/**
 * How far from its place a name finds room: as near as possible, and never where most pictures around it are not of those that
 * it names. Half its width and height are `wide` and `high`. Where it stood before it stays while that is free; at rest it goes
 * to a place that is much nearer, or is left out.
 */
export function freeBeside(
  [left, top]: [number, number], [wide, high]: [number, number], taken: readonly Box[], view: View,
  { names, before, isAtRest }: { names: MapName["names"]; before?: readonly [number, number] | undefined; isAtRest: boolean },
): readonly [number, number] | null {
  const near = taken.filter(({ x, y, ...box }) =>
    Math.abs(x - left) < box.wide + wide + FARTHEST + BESIDE && Math.abs(y - top) < box.high + high + FARTHEST + BESIDE);
  const within = (box: Box, [across, down]: readonly [number, number], gap: number): boolean =>
    Math.abs(box.x - left - across) < box.wide + wide + gap && Math.abs(box.y - top - down) < box.high + high + gap;
  const isFree = (way: readonly [number, number]): boolean => {
    const [x, y] = [left + way[0], top + way[1]];
    if (x < wide + 4 || x > view.width - wide - 4 || y < high + 4 || y > view.height - high - 4) return false; // it is whole
    return near.every((box) => !within(box, way, 0));
  };
  const isAmongItsOwn = (way: readonly [number, number]): boolean => {
    let balance = 0;
    for (const box of near) if (box.position !== undefined && within(box, way, BESIDE)) balance += names(box.position) ? 1 : -1;
    return balance >= 0;
  };
  const stays = before !== undefined && isFree(before) && (!isAtRest || isAmongItsOwn(before));
  if (stays && (!isAtRest || Math.hypot(...before) < MUCH)) return before;
  const nearest = WAYS.find((way) => isFree(way) && isAmongItsOwn(way)) ?? null;
  return stays && nearest && Math.hypot(...before) - Math.hypot(...nearest) < MUCH ? before : nearest;
}
