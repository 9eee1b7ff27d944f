import { untrack } from "svelte";
import { SvelteMap } from "svelte/reactivity";
import { waitTexts } from "../texts";
import type { Explorer } from "../state/explorer.svelte";
import type { PatchView, Row } from "../lib/types";
import type { PatchLayer } from "./patches";

const KEPT = 20; // images that need not be asked for again

/** What the model sees in the image that is open; the layer and its opacity stay from one image to the next. */
export class Seen {
  shown = $state(false);
  layer = $state<PatchLayer>("colours");
  opacity = $state(0.75);
  #found = new SvelteMap<string, PatchView>();
  #model = $state("");

  /** What is known of an image; null unless it is to be seen. */
  of(row: Row): PatchView | null {
    return this.shown ? (this.#found.get(`${this.#model}/${row}`) ?? null) : null;
  }

  /** Ask for it, if it is to be seen and not known yet. Returns a function that stops that. */
  look({ source, tasks, scene }: Explorer, row: Row): (() => void) | undefined {
    this.#model = scene.imagesKey;
    const view = untrack(() => scene.view); // new columns change nothing here
    if (!this.shown || !view) return undefined;
    const key = `${this.#model}/${row}`;
    if (this.#found.has(key)) return undefined;
    void tasks.run("patches", waitTexts.patches, (signal) => source.patches(view, row, signal), (found) => {
      for (const oldest of [...this.#found.keys()].slice(0, -KEPT)) this.#found.delete(oldest);
      this.#found.set(key, found);
    });
    return () => tasks.drop("patches");
  }
}

export const seen = new Seen();
