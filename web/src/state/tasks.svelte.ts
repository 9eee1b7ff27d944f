import { untrack } from "svelte";
import { SvelteMap } from "svelte/reactivity";
import { SourceError } from "../lib/source";
import type { WeightsInfo } from "../lib/types";
import { problemTexts } from "../texts";

interface Running {
  words: string;
  controller: AbortController;
  done: Promise<boolean>;
}

/** What a task needs that is not there yet, and the task once more. */
interface Lacking {
  kind: string;
  weights: WeightsInfo;
  again: () => Promise<boolean>;
}

/**
 * What is being waited for. A task of a kind replaces the one of that kind before it, whose requests are aborted: a late
 * answer, and what goes wrong once nobody waits any more, are shown nowhere.
 */
export class Tasks {
  #running = new SvelteMap<string, Running>();
  #error = $state<string | null>(null);
  /** Whether what went wrong has been on the page long enough: it is still known, but no longer shown. */
  isErrorRead = $state(false);
  /** Weights that the last task which failed for want of them needs. */
  lacking = $state.raw<Lacking | null>(null);
  /** What is waited for, in words. */
  busy = $derived([...this.#running.values()].at(-1)?.words ?? null);

  /** What went wrong. */
  get error(): string | null {
    return this.#error;
  }

  set error(words: string | null) {
    this.#error = words;
    this.isErrorRead = false;
  }

  /** Whether a task of this kind is under way. */
  isWaitingFor(kind: string): boolean {
    return this.#running.has(kind);
  }

  /** Do `work`, then hand its answer to `use`, unless a newer task of this kind has begun. Tells whether it was used. */
  run<T>(kind: string, words: string, work: (signal: AbortSignal) => Promise<T>, use: (answer: T) => void): Promise<boolean> {
    const before = untrack(() => this.#running.get(kind));
    const task: Running = { words, controller: new AbortController(), done: Promise.resolve(false) };
    this.#running.set(kind, task);
    this.error = null;
    task.done = this.#finish(kind, task, work, use);
    before?.controller.abort(); // not earlier: what both of them ask for goes on
    return task.done;
  }

  /** As `run`; but where a task of this kind is under way, wait for that one in place of asking twice. */
  join<T>(kind: string, words: string, work: (signal: AbortSignal) => Promise<T>, use: (answer: T) => void): Promise<boolean> {
    return untrack(() => this.#running.get(kind))?.done ?? this.run(kind, words, work, use);
  }

  /** Run the task once more that lacked something. */
  async askAgain(): Promise<void> {
    const { lacking } = this;
    this.lacking = null;
    await lacking?.again();
  }

  /** Nobody wants the running tasks of these kinds any more: their requests are aborted, their answers dropped. */
  drop(...kinds: string[]): void {
    for (const kind of kinds) {
      if (untrack(() => this.lacking?.kind) === kind) this.lacking = null;
      const task = untrack(() => this.#running.get(kind));
      this.#running.delete(kind);
      task?.controller.abort();
    }
  }

  async #finish<T>(
    kind: string, task: Running, work: (signal: AbortSignal) => Promise<T>, use: (answer: T) => void,
  ): Promise<boolean> {
    const isLatest = (): boolean => this.#running.get(kind) === task;
    try {
      const answer = await work(task.controller.signal);
      if (!isLatest()) return false;
      use(answer);
      return true;
    } catch (problem) {
      if (!isLatest()) return false;
      this.error = problem instanceof SourceError ? problem.message : problemTexts.unexpected(String(problem));
      const weights = problem instanceof SourceError ? problem.weights : null;
      if (weights) {
        this.lacking = { kind, weights, again: () => this.run(kind, task.words, work, use) };
        this.isErrorRead = true; // what is lacking is shown in its place
      }
      return false;
    } finally {
      if (isLatest()) this.#running.delete(kind);
    }
  }
}
