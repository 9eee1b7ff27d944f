import { describe, expect, it } from "vitest";
import { fit, isBetterTurned, isClear, type Obstacle } from "../src/map/fit";
import { PointGrid } from "../src/map/grid";
import { freeBeside, namesOn, type Box } from "../src/map/names";
import { LEAST_SIDE, MOST_SIDE, overviewOf, roomOf, SPACING, thumbnailSide, type Overview } from "../src/map/size";
import { Thinning, thinningOrder } from "../src/map/thinning";
import { View } from "../src/map/view";
import type { CategoryColumn } from "../src/lib/types";

/** An even grid of places in a rectangle. */
function rectangle(wide: number, high: number, step = 0.05): Float32Array {
  const places: number[] = [];
  for (let x = -wide; x <= wide + 1e-6; x += step) for (let y = -high; y <= high + 1e-6; y += step) places.push(x, y);
  return Float32Array.from(places);
}

/** What the places take of the canvas, in pixels. */
function taken(points: Float32Array, view: View): [number, number] {
  const at = Array.from({ length: points.length / 2 }, (_, i) => view.toScreen(points[2 * i]!, points[2 * i + 1]!));
  const [across, down] = [at.map(([x]) => x), at.map(([, y]) => y)];
  return [Math.max(...across) - Math.min(...across), Math.max(...down) - Math.min(...down)];
}

const legend = (height: number, wide: number, high: number): Obstacle => ({
  left: 12, top: height - 12 - high, right: 12 + wide, bottom: height - 12,
});

describe("a turned view", () => {
  const view = new View(1200, 700, { x: 0.3, y: -0.2, zoom: 5 }, true);

  it("turns places into pixels and back", () => {
    const [left, top] = view.toScreen(0.35, -0.1);
    expect(view.toMap(left, top)[0]).toBeCloseTo(0.35);
    expect(view.toMap(left, top)[1]).toBeCloseTo(-0.1);
    expect(left).toBeGreaterThan(600); // what lies above lies to the right now
    expect(top).toBeGreaterThan(350); // and what lies to the right, below
  });

  it("follows the pointer", () => {
    const moved = new View(1200, 700, view.moved(30, -40), true);
    const [left, top] = view.toScreen(0.35, -0.1);
    expect(moved.toScreen(0.35, -0.1)[0]).toBeCloseTo(left + 30);
    expect(moved.toScreen(0.35, -0.1)[1]).toBeCloseTo(top - 40);
  });

  it("knows what is in view", () => {
    const [left, bottom, right, top] = view.bounds();
    expect([left < right, bottom < top]).toEqual([true, true]);
    expect((top - bottom) / (right - left)).toBeCloseTo(1200 / 700);
  });
});

describe("fitting a map", () => {
  it.each([
    ["wide", 1300, 850, 0.4, 1, true], ["wide", 1300, 850, 1, 0.4, false], ["upright", 390, 650, 1, 0.4, true],
    ["upright", 390, 650, 0.9, 1, false], ["square", 800, 800, 1, 0.9, false],
  ])("turns a map that lies across a %s canvas", (_, width, height, wide, high, turned) => {
    const points = rectangle(wide, high);
    expect(isBetterTurned(points, width, height)).toBe(turned);
    const [across, down] = taken(points, new View(width, height, fit(points, width, height, [], { turned }), turned));
    expect(Math.max(across / width, down / height)).toBeCloseTo(0.89);
  });

  it.each([[1300, 850, 196, 300], [760, 1000, 196, 310], [390, 650, 110, 40]])(
    "keeps images from behind the legend, and fills what is free, on %i x %i", (width, height, wide, high) => {
      const points = rectangle(1, 1);
      const obstacles = [legend(height, wide, high), { left: width - 54, top: height - 260, right: width - 12, bottom: height - 12 }];
      const view = new View(width, height, fit(points, width, height, obstacles));
      expect(isClear(points, view, obstacles)).toBe(true);
      const [across, down] = taken(points, view);
      const free = [width - wide - 12 - 54, Math.max(height - high - 12, height * 0.6)];
      expect(Math.max(across / free[0]!, down / free[1]!)).toBeGreaterThan(0.8);
    },
  );

  it("shows the pictures of a few images whole", () => {
    for (const count of [1, 2, 3, 7, 25, 90]) {
      for (const [width, height] of [[1280, 720], [390, 600], [1900, 300]] as const) {
        const points = Float32Array.from({ length: 2 * count }, (_, i) => Math.sin(7 * i * i + count));
        const view = new View(width, height, fit(points, width, height, []));
        const side = thumbnailSide(32, roomOf(points, new PointGrid(points), () => true), view.scale, 1);
        const out = Array.from({ length: count }, (_, i) => view.toScreen(points[2 * i]!, points[2 * i + 1]!)).filter(
          ([x, y]) => x < side / 2 || x > width - side / 2 || y < side / 2 || y > height - side / 2);
        expect([count, width, out]).toEqual([count, width, []]);
        if (count > 1) expect(Math.max(taken(points, view)[0] / width, taken(points, view)[1] / height)).toBeGreaterThan(0.4);
      }
    }
  });

  it("uses a corner that is empty", () => {
    const points = rectangle(1, 1).filter((_, i, all) => all[i - (i % 2)]! > -0.4 || all[i - (i % 2) + 1]! > -0.2);
    const camera = fit(points, 900, 850, [legend(850, 196, 250)]);
    expect(taken(points, new View(900, 850, camera))[1]).toBeCloseTo(850 * 0.89, -1);
  });

  it("goes no further out of the way than it has to", () => {
    const tools = { left: 358, top: 366, right: 400, bottom: 620 };
    // a map that is wider than high: at its right rim, a few images would lie behind the upper end of the tools
    const points = rectangle(1, 0.5).map((place, i, all) => (i % 2 === 1 && all[i - 1]! > 0.85 ? Math.max(place, -0.28) : place));
    const view = new View(413, 668, fit(points, 413, 668, [tools]));
    expect(isClear(points, view, [tools])).toBe(true);
    const [, low] = view.toScreen(1, -0.28);
    expect(low).toBeGreaterThan(tools.top - 16 - 10); // all of the map above the tools would be 80 pixels more
    expect(taken(points, view)[0]).toBeCloseTo(413 * 0.89, 0);
  });

  it("leaves a map as it is where a turn gains next to nothing", () => {
    expect(isBetterTurned(rectangle(0.95, 1), 1300, 700)).toBe(false);
    expect(isBetterTurned(rectangle(0.3, 1), 1300, 700)).toBe(true);
  });
});

