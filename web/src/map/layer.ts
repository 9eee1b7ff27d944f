import type { View } from "./view";

/** How the points look and in which order they are drawn: grey context first, chosen ones last. */
export interface Look {
  /** 0xAABBGGRR of each point. */
  colours: Uint32Array;
  /** Colour of the ground, as #rrggbb. */
  ground: string;
  /** Positions: context, then ordinary, then chosen ones; scattered within each, so that a first part is a fair sample. */
  order: Uint32Array;
  contextCount: number;
  /** How many points the map has, of which the order may hold a part. The size of a point depends on this number. */
  total: number;
  /** Whether context is left out. */
  isHiding: boolean;
  chosenCount: number;
}

/** Draws the points of a map. */
export interface PointLayer {
  setPoints(points: Float32Array, before: Float32Array | null): void;
  setLook(look: Look): void;
  /** `progress` runs from 0 (where the points were) to 1; at most so many points are drawn, a fair sample. */
  draw(view: View, progress: number, most: number): void;
  resize(width: number, height: number): void;
  destroy(): void;
}

/** Draws points only when they changed: they cost far more than the thumbnails and lines above them, which move by themselves. */
export class SteadyLayer implements PointLayer {
  /** How the points were drawn last; null if they look different now. */
  #drawn: string | null = null;

  constructor(readonly layer: PointLayer) {}

  setPoints(points: Float32Array, before: Float32Array | null): void {
    this.layer.setPoints(points, before);
    this.#drawn = null;
  }

  setLook(look: Look): void {
    this.layer.setLook(look);
    this.#drawn = null;
  }

  draw(view: View, progress: number, most: number): void {
    const { x, y, zoom } = view.camera;
    const wanted = [x, y, zoom, view.turned, progress, most].join(" ");
    if (wanted === this.#drawn) return;
    this.layer.draw(view, progress, most);
    this.#drawn = wanted;
  }

  resize(width: number, height: number): void {
    this.layer.resize(width, height);
    this.#drawn = null;
  }

  destroy(): void {
    this.layer.destroy();
  }
}

export interface Batch {
  start: number;
  count: number;
  alpha: number;
  size: number;
}

/** Pixels of the canvas for each point at which points have their usual size. */
const ROOM = 90;

/** What to draw with which opacity and size (pixels): by how many points share the canvas, and how far it is enlarged. */
export function batches(look: Look, view: View, most: number): Batch[] {
  const { zoom } = view.camera;
  const count = look.order.length;
  const ordinary = count - look.contextCount - look.chosenCount;
  const crowd = (view.width * view.height) / ROOM / Math.max(1, look.total);
  const size = Math.min(11, Math.max(1.6, Math.min(7, 4.4 * crowd ** 0.2) * Math.max(1, zoom) ** 0.22));
  const alpha = Math.min(0.92, Math.max(0.35, 0.8 * (crowd * Math.max(1, zoom) ** 1.6) ** 0.16));
  const share = Math.min(1, most / count);
  // fewer points are drawn denser, so that the map does not fade while it moves
  const denser = Math.min(1, alpha / share ** 0.3);
  const hasChosen = look.chosenCount > 0;
  const parts = [
    { start: 0, count: look.isHiding ? 0 : look.contextCount, alpha: denser * 0.6, size: size * 0.85 },
    { start: look.contextCount, count: ordinary, alpha: hasChosen ? denser * 0.22 : denser, size: hasChosen ? size * 0.85 : size },
    { start: look.contextCount + ordinary, count: look.chosenCount, alpha: Math.max(denser, 0.9), size: size * 1.15 },
  ];
  return parts.map((part) => ({ ...part, count: Math.ceil(part.count * share) })).filter(({ count }) => count > 0);
}

/** How many points a frame may hold while the map moves: as many as this machine draws smoothly, learnt by doing. */
export class Pace {
  most = 40_000;
  #next = 0;

  /**
   * A frame of a movement was begun, and the next one could begin, at these times. Pauses between frames say nothing: a wheel
   * ticks now and then.
   */
  beat(began: number, next: number): void {
    const took = next - began;
    // a browser may begin a frame before a graphics card has drawn the one before: only one of several tells
    const follows = began - this.#next < SLOW;
    this.#next = next;
    if (took > 1500) return; // the page was hidden
    if (took > SLOW) this.most = Math.max(4_000, this.most * Math.max(0.4, SLOW / took));
    else if (took < QUICK && follows) this.most = Math.min(2e6, this.most * 1.25);
  }
}

/** Milliseconds that a frame takes. */
const SLOW = 60;
const QUICK = 34;
