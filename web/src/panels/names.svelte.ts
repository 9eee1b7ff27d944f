import type { Source } from "../lib/source";
import type { ModelView, Row } from "../lib/types";

const PATIENCE = 180; // ms without a key before they are asked for

/** File names that hold what somebody types. */
export class Names {
  #found = $state.raw<{ text: string; rows: Row[] } | null>(null);

  /** Images whose file name holds a text; null where that is not known. */
  of(text: string): Row[] | null {
    return this.#found?.text === text ? this.#found.rows : null;
  }

  /** Ask for them, unless the function that this returns is called before. */
  look(source: Source, view: ModelView, text: string): () => void {
    const leaving = new AbortController();
    const { signal } = leaving;
    const tell = (rows: Row[]): void => {
      if (!signal.aborted) this.#found = { text, rows };
    };
    const timer = setTimeout(() => void source.find(view, text, signal).then(tell, () => tell([])), PATIENCE);
    return () => {
      clearTimeout(timer);
      leaving.abort();
    };
  }
}
