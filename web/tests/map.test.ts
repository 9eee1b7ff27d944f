import { describe, expect, it } from "vitest";
import { categoryColours, colourPoints, isOther, rampColour } from "../src/map/colours";
import { insidePolygon, placesBefore } from "../src/map/geometry";
import { PointGrid } from "../src/map/grid";
import { batches, Pace, type Look } from "../src/map/layer";
import { Nearby } from "../src/map/nearby";
import { rangeOf } from "../src/map/range";
import { coprimeStep, Thinning, thinningOrder } from "../src/map/thinning";
import { boundsOf, cameraFor, View } from "../src/map/view";
import type { CategoryColumn, NumberColumn } from "../src/lib/types";

/** Repeatable points in -1..1, crowded towards the middle (a linear congruential generator). */
function somePoints(count: number): Float32Array {
  let state = 1;
  const next = (): number => (state = (state * 1103515245 + 12345) % 2147483648) / 1073741824 - 1;
  return Float32Array.from({ length: 2 * count }, () => next() * Math.abs(next()));
}

const category = (counts: number[]): CategoryColumn => ({
  kind: "category", name: "label", title: "Label", description: "", values: counts.map(String), counts,
});

describe("thinning", () => {
  const points = somePoints(2000);
  const order = thinningOrder(points, 500, () => true);

  const apart = (a: readonly number[], b: readonly number[]): number => Math.max(Math.abs(a[0]! - b[0]!), Math.abs(a[1]! - b[1]!));
  /** Middles of the squares that are shown at a level. */
  const middles = (thinning: Thinning, level: number): number[][] =>
    thinning.shown.slice(0, thinning.count(level)).map((p) => thinning.shift(p).map((shift, i) => points[2 * p + i]! + shift * Thinning.sideOf(level)));

  it.each([0, 9, 13])("lets no two thumbnails overlap at any level, and leaves no room unused: packed at level %i", (base) => {
    const thinning = new Thinning(points, order, base);
    for (const level of [0, 4, 9, 10, 13, 16]) {
      expect(thinning.prepare(level, Infinity)).toBe(level);
      const side = Thinning.sideOf(level);
      const shown = middles(thinning, level);
      expect(shown.length).toBeGreaterThan(0);
      // a call of expect for every pair takes seconds; shifts are kept with seven digits
      const least = Math.min(...shown.map((a, i) => Math.min(...shown.slice(0, i).map((b) => apart(a, b)))));
      expect(least).toBeGreaterThanOrEqual(side * (1 - 1e-5));
      if (level < base) continue; // those that were left out here may have had room elsewhere
      const places = Array.from({ length: 2000 }, (_, p) => [points[2 * p]!, points[2 * p + 1]!]);
      // in a crowd a point is as good as another an eighth of a side away
      expect(places.filter((place) => !shown.some((middle) => apart(place, middle) < side * 1.125))).toEqual([]);
    }
  });

  it("moves a thumbnail no farther than over its point's own place, and not beyond the map", () => {
    const thinning = new Thinning(points, order, 9);
    const shifts = thinning.shown.map((p) => thinning.shift(p));
    expect(Math.max(...shifts.flat().map(Math.abs))).toBeLessThanOrEqual(0.5);
    expect(shifts.some(([across, up]) => across !== 0 || up !== 0)).toBe(true);
    const [left, bottom, right, top] = boundsOf(points);
    for (const [x, y] of middles(thinning, 9)) expect([x! >= left - 1e-6, x! <= right + 1e-6, y! >= bottom - 1e-6, y! <= top + 1e-6]).not.toContain(false);
  });

  it("shows more of a crowd than images that stand apart by themselves", () => {
    const level = 10;
    const alone: number[][] = [];
    for (const p of order) {
      const place = [points[2 * p]!, points[2 * p + 1]!];
      if (alone.every((other) => apart(place, other) >= Thinning.sideOf(level))) alone.push(place);
    }
    expect(new Thinning(points, order, level).count(level)).toBeGreaterThan(1.1 * alone.length);
  });

  it("never takes away what was shown when one zooms in", () => {
    const thinning = new Thinning(points, order, 9);
    thinning.prepare(16, Infinity);
    for (let level = 1; level <= 16; level++) {
      const before = thinning.shown.slice(0, thinning.count(level - 1));
      expect(thinning.count(level)).toBeGreaterThanOrEqual(before.length);
      expect(before.every((p) => thinning.has(p, level - 1) && thinning.has(p, level))).toBe(true);
    }
    expect(thinning.count(16)).toBeGreaterThan(thinning.count(9));
  });

  it("goes on with a level where time was over, and shows the same then", () => {
    const many = somePoints(20_000);
    const all = thinningOrder(many, 500, () => true);
    const [quick, slow] = [new Thinning(many, all, 4), new Thinning(many, all, 4)];
    quick.prepare(12, Infinity);
    let looks = 0;
    while (slow.prepare(12, 0) < 12) looks++;
    expect(looks).toBeGreaterThan(8); // several to a level
    expect(slow.shown).toEqual(quick.shown);
  });

  it("shows hidden images never and chosen ones first", () => {
    const chosen = new Set([7, 1999]);
    const sorted = thinningOrder(points, 500, (p) => p % 2 === 1, chosen);
    expect(new Set(sorted.slice(0, 2))).toEqual(chosen);
    expect(sorted.every((p) => p % 2 === 1)).toBe(true);
    expect(sorted.length).toBe(1000);
    expect(new Set(sorted).size).toBe(1000);
  });

  it.each([1, 2, 3, 10, 997, 10_000])("scatters %i places without missing one", (count) => {
    const step = coprimeStep(count);
    expect(new Set(Array.from({ length: count }, (_, i) => (i * step) % count)).size).toBe(count);
  });
});

