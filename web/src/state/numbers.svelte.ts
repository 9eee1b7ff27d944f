import type { Source } from "../lib/source";
import type { Numbers } from "../lib/types";
import { waitTexts } from "../texts";
import type { SceneState } from "./scene.svelte";
import type { Tasks } from "./tasks.svelte";

/** How far to trust what is seen: scores of the shown map and model. */
export class NumbersState {
  current = $state.raw<Numbers | null>(null);
  readonly #source: Source;
  readonly #scene: SceneState;
  readonly #tasks: Tasks;

  constructor(source: Source, scene: SceneState, tasks: Tasks) {
    this.#source = source;
    this.#scene = scene;
    this.#tasks = tasks;
  }

  /** Tells whether they have come only now. */
  async load(): Promise<boolean> {
    const { view, mapId } = this.#scene;
    if (!view || this.current) return false;
    return this.#tasks.join(
      "numbers", waitTexts.numbers, (signal) => this.#source.numbers(view, mapId, signal), (numbers) => (this.current = numbers),
    );
  }

  /** Nobody waits for them any more. */
  leave(): void {
    this.#tasks.drop("numbers");
  }

  /** They are others now. */
  forget(): void {
    this.leave();
    this.current = null;
  }
}
