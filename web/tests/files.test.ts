import { describe, expect, it, vi } from "vitest";
import { SourceError, type Source } from "../src/lib/source";
import { hold, makeSource, open } from "./explorers";

const refused = (words: string) => (): Promise<never> => Promise.reject(new SourceError(words));

describe("files of a selection", () => {
  it("are measured for these images under this name alone", async () => {
    const { explorer } = await open();
    const { files } = explorer;
    await files.measure([2, 4], "n-cat");
    expect(files.measured([2, 4], "n-cat")).toMatchObject({ info: { files: 2 }, address: "k/n-cat" });
    expect([files.measured([2, 6], "n-cat"), files.measured([2], "n-cat"), files.measured([2, 4], "n-dog")]).toEqual([null, null, null]);
    await explorer.show({ model: "two" });
    expect(files.measured([2, 4], "n-cat")).toBeNull();
  });

  it("say how far copying is, also to somebody who comes back to it", async () => {
    const { held, release } = hold();
    const { explorer } = await open("", makeSource({ copyFiles: held }));
    const { files } = explorer;
    files.folder = " good ones ";
    vi.useFakeTimers();
    const copying = files.copy([2, 4]);
    await vi.advanceTimersByTimeAsync(1100);
    expect([files.isCopying, files.progress?.total]).toEqual([true, 4]);
    vi.useRealTimers();
    release();
    await copying;
    expect([files.isCopying, files.progress, files.copied?.folder, files.copied?.done]).toEqual([false, null, "good ones", 2]);
  });

  it("can still be taken away after a ZIP, a failed copy and a failed undo", async () => {
    let source: Source = makeSource();
    const { explorer } = await open("", {
      ...source, copyFiles: (...all) => source.copyFiles(...all), undoCopies: (...all) => source.undoCopies(...all),
    });
    const { files } = explorer;
    files.folder = "f";
    await files.copy([2, 4]);
    await files.measure([2, 4], "n");
    source = { ...source, copyFiles: refused("The disk is full."), undoCopies: refused("The disk is gone.") };
    await files.copy([2]);
    expect([files.copyProblem, files.measureProblem, files.copied?.key]).toEqual(["The disk is full.", null, "k"]);
    expect(await files.undo()).toBe(false);
    expect([files.copyProblem, files.copied?.key]).toEqual(["The disk is gone.", "k"]);
    source = makeSource();
    expect(await files.undo()).toBe(true);
    expect([files.copyProblem, files.copied, files.undone?.done]).toEqual([null, null, 1]);
  });

  it("say what went wrong where it went wrong", async () => {
    const { explorer } = await open("", { ...makeSource(), files: refused("There is no such file.") });
    await explorer.files.measure([2], "n");
    expect([explorer.files.measureProblem, explorer.files.copyProblem, explorer.tasks.error]).toEqual(["There is no such file.", null, null]);
  });
});
