import type { Attachment } from "svelte/attachments";
import { SvelteSet } from "svelte/reactivity";
import type { Camera } from "../lib/address";
import type { Tool } from "../map/gestures";
import type { Position } from "../lib/types";

/** What a person does with the map. */
export class MapState {
  hovered = $state<Position | null>(null);
  /** What dragging does. */
  tool = $state<Tool>("pan");
  /** How much larger thumbnails are than there is room for. */
  larger = $state(1);
  /** What stands above the map and would hide images. */
  readonly above = new SvelteSet<HTMLElement>();
  /** Attached to what stands above the map. */
  readonly standsAbove: Attachment<HTMLElement> = (element) => {
    this.above.add(element);
    return () => this.above.delete(element);
  };
  /** Whether no image is in view. */
  isEmpty = $state(false);
  /** Where the map is looked at; null until somebody moves it. */
  camera = $state.raw<Camera | null>(null);
  /** Where the map shall look at next; every map obeys once to every new value: a camera, images to fly to, null for all. */
  wish = $state.raw<{ to: Camera | Uint32Array | null }>({ to: null });

  /** Where the map was looked at before the page moved it by itself; null once a person has moved it. */
  #before: { camera: Camera | null } | null = null;

  /** Move the map so that these images are in view. */
  flyTo(positions: Iterable<Position>): void {
    this.#before ??= { camera: this.camera };
    this.wish = { to: Uint32Array.from(positions) };
  }

  /** What the map was moved for is gone: look from where it was looked at before. */
  comeBack(): void {
    if (this.#before) this.wish = { to: this.#before.camera };
    this.#before = null;
  }

  /** A person moved the map, and wants to stay there. */
  stay(): void {
    this.#before = null;
  }

  /** Look from where somebody else did. */
  lookFrom(camera: Camera): void {
    if (JSON.stringify(camera) !== JSON.stringify(this.camera)) this.wish = { to: camera };
  }

  showEverything(): void {
    this.stay();
    this.wish = { to: null };
  }
}
