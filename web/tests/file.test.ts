import { describe, expect, it } from "vitest";
import { FileSource } from "../src/lib/file";
import type { CategoryColumn, CollectionInfo, ModelView } from "../src/lib/types";

const bytes = (data: ArrayBufferView): string =>
  Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64").replace(/(.{12})/g, "$1\n");

const label: CategoryColumn = { kind: "category", name: "label", title: "Label", description: "", values: ["bag", "boot"], counts: [2, 1] };

const view: ModelView = {
  key: "m", count: 4, state: "s", images: "i", columns: [label, { kind: "number", name: "trust", title: "", description: "", min: 0, max: 1, perMap: true }],
  maps: [{ id: "umap", title: "UMAP", settings: {}, ready: true, seconds: null }],
  sheets: { tile: 28, columns: 2, rows: 2, count: 1, positions: null }, failures: [],
};

/** Four images with rows 3, 5, 8, 9; unit vectors at 0°, 10°, 90° and 180°. */
const embedded: Record<string, string> = {
  collection: JSON.stringify({ name: "n", kind: "folder", version: "1", model: "m", models: [], live: false, originals: false, files: false, writable: false } satisfies CollectionInfo),
  "model/m": JSON.stringify(view),
  "model/m/rows": bytes(Uint32Array.from([3, 5, 8, 9])),
  "model/m/positions": bytes(Uint32Array.from([2, 0])),
  "model/m/maps/umap": bytes(Uint16Array.from([0, 65535, 32768, 0, 65535, 65535, 0, 0])),
  "model/m/maps/umap/trust": bytes(Float32Array.from([0.5, Number.NaN, 1, 0])),
  "model/m/columns/label": bytes(Uint16Array.from([0, 0, 1, 65535])),
  "model/m/neighbors": bytes(Uint32Array.from([1, 2, 0, 2, 1, 0, 2, 1])),
  "model/m/similarities": bytes(Uint8Array.from([251, 0, 251, 44, 44, 0, 0, 0])),
  "model/m/images": JSON.stringify({ ids: ["a/Red.png", "b/red.png", "c/blue.png", "d.png"], sizes: [[28, 28], [28, 30], [1, 2], [3, 4]] }),
};

const source = (more: Record<string, string> = {}, without: string[] = []): FileSource => {
  const held = new Map(Object.entries({ ...embedded, ...more }).filter(([id]) => !without.includes(id)));
  return new FileSource((id) => held.get(id) ?? null);
};

describe("a report file", () => {
  it("gives arrays as the server does", async () => {
    const file = source();
    const model = await file.model("m");
    expect(model.sheets.positions).toEqual(Uint32Array.from([2, 0]));
    expect(await file.rows(model)).toEqual(Uint32Array.from([3, 5, 8, 9]));
    expect([...(await file.map(model, "umap"))]).toEqual([-1, 1, expect.closeTo(0, 4), -1, 1, 1, -1, -1]);
    expect(await file.codes(model, "label")).toEqual(Uint16Array.from([0, 0, 1, 65535]));
    expect(await file.values(model, "trust", "umap")).toEqual(Float32Array.from([0.5, Number.NaN, 1, 0]));
  });

  it("gives the columns that it holds", async () => {
    expect(await source().dataColumns(view)).toEqual([]);
    const column = { name: "ISO", kind: "number", missing: 0, distinct: 2, low: 1, high: 2, values: [], private: false };
    const file = source({ "model/m/table": JSON.stringify({ columns: [column] }), "model/m/table/0": bytes(Float32Array.from([1, 2, 2, 1])) });
    expect(await file.dataColumns(view)).toEqual([column]);
    expect(await file.dataValues(view, { index: 0, kind: "number" })).toEqual(Float32Array.from([1, 2, 2, 1]));
    const days = Float64Array.from([19_723.5, 19_723.500_694, 19_723.501_389, 19_723]);
    const dated = source({ "model/m/table/1": bytes(days) });
    expect(await dated.dataValues(view, { index: 1, kind: "date" })).toEqual(days);
  });

  it("knows an image with its neighbours", async () => {
    const image = await source().image(view, 5);
    expect(image).toMatchObject({ row: 5, id: "b/red.png", label: "bag", split: null, width: 28, height: 30, verdict: null });
    expect(image.neighbors.map(({ row, label: of }) => [row, of])).toEqual([[3, "bag"], [8, "boot"]]);
    expect(image.neighbors[0]?.similarity).toBeCloseTo(Math.cos((10 * Math.PI) / 180), 2);
  });

  it("finds file names in any case", async () => {
    expect(await source().find(view, "RED")).toEqual([3, 5]);
  });

  it("searches with one or several images by their stored neighbours", async () => {
    expect((await source().query(view, [3], 10)).map(({ row }) => row)).toEqual([5, 8]);
    const both = await source().query(view, [3, 5], 10);
    expect(both).toMatchObject([{ row: 8, similarity: expect.closeTo(Math.cos((80 * Math.PI) / 180) / 2, 2) as number }]);
  });

  it("gives a selection as a table and as a list", async () => {
    const number = { kind: "number", title: "", description: "", min: 0, max: 1, perMap: false } as const;
    const predicted: CategoryColumn = { ...label, name: "predicted", values: ["=1+1", "a,b"] };
    const told: ModelView = { ...view, columns: [...view.columns, predicted, { ...number, name: "probability" }, { ...number, name: "own" }] };
    const file = source({
      "model/m/columns/predicted": bytes(Uint16Array.from([0, 1, 65535, 0])),
      "model/m/columns/probability": bytes(Float32Array.from([1, 0.25, Number.NaN, 0.03125])),
    });
    expect(await (await file.export(told, [9, 3, 8, 5], "csv")).text()).toBe(
      "row,id,label,split,predicted,probability\r\n" +
        "9,d.png,,,'=1+1,0.0312\r\n3,a/Red.png,bag,,'=1+1,1.0000\r\n8,c/blue.png,boot,,,nan\r\n5,b/red.png,bag,,\"a,b\",0.2500\r\n",
    );
    expect(await (await file.export(told, [9, 3], "files")).text()).toBe("d.png\na/Red.png\n");
    const several = { ids: ["a.png", "b.png", "c.png", "d.png"], sizes: [], labels: [["bag", "red"], [], [], []] };
    const sets = source({ "model/m/images": JSON.stringify(several) });
    expect(await (await sets.export(view, [3, 8], "csv")).text()).toBe("row,id,label,split\r\n3,a.png,bag | red,\r\n8,c.png,boot,\r\n");
  });

  it("says what is missing, and writes nothing", async () => {
    await expect(source({}, ["model/m/rows"]).rows(view)).rejects.toThrow("“model/m/rows” is missing");
    await expect(source().image(view, 4)).rejects.toThrow("no image with row 4");
    await expect(source().search()).rejects.toThrow("dinoscope explore");
    await expect(source().export(view, [3], "collection")).rejects.toThrow("cannot be written to");
    await expect(source().export(view, [4], "csv")).rejects.toThrow("no image with row 4");
    expect(await source().findings(view)).toMatchObject({ findings: [], selfTest: null });
  });
});
