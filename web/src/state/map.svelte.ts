import type { Attachment } from "svelte/attachments";
import { SvelteSet } from "svelte/reactivity";
import type { Camera } from "../lib/address";
import type { Position } from "../lib/types";

/** What a person does with the map. */
export class MapState {
  hovered = $state<Position | null>(null);
  /** What dragging does. */
  tool = $state<"pan" | "lasso">("pan");
  /** How much larger thumbnails are than there is room for. */
  larger = $state(1);
  /** What stands above the map and would hide images. */
  readonly above = new SvelteSet<HTMLElement>();
  /** Attached to what stands above the map. */
  readonly standsAbove: Attachment<HTMLElement> = (element) => {
    this.above.add(element);
    return () => this.above.delete(element);
  };
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
