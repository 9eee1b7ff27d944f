/** A part of a picture, chosen with a frame: left, top, width and height as shares of it. */
import type { Part } from "../lib/types";

export interface Rectangle {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** A rectangle of a picture, in its own pixels, as a picture of its own. */
export async function pictureOf(picture: HTMLImageElement, box: Rectangle): Promise<Blob | null> {
  const canvas = document.createElement("canvas");
  canvas.width = box.width;
  canvas.height = box.height;
  canvas.getContext("2d")?.drawImage(picture, box.left, box.top, box.width, box.height, 0, 0, box.width, box.height);
  return new Promise((resolve) => { canvas.toBlob(resolve, "image/png"); });
}

/** What a frame is at first: the middle. */
export const MIDDLE: Part = [0.25, 0.25, 0.5, 0.5];
const LEAST = 0.05;
const STEP = 0.05;

const between = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

/** Where a picture lies in an element that holds all of it in its middle (object-fit: contain). */
export function shownAt(element: { width: number; height: number }, picture: { width: number; height: number }): Rectangle {
  const scale = Math.min(element.width / picture.width, element.height / picture.height);
  const [width, height] = [picture.width * scale, picture.height * scale];
  return { left: (element.width - width) / 2, top: (element.height - height) / 2, width, height };
}

/** The part between two points of an element, in its pixels; null if it is too small to be meant. */
export function partBetween(from: { x: number; y: number }, to: { x: number; y: number }, shown: Rectangle): Part | null {
  const across = [from.x, to.x].map((x) => between((x - shown.left) / shown.width, 0, 1)).sort((a, b) => a - b);
  const down = [from.y, to.y].map((y) => between((y - shown.top) / shown.height, 0, 1)).sort((a, b) => a - b);
  const part: Part = [across[0]!, down[0]!, across[1]! - across[0]!, down[1]! - down[0]!];
  return part[2] < LEAST || part[3] < LEAST ? null : part;
}

/** The part after a key: arrows move it, with Shift they make it larger and smaller; null for any other key. */
export function partAfter(key: string, shift: boolean, [left, top, width, height]: Part): Part | null {
  const steps: Record<string, [number, number]> = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
  const step = steps[key];
  if (!step) return null;
  return shift
    ? [left, top, between(width + step[0], LEAST, 1 - left), between(height + step[1], LEAST, 1 - top)]
    : [between(left + step[0], 0, 1 - width), between(top + step[1], 0, 1 - height), width, height];
}

/** The same part in whole pixels of a picture, at least one. */
export function inPixels([left, top, width, height]: Part, picture: { width: number; height: number }): Rectangle {
  const x = Math.min(Math.round(left * picture.width), picture.width - 1);
  const y = Math.min(Math.round(top * picture.height), picture.height - 1);
  return {
    left: x,
    top: y,
    width: between(Math.round(width * picture.width), 1, picture.width - x),
    height: between(Math.round(height * picture.height), 1, picture.height - y),
  };
}
