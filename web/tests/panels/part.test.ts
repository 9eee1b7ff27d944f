import { describe, expect, it } from "vitest";
import { inPixels, MIDDLE, partAfter, partBetween, shownAt } from "../../src/panels/part";

describe("a part of a picture", () => {
  it("knows where a picture lies in an element that is wider or higher", () => {
    expect(shownAt({ width: 300, height: 100 }, { width: 40, height: 20 })).toEqual({ left: 50, top: 0, width: 200, height: 100 });
    expect(shownAt({ width: 100, height: 300 }, { width: 40, height: 20 })).toEqual({ left: 0, top: 125, width: 100, height: 50 });
  });

  it("lies between two points, whichever comes first, and never outside the picture", () => {
    const shown = { left: 50, top: 0, width: 200, height: 100 };
    expect(partBetween({ x: 150, y: 75 }, { x: 100, y: 25 }, shown)).toEqual([0.25, 0.25, 0.25, 0.5]);
    expect(partBetween({ x: 0, y: -20 }, { x: 999, y: 999 }, shown)).toEqual([0, 0, 1, 1]);
  });

  it("is not meant when it is tiny", () => {
    expect(partBetween({ x: 10, y: 10 }, { x: 13, y: 90 }, { left: 0, top: 0, width: 100, height: 100 })).toBeNull();
  });

  it("is moved by the arrow keys and resized with Shift, within the picture", () => {
    expect(partAfter("ArrowLeft", false, MIDDLE)).toEqual([0.2, 0.25, 0.5, 0.5]);
    expect(partAfter("ArrowRight", false, [0.5, 0, 0.5, 0.5])).toEqual([0.5, 0, 0.5, 0.5]);
    expect(partAfter("ArrowDown", true, MIDDLE)).toEqual([0.25, 0.25, 0.5, 0.55]);
    expect(partAfter("ArrowUp", true, [0, 0, 1, 0.05])).toEqual([0, 0, 1, 0.05]);
    expect(partAfter("a", false, MIDDLE)).toBeNull();
  });

  it("has at least one pixel, inside the picture", () => {
    expect(inPixels([0.5, 0.25, 0.5, 0.5], { width: 28, height: 40 })).toEqual({ left: 14, top: 10, width: 14, height: 20 });
    expect(inPixels([0.95, 0.95, 0.05, 0.05], { width: 4, height: 4 })).toEqual({ left: 3, top: 3, width: 1, height: 1 });
  });
});
