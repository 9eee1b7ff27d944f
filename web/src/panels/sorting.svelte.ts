import { sorted } from "../lib/filter";
import { isPerMap, type Values } from "../lib/types";
import type { Explorer } from "../state/explorer.svelte";
import type { SceneState } from "../state/scene.svelte";
import { waitTexts } from "../texts";

/** The order of a list of images: by a column of what is shown, or as they were found. */
export class Sorting {
  /** The column that is asked for; "" for the order in which images were found. */
  column = $state("");
  isDescending = $state(false);
  /** Its values, and of what they are. */
  #found = $state.raw<{ key: string; values: Values | Uint16Array } | null>(null);

  /** The column, if what is shown has it; else "". */
  columnOf({ view }: SceneState): string {
    return view?.columns.some(({ name }) => name === this.column) ? this.column : "";
  }

  /** Positions in that order; as they are until the values are there. */
  of(scene: SceneState, positions: Uint32Array): Uint32Array {
    const found = this.#found;
    return found && found.key === this.#keyOf(scene) ? sorted(positions, found.values, this.isDescending) : positions;
  }

  /** Fetch the values of what is shown. Returns a function that stops that. */
  look({ scene, tasks }: Explorer): (() => void) | undefined {
    const [name, key] = [this.columnOf(scene), this.#keyOf(scene)];
    const column = scene.view?.columns.find((each) => each.name === name);
    if (!column) return undefined;
    const work = async (signal: AbortSignal): Promise<Values | Uint16Array> => {
      try {
        return await (column.kind === "category" ? scene.codesOf(name, signal) : scene.valuesOf(name, signal));
      } catch (problem) {
        if (!signal.aborted) this.column = ""; // so the list is not said to be in an order that it is not in
        throw problem;
      }
    };
    void tasks.run("sort", waitTexts.column(column.title), work, (values) => {
      this.#found = { key, values };
    });
    return () => tasks.drop("sort");
  }

  #keyOf(scene: SceneState): string {
    const { view, mapId } = scene;
    const name = this.columnOf(scene);
    return name && view ? [view.key, view.state, name, isPerMap(view, name) ? mapId : ""].join(" ") : "";
  }
}
