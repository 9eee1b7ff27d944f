import { describe, expect, it } from "vitest";
import { decodeAddress, encodeAddress, type ViewState } from "../src/lib/address";

const state: ViewState = {
  model: "dinov2-small 224/px", map: "t-SNE: fine", beside: "pca", column: "label, of people", hiding: true,
  filter: [
    { column: "data:camera; make", by: "is", values: ["Sony: A7", ""] }, { column: "label", by: "not", values: ["50% off"] },
    { column: "data:taken", by: "range", range: [0.123456791, 2] }, { column: "data:caption", by: "text", text: "a;b:c%" },
  ],
  camera: { x: -0.25, y: 0.5, zoom: 12 }, pictures: "colours", row: 7, panel: null, origin: { by: "text", text: "a:b,c&d=é" }, theme: "dark",
};

describe("the address", () => {
  it("says again what was written", () => {
    expect(decodeAddress(`#${encodeAddress(state)}`)).toEqual(state);
  });

  it.each([
    { by: "lasso", map: "umap", polygon: [0, 0, 0.5, 0.25, 1, -1] },
    { by: "lasso", map: "umap", beside: "beside:mini/2:pca", polygon: [0, 0, 0.5, 0.25, 1, -1] },
    { by: "column", column: "cluster: found", code: 65534 },
    { by: "answer", rows: [5, 1, 900000] },
    { by: "images", rows: [0] },
  ] as const)("keeps what picked a selection: $by", (origin) => {
    const kept = { ...state, origin: structuredClone(origin) as ViewState["origin"] };
    expect(decodeAddress(encodeAddress(kept)).origin).toEqual(origin);
  });

  it("reads what an earlier version wrote of the legend", () => {
    expect(decodeAddress("#hide=0,3&range=0.5,2")).toEqual({ hidden: [0, 3], range: [0.5, 2] });
  });

  it("leaves conditions out that would make it too long, and keeps the others", () => {
    const long = { column: "a", by: "is" as const, values: Array.from({ length: 500 }, (_, i) => `value ${i}`) };
    const short = { column: "b", by: "is" as const, values: [] };
    expect(decodeAddress(encodeAddress({ ...state, filter: [long, short] }))).toMatchObject({ filter: [short], isFilterCut: true });
    expect(decodeAddress(encodeAddress({ ...state, filter: [short] })).isFilterCut).toBeUndefined();
  });

  it("stays short when a lasso has many corners, and keeps its shape", () => {
    const polygon = Array.from({ length: 2000 }, (_, i) => (i % 2 ? Math.sin(i) : Math.cos(i)));
    const hash = encodeAddress({ ...state, origin: { by: "lasso", map: "umap", polygon } });
    expect(hash.length).toBeLessThan(1200);
    expect(decodeAddress(hash).origin).toMatchObject({ by: "lasso", map: "umap" });
  });

  it.each([
    "", "#", "#&&&=", "#row=-1", "#row=1.5", "#row=1e400", "#at=1,2", "#at=0,0,-4", "#at=0,0,1e99", "#at=NaN,0,1", "#panel=secret",
    "#theme=red", "#hide=1,x", "#filter=a:what:1", "#filter=a:range:2,1", "#filter=a:range:2:1", "#filter=:is:a", "#filter=a:text:", "#rest=x", "#range=2,1", "#range=1", "#pick=lasso:umap:1,2,3", "#pick=lasso", "#pick=column:label:x", "#pick=answer:1,-2", "#pick=what:1",
    "#model=%E0%A4%A", "#__proto__=1",
  ])("ignores what makes no sense: %s", (hash) => {
    expect(decodeAddress(hash)).toEqual({});
  });
});
