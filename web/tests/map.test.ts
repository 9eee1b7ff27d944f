import { describe, expect, it } from "vitest";
import { categoryColours, colourPoints, isOther, rampColour } from "../src/map/colours";
import { insidePolygon, placesBefore } from "../src/map/geometry";
import { PointGrid } from "../src/map/grid";
import { batches, Pace } from "../src/map/layer";
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
  const order = thinningOrder(2000, 500, () => true);

  it("lets no two thumbnails overlap, and leaves no room unused", () => {
    const side = 0.05;
    const level = Thinning.levelFor(side);
    const thinning = new Thinning(points, order);
    expect(thinning.prepare(level, Infinity)).toBe(level);
    const shown = thinning.shown.slice(0, thinning.count(level));
    const apart = (a: number, b: number): number =>
      Math.max(Math.abs(points[2 * a]! - points[2 * b]!), Math.abs(points[2 * a + 1]! - points[2 * b + 1]!));
    // a call of expect for every pair takes seconds
    expect(Math.min(...Array.from(shown, (a, i) => shown.slice(0, i).reduce((least, b) => Math.min(least, apart(a, b)), Infinity)))).toBeGreaterThanOrEqual(side);
    const grain = side * 2 ** 0.25; // levels are a quarter of an octave apart
    const alone = Array.from({ length: 2000 }, (_, p) => p).filter((p) => !shown.some((s) => apart(s, p) < grain));
    expect(alone).toEqual([]);
  });

  it("never takes away what was shown when one zooms in", () => {
    const thinning = new Thinning(points, order);
    const far = thinning.prepare(6, Infinity);
    const before = thinning.shown.slice(0, thinning.count(far));
    const near = thinning.prepare(14, Infinity);
    expect(thinning.count(near)).toBeGreaterThan(before.length);
    expect(before.every((p) => thinning.has(p, near))).toBe(true);
  });

  it("shows hidden images never and chosen ones first", () => {
    const chosen = new Set([7, 1999]);
    const sorted = thinningOrder(2000, 500, (p) => p % 2 === 1, chosen);
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

  it("knows from where to where numbers reach", () => {
    expect(rangeOf(Float32Array.from([0, 0.1, 1, Number.NaN, 2]))).toEqual([0, 2]);
    expect(rangeOf(Float32Array.from([Number.NaN]))).toBeNull();
  });
});

describe("drawing points", () => {
  const look = { colours: new Uint32Array(1000), order: new Uint32Array(1000), contextCount: 100, isHiding: false, chosenCount: 50 };

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

describe("places of another model's map", () => {
  it("are where the same images were; a new image is where it belongs", () => {
    const was = { rows: Uint32Array.from([2, 4, 6]), points: Float32Array.from([0, 0, 1, 1, 2, 2]) };
    const now = Float32Array.from([9, 9, 8, 8]);
    expect([...placesBefore(was, Uint32Array.from([4, 5]), now)]).toEqual([1, 1, 8, 8]);
    expect(placesBefore(was, was.rows, now)).toBe(was.points);
  });
});
