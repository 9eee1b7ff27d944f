import type { Source } from "../lib/source";
import type { Moved, PartnerInfo } from "../lib/types";
import { waitTexts } from "../texts";
import type { SceneState } from "./scene.svelte";
import type { Tasks } from "./tasks.svelte";

/** What the shown model and a partner see differently. */
export class MovedState {
  current = $state.raw<Moved | null>(null);
  readonly #source: Source;
  readonly #scene: SceneState;
  readonly #tasks: Tasks;
  /** Of which state of the model, and which partner. */
  #of = "";
  /** Whether the partner may have changed since. */
  #isStale = false;

  constructor(source: Source, scene: SceneState, tasks: Tasks) {
    this.#source = source;
    this.#scene = scene;
    this.#tasks = tasks;
  }

  /** The partner whose map stands beside, else the first one. */
  get partner(): PartnerInfo | null {
    return this.#scene.foreign?.partner ?? this.#scene.view?.partners?.[0] ?? null;
  }

  async load(): Promise<void> {
    const { view } = this.#scene;
    const { partner } = this;
    if (!view || !partner) return;
    const wanted = JSON.stringify([view.key, view.state, partner.id]);
    if (wanted === this.#of && this.current && !this.#isStale) return;
    if (wanted !== this.#of) this.forget();
    this.#of = wanted;
    await this.#tasks.join(
      "moved", waitTexts.moved, (signal) => this.#source.moved(view, partner.id, signal), (moved) => {
        this.current = moved;
        this.#isStale = false;
      },
    );
  }

  /** Nobody waits for it any more. */
  leave(): void {
    this.#tasks.drop("moved");
  }

  /** The partner may have changed: it is asked for anew, and what was found stays until then. */
  expire(): void {
    this.#isStale = true;
  }

  /** They are others now. */
  forget(): void {
    this.leave();
    this.current = null;
    this.#of = "";
    this.#isStale = false;
  }
}
