/** One request for all who want the same: it is aborted once the last of them does not want the answer any more. */
export class Shared<T> {
  readonly #controller = new AbortController();
  readonly #answer: Promise<T>;
  #isSettled = false;
  #wanted = 0;

  constructor(fetch: (signal: AbortSignal) => Promise<T>) {
    this.#answer = fetch(this.#controller.signal).finally(() => (this.#isSettled = true));
  }

  /** Whether it was aborted: there will be no answer. */
  get isOver(): boolean {
    return this.#controller.signal.aborted;
  }

  /** Wait for the answer; without a signal, to the end. */
  ask(signal?: AbortSignal): Promise<T> {
    this.#wanted++;
    signal?.addEventListener("abort", () => this.#leave(), { once: true });
    return this.#answer;
  }

  #leave(): void {
    this.#wanted--;
    if (this.#wanted === 0 && !this.#isSettled) this.#controller.abort();
  }
}
