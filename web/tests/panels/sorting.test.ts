import { describe, expect, it } from "vitest";
import type { Source } from "../../src/lib/source";
import { SourceError } from "../../src/lib/source";
import { Sorting } from "../../src/panels/sorting.svelte";
import { hold, makeSource, open, settle } from "../explorers";

const ALL = Uint32Array.from([0, 1, 2]);
const SIZES: Record<string, number[]> = { one: [3, 1, 2, 0], two: [0, 2, 1] };

/** A source whose models have a column of numbers, and trust, which every map has its own of. */
function withSizes(held?: Promise<unknown>): Source {
  const source = makeSource();
  return {
    ...source,
    model: async (key) => {
      const view = await source.model(key);
      const number = { kind: "number", description: "", min: 0, max: 3 } as const;
      const trust = { ...number, name: "trust", title: "Trust", perMap: true };
      return { ...view, columns: [...view.columns, { ...number, name: "size", title: "Size", perMap: false }, ...(key === "one" ? [trust] : [])] };
    },
    values: async (model, column, map) => {
      await held;
      return Float32Array.from(column === "trust" ? (map === "umap" ? [1, 2, 3, 4] : [4, 3, 2, 1]) : (SIZES[model.key] ?? []));
    },
  };
}

describe("a list of images", () => {
  it("is in the order of its column on the model and the map that are shown", async () => {
    const { explorer } = await open("", withSizes());
    const [sorting, { scene }] = [new Sorting(), explorer];
    const order = async (): Promise<number[]> => {
      sorting.look(explorer);
      await settle();
      return [...sorting.of(scene, ALL)];
    };
    sorting.column = "size";
    expect(await order()).toEqual([1, 2, 0]);
    await explorer.show({ model: "two" });
    expect([...sorting.of(scene, ALL)]).toEqual([0, 1, 2]); // values of the other model say nothing of this one
    expect(await order()).toEqual([0, 2, 1]);
    sorting.isDescending = true;
    expect([...sorting.of(scene, ALL)]).toEqual([1, 2, 0]);
    sorting.isDescending = false;
    sorting.column = "trust";
    expect([sorting.columnOf(scene), await order()]).toEqual(["", [0, 1, 2]]); // this model has none
    await explorer.show({ model: "one" });
    expect([sorting.columnOf(scene), await order()]).toEqual(["trust", [0, 1, 2]]);
    await explorer.show({ map: "pca" });
    expect(await order()).toEqual([2, 1, 0]);
  });

  it("stays as found where that is chosen while a column comes", async () => {
    const { held, release } = hold();
    const { explorer } = await open("", withSizes(held));
    const sorting = new Sorting();
    sorting.column = "size";
    const leave = sorting.look(explorer);
    sorting.column = "";
    leave?.();
    sorting.look(explorer);
    release();
    await settle();
    expect([[...sorting.of(explorer.scene, ALL)], explorer.tasks.busy]).toEqual([[0, 1, 2], null]);
  });

  it("is not said to be in an order that could not be fetched", async () => {
    const { explorer } = await open("", { ...withSizes(), values: () => Promise.reject(new SourceError("The disk is gone.")) });
    const sorting = new Sorting();
    sorting.column = "size";
    sorting.look(explorer);
    await settle();
    expect([sorting.column, explorer.tasks.error]).toEqual(["", "The disk is gone."]);
  });
});
