import { flushSync } from "svelte";
import { decodeAddress } from "../src/lib/address";
import { describe, expect, it } from "vitest";
import { binsOf, conditionOf, countBins, countCodes, decodeConditions, encodeConditions, failing, failingAny, NONE, passing, sorted } from "../src/lib/filter";
import { withData as addData } from "../src/lib/data";
import type { Source } from "../src/lib/source";
import type { DataColumn } from "../src/lib/types";
import { conditionWords, valueWords } from "../src/panels/conditions";
import type { Explorer } from "../src/state/explorer.svelte";
import { given, makeSource, modelView, open, settle } from "./explorers";

const CODES = Uint16Array.from([0, 1, 1, 65535, 2]);
const VALUES = Float32Array.from([0, 1, 2, Number.NaN, 4]);

describe("a filter", () => {
  it("notes every condition that an image fails as a bit of its own", () => {
    const passes = passing(["a", "b", "c"], { column: "x", by: "not", values: ["b"] });
    expect([...passes]).toEqual([1, 0, 1, 1]);
    const fails = failing(5, [{ codes: CODES, passes }, { values: VALUES, range: [1, 4] }, { has: Uint8Array.from([1, 1, 0, 1, 1]) }]);
    expect([...fails]).toEqual([2, 1, 5, 2, 0]);
    expect([...failingAny(fails)]).toEqual([...fails].map((bits) => Number(bits !== 0)));
  });

  it("counts the values of a column among those that pass the other conditions", () => {
    const fails = Uint32Array.from([2, 1, 5, 2, 0]);
    expect([...countCodes(CODES, 3, null, 0)]).toEqual([1, 2, 1, 1]);
    expect([...countCodes(CODES, 3, fails, 1)]).toEqual([0, 1, 1, 0]); // the third fails another, too
    const places = binsOf(VALUES, [0, 4], 2);
    expect([...places]).toEqual([0, 0, 1, 255, 1]);
    expect([...countBins(places, 2, fails, 2)]).toEqual([1, 1]);
    expect([...binsOf(Float32Array.from([3, 3]), [3, 3], 4)]).toEqual([0, 0]);
  });

  it("says the shorter of what passes and what does not", () => {
    const values = ["a", "b", "c", NONE];
    expect(conditionOf("x", values, new Set())).toBeNull();
    expect(conditionOf("x", values, new Set(["a"]))).toEqual({ column: "x", by: "not", values: ["a"] });
    expect(conditionOf("x", values, new Set(["a", "b", "c"]))).toEqual({ column: "x", by: "is", values: [NONE] });
    expect(conditionOf("x", ["yes", "no"], new Set(["no"]))).toEqual({ column: "x", by: "is", values: ["yes"] });
  });

  it("keeps both ends of a range in the address to the last digit", () => {
    const range = [Math.fround(0.1), 19_723.500_011_574_073] as const;
    expect(decodeConditions(encodeConditions([{ column: "x", by: "range", range }]))).toEqual([{ column: "x", by: "range", range }]);
  });

  it("sorts dates of one minute by their seconds", () => {
    const seconds = [5, 3, 9, 1].map((second) => 1_735_603_200 + second);
    expect([...sorted(Uint32Array.from([0, 1, 2, 3]), Float64Array.from(seconds, (each) => each / 86_400), false)]).toEqual([3, 1, 0, 2]);
  });

  it("sorts, with images without a value at the end either way", () => {
    const all = Uint32Array.from([3, 4, 0, 1]);
    expect([...sorted(all, VALUES, false)]).toEqual([0, 1, 4, 3]);
    expect([...sorted(all, VALUES, true)]).toEqual([4, 1, 0, 3]);
    expect([...sorted(all, CODES, true)]).toEqual([4, 1, 0, 3]);
  });
});

const column = (name: string, kind: DataColumn["kind"], more: Partial<DataColumn> = {}): DataColumn => ({
  name, kind, missing: 0, distinct: 2, low: null, high: null, values: [], private: false, ofFile: null, ...more,
});
const DATA: DataColumn[] = [
  column("camera", "category", { missing: 1, values: [{ value: "X", count: 2 }, { value: "Y", count: 1 }] }),
  column("taken", "date", { low: 1_672_531_200, high: 1_735_603_200 }),
  column("blurred", "boolean", { values: [{ value: "false", count: 3 }, { value: "true", count: 1 }] }),
  column("caption", "text"),
  column("ISO", "number", { low: 100, high: 800 }),
];

