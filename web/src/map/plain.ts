import { batches, type Look, type PointLayer } from "./layer";
import type { View } from "./view";

/** Most points drawn without WebGL; a fair sample of them, as the order is scattered. */
const MOST = 20_000;

/** Points drawn on a 2-D canvas, where a browser has no WebGL. */
export class PlainLayer implements PointLayer {
  #points: Float32Array = new Float32Array();
  #before: Float32Array | null = null;
  #look: Look | null = null;

  constructor(readonly canvas: HTMLCanvasElement) {}

  setPoints(points: Float32Array, before: Float32Array | null): void {
    this.#points = points;
    this.#before = before;
  }

  setLook(look: Look): void {
    this.#look = look;
  }

  draw(view: View, progress: number, most: number): void {
    const brush = this.canvas.getContext("2d");
    const look = this.#look;
    if (!brush || !look) return;
    brush.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const [left, bottom, right, top] = view.bounds(4);
    const before = this.#before ?? this.#points;
    for (const { start, count, alpha, size } of batches(look, view, Math.min(most, MOST))) {
      brush.globalAlpha = alpha;
      for (let k = start; k < start + count; k++) {
        const position = look.order[k]!;
        const x = before[2 * position]! * (1 - progress) + this.#points[2 * position]! * progress;
        const y = before[2 * position + 1]! * (1 - progress) + this.#points[2 * position + 1]! * progress;
        if (x < left || x > right || y < bottom || y > top) continue;
        const colour = look.colours[position]!;
        brush.fillStyle = `rgb(${colour & 255} ${(colour >> 8) & 255} ${(colour >> 16) & 255})`;
        const [across, down] = view.toScreen(x, y);
        brush.fillRect(across - size / 2, down - size / 2, size, size);
      }
    }
  }

  resize(width: number, height: number): void {
    this.canvas.width = Math.max(1, Math.round(width));
    this.canvas.height = Math.max(1, Math.round(height));
  }

  destroy(): void {
    this.#look = null;
  }
}
