/** Judgements in words: what the neighbours say, and how far to trust a place on the map. */
import type { Verdict } from "../lib/types";
import { panelTexts } from "../texts";

/** A share as whole percent, never rounded to a certainty that it is not. */
export function percent(share: number): string {
  if (share > 0.995 && share < 1) return panelTexts.nearlyAll;
  if (share > 0 && share < 0.005) return panelTexts.nearlyNone;
  return `${Math.round(share * 100)}%`;
}

/** A similarity with two digits, three where near-duplicates differ; only the same picture gets a full 1. */
export function similarity(value: number): string {
  const shown = value < 1 - 1e-6 ? Math.min(value, 0.999) : 1;
  return shown.toFixed(shown > 0.99 ? 3 : 2).replace("-", "−");
}

/** A score with as many digits as it bears: three, fewer for large numbers. */
export function score(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 3;
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "−");
}

export interface VerdictWords {
  headline: string;
  /** Further sentences. */
  details: string[];
  /** How they come about, for those who ask. */
  more: string[];
  tone: "sure" | "open" | "doubtful" | "unknown";
  /** Whether the image's own label is another one. */
  contradicts: boolean;
}

/** A verdict in words; `label` is what the image itself is labelled, if anything. */
export function verdictWords(verdict: Verdict, label: string | null): VerdictWords {
  const texts = panelTexts.verdict;
  const level = percent(verdict.setLevel);
  const measured = verdict.setMeasured === null ? null : percent(verdict.setMeasured);
  const far = verdict.percentile === null || verdict.percentile < 95
    ? [] : [texts.farOut(percent(verdict.percentile / 100), verdict.label)];
  if (verdict.unknown) {
    return { headline: texts.unknown, details: [texts.nearest(verdict.label), ...far], more: [], tone: "unknown", contradicts: false };
  }
  const contradicts = label !== null && label !== verdict.label;
  const set = verdict.set.length > 1 ? [texts.set(listed(verdict.set, texts.or))] : [];
  return {
    headline: texts.says(verdict.voters.length, verdict.label, percent(verdict.probability)),
    details: [...(contradicts ? [texts.contradicts(label)] : []), ...set, ...far],
    more: set.length > 0 ? [texts.setMore(level, measured, verdict.measuredOn)] : [],
    tone: contradicts ? "doubtful" : set.length > 0 || verdict.probability < 0.7 ? "open" : "sure",
    contradicts,
  };
}

/** "a", "a or b", "a, b or c". */
export function listed(words: readonly string[], last: string): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")}${last}${words.at(-1)}`;
}

export interface TrustWords {
  text: string;
  level: "high" | "middling" | "low" | "unknown";
  /** 0 to 1, for a bar. */
  share: number;
}

/** How far to trust a place: `kept` is the share of true neighbours that the map keeps nearby. */
export function trustWords(kept: number): TrustWords {
  const texts = panelTexts.trust;
  if (Number.isNaN(kept)) return { text: texts.unknown, level: "unknown", share: 0 };
  const share = Math.min(1, Math.max(0, kept));
  if (share === 0) return { text: texts.none, level: "low", share };
  // a good map of real photos keeps 30 to 50% on average, so half counts as well placed
  if (share >= 0.5) return { text: texts.high(percent(share)), level: "high", share };
  if (share >= 0.25) return { text: texts.middling(percent(share)), level: "middling", share };
  return { text: texts.low(percent(share)), level: "low", share };
}

/** Votes by label, the most first. */
export function voteCounts(verdict: Verdict): { label: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const { label } of verdict.voters) counts.set(label ?? panelTexts.noLabel, (counts.get(label ?? panelTexts.noLabel) ?? 0) + 1);
  return [...counts].map(([label, count]) => ({ label, count })).sort((one, other) => other.count - one.count);
}
