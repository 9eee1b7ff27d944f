import type { ProgressInfo } from "../lib/types";

/** Milliseconds between questions for how far it is. */
const EVERY = 1000;

/** How far work is that somebody waits for, and for how many seconds it will go on. */
export class Progress {
  current = $state.raw<(ProgressInfo & { secondsLeft: number | null }) | null>(null);

  /** Ask every second; the time left is told from what was done since the first answer. Returns a function that stops that. */
  follow(ask: () => Promise<ProgressInfo | null>): () => void {
    let first: { done: number; at: number } | null = null;
    let isOver = false;
    const look = async (): Promise<void> => {
      const found = await ask().catch(() => undefined); // a question that fails says nothing
      if (isOver || found === undefined) return;
      if (found === null) {
        first = this.current = null; // this part of the work is done
        return;
      }
      const now = performance.now();
      first ??= { done: found.done, at: now };
      const gained = found.done - first.done;
      const secondsLeft = gained > 0 ? ((now - first.at) / 1000 / gained) * (found.total - found.done) : null;
      this.current = { ...found, secondsLeft };
    };
    const timer = setInterval(() => void look(), EVERY);
    return () => {
      isOver = true;
      clearInterval(timer);
      this.current = null;
    };
  }
}
