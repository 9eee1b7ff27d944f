import type { PatchImage } from "../lib/types";
import { groupColour, rampColour } from "../map/colours";
import { inPixels, type Rectangle } from "./part";

export type PatchLayer = "colours" | "foreground" | "parts" | "attention";
export const PATCH_LAYERS: readonly PatchLayer[] = ["colours", "foreground", "parts", "attention"];

/** A layer of an image's patches as pixels, red, green, blue and alpha each; a patch is one pixel. */
export function paintLayer(image: PatchImage, layer: PatchLayer): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint8ClampedArray(4 * image.rows * image.columns);
  for (let at = 0; at < image.rows * image.columns; at++) pixels.set(pixel(image, layer, at), 4 * at);
  return pixels;
}

function pixel(image: PatchImage, layer: PatchLayer, at: number): [number, number, number, number] {
  if (layer === "foreground") return [0, 0, 0, 255 - (image.foreground[at] ?? 0)];
  if (layer === "parts") return [...groupColour(image.parts[at] ?? 0), 255];
  if (layer === "attention") return [...rampColour((image.attention?.[at] ?? 0) / 255), 255];
  return [image.colours[3 * at] ?? 0, image.colours[3 * at + 1] ?? 0, image.colours[3 * at + 2] ?? 0, 255];
}

/** How similar the patches of an image are to one of the image that was asked about, as pixels: the lowest of `scale` is dark. */
export function paintSimilar(image: PatchImage, similar: Uint8Array, asked: number, low: number): Uint8ClampedArray<ArrayBuffer> {
  const count = image.rows * image.columns;
  const pixels = new Uint8ClampedArray(4 * count);
  for (let at = 0; at < count; at++) {
    const share = Math.max(0, ((similar[asked * count + at] ?? 0) - low) / Math.max(1, 255 - low));
    pixels.set([...rampColour(share), 255], 4 * at);
  }
  return pixels;
}

/** The lowest similarity of an image's own patches to one of them: what counts as unlike. */
export function lowest(image: PatchImage, similar: Uint8Array, asked: number): number {
  const count = image.rows * image.columns;
  return similar.subarray(asked * count, (asked + 1) * count).reduce((low, each) => Math.min(low, each), 255);
}

/** The number of the patch at a place of the picture, given as shares of its sides. */
export function patchAt(image: PatchImage, x: number, y: number): number {
  const inside = (share: number, count: number): number => Math.min(count - 1, Math.max(0, Math.floor(share * count)));
  return inside(y, image.rows) * image.columns + inside(x, image.columns);
}

/** The number of the patch in the middle. */
export function middlePatch({ rows, columns }: PatchImage): number {
  return Math.floor(rows / 2) * columns + Math.floor(columns / 2);
}

/** The patch beside another one; null for a key that does not move. */
export function patchBeside(image: PatchImage, at: number, key: string): number | null {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  if (!step) return null;
  const column = Math.min(image.columns - 1, Math.max(0, (at % image.columns) + (step[0] ?? 0)));
  const row = Math.min(image.rows - 1, Math.max(0, Math.floor(at / image.columns) + (step[1] ?? 0)));
  return row * image.columns + column;
}

/** The middle of a patch, as shares of the image from the left and from the top. */
export function middleOf(image: PatchImage, at: number): [number, number] {
  return [((at % image.columns) + 0.5) / image.columns, (Math.floor(at / image.columns) + 0.5) / image.rows];
}

/** The pixels of a picture that show a patch and those around it. */
export function around(image: PatchImage, at: number, picture: { width: number; height: number }): Rectangle {
  const [column, row] = [at % image.columns, Math.floor(at / image.columns)];
  const [left, right] = [Math.max(0, column - 1), Math.min(image.columns, column + 2)];
  const [top, bottom] = [Math.max(0, row - 1), Math.min(image.rows, row + 2)];
  const { columns, rows } = image;
  return inPixels([left / columns, top / rows, (right - left) / columns, (bottom - top) / rows], picture);
}

export function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}
