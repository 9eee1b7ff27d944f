import { describe, expect, it } from "vitest";
import type { Labelling } from "../src/lib/api";
import { complete, isLikely, labelKey } from "../src/panels/labels";
import { isTyping } from "../src/lib/typing";
import { SourceError } from "../src/lib/source";
import { NO_CODE } from "../src/lib/types";
import { given, makeSource, open } from "./explorers";

const press = (key: string, held: Partial<KeyboardEvent> = {}): ReturnType<typeof labelKey> =>
  labelKey({ key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...held }, ["coat", "shirt"]);

describe("keys", () => {
  it("mean labels, answers and steps", () => {
    expect(press("2")).toEqual({ does: "label", label: "shirt" });
    expect(press("3")).toBeNull();
    expect(press("Enter")).toEqual({ does: "accept" });
    expect(press("0")).toEqual({ does: "refuse" });
    expect(press("Backspace")).toEqual({ does: "undo" });
    expect(press("Backspace", { shiftKey: true })).toEqual({ does: "redo" });
    expect(press("z", { ctrlKey: true })).toEqual({ does: "undo" });
    expect(press("Z", { metaKey: true, shiftKey: true })).toEqual({ does: "redo" });
    expect(press("é")).toEqual({ does: "type" });
    expect(press("#")).toEqual({ does: "type" });
    for (const key of ["Tab", "ArrowDown", "F5", "Shift"]) expect(press(key)).toBeNull();
    expect(press("1", { ctrlKey: true })).toBeNull();
  });

  it("take a proposal that is likely alone", () => {
    const accepted = [
      { kind: "one", label: "coat", probability: 0.5 },
      { kind: "audit", label: "coat", probability: 0.49 },
      { kind: "batch", label: "coat", probability: 0.3 }, // all of it was judged as one
      { kind: "one", label: null, probability: 0.9 },
    ] as const;
    expect(accepted.map(isLikely)).toEqual([true, false, true, false]);
  });

  it("belong to fields that take letters alone", () => {
    const typing = (tagName: string, type?: string): boolean => isTyping({ target: { tagName, type } as unknown as EventTarget });
    expect([typing("INPUT", "text"), typing("INPUT", "search"), typing("TEXTAREA"), typing("SELECT")]).toEqual([true, true, true, true]);
    expect([typing("INPUT", "checkbox"), typing("INPUT", "range"), typing("BUTTON"), typing("DIV")].some(Boolean)).toBe(false);
  });

  it("complete what is known", () => {
    expect(complete("SH", ["coat", "shirt"], ["good"])).toBe("shirt");
    expect(complete("hat", ["coat"], [])).toBe("hat");
    expect(complete("coat", ["coats", "coat"], [])).toBe("coat");
    expect(complete("#g", ["green"], ["good"])).toBe("#good");
    expect(complete(" # ", ["coat"], ["good"])).toBe("");
  });
});

