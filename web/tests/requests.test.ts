import { afterEach, describe, expect, it, vi } from "vitest";
import { FileSource } from "../src/lib/file";
import { HttpSource } from "../src/lib/http";
import { SceneLoader } from "../src/lib/scene";
import { Shared } from "../src/lib/shared";
import type { Source } from "../src/lib/source";
import type { ProgressInfo } from "../src/lib/types";
import { Names } from "../src/panels/names.svelte";
import { Questions } from "../src/panels/questions.svelte";
import { Why } from "../src/panels/why.svelte";
import type { Explorer } from "../src/state/explorer.svelte";
import { Progress } from "../src/state/progress.svelte";
import { Tasks } from "../src/state/tasks.svelte";
import { hold, makeSource, modelView, open, settle } from "./explorers";

/** A request that ends as a browser's does: when the test lets it, or when it is aborted. */
class Request {
  readonly answer: Promise<string>;
  arrive: (answer: string) => void = () => undefined;
  constructor(readonly signal: AbortSignal) {
    this.answer = new Promise((resolve, reject) => {
      this.arrive = resolve;
      signal.addEventListener("abort", () => reject(signal.reason as Error));
    });
  }
}

/** Requests in the order in which they are made. */
function requests(): { made: Request[]; ask: (signal: AbortSignal) => Promise<string> } {
  const made: Request[] = [];
  const ask = (signal: AbortSignal): Promise<string> => {
    const request = new Request(signal);
    made.push(request);
    return request.answer;
  };
  return { made, ask };
}

/** A source that tells of each call of a method whether it was aborted; null of one that cannot be. */
function watched(held: Record<string, Promise<unknown>> = {}): { source: Source; aborted: (name: keyof Source) => (boolean | null)[] } {
  const calls: [PropertyKey, AbortSignal | undefined][] = [];
  const source = new Proxy(makeSource(held), {
    get(target, name) {
      const method = Reflect.get(target, name) as (...asked: unknown[]) => unknown;
      return (...asked: unknown[]): unknown => {
        calls.push([name, asked.find((each) => each instanceof AbortSignal)]);
        return method(...asked);
      };
    },
  });
  return { source, aborted: (name) => calls.flatMap(([called, signal]) => (called === name ? [signal?.aborted ?? null] : [])) };
}

function told(explorer: Explorer): (string | null)[] {
  return [explorer.tasks.error, explorer.tasks.busy];
}

describe("a task", () => {
  it("aborts the one of its kind before it, and only that one", async () => {
    const [tasks, { made, ask }, used] = [new Tasks(), requests(), [] as string[]];
    const use = (answer: string): number => used.push(answer);
    const all = ["find", "image", "find"].map((kind) => tasks.run(kind, "", ask, use));
    expect(made.map(({ signal }) => signal.aborted)).toEqual([true, false, false]);
    for (const [i, request] of made.entries()) request.arrive(String(i));
    expect(await Promise.all(all)).toEqual([false, true, true]);
    expect([used, tasks.error, tasks.busy]).toEqual([["1", "2"], null, null]);
  });

  it("ends without a word when nobody wants it any more", async () => {
    const [tasks, { made, ask }] = [new Tasks(), requests()];
    const run = tasks.run("find", "Searching", ask, () => expect.fail("it was dropped"));
    expect(tasks.busy).toBe("Searching");
    tasks.drop("find");
    expect([made[0]?.signal.aborted, await run, tasks.error, tasks.busy]).toEqual([true, false, null, null]);
  });

  it("is joined by those who want the same, until it is dropped", async () => {
    const [tasks, { made, ask }, used] = [new Tasks(), requests(), [] as string[]];
    const join = (): Promise<boolean> => tasks.join("numbers", "", ask, (answer) => used.push(answer));
    const both = [join(), join()];
    expect(made).toHaveLength(1);
    tasks.drop("numbers");
    const third = join();
    made[1]?.arrive("numbers");
    expect([await Promise.all(both), await third, used]).toEqual([[false, false], true, ["numbers"]]);
  });
});

