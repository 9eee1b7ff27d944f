import { waitTexts } from "../texts";
import type { Explorer } from "../state/explorer.svelte";
import type { ModelView, PairQuestion, Row } from "../lib/types";

/** Pairs of images that a person is asked about, one after another. */
export class Pairs {
  question = $state.raw<PairQuestion | null>(null);
  /** Those answered here, the last at the end. */
  earlier = $state.raw<[Row, Row][]>([]);
  /** A pair that was answered before and is shown again; null while the next one is. */
  #again = $state.raw<[Row, Row] | null>(null);
  readonly shown = $derived(this.#again ?? this.question?.rows ?? null);
  readonly #explorer: Explorer;

  constructor(explorer: Explorer) {
    this.#explorer = explorer;
  }

  /** Ask for the next pair. Returns a function that stops that. */
  load(): () => void {
    const { source, tasks } = this.#explorer;
    void this.#ask("pair", (view, signal) => source.pair(view, signal));
    return () => tasks.drop("pair");
  }

  async answer(same: boolean | null): Promise<void> {
    const { source, tasks } = this.#explorer;
    const rows = this.shown;
    if (!rows || tasks.busy !== null) return;
    if (await this.#ask("pair answer", (view) => source.answerPair(view, rows, same))) {
      this.earlier = [...this.earlier.filter((each) => each.join() !== rows.join()), rows];
    }
  }

  back(): void {
    this.#again = this.earlier.at(-1) ?? null;
    this.earlier = this.earlier.slice(0, -1);
  }

  async forget(): Promise<void> {
    const { source } = this.#explorer;
    if (await this.#ask("pair answer", (view) => source.forgetPairs(view))) this.earlier = [];
  }

  /** What is remembered goes on when the questions are left: only its answer is not waited for any more. */
  async #ask(kind: string, work: (view: ModelView, signal: AbortSignal) => Promise<PairQuestion>): Promise<boolean> {
    const { scene, tasks } = this.#explorer;
    const { view } = scene;
    if (!view) return false;
    tasks.drop("pair", "pair answer");
    return tasks.run(kind, waitTexts.remembering, (signal) => work(view, signal), (next) => {
      this.question = next;
      this.#again = null;
    });
  }
}
