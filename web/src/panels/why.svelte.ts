import { waitTexts } from "../texts";
import type { Explorer } from "../lib/explorer.svelte";
import type { Match, ReasonInfo, Row } from "../lib/types";

const MOST = 12; // each takes fifty runs of the model

/** What makes look-alikes like the image that they were found for: a row, or an image from outside. */
export class Why {
  /** Whether that is to be seen. */
  shown = $state(false);
  #found = $state.raw<{ matches: Match[]; reasons: ReasonInfo[] } | null>(null);

  /** What is known of these matches; null unless it is asked for. */
  of(matches: Match[]): ReasonInfo[] | null {
    return this.shown && this.#found?.matches === matches ? this.#found.reasons : null;
  }

  /** Ask for it, if it is to be seen and not known yet. */
  look(explorer: Explorer, query: Row | Blob, matches: Match[]): void {
    const { view, tasks, source } = explorer;
    if (!this.shown || !view || !matches.length || this.#found?.matches === matches) return;
    const rows = matches.slice(0, MOST).map((each) => each.row);
    void tasks.run("reasons", waitTexts.reasons, () => source.reasons(view, query, rows), ({ reasons }) => {
      this.#found = { matches, reasons };
    });
  }
}
