import type { LabelQuestion } from "../lib/api";

/** What the keys of the panel "Label" do. */
export type LabelKey =
  | { does: "label"; label: string }
  | { does: "accept" | "refuse" | "undo" | "redo" | "type" };

/** From this probability on, Enter takes the proposal. Below it more proposals are wrong than right, and one chooses. */
const LIKELY = 0.5;

/** Whether Enter takes what is proposed. */
export function isLikely({ kind, label, probability }: Pick<LabelQuestion, "kind" | "label" | "probability">): boolean {
  return label !== null && (kind === "batch" || probability >= LIKELY);
}

/** What a pressed key means; null for none of the panel's. */
export function labelKey(
  { key, ctrlKey, metaKey, altKey, shiftKey }: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey">,
  labels: string[],
): LabelKey | null {
  const held = ctrlKey || metaKey;
  if (held && !altKey && key.toLowerCase() === "z") return { does: shiftKey ? "redo" : "undo" };
  if (held && !altKey && key.toLowerCase() === "y") return { does: "redo" };
  if (held || altKey) return null;
  if (key === "Backspace") return { does: shiftKey ? "redo" : "undo" };
  if (key === "Enter") return { does: "accept" };
  if (key === "0") return { does: "refuse" };
  if (/^[1-9]$/.test(key)) {
    const label = labels[Number(key) - 1];
    return label === undefined ? null : { does: "label", label };
  }
  return /^[\p{L}#]$/u.test(key) ? { does: "type" } : null;
}

/** The label or tag that what was typed so far stands for: a known one that begins so, else itself. */
export function complete(typed: string, labels: string[], tags: string[]): string {
  const text = typed.trim();
  if (text === "" || text === "#") return "";
  const isTag = text.startsWith("#");
  const known = isTag ? tags.map((tag) => `#${tag}`) : labels;
  const low = text.toLowerCase();
  return known.find((each) => each === text) ?? known.find((each) => each.toLowerCase().startsWith(low)) ?? text;
}
