import { describe, expect, it } from "vitest";
import { fromChance } from "../../src/panels/judgement";

const score = (name: string, value: number): { name: string; value: number; meaning: string } => ({ name, value, meaning: "" });

describe("a figure as a bar", () => {
  it("places a figure between chance and the best", () => {
    expect(fromChance(score("map: trustworthiness", 0.75), 0)).toBe(0.5);
    expect(fromChance(score("labels: k-NN accuracy", 0.6), 0.2)).toBeCloseTo(0.5);
    expect(fromChance(score("clusters: silhouette on the map", -0.3), 0.2)).toBe(0);
    expect(fromChance(score("embedding: hubness", 2), 0.2)).toBeNull();
  });
});
