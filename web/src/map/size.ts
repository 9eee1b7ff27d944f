import type { PointGrid } from "./grid";
import { Thinning } from "./thinning";

/** Pixels a side. */
export const LEAST_SIDE = 24;
export const MOST_SIDE = 160;
/** Where all of the map is in view, pictures cover this share of the canvas, or more. */
const COVERED = 0.165;
/** There thumbnails have one of these sides: shares of the canvas's side, within these pixels. */
const OVERVIEW_LEAST = { share: 0.042, from: 32, to: 64 };
const OVERVIEW_MOST = { share: 0.09, from: 52, to: 96 };
/** Share of a square that a picture fills. */
const SHAPE = 0.75;
/** Without room for more, thumbnails grow slowly with the zoom, up to this. */
const CLOSE = 72;
/** Share of the images whose nearest lies within their room. */
const CROWD = 0.6;
const SAMPLE = 1500;
/** Distance between thumbnails, in sides. */
export const SPACING = 1.14;

/**
 * Side of a thumbnail in pixels. `overview` is the side where all of the map is in view, `room` the distance on the map
 * that most images have to themselves, `scale` the pixels of one unit of it, `closer` how often the map is enlarged.
 */
export function thumbnailSide(overview: number, room: number, scale: number, closer: number): number {
  const least = closer < 1 ? overview * closer ** 0.4 : Math.max(overview, Math.min(CLOSE, overview * closer ** 0.4));
  return Math.min(MOST_SIDE, Math.max(LEAST_SIDE, least, (room * scale) / SPACING));
}

/** Thumbnails where all of the map is in view. */
export interface Overview {
  /** In pixels. */
  side: number;
  thinning: Thinning;
}

/**
 * The least side at which pictures cover enough of a canvas of `area` pixels, of which `scale` are one unit of the map, and
 * the images that have room then. `order`: of those that may be shown.
 */
export function overviewOf(points: Float32Array, order: Uint32Array, scale: number, area: number): Overview {
  const canvas = Math.sqrt(area);
  const [least, most] = [OVERVIEW_LEAST, OVERVIEW_MOST].map(({ share, from, to }) => Math.max(from, Math.min(to, share * canvas)));
  for (let level = Thinning.levelFor((least! * SPACING) / scale); ; level--) {
    const side = (Thinning.sideOf(level) * scale) / SPACING;
    const isMost = level <= 0 || side >= most!;
    const thinning = new Thinning(points, order, Math.max(0, level));
    if (isMost || thinning.count(level) * side ** 2 * SHAPE >= COVERED * area) return { side: Math.min(side, most!), thinning };
  }
}

/** The distance on the map within which most images have no other, of those that `allow` lets through. */
export function roomOf(points: Float32Array, grid: PointGrid, allow: (position: number) => boolean): number {
  const count = points.length / 2;
  const apart: number[] = [];
  const step = Math.max(1, Math.floor(count / SAMPLE));
  for (let position = 0; position < count; position += step) {
    if (!allow(position)) continue;
    const [x, y] = [points[2 * position]!, points[2 * position + 1]!];
    let nearest: number | null = null;
    for (let distance = 2 / Math.sqrt(count); nearest === null && distance < 4; distance *= 2) {
      nearest = grid.nearest(x, y, distance, (other) => other !== position && allow(other));
    }
    if (nearest === null) continue;
    apart.push(Math.max(Math.abs(points[2 * nearest]! - x), Math.abs(points[2 * nearest + 1]! - y)));
  }
  apart.sort((a, b) => a - b);
  return apart.length === 0 ? 0 : apart[Math.floor(apart.length * CROWD)]!;
}
