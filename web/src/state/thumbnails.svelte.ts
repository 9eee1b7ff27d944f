import { SheetStore } from "../lib/sheets";
import type { Pictures, Source } from "../lib/source";
import { Tiles, type Tile } from "../lib/thumbnails";
import type { Position } from "../lib/types";
import type { SceneState } from "./scene.svelte";

/** Sheets that are asked for with a map; more come as the map finds room for thumbnails. */
const FIRST_SHEETS = 4;

/** Where the thumbnails of the shown model lie, and their decoded sheets. */
export class ThumbnailState {
  readonly sheets = new SheetStore();
  /** How thumbnails are drawn where they are not there to be judged. */
  pictures = $state<Pictures>("photo");
  readonly #source: Source;
  readonly #scene: SceneState;
  readonly #tiles = $derived.by(() => this.#scene.view && new Tiles(this.#scene.view.sheets));

  constructor(source: Source, scene: SceneState) {
    this.#source = source;
    this.#scene = scene;
  }

  /** Where the thumbnail of an image lies, and in which picture; null where it has none. */
  tile(position: Position, pictures: Pictures): (Tile & { url: string }) | null {
    const tile = this.#tiles?.find(position);
    const { view } = this.#scene;
    return tile && view ? { ...tile, url: this.#source.sheet(view, tile.sheet, pictures) } : null;
  }

  /** An overview shows the first sheets: they come while its first frame is made. Any earlier, the map would wait for them. */
  askForFirst(): void {
    const { view } = this.#scene;
    for (let i = 0; view && i < Math.min(FIRST_SHEETS, view.sheets.count); i++) this.sheets.get(this.#source.sheet(view, i, this.pictures));
  }
}