describe("what lies behind an obstacle", () => {
  it("is a share of the images that the map holds", () => {
    const view = new View(1000, 1000, { x: 0, y: 0, zoom: 1 });
    const points = new Float32Array(2 * 1000).fill(NaN);
    for (let i = 0; i < 100; i++) points.set([i < 4 ? -0.95 : 0.5, i < 4 ? -0.95 : 0.5], 20 * i);
    expect(isClear(points, view, [legend(1000, 100, 100)])).toBe(false); // 4 in 100, not 4 in 1000
  });
});

describe("the size of thumbnails", () => {
  const overviewFor = (points: Float32Array, scale: number, area: number): Overview =>
    overviewOf(points, thinningOrder(points, 256, () => true), scale, area);

  it.each([[1370, 850], [1210, 670], [820, 1060], [390, 700]])("lets pictures cover a sixth of a canvas of %i x %i", (width, height) => {
    const points = rectangle(1, 1, 0.02);
    const scale = 0.445 * Math.min(width, height);
    const { side, thinning } = overviewFor(points, scale, width * height);
    const level = Thinning.levelFor((side * SPACING) / scale);
    expect((thinning.count(level) * side ** 2 * 0.75) / (width * height)).toBeGreaterThan(0.15);
    expect([side >= 32, side <= 96]).toEqual([true, true]);
  });

  it("is large where images are few", () => {
    expect(overviewFor(rectangle(1, 1, 0.5), 400, 800 * 800).side).toBeGreaterThan(60);
    expect(overviewFor(Float32Array.of(0, 0), 400, 1200 * 1200).side).toBeCloseTo(Thinning.sideOf(0) * 400 / SPACING);
    expect(overviewFor(Float32Array.of(0, 0), 900, 1800 * 1800).side).toBe(96);
  });

  it("finds no image that the map does not hold", () => {
    const grid = new PointGrid(Float32Array.of(0, 0, NaN, NaN, 0.5, 0.5));
    const found: number[] = [];
    grid.within(-1, -1, 1, 1, (position) => found.push(position));
    expect(found.sort()).toEqual([0, 2]);
    expect(grid.nearest(0.4, 0.4, 9, () => true)).toBe(2);
  });

  it("follows the room that images have as one comes closer", () => {
    const points = rectangle(1, 1, 0.2);
    const room = roomOf(points, new PointGrid(points), () => true);
    expect(room).toBeCloseTo(0.2);
    expect(thumbnailSide(30, room, 600, 2)).toBeCloseTo(120 / SPACING);
    expect(thumbnailSide(30, 0, 600, 1)).toBe(30);
    expect(thumbnailSide(30, 1, 4000, 9)).toBe(MOST_SIDE);
    expect(thumbnailSide(30, 0, 400, 0.01)).toBe(LEAST_SIDE);
  });

  it("counts only images that may be shown", () => {
    const points = rectangle(1, 1, 0.2);
    const side = Math.round(Math.sqrt(points.length / 2));
    expect(roomOf(points, new PointGrid(points), (p) => Math.floor(p / side) % 2 === 0 && p % 2 === 0)).toBeCloseTo(0.4);
  });

  it("copes with copies at one place", () => {
    expect(roomOf(new Float32Array(20), new PointGrid(new Float32Array(20)), () => true)).toBe(0);
  });
});

