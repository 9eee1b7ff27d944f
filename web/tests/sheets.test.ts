import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SheetStore } from "../src/lib/sheets";

const SIDE = 4000; // four such sheets fill the store

describe("the store of sheets", () => {
  let now = 0;
  let asked: string[] = [];
  const closed: string[] = [];

  beforeEach(() => {
    now = 0;
    asked = [];
    closed.length = 0;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    vi.stubGlobal("fetch", (url: string) => {
      asked.push(url);
      return Promise.resolve({ ok: !url.includes("lost"), status: 404, blob: () => Promise.resolve(url) });
    });
    vi.stubGlobal("createImageBitmap", (url: string) =>
      Promise.resolve({ url, width: SIDE, height: SIDE, close: () => closed.push(url) }),
    );
  });

  afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllGlobals();
  });

  it("fetches a sheet once, for maps and panels together, and tells who watches", async () => {
    const store = new SheetStore();
    const told = vi.fn();
    const stop = store.watch(told);
    expect(store.get("a")).toBeNull();
    const [first, second] = await Promise.all([store.load("a"), store.load("a")]);
    expect(first).toBe(second);
    expect(store.get("a")).toBe(first);
    expect(asked).toEqual(["a"]);
    expect(told).toHaveBeenCalledTimes(1);
    stop();
    await store.load("b");
    expect(told).toHaveBeenCalledTimes(1);
  });

  it("asks for few at once while one draws, and for all that a panel waits for", async () => {
    const store = new SheetStore();
    for (let i = 0; i < 40; i++) store.get(`drawn ${i}`);
    expect(asked).toHaveLength(16);
    await Promise.all(Array.from({ length: 40 }, (_, i) => store.load(`drawn ${i}`)));
    expect(asked).toHaveLength(40);
  });

  it("does not ask again at once while one draws for a sheet that is lost, but does for a panel", async () => {
    const store = new SheetStore();
    await expect(store.load("lost")).rejects.toThrow("404");
    expect(store.get("lost")).toBeNull();
    expect(asked).toEqual(["lost"]);
    await expect(store.load("lost")).rejects.toThrow("404");
    expect(asked).toEqual(["lost", "lost"]);
  });

  it("asks again for a sheet that failed when it is drawn after a pause", async () => {
    let isDown = true;
    vi.stubGlobal("fetch", (url: string) => {
      asked.push(url);
      return Promise.resolve({ ok: !isDown, status: 503, blob: () => Promise.resolve(url) });
    });
    const store = new SheetStore();
    const told = vi.fn();
    store.watch(told);
    const drawn = async (): Promise<unknown> => {
      const before = told.mock.calls.length;
      const wasAsked = asked.length;
      const sheet = store.get("a");
      if (asked.length > wasAsked) await vi.waitFor(() => expect(told.mock.calls.length).toBeGreaterThan(before));
      return sheet;
    };
    await drawn();
    await drawn();
    expect(asked).toHaveLength(1);
    now += 60_000;
    await drawn();
    await drawn();
    expect(asked).toHaveLength(2); // it failed again: another pause
    isDown = false;
    now += 60_000;
    expect(await drawn()).toBeNull();
    expect(await drawn()).not.toBeNull();
    expect(asked).toHaveLength(3);
  });

  it("tells who watches when a sheet that failed may be asked for again", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const store = new SheetStore();
    const told = vi.fn();
    store.watch(told);
    await expect(store.load("lost")).rejects.toThrow("404");
    const before = told.mock.calls.length;
    vi.advanceTimersByTime(6000);
    expect(told.mock.calls.length).toBe(before + 1);
    vi.useRealTimers();
  });

  it("forgets the sheets unused for longest, never those in use", async () => {
    const store = new SheetStore();
    for (const url of ["a", "b", "c", "d"]) {
      await store.load(url);
      now += 1000;
    }
    store.get("a");
    await store.load("e");
    expect(closed).toEqual(["b"]);
    expect(store.get("a")).not.toBeNull();
    await store.load("f"); // all others were used a moment ago but c
    expect(closed).toEqual(["b", "c"]);
    now += 100;
    await store.load("g");
    expect(closed).toEqual(["b", "c"]); // more than fits, but all of it in view
  });
});
