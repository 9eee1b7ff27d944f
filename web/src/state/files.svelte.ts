import { SourceError, type Source } from "../lib/source";
import type { Copied, FilesInfo, Row } from "../lib/types";
import { Progress } from "./progress.svelte";
import type { SceneState } from "./scene.svelte";

/** The files of images: how large they are, and copies of them, which go on while nobody looks. */
export class FilesState {
  isMeasuring = $state(false);
  measureProblem = $state<string | null>(null);
  /** Copies are being made or taken away. */
  isCopying = $state(false);
  copyProblem = $state<string | null>(null);
  /** Name of the folder that a person typed. */
  folder = $state("");
  /** The last copies: they can be taken away again as long as there is a key. */
  copied = $state.raw<Copied | null>(null);
  /** What became of them when they were taken away. */
  undone = $state.raw<Copied | null>(null);
  #measured = $state.raw<{ of: string; rows: Row[]; info: FilesInfo; address: string } | null>(null);
  readonly #progress = new Progress();
  readonly #source: Source;
  readonly #scene: SceneState;

  constructor(source: Source, scene: SceneState) {
    this.#source = source;
    this.#scene = scene;
  }

  /** How far copying is. */
  get progress(): Progress["current"] {
    return this.#progress.current;
  }

  /** What is known of the files of these images, which the browser is to call so; null until they are measured. */
  measured(rows: Row[], name: string): { info: FilesInfo; address: string } | null {
    const found = this.#measured;
    const isSame = found?.of === this.#of(name) && found.rows.length === rows.length && rows.every((row, at) => row === found.rows[at]);
    return isSame ? found : null;
  }

  async measure(rows: Row[], name: string): Promise<void> {
    const { view } = this.#scene;
    if (!view || this.isMeasuring) return;
    const of = this.#of(name);
    this.isMeasuring = true;
    this.measureProblem = null;
    try {
      const info = await this.#source.files(view, rows);
      this.#measured = { of, rows, info, address: this.#source.filesAddress(view, info.key, name) };
    } catch (error) {
      this.measureProblem = wordsOf(error);
    } finally {
      this.isMeasuring = false;
    }
  }

  async copy(rows: Row[]): Promise<void> {
    const { view } = this.#scene;
    if (!view || this.isCopying) return;
    const stop = this.#progress.follow(() => this.#source.copyProgress(view));
    await this.#attempt(async () => {
      this.copied = await this.#source.copyFiles(view, rows, this.folder.trim());
      this.undone = null;
    }).finally(stop);
  }

  /** Take the last copies away again. Tells whether it came to that. */
  async undo(): Promise<boolean> {
    const { view } = this.#scene;
    const key = this.copied?.key;
    if (!view || !key || this.isCopying) return false;
    return this.#attempt(async () => {
      this.undone = await this.#source.undoCopies(view, key);
      this.copied = null;
    });
  }

  async #attempt(work: () => Promise<void>): Promise<boolean> {
    this.isCopying = true;
    this.copyProblem = null;
    try {
      await work();
      return true;
    } catch (error) {
      this.copyProblem = wordsOf(error);
      return false;
    } finally {
      this.isCopying = false;
    }
  }

  #of(name: string): string {
    const { view } = this.#scene;
    return JSON.stringify([view?.key, name]); // clusters that are found meanwhile change nothing about files
  }
}

function wordsOf(error: unknown): string {
  return error instanceof SourceError ? error.message : String(error);
}
