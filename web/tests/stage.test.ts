import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import * as size from "../src/map/size";
import * as thinning from "../src/map/thinning";
import { Stage, type StageEvents } from "../src/map/stage";
import { WebGLLayer } from "../src/map/webgl";

/** A canvas whose WebGL draws nothing, but tells what it was asked to do. */
class FakeCanvas extends EventTarget {
  width = 0;
  height = 0;
  readonly calls: string[] = [];
  readonly style = { visibility: "" };
  isLost = false;
  links = true;

  getContext(kind: string): unknown {
    if (kind !== "webgl2") return null;
    const answer = (name: string) => () => {
      this.calls.push(name);
      if (name === "getExtension") return { loseContext: () => this.dispatchEvent(new Event("webglcontextlost", { cancelable: true })) };
      return name === "isContextLost" ? this.isLost : name === "getProgramParameter" ? this.links : {};
    };
    return new Proxy({}, { get: (_, name) => answer(String(name)) });
  }
}

const events: StageEvents = {
  hover: () => undefined, press: () => undefined, lasso: () => undefined, camera: () => undefined, move: () => undefined, tool: () => "pan",
};

function makeStage(): { stage: Stage; canvas: FakeCanvas } {
  const canvas = new FakeCanvas();
  const [host, points, overlay] = [new EventTarget(), canvas, new FakeCanvas()] as unknown as [HTMLElement, HTMLCanvasElement, HTMLCanvasElement];
  const stage = new Stage(host, points, overlay, events, () => null);
  stage.setPoints(new Float32Array(6), null);
  stage.setColours({ colours: new Uint32Array(3), hidden: new Uint8Array(3) }, null, "light", "#fff");
  stage.resize(100, 80, []);
  return { stage, canvas };
}

describe("a lost WebGL context", () => {
  let frames: (() => void)[] = [];

  beforeEach(() => {
    frames = [];
    vi.stubGlobal("window", { matchMedia: () => ({ matches: false }), devicePixelRatio: 1, innerWidth: 1280, innerHeight: 720, clearTimeout, setTimeout: () => 0, getComputedStyle: () => ({ fontFamily: "sans-serif" }) });
    vi.stubGlobal("requestAnimationFrame", (draw: () => void) => frames.push(draw));
    vi.stubGlobal("cancelAnimationFrame", () => undefined);
  });

  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it("is asked back, and all is drawn anew once it is there", () => {
    const { canvas } = makeStage();
    for (const draw of frames.splice(0)) draw();
    const loss = new Event("webglcontextlost", { cancelable: true });
    canvas.dispatchEvent(loss);
    expect(loss.defaultPrevented).toBe(true);
    canvas.calls.length = 0;
    canvas.dispatchEvent(new Event("webglcontextrestored"));
    expect(canvas.calls).toEqual(expect.arrayContaining(["linkProgram", "bufferData", "viewport"]));
    for (const draw of frames.splice(0)) draw();
    expect(canvas.calls).toContain("drawElements");
  });

  it("is nobody's loss when the stage itself gives it back", () => {
    const { stage, canvas } = makeStage();
    const loss = vi.spyOn(Event.prototype, "preventDefault");
    stage.destroy();
    expect(canvas.calls).toContain("getExtension");
    expect(loss).not.toHaveBeenCalled();
    canvas.calls.length = 0;
    canvas.dispatchEvent(new Event("webglcontextrestored"));
    expect(canvas.calls).toEqual([]);
    loss.mockRestore();
  });
});

describe("what is drawn", () => {
  let frames: (() => void)[] = [];
  const drawAll = (): void => {
    while (frames.length > 0) for (const draw of frames.splice(0)) draw();
  };

  beforeEach(() => {
    frames = [];
    vi.stubGlobal("window", { matchMedia: () => ({ matches: true }), devicePixelRatio: 1, innerWidth: 1280, innerHeight: 720, clearTimeout, setTimeout: () => 0, getComputedStyle: () => ({ fontFamily: "sans-serif" }) });
    vi.stubGlobal("requestAnimationFrame", (draw: () => void) => frames.push(draw));
  });

  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it("is in sight from the first frame with points on: before that an opaque canvas is black", () => {
    const { canvas } = makeStage();
    drawAll();
    expect(canvas.style.visibility).toBe("");
    const element = new FakeCanvas();
    new Stage(new EventTarget() as HTMLElement, element as unknown as HTMLCanvasElement, new FakeCanvas() as unknown as HTMLCanvasElement, events, () => null);
    expect(element.style.visibility).toBe("hidden");
  });

  it("is out of sight while its context is lost", () => {
    const { stage, canvas } = makeStage();
    drawAll();
    canvas.isLost = true;
    canvas.dispatchEvent(new Event("webglcontextlost", { cancelable: true }));
    stage.zoomBy(2);
    drawAll();
    expect(canvas.style.visibility).toBe("hidden");
  });

  it("stays in sight where WebGL does not start", () => {
    const canvas = new FakeCanvas();
    canvas.links = false;
    expect(() => new WebGLLayer(canvas as unknown as HTMLCanvasElement)).toThrow();
    expect(canvas.style.visibility).toBe("");
  });

  it("holds the points only when they changed", () => {
    const { stage, canvas } = makeStage();
    stage.setPoints(Float32Array.of(-1, -1, 0, 0, 1, 1), null);
    drawAll();
    const drawn = (change: () => void): boolean => {
      canvas.calls.length = 0;
      change();
      drawAll();
      return canvas.calls.includes("drawElements");
    };
    expect(drawn(() => stage.setHovered(1))).toBe(false);
    expect(drawn(() => stage.refresh())).toBe(false);
    expect(drawn(() => stage.setStar({ position: 0, place: [0, 0], picture: null, neighbors: Uint32Array.of(1) }))).toBe(false);
    expect(drawn(() => stage.resize(90, 80, []))).toBe(true);
    expect(drawn(() => stage.zoomBy(2))).toBe(true);
    expect(drawn(() => stage.setColours({ colours: new Uint32Array(3), hidden: new Uint8Array(3) }, null, "dark", "#000"))).toBe(true);
    expect(drawn(() => stage.setPoints(new Float32Array(6).fill(0.5), null))).toBe(true);
  });
});

