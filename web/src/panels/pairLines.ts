import type { PatchPair } from "../lib/types";
import { groupColour } from "../map/colours";

/** More lines cannot be told apart. */
export const MOST_LINES = 40;

interface Size {
  width: number;
  height: number;
}

/** A line between two patches that match, in pixels of a strip that holds two squares. */
export interface PairLine {
  from: [number, number];
  to: [number, number];
  colour: string;
}

/** Where a place of a picture lies in a square that holds all of it in its middle, as shares of the square. */
export function inSquare([x, y]: [number, number], { width, height }: Size): [number, number] {
  const longest = Math.max(width, height, 1);
  return [0.5 + ((x - 0.5) * width) / longest, 0.5 + ((y - 0.5) * height) / longest];
}

/**
 * The lines of the most similar patches; `side` is that of a square, `apart` from one's left edge to the other's. What lies
 * beside each other in the first picture has colours that follow each other: a line that crosses the others shows.
 */
export function pairLines(pairs: PatchPair[], first: Size, second: Size, side: number, apart: number): PairLine[] {
  const shown = pairs.slice(0, MOST_LINES).sort((a, b) => a.first[1] - b.first[1] || a.first[0] - b.first[0]);
  return shown.map((pair, number) => {
    const [x, y] = inSquare(pair.first, first);
    const [u, v] = inSquare(pair.second, second);
    return { from: [side * x, side * y], to: [apart + side * u, side * v], colour: `rgb(${groupColour(number).join(" ")})` };
  });
}
