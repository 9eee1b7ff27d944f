import { describe, expect, it } from "vitest";
import type { Cell } from "../../src/lib/types";
import { largestPart, mistakes, mostMistaken, scoreGroups, strength } from "../../src/panels/charts";

const labels = ["a", "b", "c", "d"];
const counts = [
  [90, 0, 0, 10],
  [0, 50, 5, 0],
  [0, 1, 20, 0],
  [30, 0, 0, 70],
];

const cells: Cell[] = counts.flatMap((line, row) => line.flatMap((count, column): Cell[] => count > 0 ? [[row, column, count]] : []));

describe("scoreGroups", () => {
  it("takes names apart and keeps the order", () => {
    const groups = scoreGroups([
      { name: "map: continuity", value: 1, meaning: "m" },
      { name: "labels: k-NN accuracy", value: 2, meaning: "m" },
      { name: "map: neighbours kept", value: 3, meaning: "m" },
      { name: "loose", value: 4, meaning: "m" },
    ]);
    expect(groups.map(({ name, scores }) => [name, scores.map((score) => score.name)])).toEqual([
      ["map", ["continuity", "neighbours kept"]],
      ["labels", ["k-NN accuracy"]],
      ["", ["loose"]],
    ]);
  });
});

describe("mistakes", () => {
  it("come with their share of the label, the most frequent first", () => {
    expect(mistakes(cells, 2)).toEqual([
      { row: 3, column: 0, count: 30, share: 0.3 },
      { row: 0, column: 3, count: 10, share: 0.1 },
    ]);
    expect(mistakes([[0, 0, 5], [1, 1, 5]], 3)).toEqual([]);
  });

  it("choose the labels that are shown", () => {
    const heat = mostMistaken(labels, cells, 2);
    expect(heat.rows).toEqual(["a", "d"]);
    expect(heat.counts).toEqual([[90, 10], [30, 70]]);
    expect(heat.columnPlaces).toEqual([0, 3]);
  });
});

describe("largestPart", () => {
  it("keeps the order of what it keeps", () => {
    const heat = largestPart(["x", "y", "z"], ["p", "q"], [[1, 0], [5, 5], [3, 4]], 2);
    expect(heat).toEqual({ rows: ["y", "z"], columns: ["p", "q"], counts: [[5, 5], [3, 4]], rowPlaces: [1, 2], columnPlaces: [0, 1] });
  });
});

describe("strength", () => {
  it("goes from nothing to a whole row", () => {
    expect(strength(counts, 0, 1)).toBe(0);
    expect(strength([[0, 4]], 0, 1)).toBe(1);
    expect(strength([[1, 3]], 0, 0)).toBeCloseTo(0.5);
    expect(strength([[0, 0]], 0, 0)).toBe(0);
  });
});