describe("a map whose size changes", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal("window", { matchMedia: () => ({ matches: true }), devicePixelRatio: 1, innerWidth: 1280, innerHeight: 720, clearTimeout, setTimeout, getComputedStyle: () => ({ fontFamily: "sans-serif" }) });
    vi.stubGlobal("requestAnimationFrame", (draw: () => void) => setTimeout(draw, 16));
    vi.stubGlobal("cancelAnimationFrame", () => undefined);
  });

  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("chooses thumbnails once it rests, and sorts the images only when others may be shown", () => {
    const { stage } = makeStage();
    stage.setPoints(Float32Array.of(-1, -1, 0, 0, 1, 1), null);
    vi.runAllTimers();
    const packed = vi.spyOn(size, "overviewOf");
    const sorted = vi.spyOn(thinning, "thinningOrder");
    for (let width = 101; width < 120; width++) expect(stage.resize(width, 80, [])).toBe(true);
    expect(packed).not.toHaveBeenCalled();
    vi.runAllTimers();
    expect([packed.mock.calls.length, sorted.mock.calls.length]).toEqual([1, 0]);
    expect(stage.resize(119, 80, [])).toBe(false);
    stage.setColours({ colours: new Uint32Array(3), hidden: Uint8Array.of(1, 0, 0) }, null, "light", "#fff");
    vi.runAllTimers();
    expect([packed.mock.calls.length, sorted.mock.calls.length]).toEqual([2, 1]);
    vi.restoreAllMocks();
  });

  it("rests only after a frame that is on the screen, however long a slow machine takes for it", () => {
    let next: (() => void)[] = [];
    vi.stubGlobal("requestAnimationFrame", (draw: () => void) => next.push(draw));
    const frame = (): void => { for (const draw of next.splice(0)) draw(); };
    const told = vi.spyOn(events, "camera");
    const { stage } = makeStage();
    for (let each = 0; each < 9; each++) frame();
    told.mockClear();
    for (let step = 0; step < 5; step++) {
      stage.look({ x: step, y: 0, zoom: 1 });
      vi.advanceTimersByTime(400); // the frame before is still being drawn
      frame();
    }
    expect(told).not.toHaveBeenCalled();
    frame();
    vi.advanceTimersByTime(400);
    expect(told).toHaveBeenCalledExactlyOnceWith({ x: 4, y: 0, zoom: 1 }, true);
    next = [];
    told.mockRestore();
  });

  it("is turned by the shape of the window, not by a panel that takes room", () => {
    const { stage } = makeStage();
    stage.resize(1200, 700, []);
    stage.setPoints(Float32Array.of(-1, 0, 0, 0.3, 1, 0), null);
    for (const [width, height] of [[600, 700], [300, 700], [1200, 700]] as const) {
      stage.resize(width, height, []);
      expect(stage.view.turned).toBe(false);
    }
    window.innerWidth = 400;
    stage.resize(400, 700, []);
    expect(stage.view.turned).toBe(true);
  });

  it("tells where it is looked at from when it may not be turned any more", () => {
    const told = vi.spyOn(events, "camera");
    const { stage } = makeStage();
    stage.setPoints(Float32Array.of(0, -1, 0.05, 0, 0.1, 1), null);
    vi.runAllTimers();
    expect(stage.view.turned).toBe(true);
    told.mockClear();
    stage.setUpright(true);
    expect(stage.view.turned).toBe(false);
    expect(told).toHaveBeenCalledWith(null, false);
    told.mockRestore();
  });
});

describe("a map that does not hold every image", () => {
  it("draws those that it holds, and points at no other", () => {
    vi.stubGlobal("window", { matchMedia: () => ({ matches: false }), devicePixelRatio: 1, innerWidth: 1280, innerHeight: 720, clearTimeout, setTimeout, getComputedStyle: () => ({ fontFamily: "sans-serif" }) });
    const frames: (() => void)[] = [];
    vi.stubGlobal("requestAnimationFrame", (draw: () => void) => frames.push(draw));
    vi.stubGlobal("cancelAnimationFrame", () => undefined);
    const { stage } = makeStage();
    stage.setPoints(Float32Array.of(0.1, 0.1, NaN, NaN, -0.2, 0.3), null);
    stage.setColours({ colours: new Uint32Array(3), hidden: new Uint8Array(3) }, null, "light", "#fff");
    expect([stage.has(0), stage.has(1), stage.has(2)]).toEqual([true, false, true]);
    for (const draw of frames.splice(0)) draw();
    expect(stage.view.camera.zoom).toBeGreaterThan(0);
    expect(stage.middle()).not.toBe(1);
    stage.flyTo(Uint32Array.of(1));
    expect(Number.isNaN(stage.view.camera.x)).toBe(false);
    vi.unstubAllGlobals();
  });
});
