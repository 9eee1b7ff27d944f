import { describe, expect, it } from "vitest";
import { flushSync } from "svelte";
import { Explorer } from "../src/lib/explorer.svelte";
import { SourceError, type Source } from "../src/lib/source";
import type { AddressBar } from "../src/lib/history";
import type { ImageInfo, ModelView, PairQuestion } from "../src/lib/types";

const view = (key: string, rows: number[]): ModelView => ({
  key, count: rows.length, state: "s",
  columns: [{ kind: "category", name: "label", title: "Label", description: "", values: ["a", "b", "c"], counts: [1, 2, 1] }],
  maps: [{ id: "umap", title: "UMAP", settings: {}, ready: true }, { id: "pca", title: "PCA", settings: {}, ready: false }],
  sheets: { tile: 1, columns: 1, rows: 1, count: 4, positions: null }, failures: [],
});

const QUESTION: PairQuestion = {
  rows: [2, 4], same: 0, different: 0, unsure: 0, enough: 10, suggested: 0.9, threshold: 0.9, pairs: 1, precision: null, recall: null,
};
const ROWS: Record<string, number[]> = { one: [2, 4, 6, 8], two: [4, 6, 10] };
const image = (row: number): ImageInfo => ({
  row, id: `${row}.png`, label: null, split: null, cluster: null, width: 1, height: 1, verdict: null,
  neighbors: [4, 6, 8].filter((other) => other !== row).map((other) => ({ row: other, id: "", label: null, similarity: 1 })),
});

/** A source whose answers wait for the test where `held` names them. */
function makeSource(held: Record<string, Promise<unknown>> = {}): Source {
  const wait = async <T>(name: string, value: T): Promise<T> => {
    await held[name];
    return value;
  };
  return {
    collection: () => wait("collection", {
      name: "n", kind: "folder", version: "1", model: "one", live: true, originals: false,
      models: Object.keys(ROWS).map((key) => ({ key, name: key, dim: 1, resolution: 1, pooling: "cls", images: 4 })),
    }),
    model: (key) => wait(`model ${key}`, view(key, ROWS[key] ?? [])),
    rows: (model) => wait("rows", Uint32Array.from(ROWS[model.key] ?? [])),
    map: (model, map) => wait(`map ${map}`, new Float32Array(2 * model.count).fill(map === "pca" ? 0.5 : 0)),
    codes: (model) => wait("codes", Uint16Array.from([0, 1, 1, 2]).slice(0, model.count)),
    values: (model) => wait("values", new Float32Array(model.count)),
    sheet: (_, index) => `sheet ${index}`,
    picture: () => "",
    image: (_, row) => wait(`image ${row}`, image(row)),
    reasons: () => wait("reasons", { reasons: [] }),
    findings: () => wait("findings", { findings: [{ key: "f", kind: "outlier", rows: [2], evidence: [], text: "", suggestion: null, score: 1, dismissed: false }], selfTest: null, threshold: 0.9, suggested: 0.9, answers: 0 }),
    pair: () => wait("pair", QUESTION),
    answerPair: () => wait("answerPair", QUESTION),
    forgetPairs: () => wait("forgetPairs", QUESTION),
    dismiss: () => wait("dismiss", undefined),
    numbers: () => wait("numbers", { scores: [], clusters: [], confusion: null, evaluation: null, explained: null }),
    search: () => wait("search", { matches: [], verdict: null, place: [0, 0], seconds: 0, parts: null }),
    query: (_, rows) => wait("query", rows.map((row) => ({ row: row + 2, id: "", label: null, similarity: 1 }))),
    find: () => wait("find", [8, 2, 99]),
    export: () => wait("export", new Blob()),
    progress: () => wait("progress", null),
  };
}

class Bar implements AddressBar {
  pages: string[];
  then: (hash: string) => void = () => undefined;
  constructor(hash = "") {
    this.pages = [hash];
  }
  read(): string {
    return this.pages.at(-1) ?? "";
  }
  write(hash: string, push: boolean): void {
    if (!push) this.pages.pop();
    this.pages.push(hash);
  }
  back(): void {
    this.pages.pop();
    this.then(this.read());
  }
  watch(then: (hash: string) => void): () => void {
    this.then = then;
    return () => (this.then = () => undefined);
  }
}

async function open(hash = "", source = makeSource()): Promise<{ explorer: Explorer; bar: Bar }> {
  const bar = new Bar(hash);
  const explorer = new Explorer(source, bar);
  await explorer.open();
  return { explorer, bar };
}

