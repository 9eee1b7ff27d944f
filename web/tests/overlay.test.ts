import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Overlay, type OverlayScene } from "../src/map/overlay";
import { SPACING } from "../src/map/size";
import { Thinning } from "../src/map/thinning";
import { View } from "../src/map/view";

type Drawn = [left: number, top: number, width: number, height: number];

const SIDE = 40;
const RIM = 3;

/** A canvas that notes where pictures are drawn. */
function makeOverlay(): { overlay: Overlay; drawn: Drawn[]; written: string[]; places: [number, number][] } {
  const drawn: Drawn[] = [];
  const written: string[] = [];
  const places: [number, number][] = [];
  const known: Record<string, (...all: unknown[]) => unknown> = {
    drawImage: (...all) => drawn.push(all.slice(5) as Drawn),
    fillText: (text, x, y) => { written.push(text as string); places.push([x as number, y as number]); },
    measureText: () => ({ width: 40 }),
  };
  const brush = new Proxy({}, { get: (_, name) => known[String(name)] ?? (() => undefined), set: () => true });
  return { overlay: new Overlay({ getContext: () => brush } as unknown as HTMLCanvasElement), drawn, written, places };
}

function makeScene(points: Float32Array, changes: Partial<OverlayScene> = {}): OverlayScene {
  return {
    view: new View(800, 800, { x: 0, y: 0, zoom: 1 }),
    place: (position) => [points[2 * position]!, points[2 * position + 1]!],
    picture: () => ({ source: {} as CanvasImageSource, x: 0, y: 0, width: 64, height: 64 }),
    colour: () => 0, isDim: () => false, side: SIDE, thumbnails: Array.from({ length: points.length / 2 }, (_, i) => i),
    shift: () => null, names: [], above: [], closer: 1, star: null, hovered: null, lasso: [], accent: "#00f", ground: "#fff", isAtRest: true, isFiltering: false, ...changes,
  };
}

describe("thumbnails on the canvas", () => {
  beforeEach(() => vi.stubGlobal("window", { matchMedia: () => ({ matches: true }), devicePixelRatio: 1 }));
  afterEach(() => void vi.unstubAllGlobals());

  it("stand apart with their frames where they were moved to make room", () => {
    const points = Float32Array.from({ length: 600 }, (_, i) => 0.35 * Math.sin(i * i));
    const { overlay, drawn } = makeOverlay();
    const { scale } = makeScene(points).view;
    const level = Thinning.levelFor((SIDE * SPACING) / scale);
    const thinning = new Thinning(points, Uint32Array.from({ length: 300 }, (_, i) => i), level);
    const thumbnails = thinning.shown.slice(0, thinning.count(level));
    const moved = thumbnails.filter((each) => Math.hypot(...thinning.shift(each)) > 0.2);
    expect(moved.length).toBeGreaterThan(5);
    overlay.draw(makeScene(points, { thumbnails, shift: (each) => thinning.shift(each) }), 1000);
    expect(drawn.length).toBe(thumbnails.length);
    const touching = drawn.filter(([left, top, width, height], i) => drawn.some(([x, y], j) =>
      i !== j && Math.abs(x - left) < width + 2 * RIM - 1 && Math.abs(y - top) < height + 2 * RIM - 1));
    expect(touching).toEqual([]);
  });

  it("come and go slowly, but at once while a filter is drawn", () => {
    vi.stubGlobal("window", { matchMedia: () => ({ matches: false }), devicePixelRatio: 1 });
    const points = Float32Array.of(-0.5, 0, 0.5, 0);
    const { overlay, drawn } = makeOverlay();
    const show = (thumbnails: number[], isFiltering: boolean, now: number): [isMoving: boolean, widths: number[]] => {
      drawn.length = 0;
      const isMoving = overlay.draw(makeScene(points, { thumbnails, isFiltering }), now);
      return [isMoving, drawn.map(([, , width]) => width)];
    };
    show([0], false, 1000);
    const [isComing, [width]] = show([0], false, 1020);
    expect(isComing).toBe(true);
    expect(width).toBeLessThan(SIDE);
    expect(show([1], true, 1040)).toEqual([false, [SIDE]]);
    expect(show([], true, 1060)).toEqual([false, []]);
  });

  it("have no name among them that was left out, also while the map moves", () => {
    const points = Float32Array.from({ length: 2 * 400 }, (_, i) => -0.95 + 0.1 * (i % 2 ? Math.floor(i / 40) : (i / 2) % 20));
    const { overlay, written } = makeOverlay();
    const show = (isOwn: boolean, isAtRest: boolean, now: number): string[] => {
      written.length = 0;
      overlay.draw(makeScene(points, { side: 10, isAtRest, names: [{ text: "Bag", place: [0, 0], names: () => isOwn }] }), now);
      return [...written];
    };
    show(true, true, 1000);
    expect(show(true, true, 2000)).toEqual(["Bag"]);
    expect(show(false, false, 3000)).toEqual(["Bag"]); // it goes once the map rests
    expect(show(false, true, 4000)).toEqual([]);
    expect(show(false, false, 5000)).toEqual([]);
  });

  it("leave the names beside what stands above the map", () => {
    const { overlay, places } = makeOverlay();
    const legend = { x: 400, y: 400, wide: 60, high: 50 };
    const scene = makeScene(new Float32Array(), { names: [{ text: "Bag", place: [0, 0], names: () => true }], above: [legend] });
    overlay.draw(scene, 1000);
    const [[x, y]] = places as [[number, number]];
    expect(Math.abs(x - 400) >= 60 + 20 || Math.abs(y - 400) >= 50 + 8).toBe(true);
    expect(Math.hypot(x - 400, y - 400)).toBeLessThan(90);
  });

  it("are under the pointer where they are drawn, and an image that the map does not hold is never", () => {
    const points = Float32Array.of(NaN, NaN, 0, 0);
    const { overlay, drawn } = makeOverlay();
    const scene = makeScene(points, { shift: (position) => (position === 1 ? [0.5, 0] : null) });
    overlay.draw(scene, 1000);
    const [left, top, width, height] = drawn.at(-1)!;
    expect(overlay.hit(scene, left + width / 2, top + height / 2)).toBe(1);
    expect(overlay.hit(scene, 700, 100)).toBe(null);
  });
});
