import { describe, expect, it } from "vitest";
import type { ModelView } from "../../src/lib/types";
import { asksForRow, likeness, matchingValues, rowMeant } from "../../src/panels/suggestions";

const view: ModelView = {
  key: "m", count: 100, state: "s", images: "i", maps: [], failures: [],
  sheets: { tile: 32, columns: 32, rows: 32, count: 1, positions: null },
  columns: [
    { kind: "category", name: "label", title: "Label", description: "", values: ["Shirt", "T-shirt/top", "Trouser", "Ankle boot"], counts: [40, 30, 20, 10] },
    { kind: "category", name: "predicted", title: "Predicted label", description: "", values: ["Shirt", "Trouser"], counts: [50, 0] },
    { kind: "number", name: "trust", title: "Trust", description: "", min: 0, max: 1, perMap: true },
  ],
};

const names = (text: string, most?: number): string[] =>
  matchingValues(view, text, most).map(({ column, value }) => `${column.name} ${value}`);

describe("matchingValues", () => {
  it("puts beginnings of names before beginnings of words, and labels before predictions", () => {
    expect(names("sh")).toEqual(["label Shirt", "predicted Shirt", "label T-shirt/top"]);
  });

  it("puts the whole name first", () => {
    expect(names("trouser")[0]).toBe("label Trouser");
  });

  it("finds the middle of a name last", () => {
    expect(names("oo")).toEqual(["label Ankle boot"]);
    expect(names("t")).toEqual(["label T-shirt/top", "label Trouser", "label Shirt", "label Ankle boot", "predicted Shirt"]);
  });

  it("offers what answers one of several words, after what answers all of them", () => {
    expect(names("red trousers")).toEqual([]);
    expect(names("brown ankle")).toEqual(["label Ankle boot"]);
    expect(names("the shirt in red")).toEqual(["label Shirt", "predicted Shirt", "label T-shirt/top"]);
    expect(names("ankle boot")).toEqual(["label Ankle boot"]);
  });

  it("offers nothing that no image has", () => {
    expect(names("trouser")).not.toContain("predicted Trouser");
  });

  it("offers the labels before anything is typed, the frequent first", () => {
    expect(names("  ")).toEqual(["label Shirt", "label T-shirt/top", "label Trouser", "label Ankle boot"]);
    expect(names("", 2)).toHaveLength(2);
    expect(matchingValues(null, "")).toEqual([]);
  });
});

describe("likeness", () => {
  it("does not mind capitals and accents", () => {
    expect(likeness("Pâté", "pate")).toBe(4);
    expect(likeness("Ankle boot", "BOOT")).toBe(2);
    expect(likeness("Ankle boot", "shoe")).toBe(0);
  });
});

describe("rows", () => {
  it("are numbers, with or without #", () => {
    expect(rowMeant("#17")).toBe(17);
    expect(rowMeant(" 17 ")).toBe(17);
    expect(rowMeant("17a")).toBeNull();
    expect(rowMeant("-1")).toBeNull();
    expect(rowMeant("")).toBeNull();
  });

  it("are clearly meant with #", () => {
    expect(asksForRow(" #1")).toBe(true);
    expect(asksForRow("1")).toBe(false);
  });
});