describe("a column of files", () => {
  it("is called what it is, and its bytes have a unit; one of a table keeps its name and its numbers", () => {
    const found = [column("size", "number", { ofFile: "size" }), column("f_number", "number", { ofFile: "f_number" }), column("size", "number"), column("folder", "category", { ofFile: "folder" })];
    const { columns } = addData(modelView("one", [2]), found);
    const own = columns.slice(-4);
    expect(own.map(({ title }) => title)).toEqual(["File size", "F-number", "Size", "Folder"]);
    expect(valueWords(own[0]!, 26_540, [0, 1e6])).toBe("27 kB");
    expect(valueWords(own[2]!, 26_540, [0, 1e6])).toBe("26,500");
  });
});

const ARRAYS = [
  [0, 0, 1, Number.NaN], [19_358, 19_723, 20_088, 20_088], [0, 0, 0, 1], [], [100, 200, 400, 800],
].map((values) => Float32Array.from(values));

function withData(more: Partial<Source> = {}): Source {
  return { ...makeSource(), dataColumns: () => Promise.resolve(DATA), dataValues: (_, { index }) => Promise.resolve(ARRAYS[index]!), ...more };
}

const words = (explorer: Explorer): string => explorer.filters.active.map((each) => conditionWords(each, explorer.scene.view)).join(" · ");

