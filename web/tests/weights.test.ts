import { afterEach, describe, expect, it, vi } from "vitest";
import { HttpSource } from "../src/lib/http";
import { SourceError } from "../src/lib/source";
import type { SearchAnswer, WeightsInfo } from "../src/lib/types";
import { weightsTexts } from "../src/texts";
import { hold, makeSource, modelView, open, settle } from "./explorers";

const WEIGHTS: WeightsInfo = {
  name: "dinov2-small", repository: "facebook/dinov2-small", megabytes: 88.2, licence: "Apache-2.0",
  licenceLink: "https://www.apache.org/licenses/LICENSE-2.0", obstacle: null,
};
const FOUND: SearchAnswer = { here: null, matches: [], verdict: null, place: null, seconds: 1, parts: null };

/** An explorer whose searches fail until the weights have come. */
async function lacking(fetch: (signal?: AbortSignal) => Promise<void>) {
  let isHere = false;
  const search = vi.fn(() => (isHere ? Promise.resolve(FOUND) : Promise.reject(new SourceError("not yet", WEIGHTS))));
  const source = {
    ...makeSource(), search,
    fetchWeights: async (_: unknown, signal?: AbortSignal): Promise<void> => {
      await fetch(signal);
      isHere = true;
    },
  };
  const { explorer } = await open("", source);
  await explorer.searchImage(new Blob());
  return { explorer, search };
}

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe("weights that are missing", () => {
  it("are offered in place of a message", async () => {
    const { explorer } = await lacking(() => Promise.resolve());
    expect(explorer.weights.wanted).toEqual(WEIGHTS);
    expect([explorer.tasks.error, explorer.tasks.isErrorRead]).toEqual(["not yet", true]);
    expect(weightsTexts.fetch("dinov2-small", 88.2, "Apache-2.0")).toBe("Fetch dinov2-small (88 MB, Apache-2.0)");
    expect(weightsTexts.fetch("a/b", null, "")).toBe("Fetch a/b (size unknown)");
    explorer.weights.dismiss();
    expect(explorer.weights.wanted).toBeNull();
  });

  it("are fetched, with how far it is, and the question is asked again", async () => {
    const { held, release } = hold();
    const { explorer, search } = await lacking(() => held);
    vi.useFakeTimers();
    const fetching = explorer.weights.fetch();
    await vi.advanceTimersByTimeAsync(1000);
    expect([explorer.weights.isComing, explorer.weights.progress?.done, explorer.weights.progress?.total]).toEqual([true, 1, 4]);
    vi.useRealTimers();
    release();
    await fetching;
    expect(search).toHaveBeenCalledTimes(2);
    expect(explorer.answer.current).toEqual(FOUND);
    expect([explorer.weights.wanted, explorer.weights.progress, explorer.tasks.error]).toEqual([null, null, null]);
  });

  it("can be cancelled, and are still offered", async () => {
    const signals: (AbortSignal | undefined)[] = [];
    const { explorer, search } = await lacking(
      (signal) => new Promise((_, reject) => {
        signals.push(signal);
        signal?.addEventListener("abort", () => { reject(signal.reason as Error); });
      }),
    );
    const fetching = explorer.weights.fetch();
    explorer.weights.cancel();
    await fetching;
    expect(signals.map((signal) => signal?.aborted)).toEqual([true]);
    expect([explorer.weights.isComing, explorer.weights.wanted]).toEqual([false, WEIGHTS]);
    expect(search).toHaveBeenCalledTimes(1);
  });

  it("that cannot be fetched say why, and are offered again", async () => {
    const { explorer, search } = await lacking(() => Promise.reject(new SourceError("No connection.")));
    await explorer.weights.fetch();
    expect([explorer.tasks.error, explorer.tasks.isErrorRead]).toEqual(["No connection.", false]);
    expect(explorer.weights.wanted).toEqual(WEIGHTS);
    expect(search).toHaveBeenCalledTimes(1);
  });

  it("are not asked for again once the question is put away", async () => {
    const { held, release } = hold();
    const { explorer, search } = await lacking(() => held);
    const fetching = explorer.weights.fetch();
    explorer.dropAnswer();
    release();
    await fetching;
    await settle();
    expect(search).toHaveBeenCalledTimes(1);
    expect(explorer.weights.wanted).toBeNull();
  });

  it("stand in the server's answer", async () => {
    const answer = new Response(JSON.stringify({ error: "search is not possible yet", weights: WEIGHTS }), { status: 409 });
    vi.stubGlobal("fetch", vi.fn(() => Promise.resolve(answer)));
    const asked = new HttpSource().patches(modelView("one", [2]), 2);
    await expect(asked).rejects.toMatchObject({ message: "Search is not possible yet.", weights: WEIGHTS });
  });
});
