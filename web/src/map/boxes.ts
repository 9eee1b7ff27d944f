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
