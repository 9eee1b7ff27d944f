import type { Source } from "../lib/source";
import type { CollectionInfo, ModelInfo, ModelView, Running } from "../lib/types";
import { waitTexts } from "../texts";
import type { Tasks } from "./tasks.svelte";

/** Milliseconds between two polls: of a running embedding or a server that has just started, and of an idle one. */
const OFTEN = 2000;
export const SELDOM = 20_000;
/** By how much a poll in vain puts the next one off. */
const LONGER = 1.4;
/** Polls of an idle server in a row without a new column: clusters are not coming any more. */
const MOST_IN_VAIN = 20;
/** Once these are there, so is everything. */
const LATE_COLUMNS = ["cluster", "order"];

/** What the collection is, and what is being added to it. */
export class CollectionState {
  info = $state.raw<CollectionInfo | null>(null);
  /** A run that embeds into it at this moment. */
  running = $state.raw<Running | null>(null);
  readonly #source: Source;
  readonly #tasks: Tasks;
  #inVain = $state(0);
  /** Milliseconds until the next poll. */
  readonly pause = $derived(this.running ? OFTEN : Math.min(SELDOM, OFTEN * LONGER ** this.#inVain));

  constructor(source: Source, tasks: Tasks) {
    this.#source = source;
    this.#tasks = tasks;
  }

  async load(): Promise<void> {
    await this.#tasks.run("open", waitTexts.opening, (signal) => this.#source.collection(signal), (info) => (this.info = info));
  }

  /** The key of a model that there is: the one asked for, else the one that is shown first. */
  modelKey(asked: string | undefined): string | undefined {
    return this.model(asked)?.key ?? this.info?.model;
  }

  /** A model of the collection, by its key. */
  model(key: string | undefined): ModelInfo | undefined {
    return this.info?.models.find((each) => each.key === key);
  }

  /**
   * Whether a model can look at images here, patch by patch. Vectors that were made elsewhere come without a model, so with no
   * resolution; some models give no patches.
   */
  canLook(key: string | undefined): boolean {
    const model = this.model(key);
    return (this.info?.live ?? false) && model !== undefined && model.resolution !== 0 && model.patches;
  }

  /** Ask how far a run is. */
  async checkRun(): Promise<void> {
    try {
      this.running = await this.#source.progress();
    } catch {
      this.running = null; // the next question comes in a moment; a warning would only distract
    }
  }

  /** There may be new columns again. */
  expectColumns(): void {
    this.#inVain = 0;
  }

  /**
   * Whether a model has more columns by now: a server that has just started finds clusters, verdicts and properties, the
   * last of all, behind the first map.
   */
  async hasNewColumns(view: ModelView): Promise<boolean> {
    if (this.running || this.#tasks.busy !== null) this.expectColumns(); // afterwards there may be more
    if (this.running) return false;
    if (LATE_COLUMNS.every((late) => view.columns.some(({ name }) => name === late))) this.#inVain = MOST_IN_VAIN;
    if (this.#inVain >= MOST_IN_VAIN) return false;
    this.#inVain++;
    const now = await this.#source.model(view.key).catch(() => view);
    const hasMore = now.count === view.count && now.columns.some(({ name }) => view.columns.every((known) => known.name !== name));
    if (hasMore) this.expectColumns();
    return hasMore;
  }
}
