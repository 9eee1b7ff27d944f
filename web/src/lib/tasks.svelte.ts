import { SvelteMap } from "svelte/reactivity";
import { problemTexts } from "../texts";
import { SourceError } from "./source";

/**
 * What is being waited for. A task of a kind replaces the one of that kind before it: its late answer is dropped.
 */
export class Tasks {
  #running = new SvelteMap<string, { words: string; turn: number }>();
  #turn = 0;
  error = $state<string | null>(null);
  /** What is waited for, in words. */
  busy = $derived([...this.#running.values()].at(-1)?.words ?? null);

  /** Do `work`, then hand its answer to `use`, unless a newer task of this kind has begun. Tells whether it was used. */
  async run<T>(kind: string, words: string, work: () => Promise<T>, use: (answer: T) => void): Promise<boolean> {
    const turn = ++this.#turn;
    const isLatest = (): boolean => this.#running.get(kind)?.turn === turn;
    this.#running.set(kind, { words, turn });
    this.error = null;
    try {
      const answer = await work();
      if (!isLatest()) return false;
      use(answer);
      return true;
    } catch (problem) {
      if (!isLatest()) return false;
      this.error = problem instanceof SourceError ? problem.message : problemTexts.unexpected(String(problem));
      return false;
    } finally {
      if (isLatest()) this.#running.delete(kind);
    }
  }

  /** Forget the running task of this kind: its answer is dropped. */
  drop(kind: string): void {
    this.#running.delete(kind);
  }
}
