import type { Source } from "../lib/source";
import type { ModelView, Row, SearchAnswer } from "../lib/types";
import { waitTexts } from "../texts";
import { Progress } from "./progress.svelte";
import type { SceneState } from "./scene.svelte";
import type { Tasks } from "./tasks.svelte";

/** The search by an image from outside, or by a patch of one of the collection. */
export class AnswerState {
  current = $state.raw<SearchAnswer | null>(null);
  /** An object URL of the image. */
  picture = $state<string | null>(null);
  /** The image itself. */
  asked: Blob | null = null;
  /** The image of the collection that it is a part of. */
  partOf = $state<Row | null>(null);
  readonly #progress = new Progress();
  readonly #reading = new Progress();
  readonly #source: Source;
  readonly #scene: SceneState;
  readonly #tasks: Tasks;

  constructor(source: Source, scene: SceneState, tasks: Tasks) {
    this.#source = source;
    this.#scene = scene;
    this.#tasks = tasks;
  }

  /** How far a search inside the images is. */
  get progress(): Progress["current"] {
    return this.#progress.current;
  }

  /** How much has been read of what a search by a patch compares. */
  get reading(): Progress["current"] {
    return this.#reading.current;
  }

  /** Look-alikes of an image. */
  async search(blob: Blob, partOf: Row | null = null): Promise<void> {
    const { view, mapId } = this.#scene;
    if (!view) return;
    this.drop();
    this.picture = URL.createObjectURL(blob);
    this.asked = blob;
    this.partOf = partOf;
    await this.#ask(view, blob, mapId, false);
  }

  /** Where else there is a patch like the one at a place of an image; `picture` shows it. */
  async searchPatch(picture: Blob, row: Row, place: [number, number]): Promise<void> {
    const { view } = this.#scene;
    if (!view) return;
    this.drop();
    this.picture = URL.createObjectURL(picture);
    this.partOf = row;
    const stop = this.#reading.follow(() => this.#source.readingTokens(view));
    await this.#tasks.run("answer", waitTexts.patch, (signal) => this.#source.findPatch(view, row, place, signal), (answer) => {
      this.current = answer;
    }).finally(stop);
  }

  /** The same image once more, also where it fills only a part of another. */
  async lookInside(): Promise<void> {
    const { view, mapId } = this.#scene;
    if (!view || !this.asked) return;
    const stop = this.#progress.follow(() => this.#source.insideProgress(view));
    await this.#ask(view, this.asked, mapId, true).finally(stop);
  }

  /** Wait no longer for a search inside the images; the answer before stays. */
  cancel(): void {
    this.#tasks.drop("answer");
  }

  /** Forget the image and its answer. */
  drop(): void {
    this.#tasks.drop("answer");
    if (this.picture) URL.revokeObjectURL(this.picture);
    this.picture = this.current = this.asked = this.partOf = null;
  }

  /** The place of the image was one on another map. */
  forgetPlace(): void {
    if (this.current) this.current = { ...this.current, place: null };
  }

  async #ask(view: ModelView, blob: Blob, mapId: string, inside: boolean): Promise<void> {
    const words = inside ? waitTexts.inside : waitTexts.lookAlikes;
    await this.#tasks.run("answer", words, (signal) => this.#source.search(view, blob, mapId, inside, signal), (answer) => {
      const isSameMap = this.#scene.mapId === mapId && this.#scene.view?.count === view.count;
      this.current = isSameMap ? answer : { ...answer, place: null };
    });
  }
}
