import { describe, expect, it } from "vitest";
import { fromChance, judgements } from "../../src/panels/judgement";

const score = (name: string, value: number): { name: string; value: number; meaning: string } => ({ name, value, meaning: "" });

const told = (scores: ReturnType<typeof score>[], advice: string | null = null): ReturnType<typeof judgements> =>
  judgements({ advice, scores });

describe("what the figures come to", () => {
  it("is one sentence each for map, clusters and labels", () => {
    const said = told([
      score("map: neighbours kept", 0.55), score("map: trustworthiness", 0.96), score("clusters: silhouette in the embedding", 0.05),
      score("labels: k-NN accuracy", 0.6),
    ]);
    expect(said.map(({ about, tone }) => [about, tone])).toEqual([["map", "good"], ["clusters", "bad"], ["labels", "middling"]]);
    expect(said[0]?.text).toContain("55%");
    expect(said[2]?.text).toContain("60%");
  });

  it("trusts no map that has one good figure only", () => {
    expect(told([score("map: neighbours kept", 0.4), score("map: trustworthiness", 0.7)])[0]?.tone).toBe("bad");
  });

  it("says what it does not know", () => {
    expect(told([]).map(({ tone }) => tone)).toEqual(["unknown", "unknown", "unknown"]);
  });

  it("says first what the model cannot see", () => {
    expect(told([], "mini sees too little.")[0]).toEqual({ about: "model", tone: "bad", text: "mini sees too little." });
  });

  it("places a figure between chance and the best", () => {
    expect(fromChance(score("map: trustworthiness", 0.75), 0)).toBe(0.5);
    expect(fromChance(score("labels: k-NN accuracy", 0.6), 0.2)).toBeCloseTo(0.5);
    expect(fromChance(score("clusters: silhouette on the map", -0.3), 0.2)).toBe(0);
    expect(fromChance(score("embedding: hubness", 2), 0.2)).toBeNull();
  });
});