/** Something that the test lets happen when it wants. */
function hold(): { held: Promise<void>; release: () => void } {
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  return { held, release };
}

const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

describe("the explorer", () => {
  it("opens with the collection's defaults", async () => {
    const { explorer } = await open();
    expect([explorer.view?.key, explorer.mapId, explorer.columnName, explorer.visible]).toEqual(["one", "umap", "label", 4]);
    expect(explorer.labelOf(3)).toBe("c");
    expect(explorer.busy).toBeNull();
  });

  it("opens with what the address asks for, and ignores what the collection does not have", async () => {
    const { explorer } = await open("#model=two&map=pca&by=nothing&hide=1&row=6&pick=column:label:1&panel=image&theme=dark");
    expect([explorer.view?.key, explorer.mapId, explorer.columnName, explorer.theme]).toEqual(["two", "pca", "label", "dark"]);
    expect([...explorer.hidden]).toEqual([1]);
    expect(explorer.image?.row).toBe(6);
    expect([...(explorer.selection?.positions ?? [])]).toEqual([1, 2]);
    expect(explorer.panel).toBe("image");
    const other = await open("#model=gone&map=gone&row=5");
    expect([other.explorer.view?.key, other.explorer.mapId]).toEqual(["one", "umap"]);
  });

  it("lets a late answer overwrite nothing", async () => {
    const { held, release } = hold();
    const { explorer } = await open("", makeSource({ "image 4": held }));
    const late = explorer.focus(4);
    await explorer.focus(6);
    release();
    await late;
    expect(explorer.image?.row).toBe(6);
  });

  it("shows no scores of a map under the title of another", async () => {
    const { held, release } = hold();
    const { explorer } = await open("", makeSource({ numbers: held }));
    const late = explorer.loadNumbers();
    await explorer.showMap("pca");
    release();
    await late;
    expect(explorer.numbers).toBeNull();
  });

  it("keeps scores and findings when only the colour changes", async () => {
    const { explorer } = await open();
    await Promise.all([explorer.loadNumbers(), explorer.loadFindings()]);
    const { numbers, findings } = explorer;
    await explorer.colourBy("label");
    expect([explorer.numbers === numbers, explorer.findings === findings, numbers === null]).toEqual([true, true, false]);
  });

  it("drops what was asked of another model", async () => {
    const { held, release } = hold();
    const { explorer } = await open("", makeSource({ findings: held, search: held, find: held }));
    const late = [explorer.loadFindings(), explorer.searchImage(new Blob()), explorer.findText("x")];
    await explorer.showModel("two");
    release();
    await Promise.all(late);
    expect([explorer.findings, explorer.answer, explorer.answerPicture, explorer.selection]).toEqual([null, null, null, null]);
    expect(explorer.busy).toBeNull();
  });

  it("reads columns of the model that is shown while another one comes", async () => {
    const { held, release } = hold();
    const { explorer } = await open("", makeSource({ "map pca": held }));
    await explorer.showModel("two");
    await explorer.showModel("one");
    const late = explorer.restore({ model: "two", map: "pca" });
    await settle();
    expect([...(await explorer.codesOf("label"))]).toEqual([0, 1, 1, 2]);
    release();
    await late;
    expect([...(await explorer.codesOf("label"))]).toEqual([0, 1, 1]);
  });

  it("places an image from outside only on the map that was asked for", async () => {
    const { held, release } = hold();
    const { explorer } = await open("", makeSource({ search: held }));
    const late = explorer.searchImage(new Blob());
    await explorer.showMap("pca");
    release();
    await late;
    expect([explorer.answer === null, explorer.answer?.place]).toEqual([false, null]);
    await explorer.searchImage(new Blob());
    expect(explorer.answer?.place).toEqual([0, 0]);
    await explorer.colourBy("label");
    expect(explorer.answer?.place).toEqual([0, 0]);
    await explorer.showMap("umap");
    expect([explorer.answer === null, explorer.answer?.place]).toEqual([false, null]);
  });

  it.each(["map pca", "find", "image 4"])("goes back twice though the first time is slow: %s", async (slow) => {
    const { held, release } = hold();
    const { explorer } = await open("", makeSource({ [slow]: held }));
    const late = explorer.restore({ map: "pca", row: 4, hidden: [2], panel: "findings", origin: { by: "text", text: "x" } });
    await settle();
    await explorer.restore({ hidden: [1], panel: "numbers" });
    release();
    await late;
    expect([explorer.mapId, explorer.row, [...explorer.hidden], explorer.panel, explorer.selection]).toEqual(
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
    for (let i = 0; i < 40; i++) await explorer.checkProgress();
    expect(asked).toBeGreaterThan(5);
    expect(asked).toBeLessThan(20);
    asked = 0;
    await explorer.showModel("two");
    await explorer.checkProgress();
    expect(asked).toBe(2); // for the model itself, and for its clusters
  });

  it("goes back to the image before", async () => {
    const { explorer, bar } = await open();
    await explorer.focus(4);
    await explorer.focus(6);
    bar.back();
    await settle();
    expect(explorer.image?.row).toBe(4);
    bar.back();
    await settle();
    expect([explorer.row, explorer.panel]).toEqual([null, null]);
  });

  it("goes to an image and its neighbours, unless another one was clicked meanwhile", async () => {
    const { held, release } = hold();
    const { explorer } = await open("", makeSource({ "image 6": held }));
    await explorer.searchRow(4);
    expect([...(explorer.wish.to as Uint32Array)]).toEqual([1, 2, 3]);
    const [wish, late] = [explorer.wish, explorer.searchRow(6)];
    await explorer.focus(8);
    release();
    await late;
    expect(explorer.wish).toBe(wish);
  });

  it("travels to neighbours that were not visited yet", async () => {
    const { explorer } = await open();
    await explorer.focus(2);
    for (const row of [4, 6, 8]) {
      await explorer.travel();
      expect(explorer.row).toBe(row);
    }
    await explorer.travel();
    expect(explorer.row).toBe(8);
  });

  it("keeps selection and image by row when the model changes", async () => {
    const { explorer } = await open();
    explorer.select([0, 1, 3], "images", "three");
    await explorer.focus(6);
    await explorer.showModel("two");
    await settle();
    expect([...(explorer.selection?.positions ?? [])]).toEqual([0]);
    expect(explorer.image?.row).toBe(6);
  });

  it("filters by the legend", async () => {
    const { explorer } = await open();
    explorer.toggleValue(1);
    flushSync();
    expect(explorer.visible).toBe(2);
    explorer.onlyValue(2);
    expect([...explorer.hidden].sort()).toEqual([0, 1]);
    explorer.onlyValue(2);
    expect(explorer.hidden.size).toBe(0);
  });

  it("selects what it finds, in the order of the answer", async () => {
    const { explorer } = await open();
    await explorer.findText("x");
    expect([...(explorer.selection?.positions ?? [])]).toEqual([3, 0]);
    await explorer.query([4, 2]);
    expect([...(explorer.selection?.positions ?? [])]).toEqual([2, 1]);
    expect(explorer.panel).toBe("selection");
  });

  it("says in words what went wrong and keeps what was shown", async () => {
    const held = { "map pca": Promise.reject(new SourceError("The map cannot be computed.")) };
    held["map pca"].catch(() => undefined);
    const { explorer } = await open("", makeSource(held));
    await explorer.showMap("pca");
    expect([explorer.error, explorer.mapId, explorer.points[0]]).toEqual(["The map cannot be computed.", "umap", 0]);
    expect(explorer.escape()).toBe(true);
    expect(explorer.error).toBeNull();
  });

  it("takes a dismissal back when it could not be kept", async () => {
    const held = { dismiss: Promise.reject(new SourceError("The disk is full.")) };
    held.dismiss.catch(() => undefined);
    const { explorer } = await open("#panel=findings", makeSource(held));
    const finding = explorer.findings?.findings[0];
    expect(finding?.dismissed).toBe(false);
    if (finding) await explorer.dismiss(finding, true);
    expect(explorer.findings?.findings[0]?.dismissed).toBe(false);
    expect(explorer.error).toBe("The disk is full.");
  });

  it("closes the innermost thing first", async () => {
    const { explorer } = await open();
    explorer.select([0], "images", "one");
    await explorer.focus(2);
    explorer.tool = "lasso";
    const seen: unknown[] = [];
    while (explorer.escape()) seen.push([explorer.tool, explorer.row, explorer.selection === null, explorer.panel]);
    expect(seen).toEqual([
      ["pan", 2, false, "image"],
      ["pan", null, false, "selection"],
      ["pan", null, true, null],
    ]);
  });
});
