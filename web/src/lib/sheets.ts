/** Pixels that sheets may take in memory, four bytes each. */
const MOST_PIXELS = 64e6;
const AT_ONCE = 16;
/** Milliseconds after its last use in which a sheet is not forgotten: what is in view would come and go for ever. */
const FRESH = 1500;
/** Milliseconds after which a sheet that failed is asked for again, if it is still drawn: a server may be back by then. */
const PAUSE = 5000;

/** Sheets of thumbnails, each fetched and decoded once for all maps and panels; those unused for longest are forgotten. */
export class SheetStore {
  /** In the order of their last use. */
  readonly #sheets = new Map<string, { bitmap: ImageBitmap; used: number }>();
  readonly #coming = new Map<string, Promise<ImageBitmap>>();
  /** When each last failed. */
  readonly #failed = new Map<string, number>();
  readonly #watchers = new Set<() => void>();
  #pixels = 0;

  /** Call a function whenever a sheet has come, or will not come. Returns a function that stops that. */
  watch(tell: () => void): () => void {
    this.#watchers.add(tell);
    return () => this.#watchers.delete(tell);
  }

  /** The sheet if it is there; otherwise it is fetched, a few at a time, and whoever watches is told. */
  get(url: string): ImageBitmap | null {
    const sheet = this.#use(url);
    const rests = performance.now() - (this.#failed.get(url) ?? -Infinity) < PAUSE;
    if (!sheet && this.#coming.size < AT_ONCE && !rests && this.#hasRoom()) {
      this.load(url).catch(() => undefined); // it is asked for again after a pause
    }
    return sheet;
  }

  /** The sheet, as soon as it is there. Draw at once: a sheet that is forgotten later is empty. */
  load(url: string): Promise<ImageBitmap> {
    const sheet = this.#use(url);
    if (sheet) return Promise.resolve(sheet);
    const coming = this.#coming.get(url) ?? this.#fetch(url);
    this.#coming.set(url, coming);
    return coming;
  }

  #use(url: string): ImageBitmap | null {
    const sheet = this.#sheets.get(url);
    if (!sheet) return null;
    this.#sheets.delete(url);
    this.#sheets.set(url, { ...sheet, used: performance.now() });
    return sheet.bitmap;
  }

  /** Whether another sheet fits, if need be in the place of one that is out of view. */
  #hasRoom(): boolean {
    const [oldest] = this.#sheets.values();
    return this.#pixels < MOST_PIXELS || (oldest !== undefined && performance.now() - oldest.used > FRESH);
  }

  async #fetch(url: string): Promise<ImageBitmap> {
    try {
      const answer = await fetch(url);
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      // from a blob, a browser decodes on another thread; from an image element it holds the page up for that
      const bitmap = await createImageBitmap(await answer.blob());
      this.#failed.delete(url);
      this.#sheets.set(url, { bitmap, used: performance.now() });
      this.#pixels += bitmap.width * bitmap.height;
      this.#forget();
      return bitmap;
    } catch (error) {
      this.#failed.set(url, performance.now());
      setTimeout(() => { this.#tell(); }, PAUSE + 100); // nothing else may draw meanwhile
      throw error;
    } finally {
      this.#coming.delete(url);
      this.#tell();
    }
  }

  #tell(): void {
    for (const tell of this.#watchers) tell();
  }

  #forget(): void {
    for (const [url, { bitmap, used }] of this.#sheets) {
      if (this.#pixels <= MOST_PIXELS || performance.now() - used < FRESH) return;
      this.#pixels -= bitmap.width * bitmap.height;
      bitmap.close();
      this.#sheets.delete(url);
    }
  }
}
