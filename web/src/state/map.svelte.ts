import type { Camera } from "../lib/address";
import type { Position } from "../lib/types";

/** What a person does with the map. */
export class MapState {
  hovered = $state<Position | null>(null);
  /** What dragging does. */
  tool = $state<"pan" | "lasso">("pan");
  /** Where the map is looked at; null until somebody moves it. */
  camera = $state.raw<Camera | null>(null);
  /** Where the map shall look at next; every map obeys once to every new value: a camera, images to fly to, null for all. */
  wish = $state.raw<{ to: Camera | Uint32Array | null }>({ to: null });

  /** Move the map so that these images are in view. */
  flyTo(positions: Iterable<Position>): void {
    this.wish = { to: Uint32Array.from(positions) };
  }

  /** Look from where somebody else did. */
  lookFrom(camera: Camera): void {
    if (JSON.stringify(camera) !== JSON.stringify(this.camera)) this.wish = { to: camera };
  }

  showEverything(): void {
    this.wish = { to: null };
  }
}
