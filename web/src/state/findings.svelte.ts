import type { Source } from "../lib/source";
import type { Finding, Findings } from "../lib/types";
import { waitTexts } from "../texts";
import type { SceneState } from "./scene.svelte";
import type { Tasks } from "./tasks.svelte";

/** What there is to look at in the collection. */
export class FindingsState {
  current = $state.raw<Findings | null>(null);
  readonly #source: Source;
  readonly #scene: SceneState;
  readonly #tasks: Tasks;

  constructor(source: Source, scene: SceneState, tasks: Tasks) {
    this.#source = source;
    this.#scene = scene;
    this.#tasks = tasks;
  }

  async load(): Promise<void> {
    const { view } = this.#scene;
    if (!view || this.current) return;
    await this.#tasks.join(
      "findings", waitTexts.findings, (signal) => this.#source.findings(view, signal), (found) => (this.current = found),
    );
  }

  /** Nobody waits for them any more. */
  leave(): void {
    this.#tasks.drop("findings");
  }

  /** They are others now. */
  forget(): void {
    this.leave();
    this.current = null;
  }

  /** Remember that a finding is no problem, or is one after all. */
  async dismiss(finding: Finding, dismissed: boolean): Promise<void> {
    const { view } = this.#scene;
    if (!view) return;
    this.#mark(finding.key, dismissed);
    const kept = await this.#tasks.run(
      `dismiss ${finding.key}`, waitTexts.remembering, () => this.#source.dismiss(view, finding, dismissed), () => undefined,
    );
    if (!kept && this.#tasks.error) this.#mark(finding.key, !dismissed);
  }

  #mark(key: string, dismissed: boolean): void {
    if (!this.current) return;
    const findings = this.current.findings.map((f) => (f.key === key ? { ...f, dismissed } : f));
    this.current = { ...this.current, findings };
  }
}
