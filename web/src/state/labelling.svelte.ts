import { SvelteSet } from "svelte/reactivity";
import type { GivenLabels, LabelProgress, LabelQuestion, LabelRest, Labelling } from "../lib/api";
import { after, asColumn, codesOf, inOrder, nothingSaid } from "../lib/given";
import type { Source } from "../lib/source";
import type { ModelView, Row } from "../lib/types";
import { labelTexts, waitTexts } from "../texts";
import type { SceneState } from "./scene.svelte";
import type { Tasks } from "./tasks.svelte";

/** Labels and tags that people give, what is asked next, and how right the rest is. */
export class LabellingState {
  /** The labels in the order of the keys 1 to 9: as they came, so a key never changes its meaning. */
  labels = $state.raw<string[]>([]);
  tags = $state.raw<string[]>([]);
  #undoable = $state(0);
  redoable = $state(0);
  question = $state.raw<LabelQuestion | null>(null);
  /** The question is answered and the next one is on its way. */
  isAnswered = $state(false);
  progress = $state.raw<LabelProgress | null>(null);
  batches = $state(false);
  /** Images that the keys are about in place of the question: chosen by hand. */
  chosen = $state.raw<Row[] | null>(null);
  /** The question that was put off last, until something else is said: undo brings it back. */
  #putOff = $state.raw<LabelQuestion | null>(null);
  /** Images that a person did not know. */
  readonly #unknown = new SvelteSet<Row>();
  /** What was said of each image. */
  #said = $state.raw(nothingSaid);
  #revision = 0;
  #loaded = false;
  readonly #source: Source;
  readonly #scene: SceneState;
  readonly #tasks: Tasks;

  constructor(source: Source, scene: SceneState, tasks: Tasks) {
    this.#source = source;
    this.#scene = scene;
    this.#tasks = tasks;
  }

  labelOf(row: Row): string | null {
    return this.#said.get(row)?.label ?? null;
  }

  /** How many steps can be undone. */
  get undoable(): number {
    return this.#undoable + (this.#putOff ? 1 : 0);
  }

  /** Whether a person said before that they do not know what an image is. */
  isUnknown(row: Row): boolean {
    return this.#unknown.has(row);
  }

  tagsOf(row: Row): string[] {
    return this.#said.get(row)?.tags ?? [];
  }

  /** Ask for all labels of a model; the column must be there before a scene is shown in its colours. */
  async load(model: string): Promise<void> {
    if (this.#loaded) return;
    this.#loaded = true;
    try {
      this.#take(await this.#source.labels(model, 0));
    } catch {
      this.#loaded = false; // an old server, or one that is busy: the panel asks again
    }
  }

  /** Bring up the next question. */
  async ask(): Promise<void> {
    const { view } = this.#scene;
    if (!view) return;
    await this.#tasks.run(
      "labelling", waitTexts.labelling, (signal) => this.#source.labelling(view, this.#revision, this.batches, signal),
      (found) => { this.#takeAll(found); },
    );
  }

  /** Answer the question. With null say that a batch holds an image of another label, or that one does not know. */
  async answer(label: string | null): Promise<void> {
    const { question } = this;
    const { view } = this.#scene;
    if (!view || !question || this.isAnswered) return;
    const { kind, rows } = question;
    const isPutOff = label === null && kind !== "batch";
    this.#putOff = isPutOff ? question : null;
    if (isPutOff) for (const row of rows) this.#unknown.add(row);
    await this.#say(() => this.#source.answerLabel(view, { kind, rows, label, seen: this.#revision, batches: this.batches }));
  }

  /** Of all images without a label: take the proposals as their labels, or ask again about those that were put off. */
  async settle(does: LabelRest["does"]): Promise<void> {
    const { view } = this.#scene;
    if (!view || this.isAnswered) return;
    this.#putOff = null;
    await this.#say(() => this.#source.settleLabels(view, { does, seen: this.#revision, batches: this.batches }));
  }

  async #say(work: () => Promise<Labelling>): Promise<void> {
    this.isAnswered = true; // a second press of the key answers nothing
    const kept = await this.#tasks.run("labelling", waitTexts.remembering, work, (found) => { this.#takeAll(found); });
    if (!kept) await this.#again();
    this.isAnswered = false;
  }

  /** Give images a label ("" takes it away, null leaves it) and tags. */
  async give(rows: Row[], label: string | null, addTags: string[] = [], dropTags: string[] = []): Promise<void> {
    await this.#change((model) => this.#source.giveLabels(model, { rows, label, add_tags: addTags, drop_tags: dropTags, seen: this.#revision }));
  }

  async undo(): Promise<void> {
    if (this.isAnswered) return; // the next question is on its way, and would replace the one that comes back
    if (this.#putOff) {
      this.#tasks.drop("labelling");
      this.chosen = null;
      this.question = this.#putOff;
      this.#putOff = null;
    } else await this.#change((model) => this.#source.stepLabels(model, "undo", this.#revision));
  }

  redo(): Promise<void> {
    return this.#change((model) => this.#source.stepLabels(model, "redo", this.#revision));
  }

  async #change(work: (model: ModelView) => Promise<GivenLabels>): Promise<void> {
    const { view } = this.#scene;
    if (!view) return;
    this.#putOff = null;
    const kept = await this.#tasks.run("giving labels", waitTexts.remembering, () => work(view), (found) => { this.#take(found); });
    if (!kept) await this.#again();
    else if (this.progress) await this.ask();
  }

  /** Something went wrong, perhaps because another window was earlier: see what it said, and keep the message. */
  async #again(): Promise<void> {
    const { view } = this.#scene;
    const { error } = this.#tasks;
    if (!view) return;
    try {
      this.#takeAll(await this.#source.labelling(view, this.#revision, this.batches));
    } catch {
      // the message says enough
    }
    if (error !== null) this.#tasks.error = error;
  }

  #takeAll(found: Labelling): void {
    this.#take(found.given);
    this.question = found.question;
    this.progress = found.progress;
  }

  #take(found: GivenLabels): void {
    const labels = inOrder(this.labels, found);
    const said = after(this.#said, found);
    this.labels = labels;
    this.tags = found.tags;
    this.#undoable = found.undoable;
    this.redoable = found.redoable;
    this.#revision = found.revision;
    this.#said = said;
    // on the map at once
    this.#scene.useOwn(asColumn(labels, found, labelTexts.column, labelTexts.columnMore), (rows) => codesOf(rows, labels, said));
  }
}
