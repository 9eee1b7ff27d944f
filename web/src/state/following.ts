import type { ProgressInfo } from "../lib/types";

/** Milliseconds between questions for how far it is. */
const EVERY = 1000;

/** How far work is, and for how many seconds it will go on; null until that can be told. */
export type Progress = ProgressInfo & { secondsLeft: number | null };

/**
 * Ask every second how far work is; the time left is told from what was done since the first answer. Returns a function
 * that stops that.
 */
export function follow(ask: () => Promise<ProgressInfo | null>, show: (found: Progress | null) => void): () => void {
  let first: { done: number; at: number } | null = null;
  let isOver = false;
  const look = async (): Promise<void> => {
    const found = await ask().catch(() => null);
    if (isOver || !found) return;
    const now = performance.now();
    first ??= { done: found.done, at: now };
    const gained = found.done - first.done;
    const secondsLeft = gained > 0 ? ((now - first.at) / 1000 / gained) * (found.total - found.done) : null;
    show({ ...found, secondsLeft });
  };
  const timer = setInterval(() => void look(), EVERY);
  return () => {
    isOver = true;
    clearInterval(timer);
    show(null);
  };
}
