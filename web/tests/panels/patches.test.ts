import { describe, expect, it, vi } from "vitest";
import type { PatchImage } from "../../src/lib/types";
import { groupColour, rampColour } from "../../src/map/colours";
import { inSquare, MOST_LINES, pairLines } from "../../src/panels/pairLines";
import { around, bytesOf, lowest, middleOf, middlePatch, paintLayer, paintSimilar, patchAt, patchBeside } from "../../src/panels/patches";
import { Seen } from "../../src/panels/patches.svelte";
import { hold, makeSource, open, settle } from "../explorers";

const IMAGE: PatchImage = {
  row: 4, rows: 2, columns: 3, sure: 0.9, clear: true, similar: "",
  colours: Array.from({ length: 18 }, (_, at) => at), foreground: [0, 255, 0, 0, 51, 255], parts: [0, 1, 2, 3, 4, 5], attention: [0, 255, 0, 0, 0, 51],
};

function pixel(pixels: Uint8ClampedArray, at: number): number[] {
  return [...pixels.slice(4 * at, 4 * at + 4)];
}

it("the patch in the middle is where the keys begin", () => {
  expect(middlePatch(IMAGE)).toBe(4);
});

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

describe("a patch that is searched by", () => {
  it("is told by its middle, and shown with those around it", () => {
    expect(middleOf(IMAGE, 4)).toEqual([0.5, 0.75]);
    expect(around(IMAGE, 0, { width: 60, height: 20 })).toEqual({ left: 0, top: 0, width: 40, height: 20 });
    expect(around(IMAGE, 5, { width: 60, height: 20 })).toEqual({ left: 20, top: 0, width: 40, height: 20 });
  });

  it("waits until what the search needs is kept, and says what that takes", async () => {
    const { explorer } = await open();
    expect(await explorer.tokens.areKept()).toBe(false);
    expect(explorer.tokens.plan).toMatchObject({ images: 4, obstacle: null });
    expect(await explorer.tokens.keep()).toBe(true);
    expect(explorer.tokens.plan).toBeNull();
  });

  it("has an answer like any other search", async () => {
    const { explorer } = await open();
    await explorer.searchPatch(new Blob(), 4, [0.5, 0.75]);
    expect(explorer.panel).toBe("image");
    expect(explorer.answer.partOf).toBe(4);
    expect(explorer.answer.current?.matches.map(({ row }) => row)).toEqual([6]);
    explorer.dropAnswer();
    expect(explorer.answer.current).toBeNull();
  });
});

describe("thumbnails in patch colours", () => {
  it("are drawn once a person has agreed to what they take", async () => {
    const { explorer } = await open();
    await explorer.paint("colours");
    expect(explorer.thumbnails.pictures).toBe("photo");
    expect(explorer.colours.plan).toMatchObject({ images: 4, seconds: 10 });
    await explorer.makeColours();
    expect(explorer.colours.plan).toBeNull();
    expect(explorer.thumbnails.pictures).toBe("colours");
    expect(explorer.thumbnails.tile(0, "colours")?.url).toBe("coloured sheet 0");
    expect(explorer.thumbnails.tile(0, "photo")?.url).toBe("sheet 0");
    await explorer.paint("photo");
    expect(explorer.thumbnails.pictures).toBe("photo");
  });

  it("are not asked about when they are there, or take a moment", async () => {
    const { explorer } = await open();
    const { source } = explorer;
    source.kept = () => Promise.resolve({ kept: false, images: 4, megabytes: 1, seconds: 1, resumes: false, obstacle: null });
    await explorer.paint("colours");
    expect(explorer.thumbnails.pictures).toBe("colours");
    await explorer.paint("photo");
    source.kept = () => Promise.resolve({ kept: true, images: 0, megabytes: 0, seconds: 0, resumes: false, obstacle: null });
    await explorer.paint("colours");
    expect(explorer.thumbnails.pictures).toBe("colours");
  });

  it("are offered where a model can look at images", async () => {
    const { source } = (await open()).explorer;
    const told = await source.collection();
    const canLook = async (changes: Partial<typeof told>): Promise<boolean> => {
      const { explorer } = await open("", { ...source, collection: () => Promise.resolve({ ...told, ...changes }) });
      return explorer.collection.canLook("one");
    };
    expect(await canLook({})).toBe(true);
    expect(await canLook({ live: false })).toBe(false);
    expect(await canLook({ models: told.models.map((each) => ({ ...each, resolution: 0 })) })).toBe(false); // vectors made elsewhere
    expect(await canLook({ models: told.models.map((each) => ({ ...each, patches: false })) })).toBe(false);
  });

  it("stay photographs where something is in the way", async () => {
    const { explorer } = await open();
    const { source } = explorer;
    source.kept = () => Promise.resolve({ kept: false, images: 20_000, megabytes: 1, seconds: 1, resumes: false, obstacle: "there are too many" });
    await explorer.paint("colours");
    expect(explorer.thumbnails.pictures).toBe("photo");
    expect(explorer.colours.plan?.obstacle).toBe("there are too many");
  });
});

