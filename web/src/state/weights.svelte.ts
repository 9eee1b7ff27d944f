import type { Source } from "../lib/source";
import type { WeightsInfo } from "../lib/types";
import { waitTexts } from "../texts";
import { Progress } from "./progress.svelte";
import type { SceneState } from "./scene.svelte";
import type { Tasks } from "./tasks.svelte";

/** Weights that a question needed and that the server's machine does not have: fetched when a person asks for them. */
export class WeightsState {
  #coming = $state.raw<WeightsInfo | null>(null);
  readonly #progress = new Progress();
  readonly #source: Source;
  readonly #scene: SceneState;
  readonly #tasks: Tasks;

  constructor(source: Source, scene: SceneState, tasks: Tasks) {
    this.#source = source;
    this.#scene = scene;
    this.#tasks = tasks;
  }

  /** What is being fetched, or what somebody should decide about; null if nothing is missing. */
  get wanted(): WeightsInfo | null {
    return this.#coming ?? this.#tasks.lacking?.weights ?? null;
  }

  /** How many bytes have come. */
  get progress(): Progress["current"] {
    return this.#progress.current;
  }

  get isComing(): boolean {
    return this.#coming !== null;
  }

  /** Fetch them, then ask again what they were missing for. */
  async fetch(): Promise<void> {
    const { view } = this.#scene;
    const { wanted } = this;
    if (!view || !wanted || this.isComing) return;
    this.#coming = wanted;
    const stop = this.#progress.follow(() => this.#source.weightsProgress(view));
    const work = (signal: AbortSignal): Promise<void> => this.#source.fetchWeights(view, signal);
    const came = await this.#tasks.run("weights", waitTexts.weights(wanted.name), work, () => undefined).finally(stop);
    this.#coming = null;
    if (came) await this.#tasks.askAgain();
  }

  /** Wait for them no longer; what has come stays, and another try goes on there. */
  cancel(): void {
    this.#tasks.drop("weights");
  }

  /** Do without them. */
  dismiss(): void {
    this.#tasks.lacking = null;
  }
}
