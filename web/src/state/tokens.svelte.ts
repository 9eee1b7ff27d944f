import type { Kept, Source } from "../lib/source";
import type { TokensInfo } from "../lib/types";
import { waitTexts } from "../texts";
import { Progress } from "./progress.svelte";
import type { SceneState } from "./scene.svelte";
import type { Tasks } from "./tasks.svelte";

/** Something that needs a look at all images, patch by patch: the tokens for a search by a patch, or thumbnails in patch colours. */
export class TokensState {
  /** What it takes to keep it; null unless that was asked and it is not kept. */
  plan = $state.raw<TokensInfo | null>(null);
  readonly #progress = new Progress();
  readonly what: Kept;
  readonly #source: Source;
  readonly #scene: SceneState;
  readonly #tasks: Tasks;

  constructor(what: Kept, source: Source, scene: SceneState, tasks: Tasks) {
    this.what = what;
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
    const isTold = await this.#tasks.run(this.what, waitTexts[this.what], (signal) => this.#source.kept(view, this.what, signal), (found) => {
      this.plan = found.kept ? null : found;
    });
    return isTold && this.plan === null;
  }

  /** Keep it. Tells whether all of it is kept now. */
  async keep(): Promise<boolean> {
    const { view } = this.#scene;
    if (!view) return false;
    const stop = this.#progress.follow(() => this.#source.keeping(view, this.what));
    const work = (signal: AbortSignal): Promise<void> => this.#source.keep(view, this.what, signal);
    return this.#tasks.run(this.what, waitTexts.keeping, work, () => { this.plan = null; }).finally(stop);
  }

  /** Wait for it no longer, and keep no more; what is kept stays. */
  cancel(): void {
    this.#tasks.drop(this.what);
    this.plan = null;
  }
}
