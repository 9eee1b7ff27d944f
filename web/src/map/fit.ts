import type { Camera } from "../lib/address";
import { PointGrid } from "./grid";
import { roomOf, SPACING } from "./size";
import { boundsOf, cameraFor, View, type Insets } from "./view";

/** What stands above a map and hides images: the legend, the tools. In pixels of the canvas. */
export interface Obstacle {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** A turn has to gain this much, since a map that is known by its shape should keep it. */
const WORTH_TURNING = 1.12;
/** Share of the images that may lie behind what stands above the map. */
const HIDDEN = 0.01;
const SAMPLE = 2000;
/** So many images, or fewer, may have larger pictures than the rim of a map has room for. */
const FEW = 300;
/** Pixels between an image and what stands above the map. */
const APART = 16;

/** Whether images are larger on a canvas of this shape when the map is turned by 90 degrees. */
export function isBetterTurned(points: Float32Array, width: number, height: number): boolean {
  const bounds = boundsOf(points);
  const [upright, turned] = [false, true].map((each) => cameraFor(bounds, width, height, undefined, undefined, each).zoom);
  return turned! > upright! * WORTH_TURNING;
}

/**
 * The camera under which images are largest, with next to none of them behind an obstacle: the map takes all of the canvas
 * where its corners are empty, else it makes way for the obstacles, across or upwards. `turned`: whether the map is.
 */
export function fit(
  points: Float32Array, width: number, height: number, obstacles: readonly Obstacle[],
  { turned = false, chosen, mostZoom }: { turned?: boolean; chosen?: Uint32Array; mostZoom?: number } = {},
): Camera {
  const bounds = boundsOf(points, chosen);
  const sample = sampleOf(points, chosen);
  // pictures of few images grow as far as they have room
  const isFew = !chosen && points.length <= 2 * FEW;
  const picture = isFew ? roomOf(points, new PointGrid(points), (position) => !Number.isNaN(points[2 * position]!)) / SPACING : 0;
  const look = (insets?: Insets): Camera => cameraFor(bounds, width, height, mostZoom, insets, turned, picture);
  const hidesNothing = (camera: Camera): boolean => isFree(sample, new View(width, height, camera, turned), obstacles);
  let best: { camera: Camera; insets: Insets } | null = null;
  for (const insets of waysAround(obstacles, width, height)) {
    const camera = look(insets);
    if (best && camera.zoom <= best.camera.zoom * 1.001) continue;
    if (hidesNothing(camera)) best = { camera, insets };
  }
  if (!best) return look();
  // a part of the way is often enough: the map stays near the middle, and images may be larger
  for (const share of [0.25, 0.5, 0.75]) {
    const { left, top, right, bottom } = best.insets;
    const camera = look({ left: share * left, top: share * top, right: share * right, bottom: share * bottom });
    if (hidesNothing(camera)) return camera;
  }
  return best.camera;
}

/** Nothing kept free, and each obstacle gone around by its column or by its row. */
function waysAround(obstacles: readonly Obstacle[], width: number, height: number): Insets[] {
  let ways: Insets[] = [{ left: 0, top: 0, right: 0, bottom: 0 }];
  for (const { left, top, right, bottom } of obstacles) {
    const isLeft = left + right < width;
    const isTop = top + bottom < height;
    ways = ways.flatMap((way) => [
      way,
      isLeft ? { ...way, left: Math.max(way.left, right + APART) } : { ...way, right: Math.max(way.right, width - left + APART) },
      isTop ? { ...way, top: Math.max(way.top, bottom + APART) } : { ...way, bottom: Math.max(way.bottom, height - top + APART) },
    ]);
  }
  return ways.filter((way) => way.left + way.right < width / 2 && way.top + way.bottom < height / 2);
}

/** Whether next to no image of the map lies behind an obstacle. */
export function isClear(points: Float32Array, view: View, obstacles: readonly Obstacle[]): boolean {
  return isFree(sampleOf(points), view, obstacles);
}

function isFree(sample: Float32Array, view: View, obstacles: readonly Obstacle[]): boolean {
  let count = 0;
  for (let i = 0; i < sample.length; i += 2) {
    const [x, y] = view.toScreen(sample[i]!, sample[i + 1]!);
    const isHidden = obstacles.some(
      ({ left, top, right, bottom }) => x > left - APART && x < right + APART && y > top - APART && y < bottom + APART,
    );
    if (isHidden) count++;
  }
  return count <= (HIDDEN * sample.length) / 2;
}

function sampleOf(points: Float32Array, chosen?: Uint32Array): Float32Array {
  const count = chosen ? chosen.length : points.length / 2;
  const step = Math.max(1, Math.floor(count / SAMPLE));
  const sample: number[] = [];
  for (let i = 0; i < count; i += step) {
    const position = chosen ? chosen[i]! : i;
    if (!Number.isNaN(points[2 * position]!)) sample.push(points[2 * position]!, points[2 * position + 1]!);
  }
  return Float32Array.from(sample);
}
