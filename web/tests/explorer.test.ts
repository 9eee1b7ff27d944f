import { describe, expect, it, vi } from "vitest";
import { flushSync } from "svelte";
import { asSentence } from "../src/lib/http";
import { findColumn } from "../src/lib/scene";
import { SourceError, type Source } from "../src/lib/source";
import type { ModelView } from "../src/lib/types";
import { Seen } from "../src/panels/patches.svelte";
import { Why } from "../src/panels/why.svelte";
import { Explorer } from "../src/state/explorer.svelte";
import { hold, makeSource, modelView, open, settle } from "./explorers";

describe("the explorer", () => {
  it("colours by labels, else by clusters, else not at all", () => {
    const { columns } = modelView("one", [2, 4]);
    const number = (name: string): ModelView["columns"][number] => ({ kind: "number", name, title: "", description: "", min: 0, max: 1, perMap: false });
    const shown = (...names: string[]): string | undefined =>
      findColumn({ ...modelView("one", []), columns: names.map((name) => (name === "trust" ? number(name) : { ...columns[0]!, name })) }, "")?.name;
    expect(shown("trust", "cluster", "label")).toBe("label");
    expect(shown("trust", "cluster")).toBe("cluster");
    expect(shown("trust")).toBeUndefined();
  });

  it("opens with the collection's defaults", async () => {
    const { explorer } = await open();
    expect([explorer.scene.view?.key, explorer.scene.mapId, explorer.scene.columnName, explorer.filters.visible]).toEqual(["one", "umap", "label", 4]);
    expect(explorer.scene.labelOf(3)).toBe("c");
    expect(explorer.tasks.busy).toBeNull();
  });

  it("opens with what the address asks for, and ignores what the collection does not have", async () => {
    const { explorer } = await open("#model=two&map=pca&by=nothing&hide=1&row=6&pick=column:label:1&panel=image&theme=dark");
    expect([explorer.scene.view?.key, explorer.scene.mapId, explorer.scene.columnName, explorer.theme]).toEqual(["two", "pca", "label", "dark"]);
    expect([...explorer.legend.hidden]).toEqual([1]);
    expect(explorer.image.current?.row).toBe(6);
    expect([...(explorer.selection.current?.positions ?? [])]).toEqual([1, 2]);
    expect(explorer.panel).toBe("image");
    const other = await open("#model=gone&map=gone&row=5");
    expect([other.explorer.scene.view?.key, other.explorer.scene.mapId]).toEqual(["one", "umap"]);
  });

  it("lets the map come back once what it was moved for is gone", async () => {
    const { explorer } = await open();
    const before = { x: 0.1, y: 0.2, zoom: 3 };
    explorer.map.camera = before;
    await explorer.searchRow(4);
    expect(explorer.map.wish.to).toBeInstanceOf(Uint32Array);
    explorer.escape();
    expect(explorer.map.wish.to).toEqual(before);
  });

  it("leaves the map where a person moved it", async () => {
    const { explorer } = await open();
    await explorer.searchRow(4);
    explorer.map.stay();
    const { wish } = explorer.map;
    explorer.escape();
    expect(explorer.map.wish).toBe(wish);
  });

  it("opens the only image that a name finds", async () => {
    const source = { ...makeSource(), find: () => Promise.resolve([8]) };
    const { explorer } = await open("", source);
    await explorer.findText("8.png");
    expect([explorer.image.row, explorer.panel]).toEqual([8, "image"]);
  });

  it("leaves in colour what lies within a range of numbers, whatever colours the map", async () => {
    const source = makeSource();
    const { explorer } = await open("#by=trust&range=0.2,0.5", {
      ...source,
      model: async (key) => {
        const view = await source.model(key);
        return { ...view, columns: [...view.columns, { kind: "number", name: "trust", title: "Trust", description: "", min: 0, max: 1, perMap: false }] };
      },
      values: () => Promise.resolve(Float32Array.from([0.1, 0.3, 0.4, Number.NaN])),
    });
    expect([explorer.filters.visible, explorer.legend.isFiltered, explorer.legend.range]).toEqual([2, true, [0.2, 0.5]]);
    await explorer.show({ column: "label" }); // it is asked for in any colour
    expect([explorer.filters.visible, explorer.legend.isFiltered]).toEqual([2, false]);
  });

  it("looks inside with progress, and keeps the answer before when that is cancelled", async () => {
    const { held, release } = hold();
    const source = makeSource();
    const search: typeof source.search = async (...asked) => {
      if (asked[3]) await held;
      return source.search(...asked);
    };
    const { explorer } = await open("", { ...source, search });
    await explorer.searchImage(new Blob(), 4);
    const { current } = explorer.answer;
    expect([current?.parts, explorer.answer.partOf]).toEqual([null, 4]);
    vi.useFakeTimers();
    const looking = explorer.answer.lookInside();
    await vi.advanceTimersByTimeAsync(1100);
    expect([explorer.answer.progress, explorer.tasks.isWaitingFor("answer")]).toEqual([{ done: 1, total: 4, secondsLeft: null }, true]);
    vi.useRealTimers();
    explorer.answer.cancel();
    release();
    await looking;
    expect([explorer.answer.current === current, explorer.answer.progress, explorer.tasks.busy]).toEqual([true, null, null]);
  });

  it("closes with Escape no message that is not shown any more", async () => {
    const { explorer } = await open("#panel=numbers");
    explorer.tasks.error = "Something";
    explorer.tasks.isErrorRead = true; // panels still know it
    expect([explorer.escape(), explorer.panel, explorer.tasks.error]).toEqual([true, null, "Something"]);
    explorer.tasks.error = "Something else";
    expect(explorer.tasks.isErrorRead).toBe(false);
  });

  it("shows what the server says as a sentence", () => {
    expect(asSentence("this image is too large")).toBe("This image is too large.");
    expect(asSentence("photos.dino has no vectors: wait!")).toBe("photos.dino has no vectors: wait!");
  });

  it("lets a late answer overwrite nothing", async () => {
    const { held, release } = hold();
    const { explorer } = await open("", makeSource({ "image 4": held }));
    const late = explorer.focus(4);
    await explorer.focus(6);
    release();
    await late;
    expect(explorer.image.current?.row).toBe(6);
  });

  it("shows no scores of a map under the title of another", async () => {
    const { held, release } = hold();
    const { explorer } = await open("", makeSource({ numbers: held }));
    const late = explorer.loadNumbers();
    await explorer.show({ map: "pca" });
    release();
    await late;
    expect(explorer.numbers.current).toBeNull();
  });

  it("keeps scores and findings when only the colour changes", async () => {
    const { explorer } = await open();
    await Promise.all([explorer.loadNumbers(), explorer.findings.load()]);
    const [numbers, findings] = [explorer.numbers.current, explorer.findings.current];
    await explorer.show({ column: "label" });
    expect([explorer.numbers.current === numbers, explorer.findings.current === findings, numbers === null]).toEqual([true, true, false]);
  });

  it("drops what was asked of another model", async () => {
    const { held, release } = hold();
    const { explorer } = await open("", makeSource({ findings: held, search: held, find: held }));
    const late = [explorer.findings.load(), explorer.searchImage(new Blob()), explorer.findText("x")];
    await explorer.show({ model: "two" });
    release();
    await Promise.all(late);
    expect([explorer.findings.current, explorer.answer.current, explorer.answer.picture, explorer.selection.current]).toEqual([null, null, null, null]);
    expect(explorer.tasks.busy).toBeNull();
  });

  it("reads columns of the model that is shown while another one comes", async () => {
    const { held, release } = hold();
    const { explorer } = await open("", makeSource({ "map pca": held }));
    await explorer.show({ model: "two" });
    await explorer.show({ model: "one" });
    const late = explorer.restore({ model: "two", map: "pca" });
    await settle();
    expect([...(await explorer.scene.codesOf("label"))]).toEqual([0, 1, 1, 2]);
    release();
    await late;
    expect([...(await explorer.scene.codesOf("label"))]).toEqual([0, 1, 1]);
  });

  it("places an image from outside only on the map that was asked for", async () => {
    const { held, release } = hold();
    const { explorer } = await open("", makeSource({ search: held }));
    const late = explorer.searchImage(new Blob());
    await explorer.show({ map: "pca" });
    release();
    await late;
    expect([explorer.answer.current === null, explorer.answer.current?.place]).toEqual([false, null]);
    await explorer.searchImage(new Blob());
    expect(explorer.answer.current?.place).toEqual([0, 0]);
    await explorer.show({ column: "label" });
    expect(explorer.answer.current?.place).toEqual([0, 0]);
    await explorer.show({ map: "umap" });
    expect([explorer.answer.current === null, explorer.answer.current?.place]).toEqual([false, null]);
  });

  it.each(["map pca", "find", "image 4"])("goes back twice though the first time is slow: %s", async (slow) => {
    const { held, release } = hold();
    const { explorer } = await open("", makeSource({ [slow]: held }));
    const late = explorer.restore({ map: "pca", row: 4, hidden: [2], panel: "findings", origin: { by: "text", text: "x" } });
    await settle();
    await explorer.restore({ hidden: [1], panel: "numbers" });
    release();
    await late;
    expect([explorer.scene.mapId, explorer.image.row, [...explorer.legend.hidden], explorer.panel, explorer.selection.current]).toEqual(
      ["umap", null, [1], "numbers", null],
    );
  });

  it("asks for clusters until an idle server had time enough for them", async () => {
    const source = makeSource();
    const { explorer } = await open("", source);
    let asked = 0;
    const model = source.model.bind(source);
    source.model = (key) => {
      asked++;
      return model(key);
    };
    let [seconds, soon] = [0, explorer.collection.pause / 1000];
    expect(soon).toBeLessThan(3); // the colours of a first look do not wait
    for (let i = 0; i < 40; i++) {
      const before = asked;
      const { pause } = explorer.collection;
      await explorer.checkProgress();
      if (asked > before) seconds += pause / 1000;
    }
    expect(seconds).toBeGreaterThan(240);
    expect(asked).toBeLessThan(25);
    expect(explorer.collection.pause).toBe(20_000);
    asked = 0;
    await explorer.show({ model: "two" });
    await explorer.checkProgress();
    expect(asked).toBe(2); // for the model itself, and for its clusters
    soon = explorer.pause / 1000;
    expect(soon).toBeLessThan(3);
    explorer.showPanel("numbers");
    expect(explorer.pause).toBe(20_000); // what is asked in a panel is left alone
  });

  it("goes back to the image before", async () => {
    const { explorer, bar } = await open();
    await explorer.focus(4);
    await explorer.focus(6);
    bar.back();
    await settle();
    expect(explorer.image.current?.row).toBe(4);
    bar.back();
    await settle();
    expect([explorer.image.row, explorer.panel]).toEqual([null, null]);
  });

  it("goes to an image and its neighbours, unless another one was clicked meanwhile", async () => {
    const { held, release } = hold();
    const { explorer } = await open("", makeSource({ "image 6": held }));
    await explorer.searchRow(4);
    expect([...(explorer.map.wish.to as Uint32Array)]).toEqual([1, 2, 3]);
    const [wish, late] = [explorer.map.wish, explorer.searchRow(6)];
    await explorer.focus(8);
    release();
    await late;
    expect(explorer.map.wish).toBe(wish);
  });

  it("travels to neighbours that were not visited yet", async () => {
    const { explorer } = await open();
    await explorer.focus(2);
    for (const row of [4, 6, 8]) {
      await explorer.travel();
      expect(explorer.image.row).toBe(row);
    }
    await explorer.travel();
    expect(explorer.image.row).toBe(8);
  });

  it.each(["state", "images"] as const)("goes on with what was asked when only columns are new; now another %s", async (changed) => {
    const { held, release } = hold();
    const source = makeSource({ "keep tokens": held, "keep colours": held, find: held });
    let view = modelView("one", [2, 4, 6, 8]);
    source.model = () => Promise.resolve(view);
    const { explorer } = await open("#row=4&panel=image", source);
    const kept = explorer.tokens.keep();
    void explorer.makeColours();
    void explorer.findText("a");
    await settle();
    view = { ...view, state: "s2", ...(changed === "images" && { images: "i2" }) };
    await explorer.show({}, true);
    const goesOn = changed === "state";
    expect(["tokens", "selection"].map((kind) => explorer.tasks.isWaitingFor(kind))).toEqual([goesOn, goesOn]);
    release();
    expect(await kept).toBe(goesOn);
    await settle();
    expect(explorer.thumbnails.pictures).toBe(goesOn ? "colours" : "photo");
    expect(explorer.image.row).toBe(4);
    view = { ...view, state: "s3" };
    await explorer.show({}, true);
    await settle();
    expect(explorer.thumbnails.pictures).toBe("photo"); // this source says that it holds none
  });

  it.each(["state", "images"] as const)("keeps questions, findings and what is known of pairs when only columns are new; now another %s", async (changed) => {
    const source = makeSource();
    let view = modelView("one", [2, 4, 6, 8]);
    source.model = () => Promise.resolve(view);
    const { explorer } = await open("#panel=findings", source);
    explorer.findings.asking = "duplicates";
    const found = explorer.findings.current;
    const [why, seen] = [new Why(), new Seen()];
    why.matching = seen.shown = true;
    why.match(explorer, 2, 4);
    seen.look(explorer, 4);
    await settle();
    view = { ...view, state: "s2", ...(changed === "images" && { images: "i2" }) };
    const { held, release } = hold();
    const plain = makeSource();
    source.findings = async (...all) => held.then(() => plain.findings(...all));
    const coming = explorer.show({}, true);
    await settle();
    const stays = changed === "state";
    expect(explorer.findings.current === found).toBe(stays);
    expect(explorer.findings.asking).toBe(stays ? "duplicates" : null);
    expect([why.matched(explorer, 2, 4) !== null, why.match(explorer, 2, 4) === undefined]).toEqual([stays, stays]);
    expect(seen.look(explorer, 4) === undefined).toBe(stays);
    release();
    await coming;
    expect(explorer.findings.current).not.toBe(found); // they were asked for again
    expect(explorer.findings.current?.findings).toHaveLength(1);
  });

  it("lets a value of a column go whose values may be others now", async () => {
    const { held, release } = hold();
    const source = makeSource();
    let view = modelView("one", [2, 4, 6, 8]);
    source.model = () => Promise.resolve(view);
    const plain = makeSource();
    source.codes = async (...all) => (all[1] === "cluster" ? held.then(() => plain.codes(...all)) : plain.codes(...all));
    view = { ...view, columns: [...view.columns, { ...view.columns[0]!, name: "cluster" }] };
    const { explorer } = await open("", source);
    const picking = explorer.findValue("cluster", 1);
    await settle();
    view = { ...view, state: "s2" };
    await explorer.show({}, true);
    release();
    await picking;
    expect(explorer.selection.current).toBe(null);
  });

  it("keeps selection and image by row when the model changes", async () => {
    const { explorer } = await open();
    explorer.select([0, 1, 3], "images", "three");
    await explorer.focus(6);
    await explorer.show({ model: "two" });
    await settle();
    expect([...(explorer.selection.current?.positions ?? [])]).toEqual([0]);
    expect(explorer.image.current?.row).toBe(6);
  });

  it("filters by the legend", async () => {
    const { explorer } = await open();
    explorer.legend.toggle(1);
    flushSync();
    expect(explorer.filters.visible).toBe(2);
    explorer.legend.only(2);
    expect([...explorer.legend.hidden].sort()).toEqual([0, 1]);
    explorer.legend.only(2);
    expect(explorer.legend.hidden.size).toBe(0);
  });

  it("selects what it finds, in the order of the answer", async () => {
    const { explorer } = await open();
    await explorer.findText("x");
    expect([...(explorer.selection.current?.positions ?? [])]).toEqual([3, 0]);
    await explorer.query([4, 2]);
    expect([...(explorer.selection.current?.positions ?? [])]).toEqual([2, 1]);
    expect(explorer.panel).toBe("selection");
  });

  it("says in words what went wrong and keeps what was shown", async () => {
    const held = { "map pca": Promise.reject(new SourceError("The map cannot be computed.")) };
    held["map pca"].catch(() => undefined);
    const { explorer } = await open("", makeSource(held));
    await explorer.show({ map: "pca" });
    expect([explorer.tasks.error, explorer.scene.mapId, explorer.scene.points[0]]).toEqual(["The map cannot be computed.", "umap", 0]);
    expect(explorer.escape()).toBe(true);
    expect(explorer.tasks.error).toBeNull();
  });

  it("takes a dismissal back when it could not be kept", async () => {
    const held = { judge: Promise.reject(new SourceError("The disk is full.")) };
    held.judge.catch(() => undefined);
    const { explorer } = await open("#panel=findings", makeSource(held));
    const finding = explorer.findings.current?.findings[0];
    expect(finding?.dismissed).toBe(false);
    if (finding) await explorer.findings.dismiss(finding, true);
    expect(explorer.findings.current?.findings[0]?.dismissed).toBe(false);
    expect(explorer.tasks.error).toBe("The disk is full.");
  });

  it("says what answers to findings drawn at random tell of the others", async () => {
    const said: unknown[] = [];
    const source = makeSource();
    const { explorer } = await open("#panel=findings", { ...source, judge: (_, { key }, answer) => (said.push([key, answer]), Promise.resolve()) });
    expect(explorer.findings.checkOf("label_error")).toBeNull();
    const finding = explorer.findings.current!.findings[0]!;
    const checking = explorer.findings.check("outlier", finding, true);
    expect(explorer.findings.checkOf("outlier")?.next).toEqual([]); // nobody waits for the next one
    await checking;
    expect(said).toEqual([["f", { dismissed: false, confirmed: true }]]);
    expect(explorer.findings.current?.findings[0]).toMatchObject({ dismissed: false, confirmed: true });
    expect(explorer.findings.checkOf("outlier")).toMatchObject({ checked: 1, right: 1, rest: 0 });
  });

  it("tells how far a map is, and stays with the one before when that is cancelled", async () => {
    const { held, release } = hold();
    const { explorer } = await open("", makeSource({ "map pca": held }));
    vi.useFakeTimers();
    const coming = explorer.show({ map: "pca" });
    await vi.advanceTimersByTimeAsync(1100);
    expect([explorer.scene.computing, explorer.scene.progress.current]).toEqual([
      { id: "pca", isBeside: false, title: "PCA", seconds: 40 }, { done: 1, total: 4, secondsLeft: null },
    ]);
    vi.useRealTimers();
    explorer.scene.cancel();
    release();
    await coming;
    expect([explorer.scene.computing, explorer.scene.progress.current, explorer.scene.mapId, explorer.tasks.busy]).toEqual([null, null, "umap", null]);
    await explorer.show({ column: "label" });
    expect(explorer.scene.mapId).toBe("umap"); // what was cancelled is not asked for again
  });

  it.each([
    ["on first opening", "#map=pca&row=4", {}],
    ["of another model", "", { model: "two", map: "pca" }],
  ])("tells how far a map is %s", async (_, hash, change) => {
    const { held, release } = hold();
    const bar = { read: () => hash, write: () => undefined, back: () => undefined, watch: () => () => undefined };
    const explorer = new Explorer(makeSource({ "map pca": held }), bar);
    vi.useFakeTimers();
    const opening = explorer.open();
    await vi.advanceTimersByTimeAsync(1);
    const coming = hash ? opening : explorer.show(change);
    await vi.advanceTimersByTimeAsync(1100);
    expect([explorer.scene.computing, explorer.scene.progress.current]).toEqual([
      { id: "pca", isBeside: false, title: "PCA", seconds: 40 }, { done: 1, total: 4, secondsLeft: null },
    ]);
    vi.useRealTimers();
    release();
    await coming;
    expect([explorer.scene.computing, explorer.scene.progress.current, explorer.scene.mapId]).toEqual([null, null, "pca"]);
  });

  it("shows the quickest other map, and all else that was asked for, where the first one is cancelled", async () => {
    const source = makeSource();
    const map: typeof source.map = (model, id, signal) =>
      id === "umap" ? source.map(model, id) : new Promise((_, reject) => signal?.addEventListener("abort", () => { reject(signal.reason as Error); }));
    const bar = { read: () => "#map=pca&row=4&filter=label:is:b", write: () => undefined, back: () => undefined, watch: () => () => undefined };
    const explorer = new Explorer({ ...source, map }, bar);
    const opening = explorer.open();
    await settle();
    explorer.scene.cancel();
    await opening;
    expect([explorer.scene.mapId, explorer.scene.computing, explorer.image.row, explorer.filters.visible]).toEqual(["umap", null, 4, 2]);
  });

  it("offers no map that was computed as one that is still to come", async () => {
    const { explorer } = await open();
    const ready = (): (boolean | undefined)[] => (explorer.scene.view?.maps ?? []).map((map) => map.ready);
    expect(ready()).toEqual([true, false]);
    await explorer.show({ map: "pca" });
    await explorer.show({ map: "umap" });
    await explorer.show({ column: "label" });
    expect(ready()).toEqual([true, true]);
  });

  it("selects the few images that a rule picks, and says what that is worth", async () => {
    const { explorer } = await open();
    await explorer.pickFew({ count: 2, by: "typical", rows: null }, "two");
    expect([[...(explorer.selection.current?.positions ?? [])], explorer.selection.current?.title, explorer.panel]).toEqual([[3, 1], "two", "selection"]);
    expect(explorer.selection.note).toContain("0.10");
    explorer.select([0], "images", "one");
    expect(explorer.selection.note).toBe("");
  });

  it("closes the innermost thing first", async () => {
    const { explorer } = await open();
    explorer.select([0], "images", "one");
    await explorer.focus(2);
    explorer.map.tool = "lasso";
    const seen: unknown[] = [];
    while (explorer.escape()) seen.push([explorer.map.tool, explorer.image.row, explorer.selection.current === null, explorer.panel]);
    expect(seen).toEqual([
      ["pan", 2, false, "image"],
      ["pan", null, false, "selection"],
      ["pan", null, true, null],
    ]);
  });
});

