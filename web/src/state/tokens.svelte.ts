import type { Source } from "../lib/source";
import type { TokensInfo } from "../lib/types";
import { waitTexts } from "../texts";
import { Progress } from "./progress.svelte";
import type { SceneState } from "./scene.svelte";
import type { Tasks } from "./tasks.svelte";

/** What the model sees of all images, patch by patch: a search by one patch needs it. */
export class TokensState {
  /** What it takes to keep it; null unless that was asked and it is not kept. */
  plan = $state.raw<TokensInfo | null>(null);
  readonly #progress = new Progress();
  readonly #source: Source;
  readonly #scene: SceneState;
  readonly #tasks: Tasks;

  constructor(source: Source, scene: SceneState, tasks: Tasks) {
    this.#source = source;
    this.#scene = scene;
    this.#tasks = tasks;
  }

  /** How far keeping it is. */
  get progress(): Progress["current"] {
    return this.#progress.current;
  }

  /** Whether it is kept; if it is not, `plan` says what that takes. */
  async areKept(): Promise<boolean> {
    const { view } = this.#scene;
    if (!view) return false;
    const isTold = await this.#tasks.run("tokens", waitTexts.tokens, (signal) => this.#source.tokens(view, signal), (found) => {
      this.plan = found.kept ? null : found;
    });
    return isTold && this.plan === null;
  }

  /** Keep it. Tells whether all of it is kept now. */
  async keep(): Promise<boolean> {
    const { view } = this.#scene;
    if (!view) return false;
    const stop = this.#progress.follow(() => this.#source.tokensProgress(view));
    const work = (signal: AbortSignal): Promise<void> => this.#source.keepTokens(view, signal);
    return this.#tasks.run("tokens", waitTexts.keeping, work, () => { this.plan = null; }).finally(stop);
  }

  /** Wait for it no longer, and keep no more; what is kept stays. */
  cancel(): void {
    this.#tasks.drop("tokens");
    this.plan = null;
  }
}
