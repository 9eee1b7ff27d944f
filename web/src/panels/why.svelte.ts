import { waitTexts } from "../texts";
import type { Explorer } from "../lib/explorer.svelte";
import type { Match, ReasonInfo, Row } from "../lib/types";

const MOST = 12; // each takes fifty runs of the model

/** What makes look-alikes like the image that they were found for: a row, or an image from outside. */
export class Why {
  /** Whether that is to be seen. */
  asked = $state(false);
  #found = $state.raw<{ matches: Match[]; reasons: ReasonInfo[] } | null>(null);

  constructor(readonly explorer: Explorer) {}

  /** What is known of these matches; null unless it is asked for. */
  of(matches: Match[]): ReasonInfo[] | null {
    return this.asked && this.#found?.matches === matches ? this.#found.reasons : null;
  }

  /** Ask for it, if it is to be seen and not known yet. */
  look(query: Row | Blob, matches: Match[]): void {
    const { view, tasks, source } = this.explorer;
    if (!this.asked || !view || !matches.length || this.#found?.matches === matches) return;
    const rows = matches.slice(0, MOST).map((each) => each.row);
    void tasks.run("reasons", waitTexts.reasons, () => source.reasons(view, query, rows), ({ reasons }) => {
      this.#found = { matches, reasons };
    });
  }
}
