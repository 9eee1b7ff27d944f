import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { boxOf, followGestures, type Effect, type Tool } from "../src/map/gestures";
import { View } from "../src/map/view";

/** Enough of an element to draw on. */
class Surface {
  readonly listeners = new Map<string, (event: unknown) => void>();
  addEventListener(kind: string, listener: (event: unknown) => void): void {
    this.listeners.set(kind, listener);
  }
  removeEventListener(kind: string): void {
    this.listeners.delete(kind);
  }
  setPointerCapture(): void {
    // the events come here anyway
  }
  getBoundingClientRect(): { left: number; top: number } {
    return { left: 0, top: 0 };
  }
  send(kind: string, x: number, y: number, keys: { shiftKey?: boolean; altKey?: boolean } = {}): void {
    this.listeners.get(kind)?.({ type: kind, button: 0, pointerId: 1, clientX: x, clientY: y, ...keys });
  }
}

let surface: Surface;
let tool: Tool;
let areas: { corners: [number, number][]; effect: Effect }[];
const look = vi.fn();
const point = vi.fn();

beforeEach(() => {
  [surface, tool, areas] = [new Surface(), "pan", []];
  look.mockClear();
  followGestures(surface as unknown as HTMLElement, {
    view: () => new View(100, 100, { x: 0, y: 0, zoom: 1 }),
    tool: () => tool, look, point, press: () => undefined,
    lasso: (corners, done, effect) => done && areas.push({ corners: [...corners], effect }),
  });
});
afterEach(() => expect(surface.listeners.size).toBeGreaterThan(0));

function drag(keys: { shiftKey?: boolean; altKey?: boolean } = {}): void {
  surface.send("pointerdown", 10, 10, keys);
  for (const [x, y] of [[30, 10], [50, 20], [50, 40], [30, 50], [12, 40]] as const) surface.send("pointermove", x, y, keys);
  surface.send("pointerup", 12, 40, keys);
}

it("draws a new area with a tool, adds with Shift and takes away with Alt", () => {
  tool = "lasso";
  drag();
  tool = "pan";
  drag({ shiftKey: true });
  drag({ altKey: true });
  expect(areas.map(({ effect }) => effect)).toEqual(["new", "add", "subtract"]);
  expect(areas.every(({ corners }) => corners.length === 6)).toBe(true);
  drag();
  expect([areas.length, look.mock.calls.length]).toEqual([3, 5]);
});

it("draws boxes, with the keys of a lasso", () => {
  tool = "box";
  drag();
  drag({ altKey: true });
  expect(areas).toEqual([
    { corners: boxOf([10, 10], [12, 40]), effect: "new" },
    { corners: [[10, 10], [12, 10], [12, 40], [10, 40]], effect: "subtract" },
  ]);
});

it("shows no tip of an image while it draws or drags", () => {
  for (const each of ["lasso", "pan"] as const) {
    tool = each;
    surface.send("pointermove", 10, 10);
    expect(point).toHaveBeenLastCalledWith([10, 10]);
    surface.send("pointerdown", 10, 10);
    surface.send("pointermove", 12, 10);
    expect(point).toHaveBeenLastCalledWith([10, 10]); // it may become a click
    surface.send("pointermove", 40, 10);
    expect(point).toHaveBeenLastCalledWith(null);
    surface.send("pointerup", 40, 10);
  }
});
