import type { Said, Source } from "../lib/source";
import type { CheckedInfo, CheckedKind, Finding, FindingKind, Findings, Subject } from "../lib/types";
import { waitTexts } from "../texts";
import type { SceneState } from "./scene.svelte";
import type { Tasks } from "./tasks.svelte";

/** What there is to look at in the collection. */
export class FindingsState {
  /** What a person answers questions about, in place of the list; null while the list is shown. */
  asking = $state<Subject | null>(null);
  current = $state.raw<Findings | null>(null);
  #isStale = false;
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
    if (!view || (this.current && !this.#isStale)) return;
    await this.#tasks.join("findings", waitTexts.findings, (signal) => this.#source.findings(view, signal), (found) => {
      this.current = found;
      this.#isStale = false;
    });
  }

  /** Nobody waits for them any more. */
  leave(): void {
    this.asking = null;
    this.#tasks.drop("findings");
  }

  /** More is known of the same images: they are asked for again, and what was found, or is being asked, stays until then. */
  expire(): void {
    this.#tasks.drop("findings");
    this.#isStale = true;
  }

  /** They are others now. */
  forget(): void {
    this.leave();
    this.current = null;
  }

  /** What was checked at random of a kind; null where none of it can be. */
  checkOf(kind: FindingKind): CheckedInfo | null {
    return this.current?.checks.find((each) => each.kind === kind) ?? null;
  }

  /** Remember that a finding is no problem, or is one after all. */
  async dismiss(finding: Finding, dismissed: boolean): Promise<void> {
    await this.#judge(finding, { dismissed, confirmed: false });
  }

  /** Remember what a person says of a finding that was drawn at random; then ask what that says of the others. */
  async check(kind: CheckedKind, finding: Finding, confirmed: boolean): Promise<void> {
    const before = this.current?.checks ?? [];
    // the next one is shown at once
    this.#takeChecks(before.map((each) => (each.kind === kind ? { ...each, next: each.next.filter((key) => key !== finding.key) } : each)));
    const kept = await this.#judge(finding, { dismissed: !confirmed, confirmed });
    if (!kept && this.#tasks.error) this.#takeChecks(before);
    else await this.#askChecks();
  }

  async #askChecks(): Promise<void> {
    const { view } = this.#scene;
    if (!view) return;
    await this.#tasks.run("checks", waitTexts.remembering, (signal) => this.#source.checks(view, signal), ({ checks }) => { this.#takeChecks(checks); });
  }

  #takeChecks(checks: CheckedInfo[]): void {
    if (this.current) this.current = { ...this.current, checks };
  }

  async #judge(finding: Finding, said: Said): Promise<boolean> {
    const { view } = this.#scene;
    if (!view) return false;
    const { dismissed, confirmed } = finding;
    this.#mark(finding.key, said);
    const kept = await this.#tasks.run(
      `judge ${finding.key}`, waitTexts.remembering, () => this.#source.judge(view, finding, said), () => undefined,
    );
    if (!kept && this.#tasks.error) this.#mark(finding.key, { dismissed, confirmed });
    return kept;
  }

  #mark(key: string, said: Said): void {
    if (!this.current) return;
    const findings = this.current.findings.map((f) => (f.key === key ? { ...f, ...said } : f));
    this.current = { ...this.current, findings };
  }
}
