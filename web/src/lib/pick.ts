import { insidePolygon } from "../map/geometry";
import { pickTexts, waitTexts } from "../texts";
import type { Origin } from "./address";
import { partnerOf, type RowIndex, type SceneLoader } from "./scene";
import type { ModelView, Position } from "./types";

/** How images are picked: what is said while one waits, the selection's title, and the way to them. */
export interface Pick {
  words: string;
  title: string;
  find: (signal: AbortSignal) => Promise<Iterable<Position>>;
}

const NEIGHBORS_ASKED = 24;

/** The way from what an address keeps of a selection to its images. */
export function pickOf(origin: Origin, view: ModelView, loader: SceneLoader, index: RowIndex): Pick {
  const { source } = loader;
  switch (origin.by) {
    case "text":
      return {
        words: waitTexts.names,
        title: pickTexts.text(origin.text),
        find: async (signal) => index.findAll(await source.find(view, origin.text, signal)),
      };
    case "column": {
      const column = view.columns.find(({ name }) => name === origin.column);
      const value = column?.kind === "category" ? column.values[origin.code] : undefined;
      return {
        words: waitTexts.searching,
        title: value ?? String(origin.code),
        find: async (signal) => {
          const found: Position[] = [];
          (await loader.codes(view, origin.column, signal)).forEach((code, position) => code === origin.code && found.push(position));
          return found;
        },
      };
    }
    case "answer":
      return {
        words: waitTexts.lookAlikes,
        title: pickTexts.like(origin.rows.length),
        find: async (signal) => index.findAll((await source.query(view, origin.rows, NEIGHBORS_ASKED, signal)).map(({ row }) => row)),
      };
    case "lasso":
      return {
        words: waitTexts.map,
        title: pickTexts.area,
        find: async (signal) => {
          const foreign = partnerOf(view, origin.beside ?? null);
          if (origin.beside && !foreign) return []; // that partner is not there any more
          const points = foreign ? loader.mapBeside(view, origin.map, foreign, signal) : loader.map(view, origin.map, signal);
          return insidePolygon(await points, origin.polygon);
        },
      };
    default:
      return { words: waitTexts.searching, title: pickTexts.chosen, find: () => Promise.resolve(index.findAll(origin.rows)) };
  }
}