describe("names on the map", () => {
  const points = Float32Array.from({ length: 400 }, (_, i) => (i < 200 ? -0.5 : 0.5) + 0.02 * Math.sin(i));
  const codes = Uint16Array.from({ length: 200 }, (_, i) => (i < 100 ? 0 : 1));
  const column: CategoryColumn = { kind: "category", name: "label", title: "Label", description: "", values: ["cat", "dog"], counts: [100, 100] };

  it("stand where most of their images are", () => {
    const names = namesOn(points, codes, column, new Set());
    expect(names.map(({ text }) => text)).toEqual(["cat", "dog"]);
    expect(names[0]!.place[0]).toBeCloseTo(-0.5, 1);
    expect(names[1]!.place[1]).toBeCloseTo(0.5, 1);
  });

  it("counts only images that the map holds", () => {
    const present = points.map((place, i) => (i % 20 < 18 ? NaN : place)); // one in ten
    expect(namesOn(present, codes, column, new Set()).map(({ text }) => text)).toEqual(["cat", "dog"]);
    expect(namesOn(points.map(() => NaN), codes, column, new Set())).toEqual([]);
  });

  it("leave out what is switched off, and what lies together nowhere", () => {
    expect(namesOn(points, codes, column, new Set([0])).map(({ text }) => text)).toEqual(["dog"]);
    const spread = rectangle(1, 1, 0.1);
    const one = { ...column, values: ["all"], counts: [spread.length / 2] };
    expect(namesOn(spread, new Uint16Array(spread.length / 2), one, new Set())).toEqual([]);
  });

  const names = (): boolean => true;

  it("stand beside thumbnails, and stay there while that is free", () => {
    const view = new View(400, 400, { x: 0, y: 0, zoom: 1 });
    const thumbnail: Box = { x: 200, y: 200, wide: 30, high: 30 };
    const half: [number, number] = [25, 10];
    const before = [60, 6] as const;
    const [across, down] = freeBeside([200, 200], half, [thumbnail], view, { names, isAtRest: true })!;
    expect(Math.abs(across) >= 55 || Math.abs(down) >= 40).toBe(true);
    expect(Math.hypot(across, down)).toBeLessThan(50);
    expect(freeBeside([200, 200], half, [thumbnail], view, { names, before, isAtRest: false })).toEqual(before);
    expect(freeBeside([200, 200], half, [{ ...thumbnail, wide: 300, high: 300 }], view, { names, before, isAtRest: true })).toBeNull();
    expect(freeBeside([5, 200], half, [], view, { names, isAtRest: true })![0]).toBeGreaterThanOrEqual(24); // whole, also at the rim
  });

  it("come back once their place is free and the map is at rest, unless they stand near it", () => {
    const view = new View(400, 400, { x: 0, y: 0, zoom: 1 });
    const stand = (before: readonly [number, number], isAtRest: boolean): unknown => freeBeside([200, 200], [25, 10], [], view, { names, before, isAtRest });
    expect(stand([60, 6], false)).toEqual([60, 6]);
    expect(stand([60, 6], true)).toEqual([0, 0]);
    expect(stand([18, 0], true)).toEqual([18, 0]);
  });

  it("are left out where all room is among other pictures, and go to their own where there is some", () => {
    const view = new View(400, 400, { x: 0, y: 0, zoom: 1 });
    // pictures all around, 50 pixels apart: a name has room between them
    const pictures: Box[] = Array.from({ length: 64 }, (_, i) => ({ x: 25 + 50 * (i % 8), y: 25 + 50 * Math.floor(i / 8), wide: 12, high: 12, position: i }));
    const stand = (owns: (position: number) => boolean, isAtRest = true, before?: readonly [number, number]): readonly [number, number] | null =>
      freeBeside([200, 200], [20, 8], pictures, view, { names: owns, before, isAtRest });
    expect(stand(() => true)).not.toBeNull();
    expect(stand(() => false)).toBeNull();
    const right = stand((position) => position % 8 >= 4)!;
    expect(right[0]).toBeGreaterThanOrEqual(0);
    const left = stand((position) => position % 8 < 4)!;
    expect(left[0]).toBeLessThanOrEqual(0);
    expect(stand(() => false, false, right)).toEqual(right); // while the map moves, it stays
    expect(stand(() => false, true, right)).toBeNull();
  });
});