describe("finding points", () => {
  const points = somePoints(3000);
  const grid = new PointGrid(points);

  it("finds all in a rectangle", () => {
    const found: number[] = [];
    grid.within(-0.1, -0.2, 0.3, 0.05, (p) => found.push(p));
    const wanted = insidePolygon(points, [-0.1, -0.2, 0.3, -0.2, 0.3, 0.05, -0.1, 0.05]);
    expect(found.sort((a, b) => a - b)).toEqual([...wanted]);
    expect(found.length).toBeGreaterThan(100);
  });

  it("finds the nearest that is allowed", () => {
    const distance = (p: number): number => Math.hypot(points[2 * p]! - 0.2, points[2 * p + 1]! + 0.1);
    const all = Array.from({ length: 3000 }, (_, p) => p).filter((p) => p % 3 === 0).sort((a, b) => distance(a) - distance(b));
    expect(grid.nearest(0.2, -0.1, 0.5, (p) => p % 3 === 0)).toBe(all[0]);
    expect(grid.nearest(0.2, -0.1, distance(all[0]!) * 0.99, (p) => p % 3 === 0)).toBeNull();
  });

  it("takes a lasso with a hole as it is drawn", () => {
    const ring = [-1, -1, 1, -1, 1, 1, -1, 1, -1, -1, -0.5, -0.5, -0.5, 0.5, 0.5, 0.5, 0.5, -0.5, -0.5, -0.5];
    expect([...insidePolygon(new Float32Array([0, 0, 0.7, 0, 2, 0]), ring)]).toEqual([1]);
  });
});

describe("the camera", () => {
  it("turns places into pixels and back", () => {
    const view = new View(1200, 700, { x: 0.3, y: -0.2, zoom: 5 });
    const [left, top] = view.toScreen(0.4, -0.1);
    const [x, y] = view.toMap(left, top);
    expect([x, y]).toEqual([expect.closeTo(0.4, 9), expect.closeTo(-0.1, 9)]);
  });

  it("keeps what is under the pointer while zooming", () => {
    const view = new View(1200, 700, { x: 0.3, y: -0.2, zoom: 5 });
    const closer = new View(1200, 700, view.zoomed(3, 200, 600));
    const [x, y] = view.toMap(200, 600);
    expect(closer.toMap(200, 600)).toEqual([expect.closeTo(x, 9), expect.closeTo(y, 9)]);
  });

  it("shows all images beside what stands above the map", () => {
    const points = somePoints(500);
    const insets = { left: 210, top: 0, right: 60, bottom: 0 };
    const view = new View(1200, 700, cameraFor(boundsOf(points), 1200, 700, undefined, insets));
    for (let p = 0; p < 500; p++) {
      const [left, top] = view.toScreen(points[2 * p]!, points[2 * p + 1]!);
      expect(left > insets.left && left < 1200 - insets.right && top > 0 && top < 700).toBe(true);
    }
  });
});