describe("the explorer's filter", () => {
  it("reads like a sentence, is restored from the address, and narrows step by step", async () => {
    const hash = "#filter=data%253Acamera:is:X;data%253Ataken:range:19400:20088;data%253Ablurred:is:false;label:not:a&rest=hidden";
    const { explorer, bar } = await open(hash, withData());
    await settle();
    flushSync();
    expect(words(explorer)).toBe("camera is X · Feb 2023 to Dec 2024 · not blurred · label is not a");
    expect([[...explorer.filters.hidden!], explorer.filters.visible, explorer.filters.isHiding]).toEqual([[1, 0, 1, 1], 1, true]);
    explorer.writeAddress();
    expect(bar.read()).toContain(hash.slice(1).split("&")[0]);
    explorer.filters.set("label", null);
    explorer.filters.set("data:camera", null);
    expect([explorer.filters.visible, [...explorer.filters.hidden!]]).toEqual([2, [1, 0, 0, 1]]);
    explorer.filters.take([]);
    expect([explorer.filters.visible, explorer.filters.hidden]).toEqual([4, null]);
  });

  it("counts each column among those that pass the others, none of its own values being lost", async () => {
    const { explorer } = await open("#filter=data%253Acamera:is:X", withData());
    await settle();
    const camera = explorer.filters.column("data:camera");
    if (camera?.kind !== "category") throw new Error("no category");
    explorer.filters.load("data:taken");
    await settle();
    expect(explorer.filters.choices(camera)).toEqual([
      { value: "X", isOn: true, count: 2 }, { value: "Y", isOn: false, count: 1 }, { value: NONE, isOn: false, count: 1 },
    ]);
    const taken = explorer.filters.column("data:taken")!;
    expect(explorer.filters.spread(taken, 2)).toEqual({ domain: [19_358, 20_088], all: [1, 3], passing: [1, 1] });
    expect(valueWords(taken, 19_358, [17_000, 20_088])).toBe("2023");
    expect(valueWords(taken, 19_358, [19_340, 19_380])).toBe("Jan 1, 2023");
    expect(valueWords(taken, 19_358.5, [19_358.25, 19_358.75])).toBe("Jan 1, 2023, 12:00");
    explorer.filters.toggle(camera, NONE);
    expect(words(explorer)).toBe("camera is not Y");
    explorer.filters.only(camera, NONE);
    expect(words(explorer)).toBe("no camera");
    expect([...explorer.filters.among(Uint32Array.from([3, 2, 1]))]).toEqual([3]);
  });

  it("colours the map by the collection's own columns", async () => {
    const { explorer } = await open("#by=data%3Acamera", withData());
    expect([explorer.scene.column?.title, [...(explorer.scene.codes ?? [])]]).toEqual(["Camera", [0, 0, 1, 65535]]);
    await explorer.show({ column: "data:ISO" });
    expect([explorer.scene.column?.title, [...(explorer.scene.values ?? [])]]).toEqual(["ISO", [100, 200, 400, 800]]);
    explorer.filters.setRange("data:ISO", [150, 400]);
    expect([words(explorer), explorer.legend.range, explorer.filters.visible]).toEqual(["ISO 150 to 400", [150, 400], 2]);
  });

  it("finds texts, and lets a late answer overwrite nothing", async () => {
    const answers: ((found: number[]) => void)[] = [];
    const { explorer } = await open("", withData({ dataFind: () => new Promise((resolve) => answers.push(resolve)) }));
    explorer.filters.setText("data:caption", "re");
    explorer.filters.setText("data:caption", "red ");
    answers[1]!([0, 2]);
    await settle();
    answers[0]!([1]);
    await settle();
    expect([words(explorer), [...explorer.filters.hidden!]]).toEqual(["caption contains “red”", [0, 1, 0, 1]]);
  });

  it("filters by tags as soon as they are given", async () => {
    const { explorer } = await open("", { ...withData(), giveLabels: (_, { rows }) => Promise.resolve({ ...given(rows, null), tags: ["keep"], tagged: rows.map(() => ["keep"]) }) });
    await settle();
    await explorer.labelling.give([4, 8], null, ["keep"]);
    expect(explorer.filters.tagChoices()).toEqual([{ value: "keep", isOn: false, count: 2 }]);
    explorer.filters.toggleTag("keep");
    expect([words(explorer), [...explorer.filters.hidden!]]).toEqual(["tagged keep", [1, 0, 1, 0]]);
    explorer.filters.toggleTag("keep");
    expect(explorer.filters.conditions).toEqual([]);
  });

  it.each([
    ["no name is left", ["Cluster 4", "Cluster 5", "Cluster 6"], [2, 1, 1]],
    ["a name stands for other images", ["Cluster 1", "Cluster 4"], [1, 3]],
    ["the names are the same and their sizes are not", ["Cluster 1", "Cluster 2", "Cluster 3"], [1, 1, 2]],
  ])("asks nothing of clusters that were divided anew: %s", async (_, values, counts) => {
    const source = withData();
    let held = [["Cluster 1", "Cluster 2", "Cluster 3"], [1, 2, 1]] as [string[], number[]];
    const model = source.model.bind(source);
    source.model = async (key) => {
      const view = await model(key);
      return { ...view, state: String(held[1]), columns: [...view.columns, { kind: "category", name: "cluster", title: "Cluster", description: "", values: held[0], counts: held[1] }] };
    };
    const { explorer } = await open("#by=cluster&filter=cluster:is:Cluster 1;label:not:a", source);
    await settle();
    expect([explorer.legend.hidden.size, explorer.filters.active.length]).toEqual([2, 2]);
    await explorer.show({}, true); // the same clusters
    expect(explorer.filters.active.length).toBe(2);
    held = [values, counts];
    await explorer.divide(values.length);
    await settle();
    expect([explorer.filters.conditions.map((each) => each.column), explorer.legend.hidden.size, explorer.filters.visible]).toEqual([["label"], 0, 3]);
  });

  it("keeps a condition that an address has no room for when one goes back", async () => {
    const { explorer, bar } = await open();
    const names = Array.from({ length: 300 }, (_, each) => `folder ${each}`);
    explorer.filters.set("label", { column: "label", by: "not", values: ["a", ...names] });
    explorer.filters.isHiding = true;
    await explorer.focus(4);
    await explorer.focus(6);
    expect(bar.read().length).toBeLessThan(400);
    bar.back();
    await settle();
    expect([explorer.image.row, explorer.filters.visible, explorer.filters.of("label")?.by]).toEqual([4, 3, "not"]);
    explorer.filters.setText("data:caption", "red"); // a condition that fits stands in the address itself
    await explorer.focus(8);
    explorer.filters.setText("data:caption", "");
    bar.back();
    await settle();
    expect(explorer.filters.conditions.map(({ column }) => column)).toEqual(["data:caption", "label"]);
  });

  it("loses a long condition where the address has none", async () => {
    const { explorer, bar } = await open();
    explorer.writeAddress();
    const before = bar.read();
    explorer.filters.set("label", { column: "label", by: "not", values: ["a", "x".repeat(2000)] });
    await explorer.restore(decodeAddress(before));
    expect(explorer.filters.conditions).toEqual([]);
  });

  it("does with a selection what it says: only with those that pass", async () => {
    const { explorer } = await open("#filter=label:is:b&panel=label");
    await settle();
    explorer.select([0, 1, 2, 3], "images", "all");
    expect(explorer.labelling.chosen).toEqual([4, 6]);
    explorer.combine([1], "subtract");
    expect([explorer.labelling.chosen, explorer.selectedRows()]).toEqual([[6], [6]]);
  });

  it("shows in the legend what holds, and not what a model has no values for", async () => {
    const { explorer } = await open("#by=label&filter=label:is:gone");
    await settle();
    expect([explorer.filters.of("label"), explorer.legend.hidden.size, explorer.legend.isFiltered]).toEqual([null, 0, false]);
    explorer.legend.toggle(0);
    expect(explorer.filters.conditions).toEqual([{ column: "label", by: "not", values: ["a"] }]);
  });

  it("asks nothing of columns that a model does not have, and keeps what was asked", async () => {
    const { explorer } = await open("#filter=cluster:is:Cluster 9;label:is:gone", withData());
    await settle();
    expect([explorer.filters.active, explorer.filters.visible, explorer.filters.conditions.length]).toEqual([[], 4, 2]);
  });
});
