import { describe, expect, it } from "vitest";
import type { PatchImage } from "../../src/lib/types";
import { groupColour, rampColour } from "../../src/map/colours";
import { bytesOf, lowest, paintLayer, paintSimilar, patchAt, patchBeside } from "../../src/panels/patches";
import { Seen } from "../../src/panels/patches.svelte";
import { open, settle } from "../explorers";

const IMAGE: PatchImage = {
  row: 4, rows: 2, columns: 3, sure: 0.9, clear: true, similar: "",
  colours: Array.from({ length: 18 }, (_, at) => at), foreground: [0, 255, 0, 0, 51, 255], parts: [0, 1, 2, 3, 4, 5], attention: [0, 255, 0, 0, 0, 51],
};

function pixel(pixels: Uint8ClampedArray, at: number): number[] {
  return [...pixels.slice(4 * at, 4 * at + 4)];
}

describe("a layer", () => {
  it("of colours shows them as they are", () => {
    expect(pixel(paintLayer(IMAGE, "colours"), 4)).toEqual([12, 13, 14, 255]);
  });

  it("of the foreground veils the ground alone, and a patch of both as far as it is ground", () => {
    const pixels = paintLayer(IMAGE, "foreground");
    expect([0, 1, 4].map((at) => pixel(pixels, at)[3])).toEqual([255, 0, 204]);
  });

  it("of parts gives each its colour", () => {
    expect(pixel(paintLayer(IMAGE, "parts"), 2)).toEqual([...groupColour(2), 255]);
  });

  it("of attention is a ramp, dark throughout where there is none", () => {
    expect(pixel(paintLayer(IMAGE, "attention"), 1).slice(0, 3)).toEqual([...rampColour(1)].map(Math.round));
    const none = paintLayer({ ...IMAGE, attention: null }, "attention");
    expect(pixel(none, 1)).toEqual(pixel(none, 0));
  });
});

describe("a patch", () => {
  it("lies where somebody points, also at the very edge", () => {
    expect([patchAt(IMAGE, 0, 0), patchAt(IMAGE, 0.5, 0.6), patchAt(IMAGE, 1, 1), patchAt(IMAGE, -0.1, 2)]).toEqual([0, 4, 5, 3]);
  });

  it("is left by the arrow keys, which stop at the edges", () => {
    expect(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "a"].map((key) => patchBeside(IMAGE, 4, key))).toEqual([3, 5, 1, 4, null]);
  });

  it("is the most similar to itself", () => {
    const similar = Uint8Array.from({ length: 36 }, (_, at) => (at % 7 === 0 ? 255 : 100 + (at % 5)));
    const pixels = paintSimilar(IMAGE, similar, 2, lowest(IMAGE, similar, 2));
    expect(pixel(pixels, 2).slice(0, 3)).toEqual([...rampColour(1)].map(Math.round));
    expect(lowest(IMAGE, similar, 2)).toBe(100);
    expect(pixel(pixels, 0).slice(0, 3)).not.toEqual(pixel(pixels, 2).slice(0, 3));
  });

  it("travels as bytes", () => {
    expect([...bytesOf(btoa("\u0001\u00ff"))]).toEqual([1, 255]);
  });
});

describe("what the model sees", () => {
  it("is asked for once, when it is to be seen, and goes away when it is not", async () => {
    const { explorer } = await open();
    const seen = new Seen();
    seen.look(explorer, 4);
    expect(seen.of(4)).toBeNull();
    seen.shown = true;
    seen.look(explorer, 4);
    await settle();
    expect(seen.of(4)?.basis).toBe("b");
    expect(seen.look(explorer, 4)).toBeUndefined();
    expect(seen.of(5)).toBeNull();
    seen.shown = false;
    expect(seen.of(4)).toBeNull();
  });
});
