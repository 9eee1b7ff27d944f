import { waitTexts } from "../texts";
import type { Explorer } from "../state/explorer.svelte";
import type { ModelView, Question, Row, Subject } from "../lib/types";

/** Kinds of tasks. A search by an image has its own: it goes on meanwhile. */
const [ASKING, ANSWERING] = ["question", "answer to a question"] as const;

/** Pairs or pictures that a person is asked about, one after another. */
export class Questions {
  question = $state.raw<Question | null>(null);
  /** Those answered here, the last at the end. */
  earlier = $state.raw<Row[][]>([]);
  /** One that was answered before and is shown again; null while the next one is. */
  #again = $state.raw<Row[] | null>(null);
  readonly shown = $derived(this.#again ?? this.question?.rows ?? null);
  readonly #explorer: Explorer;
  readonly #about: Subject;
  /** Width and height of the images that were asked about. */
  readonly #sizes: Record<Row, [number, number]> = {};

  constructor(explorer: Explorer, about: Subject) {
    this.#explorer = explorer;
    this.#about = about;
  }

  size(row: Row): [number, number] | null {
    return this.#sizes[row] ?? null;
  }

  /** Ask the next question. Returns a function that stops that. */
  load(): () => void {
    const { source, tasks } = this.#explorer;
    void this.#ask(ASKING, (view, signal) => source.question(view, this.#about, signal));
    return () => tasks.drop(ASKING);
  }

  async answer(yes: boolean | null): Promise<void> {
    const { source, tasks } = this.#explorer;
    const rows = this.shown;
    // what is shown may have its answer: the next question is on its way
    if (!rows || tasks.isWaitingFor(ASKING) || tasks.isWaitingFor(ANSWERING)) return;
    if (await this.#ask(ANSWERING, (view) => source.answer(view, this.#about, rows, yes))) {
      this.earlier = [...this.earlier.filter((each) => each.join() !== rows.join()), rows];
    }
  }

  back(): void {
    this.#again = this.earlier.at(-1) ?? null;
    this.earlier = this.earlier.slice(0, -1);
  }

  async forget(): Promise<void> {
    const { source } = this.#explorer;
    if (await this.#ask(ANSWERING, (view) => source.forgetAnswers(view, this.#about))) this.earlier = [];
  }

  /** What is remembered goes on when the questions are left: only its answer is not waited for any more. */
  async #ask(kind: string, work: (view: ModelView, signal: AbortSignal) => Promise<Question>): Promise<boolean> {
    const { scene, tasks } = this.#explorer;
    const { view } = scene;
    if (!view) return false;
    tasks.drop(ASKING, ANSWERING);
    return tasks.run(kind, waitTexts.remembering, (signal) => work(view, signal), (next) => {
      next.rows?.forEach((row, at) => {
        const [width = 0, height = 0] = next.sizes[at] ?? [];
        this.#sizes[row] = [width, height];
      });
      this.question = next;
      this.#again = null;
    });
  }
}