describe("colours", () => {
  it("gives the most frequent values their own, the others one grey", () => {
    const colours = categoryColours(category(Array.from({ length: 30 }, (_, i) => i)), "light");
    expect(colours.slice(0, 10).every(isOther)).toBe(true);
    expect(new Set(colours.slice(10)).size).toBe(20);
    expect(colours.slice(10).some(isOther)).toBe(false);
    // as the still pictures give them: by the order of the values, however frequent each is
    expect(colours.slice(10)).toEqual(categoryColours(category(Array.from({ length: 20 }, () => 1)), "light"));
  });

  it.each(["light", "dark"] as const)("keeps any two apart on %s ground", (ground) => {
    const colours = categoryColours(category(Array.from({ length: 20 }, () => 1)), ground);
    const channels = colours.map((c) => [1, 3, 5].map((i) => Number.parseInt(c.slice(i, i + 2), 16)));
    channels.forEach((a, i) =>
      channels.slice(0, i).forEach((b) => expect(Math.hypot(...a.map((value, k) => value - b[k]!))).toBeGreaterThan(30)),
    );
  });

  it("paints what does not pass the filter as context, and what has no value as other", () => {
    const codes = Uint16Array.from([0, 1, 65535]);
    const { colours, hidden } = colourPoints(category([1, 1]), codes, null, 3, Uint8Array.from([0, 1, 0]), "light");
    expect([...hidden]).toEqual([0, 1, 0]);
    expect(new Set(colours).size).toBe(3);
  });

  it("paints numbers along the ramp, and leaves out those that are none", () => {
    const column: NumberColumn = { kind: "number", name: "trust", title: "", description: "", min: 0, max: 2, perMap: true };
    const { colours } = colourPoints(column, null, Float32Array.from([0, 2, 5, Number.NaN]), 4, null, "light");
    expect(new Set(colours).size).toBe(4); // from the least to the largest value, whatever the column may hold
    const lightness = Array.from({ length: 11 }, (_, i) => rampColour(i / 10)).map(([r, g, b]) => 0.3 * r + 0.6 * g + 0.1 * b);
    lightness.slice(1).forEach((value, i) => expect(value).toBeGreaterThan(lightness[i]!));
  });

  it("paints all points alike where there is no column, and not like those that do not pass", () => {
    const { colours } = colourPoints(null, null, null, 4, Uint8Array.from([0, 0, 1, 0]), "light");
    expect(colours[1]).toBe(colours[0]);
    expect(colours[3]).toBe(colours[0]);
    expect(colours[2]).not.toBe(colours[0]);
    expect(isOther(`#${[0, 8, 16].map((bits) => ((colours[0]! >> bits) & 255).toString(16).padStart(2, "0")).join("")}`)).toBe(false);
  });

  it("knows from where to where numbers reach", () => {
    expect(rangeOf(Float32Array.from([0, 0.1, 1, Number.NaN, 2]))).toEqual([0, 2]);
    expect(rangeOf(Float32Array.from([Number.NaN]))).toBeNull();
  });
});

describe("drawing points", () => {
  const look = { colours: new Uint32Array(1000), ground: "#ffffff", order: new Uint32Array(1000), contextCount: 100, total: 1000, isHiding: false, chosenCount: 50 };

  it("draws context first, chosen ones last and strongest", () => {
    const parts = batches(look, new View(1280, 720, { x: 0, y: 0, zoom: 1 }), Infinity);
    expect(parts.map(({ start, count }) => [start, count])).toEqual([[0, 100], [100, 850], [950, 50]]);
    expect(parts[2]!.alpha).toBeGreaterThan(parts[1]!.alpha);
  });

  it("leaves context out where that is asked for", () => {
    const parts = batches({ ...look, isHiding: true }, new View(1280, 720, { x: 0, y: 0, zoom: 1 }), Infinity);
    expect(parts.map(({ start, count }) => [start, count])).toEqual([[100, 850], [950, 50]]);
  });

  it("draws a sample of every group while the map moves", () => {
    expect(batches(look, new View(1280, 720, { x: 0, y: 0, zoom: 1 }), 100).map(({ start, count }) => [start, count])).toEqual([[0, 10], [100, 85], [950, 5]]);
  });

  it("learns how many points a machine draws smoothly", () => {
    const [slow, quick] = [new Pace(), new Pace()];
    for (let i = 0; i < 60; i++) {
      slow.beat(2000 + 120 * i, 2120 + 120 * i);
      quick.beat(2000 + 16 * i, 2016 + 16 * i);
    }
    expect(slow.most).toBe(4000);
    expect(quick.most).toBe(2e6);
  });

  it("learns nothing from the pauses between ticks of a wheel", () => {
    const pace = new Pace();
    const before = pace.most;
    for (let i = 0; i < 60; i++) pace.beat(2000 + 200 * i, 2016 + 200 * i);
    expect(pace.most).toBe(before);
  });
});

