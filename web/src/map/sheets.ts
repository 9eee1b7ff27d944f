/** Pixels that sheets may take in memory, four bytes each. */
const MOST_PIXELS = 64e6;
const AT_ONCE = 4;
/** Milliseconds after its last use in which a sheet is not forgotten: what is in view would come and go for ever. */
const FRESH = 1500;

/** Loads sheets of thumbnails, a few at a time, and forgets those that were not used for longest. */
export class SheetStore {
  /** In the order of their last use; null while loading. */
  readonly #sheets = new Map<string, ImageBitmap | null>();
  readonly #used = new Map<string, number>();
  readonly #failed = new Set<string>();
  #loading = 0;
  #pixels = 0;

  constructor(readonly onLoad: () => void) {}

  /** The sheet if it is there; otherwise it is fetched, and `onLoad` tells when it is. */
  get(url: string): ImageBitmap | null {
    const sheet = this.#sheets.get(url);
    if (sheet) {
      this.#sheets.delete(url);
      this.#used.delete(url);
      this.#sheets.set(url, sheet);
      this.#used.set(url, performance.now());
      return sheet;
    }
    if (sheet === undefined && this.#loading < AT_ONCE && !this.#failed.has(url) && this.#hasRoom()) void this.#load(url);
    return null;
  }

  /** Whether another sheet fits, if need be in the place of one that is out of view. */
  #hasRoom(): boolean {
    if (this.#pixels < MOST_PIXELS) return true;
    const [oldest] = this.#used;
    return oldest !== undefined && performance.now() - oldest[1] > FRESH;
  }

  clear(): void {
    for (const sheet of this.#sheets.values()) sheet?.close();
    this.#sheets.clear();
    this.#failed.clear();
    this.#used.clear();
    this.#pixels = 0;
  }

  async #load(url: string): Promise<void> {
    this.#loading++;
    this.#sheets.set(url, null);
    try {
      const image = new Image();
      image.src = url;
      await image.decode();
      const bitmap = await createImageBitmap(image);
      if (!this.#sheets.has(url)) {
        bitmap.close();
        return;
      }
      this.#sheets.set(url, bitmap);
      this.#used.set(url, performance.now());
      this.#pixels += bitmap.width * bitmap.height;
      this.#forget(url);
    } catch {
      this.#sheets.delete(url);
      this.#failed.add(url);
    } finally {
      this.#loading--;
      this.onLoad();
    }
  }

  #forget(kept: string): void {
    for (const [url, sheet] of this.#sheets) {
      if (this.#pixels <= MOST_PIXELS) return;
      if (!sheet || url === kept || performance.now() - (this.#used.get(url) ?? 0) < FRESH) continue;
      this.#pixels -= sheet.width * sheet.height;
      sheet.close();
      this.#sheets.delete(url);
      this.#used.delete(url);
    }
  }
}

/** What is not empty of a tile: x, y, width and height in its sheet. A thumbnail is centred in its tile. */
export class TileBoxes {
  readonly #brush: CanvasRenderingContext2D | null;
  readonly #boxes = new Map<string, [number, number, number, number]>();

  constructor(readonly side: number) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = side;
    this.#brush = canvas.getContext("2d", { willReadFrequently: true });
  }

  box(url: string, sheet: ImageBitmap, column: number, row: number): [number, number, number, number] {
    const key = `${url} ${column} ${row}`;
    let box = this.#boxes.get(key);
    if (!box) {
      box = this.#measure(sheet, column * this.side, row * this.side);
      this.#boxes.set(key, box);
    }
    return box;
  }

  /** As it is centred, the first opaque pixel of the middle row and of the middle column tell all. */
  #measure(sheet: ImageBitmap, x: number, y: number): [number, number, number, number] {
    const { side } = this;
    const brush = this.#brush;
    if (!brush) return [x, y, side, side];
    brush.clearRect(0, 0, side, side);
    brush.drawImage(sheet, x, y, side, side, 0, 0, side, side);
    const middle = side >> 1;
    const across = emptyAtStart(brush.getImageData(0, middle, side, 1).data);
    const down = emptyAtStart(brush.getImageData(middle, 0, 1, side).data);
    if (across >= middle || down >= middle) return [x, y, side, side];
    return [x + across, y + down, side - 2 * across, side - 2 * down];
  }
}

function emptyAtStart(pixels: Uint8ClampedArray): number {
  let empty = 0;
  while (4 * empty < pixels.length && pixels[4 * empty + 3]! < 128) empty++;
  return empty;
}
