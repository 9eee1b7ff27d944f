import type { Source } from "../lib/source";
import type { ImageInfo, Row } from "../lib/types";
import { waitTexts } from "../texts";
import type { SceneState } from "./scene.svelte";
import type { Tasks } from "./tasks.svelte";

/** The image that was clicked. */
export class ImageState {
  row = $state<Row | null>(null);
  /** All that is known of it; null until that has come. */
  current = $state.raw<ImageInfo | null>(null);
  // eslint-disable-next-line svelte/prefer-svelte-reactivity -- nothing on the page shows it
  readonly #visited = new Set<Row>();
  readonly #source: Source;
  readonly #scene: SceneState;
  readonly #tasks: Tasks;

  constructor(source: Source, scene: SceneState, tasks: Tasks) {
    this.#source = source;
    this.#scene = scene;
    this.#tasks = tasks;
  }

  /** Look at an image, or at none. */
  async look(row: Row | null): Promise<void> {
    this.row = row;
    this.#tasks.drop("image");
    if (row === null) this.#visited.clear();
    if (this.current?.row !== row) this.current = null;
    const { view } = this.#scene;
    if (row === null || !view) return;
    await this.#tasks.run(
      "image", waitTexts.image, (signal) => this.#source.image(view, row, signal), (image) => (this.current = image),
    );
  }

  /** Look at an image and remember that it was looked at. */
  async visit(row: Row): Promise<void> {
    this.#visited.add(row);
    await this.look(row);
  }

  /** The nearest neighbour that was not visited yet. */
  next(): Row | undefined {
    return this.current?.neighbors.find(({ row }) => !this.#visited.has(row))?.row;
  }
}
