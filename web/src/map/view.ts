import type { Camera } from "../lib/address";

/** A camera over a map, on a canvas of a given size: turns places of the map into pixels and back. */
export class View {
  /** Pixels that one unit of the map takes. */
  readonly scale: number;

  constructor(readonly width: number, readonly height: number, readonly camera: Camera) {
    this.scale = camera.zoom * unitPixels(width, height);
  }

  toScreen(x: number, y: number): [number, number] {
    return [this.width / 2 + (x - this.camera.x) * this.scale, this.height / 2 - (y - this.camera.y) * this.scale];
  }

  toMap(left: number, top: number): [number, number] {
    return [this.camera.x + (left - this.width / 2) / this.scale, this.camera.y - (top - this.height / 2) / this.scale];
  }

  /** left, bottom, right, top of what is in view, and `margin` pixels around it. */
  bounds(margin = 0): [number, number, number, number] {
    const [left, top] = this.toMap(-margin, -margin);
    const [right, bottom] = this.toMap(this.width + margin, this.height + margin);
    return [left, bottom, right, top];
  }

  moved(dx: number, dy: number): Camera {
    const { x, y, zoom } = this.camera;
    return { x: x - dx / this.scale, y: y + dy / this.scale, zoom };
  }

  /** Enlarged by a factor; the place under the pixel stays where it is. */
  zoomed(factor: number, left = this.width / 2, top = this.height / 2): Camera {
    const zoom = Math.min(MOST_ZOOM, Math.max(LEAST_ZOOM, this.camera.zoom * factor));
    const [x, y] = this.toMap(left, top);
    const kept = this.camera.zoom / zoom;
    return { x: x + (this.camera.x - x) * kept, y: y + (this.camera.y - y) * kept, zoom };
  }
}

const LEAST_ZOOM = 0.3;
const MOST_ZOOM = 3000;

/** What stands above the rims of a map, in pixels. */
export interface Insets {
  left: number;
  right: number;
}

/** The camera under which these places fill a canvas; places are left, bottom, right, top. */
export function cameraFor(
  bounds: readonly number[], width: number, height: number, mostZoom = MOST_ZOOM, insets: Insets = { left: 0, right: 0 },
): Camera {
  const [left, bottom, right, top] = bounds as [number, number, number, number];
  const room = 0.89; // thumbnails at the rim need some
  const across = ((width - insets.left - insets.right) * room) / Math.max(right - left, 1e-6);
  const down = (height * room) / Math.max(top - bottom, 1e-6);
  const unit = unitPixels(width, height);
  const zoom = Math.min(mostZoom, Math.max(LEAST_ZOOM, Math.min(across, down) / unit));
  const shift = (insets.left - insets.right) / 2 / (zoom * unit);
  return { x: (left + right) / 2 - shift, y: (bottom + top) / 2, zoom };
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