describe("thumbnails in patch colours of another model", () => {
  it("are asked for once they are known to be there: photographs stand in their place until then", async () => {
    const source = makeSource();
    const kept = new Set(["one"]);
    source.sheet = ({ key }, index, pictures) => `${key} ${pictures} ${index}`;
    source.kept = ({ key }) => Promise.resolve({ kept: kept.has(key), images: 3, megabytes: 1, seconds: 10, resumes: false, obstacle: null });
    source.keep = ({ key }) => Promise.resolve(void kept.add(key));
    const asked: string[] = [];
    vi.stubGlobal("fetch", (url: string) => {
      asked.push(url);
      const [key, pictures] = url.split(" ");
      return Promise.resolve({ ok: pictures === "photo" || kept.has(key ?? ""), status: 400, blob: () => Promise.resolve(url) });
    });
    vi.stubGlobal("createImageBitmap", (url: string) => Promise.resolve({ url, width: 1, height: 1, close: () => undefined }));
    const { explorer } = await open("", source);
    await explorer.paint("colours");
    expect(explorer.thumbnails.pictures).toBe("colours");
    await explorer.show({ model: "two" });
    await settle();
    expect([explorer.thumbnails.pictures, explorer.wantsColours, explorer.colours.plan?.images]).toEqual(["photo", true, 3]);
    expect(asked.filter((url) => url.startsWith("two colours"))).toEqual([]);
    await explorer.makeColours();
    const url = explorer.thumbnails.tile(0, explorer.thumbnails.pictures)?.url ?? "";
    expect([url, explorer.thumbnails.sheets.get(url)]).toEqual(["two colours 0", null]);
    await settle();
    expect(explorer.thumbnails.sheets.get(url)).toMatchObject({ url });
    await explorer.show({ model: "one" }); // they are there
    await settle();
    expect(explorer.thumbnails.pictures).toBe("colours");
    vi.unstubAllGlobals();
  });

  it("are given up by another press, at any time", async () => {
    const { held, release } = hold();
    const { explorer } = await open("", makeSource({ "keep colours": held }));
    expect(explorer.wantsColours).toBe(false);
    await explorer.paint("colours");
    expect(explorer.wantsColours).toBe(true); // what they take is shown
    const coming = explorer.makeColours();
    expect(explorer.wantsColours).toBe(true);
    await explorer.paint("photo");
    expect([explorer.wantsColours, explorer.tasks.busy]).toEqual([false, null]);
    release();
    await coming;
    expect(explorer.thumbnails.pictures).toBe("photo");
  });
});

describe("lines between patches that match", () => {
  const pair = (y: number): { first: [number, number]; second: [number, number]; similarity: number } => ({ first: [0.5, y], second: [0, 1], similarity: 1 });

  it("end where the patches lie in squares that hold the whole pictures", () => {
    expect(inSquare([0, 0.5], { width: 50, height: 100 })).toEqual([0.25, 0.5]);
    const [line] = pairLines([pair(0)], { width: 10, height: 10 }, { width: 10, height: 5 }, 100, 104);
    expect(line).toMatchObject({ from: [50, 0], to: [104, 75] });
  });

  it("are few enough to tell apart, the most similar ones, from the top", () => {
    const size = { width: 1, height: 1 };
    const lines = pairLines(Array.from({ length: 60 }, (_, at) => pair(1 - at / 60)), size, size, 1, 1);
    expect(lines).toHaveLength(MOST_LINES);
    expect(lines.map(({ from }) => from[1])).toEqual(lines.map(({ from }) => from[1]).sort((a, b) => a - b));
    expect(lines.at(-1)?.from[1]).toBe(1);
  });
});