describe("many points", () => {
  const count = 250_000;
  // every place once, along the diagonals of the unit square (the plastic number's multiples)
  const points = Float32Array.from({ length: 2 * count }, (_, i) => 2 * (((i >> 1) * (i % 2 ? 0.5698402909980532 : 0.7548776662466927)) % 1) - 1);
  const grid = new PointGrid(points);
  const groups = Uint8Array.from({ length: count }, (_, p) => (p % 10 === 0 ? 2 : p % 3 === 0 ? 0 : 1));
  const positions = Array.from({ length: count }, (_, p) => p);
  const inGroup = (group: number): number[] => positions.filter((p) => groups[p] === group);
  const all: Look = {
    colours: new Uint32Array(count), order: Uint32Array.from([0, 1, 2].flatMap(inGroup)), contextCount: inGroup(0).length,
    chosenCount: inGroup(2).length, total: count, isHiding: false, ground: "#ffffff",
  };
  const view = (x: number, zoom: number): View => new View(800, 600, { x, y: 0.2, zoom });

  it("are all drawn where all are in view, and where there are fewer", () => {
    expect(new Nearby(grid, groups).of(all, view(0, 1))).toBe(all);
    const few = { ...all, order: all.order.subarray(0, 1000) };
    expect(new Nearby(grid, groups).of(few, view(0, 20))).toBe(few);
  });

  it("are drawn near the view alone, every one of them and in their groups", () => {
    const look = new Nearby(grid, groups).of(all, view(0.1, 8));
    expect(look.order.length).toBeLessThan(count / 3);
    expect(new Set(look.order).size).toBe(look.order.length);
    const [left, bottom, right, top] = view(0.1, 8).bounds();
    const drawn = new Set(look.order);
    const inView = positions.filter((p) => points[2 * p]! >= left && points[2 * p]! <= right && points[2 * p + 1]! >= bottom && points[2 * p + 1]! <= top);
    expect(inView.length).toBeGreaterThan(100);
    expect(inView.filter((p) => !drawn.has(p))).toEqual([]);
    const groupOf = Array.from(look.order, (p) => groups[p]!);
    const ordinary = look.order.length - look.contextCount - look.chosenCount;
    expect(groupOf).toEqual([...Array<number>(look.contextCount).fill(0), ...Array<number>(ordinary).fill(1), ...Array<number>(look.chosenCount).fill(2)]);
  });

  it("keep their size, and a first part of them is a fair sample", () => {
    const look = new Nearby(grid, groups).of(all, view(0.1, 8));
    expect(batches(look, view(0.1, 8), Infinity).map(({ size }) => size)).toEqual(batches(all, view(0.1, 8), Infinity).map(({ size }) => size));
    const ordinary = look.order.subarray(look.contextCount, look.order.length - look.chosenCount);
    const mean = (part: Uint32Array, axis: number): number => part.reduce((sum, p) => sum + points[2 * p + axis]!, 0) / part.length;
    for (const axis of [0, 1]) expect(mean(ordinary.subarray(0, ordinary.length / 10), axis)).toBeCloseTo(mean(ordinary, axis), 2);
  });

  it("stay while the map moves a little, take new colours, and change when it moves on", () => {
    const nearby = new Nearby(grid, groups);
    const first = nearby.of(all, view(0.1, 8));
    expect(nearby.of(all, view(0.12, 8))).toBe(first);
    const painted = nearby.of({ ...all, colours: new Uint32Array(count).fill(7) }, view(0.12, 8));
    expect(painted.order).toBe(first.order);
    expect(painted.colours[0]).toBe(7);
    expect(nearby.of(all, view(0.5, 8)).order).not.toBe(first.order);
    expect(nearby.of(all, view(0.1, 80)).order.length).toBeLessThan(first.order.length / 10);
    expect(nearby.of(all, view(0, 1))).toBe(all);
  });
});

describe("places of another model's map", () => {
  it("are where the same images were; an image that had none is where it belongs", () => {
    const was = { rows: Uint32Array.from([2, 4, 6]), points: Float32Array.from([0, 0, 1, 1, 2, 2]) };
    const now = Float32Array.from([9, 9, 8, 8]);
    expect([...placesBefore(was, Uint32Array.from([4, 5]), now)]).toEqual([1, 1, 8, 8]);
    const partial = { rows: was.rows, points: Float32Array.from([0, 0, NaN, NaN, 2, 2]) };
    expect([...placesBefore(partial, was.rows, Float32Array.from([9, 9, 8, 8, 7, 7]))]).toEqual([0, 0, 8, 8, 2, 2]);
  });
});
