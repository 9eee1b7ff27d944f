import { describe, expect, it } from "vitest";
import { panelTexts, problemTexts } from "../../src/texts";
import type { Match, Verdict } from "../../src/lib/types";
import { listed, percent, score, similarity, trustWords, verdictWords, voteCounts } from "../../src/panels/words";

const voter = (row: number, label: string): Match => ({ row, id: `${row}.png`, label, similarity: 0.9 });

function verdict(change: Partial<Verdict> = {}): Verdict {
  const voters = [...Array(19).keys()].map((row) => voter(row, "Sandal"));
  return {
    label: "Sandal", probability: 0.96, set: ["Sandal"], setLevel: 0.9, setMeasured: 0.825, measuredOn: "test", unknown: false, percentile: 50,
    voters: [...voters, voter(19, "Sneaker")], ...change,
  };
}

describe("percent", () => {
  it("claims no certainty that is not there", () => {
    expect(percent(1)).toBe("100%");
    expect(percent(0.9999)).toBe("over 99%");
    expect(percent(0.0001)).toBe("under 1%");
    expect(percent(0)).toBe("0%");
    expect(percent(0.955)).toBe("96%");
  });
});

describe("similarity", () => {
  it("is 1 only for the same picture", () => {
    expect(similarity(1)).toBe("1.000");
    expect(similarity(0.99996)).toBe("0.999");
    expect(similarity(0.994)).toBe("0.994");
    expect(similarity(0.7312)).toBe("0.73");
    expect(similarity(-0.1)).toBe("−0.10");
  });
});

describe("score", () => {
  it("has as many digits as the number bears", () => {
    expect(score(0.97912)).toBe("0.979");
    expect(score(-0.1)).toBe("−0.100");
    expect(score(23.456)).toBe("23.5");
    expect(score(1219.4)).toBe("1,219");
    expect(score(Number.NaN)).toBe("–");
  });
});

describe("texts", () => {
  it("says how votes become a probability", () => {
    const text = panelTexts.verdict.votes([{ label: "a", count: 8 }, { label: "b", count: 4 }]);
    expect(text).toMatch(/^8\u00a0×\u00a0a, 4\u00a0×\u00a0b\. The more similar an image, the more its vote counts/);
  });

  it("claims no answer in no time", () => {
    expect([0.0004, 0.03, 1.26].map(panelTexts.answer.seconds)).toEqual([
      "Answered in under 0.01 s.", "Answered in 0.03 s.", "Answered in 1.3 s.",
    ]);
  });

  it("tells which rows there are", () => {
    expect(problemTexts.noRow(5000, 0, 1199, false)).toBe("There is no row 5000 in this model: its rows run from 0 to 1199.");
    expect(problemTexts.noRow(17, 0, 1199, true)).toContain("0 to 1199, with gaps.");
  });
});

describe("verdictWords", () => {
  it("says what the neighbours say", () => {
    expect(verdictWords(verdict(), "Sandal")).toEqual({
      headline: "The 20 nearest say: Sandal, probability 96%", details: [], more: [], tone: "sure", contradicts: false,
    });
  });

  it("tells that the image is labelled otherwise", () => {
    const words = verdictWords(verdict(), "Sneaker");
    expect(words.details).toEqual(["but it is labelled Sneaker"]);
    expect(words).toMatchObject({ tone: "doubtful", contradicts: true });
  });

  it("names the set where one label does not hold the truth", () => {
    const words = verdictWords(verdict({ probability: 0.5, set: ["Shirt", "Coat", "Dress"] }), null);
    expect(words.details).toEqual(["Candidates: Shirt, Coat or Dress."]);
    expect(words.more).toEqual([
      "Such lists held the right label in 83% of cases, measured on the test images (asked for: 90%).",
    ]);
    expect(words.tone).toBe("open"); // nothing is wrong with it
  });

  it("names nothing that is unknown", () => {
    const words = verdictWords(verdict({ unknown: true, percentile: 99.9 }), null);
    expect(words.headline).toBe("Unknown: too far from everything here to be named");
    expect(words.details).toEqual(["The nearest are called Sandal.", "It lies further out than over 99% of Sandal."]);
    expect(words.tone).toBe("unknown");
  });

  it("is silent on how far out an ordinary image lies", () => {
    expect(verdictWords(verdict({ percentile: null }), null).details).toEqual([]);
    expect(verdictWords(verdict({ percentile: 97 }), null).details).toEqual(["It lies further out than 97% of Sandal."]);
  });
});

describe("voteCounts", () => {
  it("counts votes, the most first", () => {
    expect(voteCounts(verdict())).toEqual([{ label: "Sandal", count: 19 }, { label: "Sneaker", count: 1 }]);
  });
});

describe("listed", () => {
  it("joins words as people do", () => {
    expect(listed([], " or ")).toBe("");
    expect(listed(["a"], " or ")).toBe("a");
    expect(listed(["a", "b"], " or ")).toBe("a or b");
    expect(listed(["a", "b", "c"], " or ")).toBe("a, b or c");
  });
});

describe("trustWords", () => {
  it("has a word for every share", () => {
    expect(trustWords(0.8).level).toBe("high");
    expect(trustWords(0.5).level).toBe("high");
    expect(trustWords(0.4).level).toBe("middling");
    expect(trustWords(0.2)).toMatchObject({ level: "low", share: 0.2 });
    expect(trustWords(0.2).text).toContain("20%");
    expect(trustWords(0).text).toContain("none");
    expect(trustWords(Number.NaN).level).toBe("unknown");
  });
});