describe("labels", () => {
  it("are on the map at once", async () => {
    const { explorer } = await open("by=mine", makeSource());
    expect(explorer.scene.columnName).toBe("mine");
    const row = explorer.scene.rows[1] ?? 0;
    await explorer.labelling.give([row], "coat");
    expect(explorer.labelling.labelOf(row)).toBe("coat");
    expect([...(explorer.scene.codes ?? [])]).toEqual([NO_CODE, 0, NO_CODE, NO_CODE]);
    const { column } = explorer.scene;
    expect(column?.kind === "category" && [column.values, column.counts]).toEqual([["coat"], [1]]);
  });

  it("keep their keys when others come", async () => {
    const { explorer } = await open("", makeSource());
    await explorer.labelling.give([0], "shirt");
    await explorer.labelling.give([2], "coat");
    expect(explorer.labelling.labels).toEqual(["shirt", "coat"]);
  });

  it("answer a question once", async () => {
    const asked: (string | null)[] = [];
    const source = makeSource();
    const answerLabel = source.answerLabel.bind(source);
    source.answerLabel = (model, answer) => {
      asked.push(answer.label);
      return answerLabel(model, answer);
    };
    const { explorer } = await open("panel=label", source);
    expect(explorer.labelling.question?.rows).toEqual([2]);
    const first = explorer.labelling.answer("shirt");
    await explorer.labelling.answer("coat"); // pressed before the next question is there
    await first;
    expect(asked).toEqual(["shirt"]);
    expect(explorer.labelling.question).not.toBeNull();
  });

  it("leave out what a person does not know, and undo brings that question back", async () => {
    const source = makeSource();
    const asked: unknown[] = [];
    const answerLabel = source.answerLabel.bind(source);
    source.answerLabel = async (model, answer) => {
      asked.push([answer.rows, answer.label]);
      const found = await answerLabel(model, answer);
      return { ...found, question: { kind: "one", rows: [4], label: null, probability: 0, likely: [] } };
    };
    source.stepLabels = () => Promise.reject(new Error("a step of the history"));
    const { explorer } = await open("panel=label", source);
    const { labelling } = explorer;
    const { undoable } = given([2], null);
    await labelling.answer(null);
    expect([labelling.question?.rows, labelling.isUnknown(2), labelling.isUnknown(4)]).toEqual([[4], true, false]);
    expect(labelling.undoable).toBe(undoable + 1);
    await labelling.undo();
    expect([labelling.question?.rows, labelling.undoable]).toEqual([[2], undoable]);
    await labelling.answer("coat");
    expect(asked).toEqual([[[2], null], [[2], "coat"]]);
  });

  it("bring back what was put off, before the answer came and after another image was chosen", async () => {
    const source = makeSource();
    const next: Labelling["question"] = { kind: "one", rows: [4], label: null, probability: 0, likely: [] };
    const answerLabel = source.answerLabel.bind(source);
    source.answerLabel = async (model, answer) => ({ ...(await answerLabel(model, answer)), question: next });
    let steps = 0;
    const stepLabels = source.stepLabels.bind(source);
    source.stepLabels = (...told) => {
      steps += 1;
      return stepLabels(...told);
    };
    const { explorer } = await open("panel=label", source);
    const { labelling } = explorer;

    const running = labelling.answer(null);
    await labelling.undo(); // the next question is not there yet: nothing is undone, and nothing is lost
    await running;
    expect([labelling.question?.rows, steps]).toEqual([[4], 0]);
    await labelling.undo();
    expect([labelling.question?.rows, steps]).toEqual([[2], 0]);

    await labelling.answer(null);
    labelling.chosen = [6];
    await labelling.undo();
    expect([labelling.chosen, labelling.question?.rows, steps]).toEqual([null, [2], 0]);

    await labelling.answer(null);
    const asking = labelling.ask(); // such as after the switch for batches
    await labelling.undo();
    await asking;
    expect([labelling.question?.rows, steps]).toEqual([[2], 0]);
    await labelling.undo();
    expect(steps).toBe(1);
  });

  it("are taken for all the rest at once, and what was put off is asked again", async () => {
    const source = makeSource();
    const asked: unknown[] = [];
    const settleLabels = source.settleLabels.bind(source);
    source.settleLabels = async (model, rest) => {
      asked.push([rest.does, rest.seen]);
      return { ...(await settleLabels(model, rest)), question: null, given: given([0, 2], "coat", 7) };
    };
    const { explorer } = await open("panel=label", source);
    const { labelling } = explorer;
    await Promise.all([labelling.settle("take"), labelling.settle("take")]);
    expect([labelling.labelOf(0), labelling.labelOf(2), labelling.question]).toEqual(["coat", "coat", null]);
    await labelling.settle("ask");
    expect(asked).toEqual([["take", 0], ["ask", 7]]);
  });

  it("show what another window said when it was earlier", async () => {
    const source = makeSource();
    source.giveLabels = () => Promise.reject(new SourceError("Somebody else has labelled these images meanwhile."));
    source.labelling = () =>
      Promise.resolve({
        question: null, progress: { answers: 1, named: 1, count: 4, taken: 0, putOff: 0, sample: 0, unanswered: 0, low: 0, high: 1, stop: false }, given: given([2], "boot", 5),
      });
    const { explorer } = await open("", source);
    await explorer.labelling.give([2], "coat");
    expect(explorer.labelling.labelOf(2)).toBe("boot");
    expect(explorer.tasks.error).toMatch(/somebody else/i);
  });

  it("are about a selection that is made while one labels", async () => {
    const { explorer } = await open("panel=label", makeSource());
    explorer.select([0, 1], "lasso", "two");
    expect(explorer.panel).toBe("label");
    expect(explorer.labelling.chosen).toEqual([explorer.scene.rows[0], explorer.scene.rows[1]]);
    expect(explorer.escape()).toBe(true);
    expect([explorer.panel, explorer.labelling.chosen]).toEqual(["label", null]);
  });
});