describe("another model's map", () => {
  const withPartner = (): Source => {
    const source = makeSource();
    return { ...source, model: async (key) => ({ ...(await source.model(key)), partners: [{ id: "two", title: "Two", maps: [{ id: "umap", title: "UMAP" }] }] }) };
  };

  it("stands beside, and its address says whose it is", async () => {
    const { explorer, bar } = await open("#beside=two:umap&panel=moved", withPartner());
    expect(explorer.scene.foreign?.partner.title).toBe("Two");
    expect(Array.from(explorer.scene.secondPoints ?? []).slice(0, 4)).toEqual([NaN, NaN, 0.25, 0.25]);
    expect(explorer.moved.current?.moved[0]?.row).toBe(4);
    explorer.writeAddress();
    expect(bar.read()).toContain("beside=two:umap");
  });

  it("gives way to a map of the same model", async () => {
    const { explorer } = await open("#beside=two:umap", withPartner());
    await explorer.show({ beside: "pca" });
    expect([explorer.scene.foreign, explorer.scene.secondMapId]).toEqual([null, "pca"]);
  });

  it("lets the pointer's image go, which other columns do not", async () => {
    const { explorer } = await open("", withPartner());
    explorer.map.hovered = 2;
    await explorer.show({}, true);
    expect(explorer.map.hovered).toBe(2);
    await explorer.show({ column: "cluster" });
    expect(explorer.map.hovered).toBe(2);
    await explorer.show({ beside: "two:umap" });
    expect(explorer.map.hovered).toBe(null);
  });

  it("keeps what was drawn around on it in the address", async () => {
    const source = withPartner();
    const { explorer, bar } = await open("#beside=two:umap", source);
    const polygon = [0, 0, 1, 0, 1, 1, 0, 1];
    explorer.select([1, 2, 3], "lasso", "Area", { by: "lasso", map: "umap", beside: "two:umap", polygon });
    explorer.writeAddress();
    const { explorer: other } = await open(bar.read(), source);
    expect([...(other.selection.current?.positions ?? [])]).toEqual([1, 2, 3]); // the partner does not hold the first one
  });

  it("says that it is being computed once that takes a while, and can be done without", async () => {
    const { held, release } = hold();
    const slow = makeSource({ mapBeside: held });
    const { explorer } = await open("", { ...withPartner(), mapBeside: (...all) => slow.mapBeside(...all) });
    vi.useFakeTimers();
    const coming = explorer.show({ beside: "two:umap" });
    await vi.advanceTimersByTimeAsync(900);
    expect(explorer.scene.computing).toBe(null);
    await vi.advanceTimersByTimeAsync(200);
    expect(explorer.scene.computing).toEqual({ id: "two:umap", isBeside: true, title: "Two · UMAP", seconds: null });
    vi.useRealTimers();
    explorer.scene.cancel();
    release();
    await coming;
    expect([explorer.scene.computing, explorer.scene.secondMapId]).toEqual([null, null]);
  });

  it("is asked for anew with the model, as it may have changed alone", async () => {
    let [asked, compared] = [0, 0];
    const partner = withPartner();
    const source: Source = {
      ...partner,
      mapBeside: (...all) => {
        asked++;
        return partner.mapBeside(...all);
      },
      moved: (...all) => {
        compared++;
        return partner.moved(...all);
      },
    };
    const { explorer } = await open("#beside=two:umap&panel=moved", source);
    const { secondPoints } = explorer.scene;
    await explorer.show({ column: "cluster" });
    expect([asked, compared]).toEqual([1, 1]);
    await explorer.show({}, true);
    expect([asked, compared]).toEqual([2, 2]);
    expect(explorer.scene.secondPoints).toBe(secondPoints); // the same places: the map stays as it is looked at
  });

  it("is compared no longer once the panel is closed", async () => {
    const { held, release } = hold();
    const slow = makeSource({ moved: held });
    const { explorer } = await open("", { ...withPartner(), moved: (...all) => slow.moved(...all) });
    explorer.showPanel("moved");
    expect(explorer.tasks.isWaitingFor("moved")).toBe(true);
    explorer.showPanel(null);
    expect(explorer.tasks.isWaitingFor("moved")).toBe(false);
    release();
  });

  it("that is not there is left out", async () => {
    const { explorer } = await open("#beside=three:umap", withPartner());
    expect([explorer.scene.secondMapId, explorer.scene.secondPoints]).toEqual([null, null]);
  });
});
