import type { View } from "./view";
import type { Camera } from "../lib/address";

/** What dragging does. */
export type Tool = "pan" | "lasso" | "box";
/** What an area does to the images that are selected: it takes their place, adds to them, or takes from them. */
export type Effect = "new" | "add" | "subtract";

/** What gestures need to know and may do. */
export interface Handler {
  view(): View;
  tool(): Tool;
  look(camera: Camera): void;
  /** The pointer is over this pixel; null when it left. */
  point(at: [number, number] | null): void;
  press(at: [number, number]): void;
  /** Corners of an area in pixels: while it is drawn, and once when it is done. */
  lasso(corners: [number, number][], done: boolean, effect: Effect): void;
}

/** Farther than this the pointer draws or drags; nearer it clicks. */
const STILL = 4;
const LEAST_CORNERS = 6;

/** The corners of the box between two opposite ones. */
export function boxOf([left, top]: [number, number], [right, bottom]: [number, number]): [number, number][] {
  return [[left, top], [right, top], [right, bottom], [left, bottom]];
}

/** Follow mouse, pen and fingers on an element. Returns a function that stops it. */
export function followGestures(element: HTMLElement, handler: Handler): () => void {
  const fingers = new Map<number, [number, number]>();
  let corners: [number, number][] | null = null;
  let isBox = false;
  let effect: Effect = "new";
  let start: [number, number] | null = null;
  let moved = false;

  const place = (event: MouseEvent): [number, number] => {
    const box = element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  const down = (event: PointerEvent): void => {
    if (event.button !== 0) return;
    const at = place(event);
    element.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, at);
    if (fingers.size > 1) {
      if (corners) handler.lasso([], false, effect);
      corners = null;
      moved = true;
      return;
    }
    start = at;
    moved = false;
    const tool = handler.tool();
    effect = event.altKey ? "subtract" : event.shiftKey ? "add" : "new";
    corners = effect !== "new" || tool !== "pan" ? [at] : null;
    isBox = tool === "box";
  };

  const move = (event: PointerEvent): void => {
    const at = place(event);
    const before = fingers.get(event.pointerId);
    if (!before) {
      handler.point(at);
      return;
    }
    if (start && Math.hypot(at[0] - start[0], at[1] - start[1]) > STILL) moved = true;
    if (!moved) return;
    handler.point(null); // a tip would hide what is drawn, or stay where its image no longer is
    if (fingers.size === 2) pinch(event.pointerId, before, at);
    else if (corners) {
      if (isBox && start) corners = boxOf(start, at);
      else corners.push(at);
      handler.lasso(corners, false, effect);
    } else if (fingers.size === 1) {
      handler.look(handler.view().moved(at[0] - before[0], at[1] - before[1]));
    }
    fingers.set(event.pointerId, at);
  };

  const pinch = (id: number, before: [number, number], at: [number, number]): void => {
    const other = [...fingers].find(([finger]) => finger !== id)?.[1];
    if (!other) return;
    const apart = (a: [number, number]): number => Math.max(8, Math.hypot(a[0] - other[0], a[1] - other[1]));
    const [left, top] = [(at[0] + other[0]) / 2, (at[1] + other[1]) / 2];
    handler.look(handler.view().zoomed(apart(at) / apart(before), left, top));
    handler.look(handler.view().moved((at[0] - before[0]) / 2, (at[1] - before[1]) / 2));
  };

  const up = (event: PointerEvent): void => {
    if (!fingers.delete(event.pointerId) || fingers.size > 0) return;
    if (corners) {
      const done = event.type === "pointerup" && corners.length >= (isBox ? 4 : LEAST_CORNERS);
      handler.lasso(done ? corners : [], done, effect);
    }
    if (!moved && event.type === "pointerup") handler.press(place(event));
    corners = null;
    start = null;
  };

  const leave = (): void => {
    if (fingers.size === 0) handler.point(null);
  };

  const wheel = (event: WheelEvent): void => {
    event.preventDefault();
    const pixels = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY * 16 : event.deltaY;
    const factor = Math.exp(-Math.max(-240, Math.min(240, pixels)) * (event.ctrlKey ? 0.01 : 0.0022));
    handler.look(handler.view().zoomed(factor, ...place(event)));
  };

  element.addEventListener("pointerdown", down);
  element.addEventListener("pointermove", move);
  element.addEventListener("pointerup", up);
  element.addEventListener("pointercancel", up);
  element.addEventListener("pointerleave", leave);
  element.addEventListener("wheel", wheel, { passive: false });
  return () => {
    element.removeEventListener("pointerdown", down);
    element.removeEventListener("pointermove", move);
    element.removeEventListener("pointerup", up);
    element.removeEventListener("pointercancel", up);
    element.removeEventListener("pointerleave", leave);
    element.removeEventListener("wheel", wheel);
  };
}
