/** What the figures come to, in one sentence for the map, the clusters and the labels each. */
import type { Numbers, Score } from "../lib/types";
import { panelTexts } from "../texts";
import { percent } from "./words";

export interface Judgement {
  about: "model" | "map" | "clusters" | "labels";
  text: string;
  tone: "good" | "middling" | "bad" | "unknown";
}

type Tone = "good" | "middling" | "bad";

/** What the model cannot see, if there is such a thing; then three sentences: can the map be trusted, do the clusters mean something, do the labels agree with the model. */
export function judgements({ advice, scores }: Pick<Numbers, "advice" | "scores">): Judgement[] {
  const texts = panelTexts.numbers.judged;
  const value = (name: string): number | undefined => scores.find((score) => score.name === name)?.value;
  const kept = value("map: neighbours kept");
  const right = value("map: trustworthiness");
  const apart = value("clusters: silhouette in the embedding");
  const named = value("labels: k-NN accuracy");
  const tell = (about: keyof typeof texts.unknown, tone: Tone | null, text: (tone: Tone) => string): Judgement =>
    tone === null ? { about, tone: "unknown", text: texts.unknown[about] } : { about, tone, text: text(tone) };
  return [
    ...(advice === null ? [] : [{ about: "model", tone: "bad", text: advice } as const]),
    // a map of photographs keeps a third to a half of the neighbours: no reason to call it faithful
    tell("map", kept === undefined || right === undefined ? null : least(toneOf(kept, 0.5, 0.2), toneOf(right, 0.95, 0.8)),
      (tone) => texts.map[tone](percent(kept ?? 0))),
    tell("clusters", apart === undefined ? null : toneOf(apart, 0.25, 0.08), (tone) => texts.clusters[tone]),
    tell("labels", named === undefined ? null : toneOf(named, 0.8, 0.5), (tone) => texts.labels[tone](percent(named ?? 0))),
  ];
}

function toneOf(value: number, good: number, middling: number): Tone {
  return value >= good ? "good" : value >= middling ? "middling" : "bad";
}

function least(one: Tone, other: Tone): Tone {
  const order: Tone[] = ["bad", "middling", "good"];
  return order[Math.min(order.indexOf(one), order.indexOf(other))]!;
}

const HALF = ["map: trustworthiness", "map: continuity"]; // a map by chance has one half

/** Where a figure lies from chance (0) to best (1); null for those that have no best. `common` is the share of the most common label. */
export function fromChance({ name, value }: Score, common: number): number | null {
  if (name.startsWith("embedding:")) return null;
  const chance = HALF.includes(name) ? 0.5 : name.startsWith("labels: k-NN accuracy") ? common : 0;
  return chance >= 1 ? null : Math.max(0, Math.min(1, (value - chance) / (1 - chance)));
}
