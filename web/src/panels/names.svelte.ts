import type { Source } from "../lib/source";
import type { ModelView, Row } from "../lib/types";
import { wordsOf } from "./suggestions";

const PATIENCE = 180; // ms without a key before they are asked for

/** Images whose file name holds a text. */
interface Named {
  text: string;
  rows: Row[];
}

/** File names that hold what somebody types, or else one of its words. */
export class Names {
  #found = $state.raw<{ asked: string; named: Named[] } | null>(null);

  /** What is found for a text; null where that is not known. */
  of(asked: string): Named[] | null {
    return this.#found?.asked === asked ? this.#found.named : null;
  }

  /** Ask for it, unless the function that this returns is called before. */
  look(source: Source, view: ModelView, asked: string): () => void {
    const leaving = new AbortController();
    const { signal } = leaving;
    const find = async (text: string): Promise<Named[]> => {
      const rows = await source.find(view, text, signal);
      return rows.length > 0 ? [{ text, rows }] : [];
    };
    const findAny = async (): Promise<Named[]> => {
      const whole = await find(asked);
      return whole.length > 0 ? whole : (await Promise.all(wordsOf(asked).map(find))).flat();
    };
    const tell = (named: Named[]): void => {
      if (!signal.aborted) this.#found = { asked, named };
    };
    const timer = setTimeout(() => void findAny().then(tell, () => tell([])), PATIENCE);
    return () => {
      clearTimeout(timer);
      leaving.abort();
    };
  }
}
