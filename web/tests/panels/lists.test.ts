import { describe, expect, it } from "vitest";
import { extended, noPicks, toggled } from "../../src/panels/picks";
import { fileName, isCollectionName } from "../../src/panels/saving";
import { combined, havingAll, tally, withCode } from "../../src/panels/tally";
import { imageAmong, refusal } from "../../src/panels/uploads";

describe("areas", () => {
  it("add to a selection or take from it", () => {
    expect([...combined([5, 1], [3, 5, 10], "add")]).toEqual([1, 3, 5, 10]);
    expect([...combined([5, 1, 3], [3, 4], "subtract")]).toEqual([1, 5]);
    expect([...combined([], [2], "subtract")]).toEqual([]);
  });
});

describe("picks", () => {
  it("go in and out one by one", () => {
    const picks = toggled(toggled(toggled(noPicks, 3), 5), 3);
    expect([...picks.picked]).toEqual([5]);
    expect(picks.anchor).toBe(3);
    expect(noPicks.picked.size).toBe(0);
  });

  it("reach from the anchor in both directions", () => {
    expect([...extended(toggled(noPicks, 5), 3).picked].sort()).toEqual([3, 4, 5]);
    expect([...extended(extended(toggled(noPicks, 5), 3), 6).picked].sort()).toEqual([3, 4, 5, 6]);
    expect([...extended(noPicks, 2).picked]).toEqual([2]);
  });
});

describe("tally", () => {
  const codes = Uint16Array.from([0, 1, 1, 2, 65535, 1]);

  it("counts the values of some images, the frequent first", () => {
    expect(tally(codes, ["a", "b", "c"], [0, 1, 2, 4], "none")).toEqual([
      { code: 1, value: "b", count: 2 },
      { code: 0, value: "a", count: 1 },
      { code: 65535, value: "none", count: 1 },
    ]);
  });

  it("agrees with what a filter leaves", () => {
    const positions = Uint32Array.from([5, 4, 3, 2, 1, 0]);
    for (const { code, count } of tally(codes, ["a", "b", "c"], positions, "none")) {
      expect(withCode(codes, positions, code)).toHaveLength(count);
    }
    expect([...withCode(codes, positions, 1)]).toEqual([5, 2, 1]);
  });

  it("finds images by two columns", () => {
    const other = Uint16Array.from([0, 0, 1, 1, 1, 1]);
    expect([...havingAll([{ codes, code: 1 }, { codes: other, code: 1 }])]).toEqual([2, 5]);
    expect([...havingAll([])]).toEqual([]);
  });
});

describe("file names", () => {
  it("say where the images are from", () => {
    expect(fileName("fashion-mnist", "Area of the map", "csv")).toBe("fashion-mnist-area-of-the-map.csv");
    expect(fileName("Füße", "“../a:b”", "files")).toBe("fu-e-a-b.txt");
    expect(fileName("", "…", "csv")).toBe("images.csv");
    expect(fileName("x".repeat(200), "y", "csv").length).toBeLessThanOrEqual(84);
  });

  it("of collections hold a letter or digit and no folder", () => {
    expect(isCollectionName("my boots")).toBe(true);
    for (const name of ["", "..", "a/b", "a\\b", "c:"]) expect(isCollectionName(name)).toBe(false);
  });
});

describe("uploads", () => {
  const file = (name: string, type: string, size = 1): File => new File([new Uint8Array(size)], name, { type });

  it("takes the image among other files", () => {
    const picture = file("b.png", "image/png");
    expect(imageAmong([file("a.txt", "text/plain"), picture])).toBe(picture);
    expect(imageAmong([])).toBeNull();
    expect(imageAmong(undefined)).toBeNull();
  });

  it("refuses what the server would refuse", () => {
    expect(refusal(file("a.JPG", ""))).toBeNull();
    expect(refusal(file("a.txt", "text/plain"))).toBe("notAnImage");
    expect(refusal(file("a.svg", "image/svg+xml"))).toBe("notAnImage");
    expect(refusal({ name: "a.png", type: "image/png", size: 20_000_001 })).toBe("tooLarge");
  });
});
