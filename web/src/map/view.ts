import type { Camera } from "../lib/address";
import { MOST_SIDE } from "./size";

/** A camera over a map, on a canvas of a given size: turns places of the map into pixels and back. */
export class View {
  /** Pixels that one unit of the map takes. */
  readonly scale: number;

  /** `turned`: the map is shown turned by 90 degrees, as its axes mean nothing. */
  constructor(
    readonly width: number, readonly height: number, readonly camera: Camera, readonly turned = false, readonly mostZoom = MOST_ZOOM,
  ) {
    this.scale = camera.zoom * unitPixels(width, height);
  }

  toScreen(x: number, y: number): [number, number] {
    const [across, up] = turn(x - this.camera.x, y - this.camera.y, this.turned);
    return [this.width / 2 + across * this.scale, this.height / 2 - up * this.scale];
  }

  toMap(left: number, top: number): [number, number] {
    const [x, y] = turnBack((left - this.width / 2) / this.scale, (this.height / 2 - top) / this.scale, this.turned);
    return [this.camera.x + x, this.camera.y + y];
  }

  /** left, bottom, right, top of what is in view, and `margin` pixels around it. */
  bounds(margin = 0): [number, number, number, number] {
    const [x, y] = this.toMap(-margin, -margin);
    const [otherX, otherY] = this.toMap(this.width + margin, this.height + margin);
    return [Math.min(x, otherX), Math.min(y, otherY), Math.max(x, otherX), Math.max(y, otherY)];
  }

  moved(dx: number, dy: number): Camera {
    const [x, y] = turnBack(-dx / this.scale, dy / this.scale, this.turned);
    return { x: this.camera.x + x, y: this.camera.y + y, zoom: this.camera.zoom };
  }

  /** Enlarged by a factor; the place under the pixel stays where it is. */
  zoomed(factor: number, left = this.width / 2, top = this.height / 2): Camera {
    const zoom = Math.min(this.mostZoom, Math.max(LEAST_ZOOM, this.camera.zoom * factor));
    const [x, y] = this.toMap(left, top);
    const kept = this.camera.zoom / zoom;
    return { x: x + (this.camera.x - x) * kept, y: y + (this.camera.y - y) * kept, zoom };
  }
}

const LEAST_ZOOM = 0.3;
const MOST_ZOOM = 3000;

/** Where a place lies after a turn by 90 degrees, if there is one. */
export function turn(x: number, y: number, turned: boolean): [number, number] {
  return turned ? [y, -x] : [x, y];
}

/** Where a place lay before `turn`. */
export function turnBack(across: number, up: number, turned: boolean): [number, number] {
  return turned ? [-up, across] : [across, up];
}

/** What is kept free along the rims of a map, in pixels. */
export interface Insets {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Share of a canvas that places fill at most: thumbnails at the rim need some room, however little is free. */
const ROOM = 0.89;
/** Pixels of a picture's frame and beside it. */
const FRAME = 8;

const NO_INSETS: Insets = { left: 0, top: 0, right: 0, bottom: 0 };

/**
 * The camera under which these places fill a canvas; places are left, bottom, right, top. `picture`: side of a picture in units
 * of the map, where pictures grow with it; those at the rim are whole.
 */
export function cameraFor(
  bounds: readonly number[], width: number, height: number, mostZoom = MOST_ZOOM, insets = NO_INSETS, turned = false, picture = 0,
): Camera {
  const [left, bottom, right, top] = bounds as [number, number, number, number];
  const [wide, high] = turned ? [top - bottom, right - left] : [right - left, top - bottom];
  const unitOn = (length: number, inset: number, extent: number): number => {
    const places = length * ROOM - inset;
    const pictures = length - inset - 2 * FRAME;
    const whole = Math.max(pictures / Math.max(extent + picture, 1e-6), (pictures - MOST_SIDE) / Math.max(extent, 1e-6));
    return Math.min(places / Math.max(extent, 1e-6), whole);
  };
  const scale = Math.min(unitOn(width, insets.left + insets.right, wide), unitOn(height, insets.top + insets.bottom, high));
  const unit = unitPixels(width, height);
  const zoom = Math.min(mostZoom, Math.max(LEAST_ZOOM, scale / unit));
  const pixel = 1 / (zoom * unit);
  const [x, y] = turnBack(((insets.left - insets.right) / 2) * pixel, ((insets.bottom - insets.top) / 2) * pixel, turned);
  return { x: (left + right) / 2 - x, y: (bottom + top) / 2 - y, zoom };
}

/** left, bottom, right, top of places x0, y0, x1, y1, …; of `chosen` ones only where given. */
export function boundsOf(points: Float32Array, chosen?: Uint32Array): [number, number, number, number] {
  let [left, bottom, right, top] = [Infinity, Infinity, -Infinity, -Infinity];
  const count = chosen ? chosen.length : points.length / 2;
  for (let i = 0; i < count; i++) {
    const position = chosen ? chosen[i]! : i;
    const x = points[2 * position]!;
    const y = points[2 * position + 1]!;
    if (x < left) left = x;
    if (x > right) right = x;
    if (y < bottom) bottom = y;
    if (y > top) top = y;
  }
  return left <= right ? [left, bottom, right, top] : [-1, -1, 1, 1];
}

function unitPixels(width: number, height: number): number {
  return Math.min(width, height) / 2;
}
