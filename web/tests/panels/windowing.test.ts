import { describe, expect, it } from "vitest";
import { columnsFor, moved, visibleStretch } from "../../src/panels/windowing";

describe("visibleStretch", () => {
  it("draws whole rows around what is on screen", () => {
    // rows 2 to 4 are on screen (pixels 100 to 250 of rows 50 high), and one more on either side
    expect(visibleStretch(1000, 5, 50, 100, 250, 1)).toEqual({ first: 5, last: 30 });
  });

  it("stays inside the list", () => {
    expect(visibleStretch(12, 5, 50, -400, 4000)).toEqual({ first: 0, last: 12 });
    expect(visibleStretch(0, 5, 50, 0, 500)).toEqual({ first: 0, last: 0 });
  });

  it("draws nothing that is far away", () => {
    expect(visibleStretch(1000, 5, 50, -2000, -1000)).toEqual({ first: 0, last: 0 });
    expect(visibleStretch(100, 5, 50, 9000, 9500)).toEqual({ first: 0, last: 0 });
  });

  it("draws few of a million images", () => {
    const { first, last } = visibleStretch(1_000_000, 5, 68, 6_000_000, 6_000_700);
    expect(first).toBeLessThanOrEqual(Math.floor(6_000_000 / 68) * 5);
    expect(last - first).toBeLessThan(100);
  });

  it("misses no row that is on screen, wherever one has scrolled to", () => {
    for (let top = -300; top < 5000; top += 37) {
      const { first, last } = visibleStretch(333, 4, 50, top, top + 400, 0);
      for (let item = 0; item < 333; item++) {
        const y = Math.floor(item / 4) * 50;
        if (y + 50 > top && y < top + 400) expect(item >= first && item < last).toBe(true);
      }
    }
  });
});

describe("columnsFor", () => {
  it("counts gaps between tiles, not beside them", () => {
    expect(columnsFor(348, 64, 4)).toBe(5);
    expect(columnsFor(335, 64, 4)).toBe(4);
    expect(columnsFor(10, 64, 4)).toBe(1);
  });
});

describe("moved", () => {
  const go = (key: string, from: number): number | null => moved(key, from, 13, 5, 2);

  it("follows the arrows and stops at the ends", () => {
    expect(go("ArrowRight", 3)).toBe(4);
    expect(go("ArrowRight", 12)).toBe(12);
    expect(go("ArrowLeft", 0)).toBe(0);
    expect(go("ArrowDown", 1)).toBe(6);
    expect(go("ArrowUp", 6)).toBe(1);
    expect(go("ArrowUp", 3)).toBe(3);
  });

  it("ends on the last image where the last row is shorter", () => {
    expect(go("ArrowDown", 9)).toBe(12);
    expect(go("ArrowDown", 11)).toBe(11);
  });

  it("turns pages and jumps to the ends", () => {
    expect(go("PageDown", 1)).toBe(11);
    expect(go("PageUp", 12)).toBe(2);
    expect(go("PageUp", 7)).toBe(2);
    expect(go("Home", 7)).toBe(0);
    expect(go("End", 7)).toBe(12);
  });

  it("leaves other keys, and empty lists, alone", () => {
    expect(go("a", 7)).toBeNull();
    expect(moved("End", 0, 0, 5, 2)).toBeNull();
  });
});