describe("a shared request", () => {
  it("is aborted by the last of those who leave", async () => {
    const { made, ask } = requests();
    const [one, other] = [new AbortController(), new AbortController()];
    const shared = new Shared(ask);
    const answers = Promise.allSettled([shared.ask(one.signal), shared.ask(other.signal)]);
    one.abort();
    expect([shared.isOver, made[0]?.signal.aborted]).toEqual([false, false]);
    other.abort();
    expect([shared.isOver, made[0]?.signal.aborted]).toEqual([true, true]);
    expect((await answers).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  });

  it("goes on for who never leaves, and is kept once it is answered", async () => {
    const { made, ask } = requests();
    const leaving = new AbortController();
    const shared = new Shared(ask);
    const answers = [shared.ask(leaving.signal), shared.ask()];
    leaving.abort();
    made[0]?.arrive("array");
    expect(await Promise.all(answers)).toEqual(["array", "array"]);
    const later = new AbortController();
    await shared.ask(later.signal);
    later.abort();
    expect(shared.isOver).toBe(false);
  });

  it("is asked for anew by a scene after it was aborted", async () => {
    const { made, ask } = requests();
    const source = { ...makeSource(), rows: async (_: unknown, signal?: AbortSignal) => Uint32Array.from(await ask(signal!), Number) };
    const [loader, view, leaving] = [new SceneLoader(source), modelView("one", [2, 4]), new AbortController()];
    const first = loader.rows(view, leaving.signal);
    leaving.abort();
    const second = loader.rows(view);
    made[1]?.arrive("24");
    await expect(first).rejects.toThrow("abort");
    expect(await second).toEqual(Uint32Array.from([2, 4]));
    await loader.rows(view);
    expect(made).toHaveLength(2);
  });
});

describe("what the explorer does not want any more is aborted", () => {
  it("an older search by name, when a newer one begins", async () => {
    const { held, release } = hold();
    const { source, aborted } = watched({ find: held });
    const { explorer } = await open("", source);
    const both = [explorer.findText("x"), explorer.findText("xy")];
    expect(aborted("find")).toEqual([true, false]);
    release();
    await Promise.all(both);
    expect([explorer.selection.current?.title, ...told(explorer)]).toEqual(["“xy”", null, null]);
  });

  it.each(["findings", "numbers"] as const)("%s, when their panel is closed; they come once it is open again", async (panel) => {
    const { held, release } = hold();
    const { source, aborted } = watched({ [panel]: held });
    const { explorer } = await open("", source);
    explorer.showPanel(panel);
    explorer.showPanel(panel); // two who want the same ask once
    expect(aborted(panel)).toEqual([false]);
    explorer.showPanel(null);
    expect([aborted(panel), ...told(explorer)]).toEqual([[true], null, null]);
    explorer.showPanel(panel);
    expect(aborted(panel)).toEqual([true, false]);
    release();
    await settle();
    expect([explorer[panel].current === null, ...told(explorer)]).toEqual([false, null, null]);
  });

  it("an image, when another one is clicked; not when another panel is opened, as the map shows its neighbours", async () => {
    const { held, release } = hold();
    const { source, aborted } = watched({ "image 4": held, "image 6": held });
    const { explorer } = await open("", source);
    const both = [explorer.focus(4), explorer.focus(6)];
    explorer.showPanel("numbers");
    expect(aborted("image")).toEqual([true, false]);
    release();
    await Promise.all(both);
    expect([explorer.image.current?.row, ...told(explorer)]).toEqual([6, null, null]);
  });

  it("a search by an image, when it is closed", async () => {
    const { held, release } = hold();
    const { source, aborted } = watched({ search: held });
    const { explorer } = await open("", source);
    const late = explorer.searchImage(new Blob());
    expect(explorer.escape()).toBe(true);
    expect(aborted("search")).toEqual([true]);
    release();
    await late;
    expect([explorer.answer.current, ...told(explorer)]).toEqual([null, null, null]);
  });

  it("a map, when another one is chosen; not when only its colours are", async () => {
    const { held, release } = hold();
    const { source, aborted } = watched({ "map pca": held });
    const { explorer } = await open("", source); // it asks for the map UMAP first
    const maps = [explorer.show({ map: "pca" }), explorer.show({ column: "label" })];
    expect(aborted("map")).toEqual([false, false]);
    maps.push(explorer.show({ map: "umap" }));
    expect(aborted("map")).toEqual([false, true]);
    release();
    await Promise.all(maps);
    expect([explorer.scene.mapId, ...told(explorer)]).toEqual(["umap", null, null]);
  });

  it("reasons, when their panel is closed", async () => {
    const { held, release } = hold();
    const { source, aborted } = watched({ reasons: held });
    const { explorer } = await open("", source);
    const why = new Why();
    why.shown = true;
    const matches = [{ row: 4, id: "", label: null, similarity: 1 }];
    why.look(explorer, 2, matches)?.();
    expect([aborted("reasons"), ...told(explorer)]).toEqual([[true], null, null]);
    release();
    await settle();
    expect(why.of(matches)).toBeNull();
  });

  it("file names that hold what is typed, when more is typed; before a moment has passed they are not asked for", async () => {
    vi.useFakeTimers();
    const { held, release } = hold();
    const { source, aborted } = watched({ find: held });
    const [names, view] = [new Names(), modelView("one", [2, 4])];
    names.look(source, view, "sh")();
    vi.advanceTimersByTime(1000);
    expect(aborted("find")).toEqual([]);
    const leave = names.look(source, view, "sho");
    vi.advanceTimersByTime(1000);
    leave();
    names.look(source, view, "shoe");
    vi.advanceTimersByTime(1000);
    vi.useRealTimers();
    expect(aborted("find")).toEqual([true, false]);
    release();
    await settle();
    expect([names.of("sho"), names.of("shoe")]).toEqual([null, [{ text: "shoe", rows: [8, 2, 99] }]]);
  });

  it("file names that hold one of the words, where none holds all that is typed", async () => {
    const source: Source = { ...makeSource(), find: (_, text) => Promise.resolve(text === "dress" ? [4] : []) };
    const names = new Names();
    vi.useFakeTimers();
    names.look(source, modelView("one", [2, 4]), "red dress");
    await vi.advanceTimersByTimeAsync(1000);
    vi.useRealTimers();
    expect(names.of("red dress")).toEqual([{ text: "dress", rows: [4] }]);
  });

  it("patches that match, of the model that is shown; what failed is asked for again when somebody wants that", async () => {
    let isBroken = false;
    const asked: string[] = [];
    const source: Source = {
      ...makeSource(),
      patchPairs: (model, row, other) => {
        asked.push(`${model.key} ${row} ${other}`);
        return isBroken ? Promise.reject(new Error("broken")) : Promise.resolve({ pairs: [], patches: asked.length });
      },
    };
    const { explorer } = await open("", source);
    const why = new Why();
    why.matching = true;
    const ask = async (row: number, other: number): Promise<number | undefined> => {
      why.match(explorer, row, other);
      await settle();
      return why.matched(explorer, row, other)?.patches;
    };
    expect([await ask(2, 4), await ask(2, 4)]).toEqual([1, 1]);
    await explorer.show({ model: "two" });
    expect(why.matched(explorer, 2, 4)).toBeNull();
    isBroken = true;
    expect([await ask(2, 4), await ask(2, 4), why.hasFailed(explorer, 2, 4)]).toEqual([undefined, undefined, true]);
    isBroken = false;
    why.retry();
    expect([await ask(2, 4), why.hasFailed(explorer, 2, 4)]).toEqual([3, false]);
    expect(asked).toEqual(["one 2 4", "two 2 4", "two 2 4"]);
    for (let other = 100; other < 150; other++) await ask(2, other);
    expect([why.matched(explorer, 2, 4), why.matched(explorer, 2, 149)?.patches]).toEqual([null, 53]);
  });

  it("a question, when the questions are left; what was answered is remembered all the same", async () => {
    const { held, release } = hold();
    const { source, aborted } = watched({ answer: held });
    const { explorer } = await open("", source);
    const questions = new Questions(explorer, "duplicates");
    questions.load()();
    expect([aborted("question"), ...told(explorer)]).toEqual([[true], null, null]);
    const leave = questions.load();
    await settle();
    const late = questions.answer(true);
    leave();
    expect(aborted("answer")).toEqual([null]);
    release();
    await late;
    expect(questions.earlier).toEqual([[2, 4]]);
  });

  it("nothing of an image search while questions are answered, nor an answer while something else runs", async () => {
    const { held, release } = hold();
    const { source, aborted } = watched({ search: held });
    const { explorer } = await open("", source);
    const searching = explorer.searchImage(new Blob());
    const questions = new Questions(explorer, "duplicates");
    questions.load();
    await settle();
    await questions.answer(true);
    expect([questions.earlier, aborted("search")]).toEqual([[[2, 4]], [false]]);
    release();
    await searching;
    expect(explorer.answer.current).not.toBeNull();
  });
});

describe("how far work is", () => {
  afterEach(() => void vi.useRealTimers());

  it("is told no more once a part of it is done; a question that fails says nothing", async () => {
    vi.useFakeTimers();
    const answers = [{ done: 1, total: 4 }, "no server", null, { done: 2, total: 9 }];
    const progress = new Progress();
    const ask = (): Promise<ProgressInfo | null> => {
      const answer = answers.shift();
      return typeof answer === "object" ? Promise.resolve(answer) : Promise.reject(new Error(answer));
    };
    const stop = progress.follow(ask);
    const shown: unknown[] = [];
    for (let second = 0; second < 4; second++) {
      await vi.advanceTimersByTimeAsync(1000);
      shown.push(progress.current && [progress.current.done, progress.current.secondsLeft]);
    }
    stop();
    expect([...shown, progress.current]).toEqual([[1, null], [1, null], null, [2, null], null]);
  });
});

describe("a source", () => {
  afterEach(() => vi.unstubAllGlobals());

  const view = modelView("one", [2, 4]);

  it("of a server hands the signal on, and calls an aborted request no failure of the server", async () => {
    const signals: (AbortSignal | null | undefined)[] = [];
    const { held, release } = hold();
    vi.stubGlobal("fetch", (_: string, { signal }: RequestInit) => {
      signals.push(signal);
      return held.then(() => signal?.throwIfAborted());
    });
    const [source, leaving] = [new HttpSource(), new AbortController()];
    const { signal } = leaving;
    const asked = [
      source.collection(signal), source.model("one", signal), source.rows(view, signal), source.map(view, "umap", signal),
      source.codes(view, "label", signal), source.values(view, "trust", "umap", signal), source.image(view, 2, signal),
      source.reasons(view, 2, [4], signal), source.reasons(view, new Blob(), [4], signal), source.findings(view, signal),
      source.question(view, "duplicates", signal), source.numbers(view, "umap", signal), source.search(view, new Blob(), "umap", false, signal),
      source.query(view, [2], 1, signal), source.find(view, "x", signal),
    ];
    const answers = Promise.allSettled(asked);
    expect(signals).toEqual(asked.map(() => signal));
    leaving.abort();
    release();
    for (const answer of await answers) expect(answer).toEqual({ status: "rejected", reason: signal.reason as unknown });
  });

  it("of a server names the state that is shown wherever labels are given", async () => {
    const asked: string[] = [];
    vi.stubGlobal("fetch", (address: string) => {
      asked.push(address);
      return Promise.resolve(Response.json({}));
    });
    const source = new HttpSource();
    await source.giveLabels(view, { rows: [2], label: "a", add_tags: [], drop_tags: [], seen: 1 });
    await source.stepLabels(view, "undo", 1);
    await source.labelling(view, 1, true);
    await source.answerLabel(view, { kind: "one", rows: [2], label: "a", seen: 1, batches: true });
    expect(asked).toEqual([
      "/api/models/one/labels?v=s", "/api/models/one/labels/undo?v=s&seen=1", "/api/models/one/labelling?v=s&seen=1&batches=true",
      "/api/models/one/labelling?v=s",
    ]);
  });

  it("of a server gives dates to the second", async () => {
    const days = Float64Array.from([19_723.5, 19_723.500_011_574_073, Number.NaN, 0]);
    vi.stubGlobal("fetch", () => Promise.resolve(new Response(days)));
    expect(await new HttpSource().dataValues({ ...view, count: 4 }, { index: 0, kind: "date" })).toEqual(days);
    await expect(new HttpSource().dataValues({ ...view, count: 4 }, { index: 0, kind: "number" })).rejects.toThrow("changed");
  });

  it("of a server says when there is none", async () => {
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")));
    await expect(new HttpSource().findings(view, new AbortController().signal)).rejects.toThrow("The server does not answer.");
  });

  it("that is a file answers at once, whoever leaves", async () => {
    const source: Source = new FileSource((id) => (id === "model/one/findings" ? null : "{}"));
    expect(await source.findings(view, AbortSignal.abort())).toMatchObject({ findings: [] });
  });
});
