import { waitTexts } from "../texts";
import type { Explorer } from "../state/explorer.svelte";
import { untrack } from "svelte";
import { SvelteMap } from "svelte/reactivity";
import type { Match, PatchPairs, ReasonInfo, Row } from "../lib/types";

const MOST = 12; // each takes fifty runs of the model
const KEPT = 50; // pairs that need not be asked for again

/** What makes look-alikes like the image that they were found for: a row, or an image from outside. */
export class Why {
  /** Whether that is to be seen. */
  shown = $state(false);
  #found = $state.raw<{ matches: Match[]; reasons: ReasonInfo[] } | null>(null);

  /** Whether the pair is shown with its patches that match, in place of what matters in it. */
  matching = $state(false);
  #pairs = new SvelteMap<string, PatchPairs>();
  /** The pair whose patches could not be compared. */
  #failed = $state<string | null>(null);

  /** The row of the look-alike that somebody points at. */
  row = $state<Row | null>(null);

  /** The look-alike that is shown large, with what is known of it: the one pointed at, else the nearest. */
  pair(matches: Match[]): { match: Match; reason: ReasonInfo } | null {
    const reasons = this.of(matches);
    const reason = reasons?.find(({ row }) => row === this.row) ?? reasons?.[0];
    const match = matches.find(({ row }) => row === reason?.row);
    return reason && match ? { match, reason } : null;
  }

  /** What is known of these matches; null unless it is asked for. */
  of(matches: Match[]): ReasonInfo[] | null {
    return this.shown && this.#found?.matches === matches ? this.#found.reasons : null;
  }

  /** The patches of two images that match; null unless they are to be seen and known. */
  matched(explorer: Explorer, query: Row, other: Row): PatchPairs | null {
    return this.matching ? (this.#pairs.get(keyOf(explorer, query, other)) ?? null) : null;
  }

  /** Whether they could not be compared. */
  hasFailed(explorer: Explorer, query: Row, other: Row): boolean {
    return this.#failed === keyOf(explorer, query, other);
  }

  /** Compare them once more. */
  retry(): void {
    this.#failed = null;
  }

  /** Ask for these, if they are to be seen and not known yet. Returns a function that stops that. */
  match(explorer: Explorer, query: Row, other: Row): (() => void) | undefined {
    const { source, tasks, scene } = explorer;
    const view = untrack(() => scene.view); // new columns change nothing here
    const key = keyOf(explorer, query, other);
    if (!this.matching || !view || this.#pairs.has(key) || this.#failed === key) return undefined;
    let isWanted = true;
    const use = (found: PatchPairs): void => {
      for (const oldest of [...this.#pairs.keys()].slice(0, 1 - KEPT)) this.#pairs.delete(oldest);
      this.#pairs.set(key, found);
    };
    void tasks.run("pairs", waitTexts.pairs, (signal) => source.patchPairs(view, query, other, signal), use).then((isFound) => {
      if (!isFound && isWanted) this.#failed = key;
    });
    return () => {
      isWanted = false;
      tasks.drop("pairs");
    };
  }

  /** Ask for it, if it is to be seen and not known yet. Returns a function that stops that. */
  look({ source, tasks, scene }: Explorer, query: Row | Blob | null, matches: Match[]): (() => void) | undefined {
    const isThere = scene.imagesKey !== "";
    const view = untrack(() => scene.view); // new columns change nothing here
    if (!this.shown || !isThere || !view || query === null || !matches.length || this.#found?.matches === matches) return undefined;
    const rows = matches.slice(0, MOST).map((each) => each.row);
    void tasks.run("reasons", waitTexts.reasons, (signal) => source.reasons(view, query, rows, signal), ({ reasons }) => {
      this.#found = { matches, reasons };
    });
    return () => tasks.drop("reasons");
  }
}

/** Other models, and other images, match other patches. */
function keyOf({ scene }: Explorer, query: Row, other: Row): string {
  return JSON.stringify([scene.imagesKey, query, other]);
}
