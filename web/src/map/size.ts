import type { PointGrid } from "./grid";
import { Thinning } from "./thinning";

/** Pixels a side. */
export const LEAST_SIDE = 24;
export const MOST_SIDE = 160;
/** Where all of the map is in view, thumbnails are no larger than this, or than this share of the room of one image. */
const MOST_IN_OVERVIEW = 96;
const OF_ITS_ROOM = 0.75;
/** But they may have this share of the canvas's side, and so many pixels on a telephone: smaller ones are not recognised. */
const OF_THE_CANVAS = 0.06;
const RECOGNISED = 32;
/** Share of the canvas that pictures take there, or more. */
const COVERED = 0.17;
/** Share of a square that a picture fills. */
const SHAPE = 0.78;
/** Without room for more, thumbnails grow slowly with the zoom, up to this. */
const CLOSE = 72;
/** Share of the images whose nearest lies within their room. */
const CROWD = 0.6;
const SAMPLE = 1500;
/** Distance between thumbnails, in sides. */
export const SPACING = 1.08;

/**
 * Side of a thumbnail in pixels. `overview` is the side where all of the map is in view, `room` the distance on the map
 * that most images have to themselves, `scale` the pixels of one unit of it, `closer` how often the map is enlarged.
 */
export function thumbnailSide(overview: number, room: number, scale: number, closer: number): number {
  const least = closer < 1 ? overview * closer ** 0.4 : Math.max(overview, Math.min(CLOSE, overview * closer ** 0.4));
  return Math.min(MOST_SIDE, Math.max(LEAST_SIDE, least, (room * scale) / SPACING));
}

/**
 * The least side at which pictures of the map's images cover enough of a canvas of `area` pixels, of which `scale` are one
 * unit of the map.
 */
export function overviewSide(thinning: Thinning, images: number, scale: number, area: number): number {
  const most = Math.min(MOST_IN_OVERVIEW, Math.max(RECOGNISED, Math.max(OF_THE_CANVAS, OF_ITS_ROOM / Math.sqrt(images)) * Math.sqrt(area)));
  const first = Thinning.levelFor((LEAST_SIDE * SPACING) / scale);
  for (let level = thinning.prepare(first, Infinity); level > 0; level--) {
    const side = (Thinning.sideOf(level) * scale) / SPACING;
    if (side >= most) break;
    if (thinning.count(level) * side ** 2 * SHAPE >= COVERED * area) return side;
  }
  return Math.max(LEAST_SIDE, most);
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
