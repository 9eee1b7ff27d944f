import type { CategoryColumn, Column, Values } from "../lib/types";
import { rangeOf } from "./range";

/**
 * The hues of the still pictures' palette (plots/palette.py says how it was chosen), lighter or darker, so that each stands
 * out from the ground by 3 to 1: a label has one hue, wherever it is drawn. Distances for those who see no green are no
 * smaller than there.
 */
const CATEGORIES = {
  light: [
    "#276fe7", "#b06302", "#8b0e2a", "#039894", "#a870f6", "#491d54", "#699863", "#0484b1", "#6c6200", "#063a03",
    "#220795", "#3b755b", "#015551", "#3c61a7", "#3233ce", "#028e4b", "#dd59c5", "#804178", "#ff4a3c", "#d06d96",
  ],
  dark: [
    "#2263a9", "#ffa202", "#be4755", "#559996", "#b57fff", "#915998", "#abf6a2", "#95e5ff", "#a09600", "#177202",
    "#6879f3", "#1ad793", "#276c65", "#92a6d9", "#5248e6", "#13a859", "#e69ed1", "#c64ec9", "#ea7a6c", "#ff59a7",
  ],
};
/** Clusters begin with the eleventh, so that none seems to be one of the first ten labels. */
const FIRST_OF_CLUSTERS = 10;
const OTHER = { light: "#9aa1ae", dark: "#7b8496" };
const CONTEXT = { light: "#c9cedb", dark: "#363d4d" };
const ACCENT = { light: "#171b26", dark: "#ffffff" };

/** Colour of a group by its number alone. */
export function groupColour(group: number): Rgb {
  const text = CATEGORIES.dark[group % CATEGORIES.dark.length]!;
  return [parseInt(text.slice(1, 3), 16), parseInt(text.slice(3, 5), 16), parseInt(text.slice(5, 7), 16)];
}

export type Ground = "light" | "dark";
export type Rgb = readonly [number, number, number];

/** Colour of each code of a category column: the most frequent values have one of their own, the others share a grey. */
export function categoryColours(column: CategoryColumn, ground: Ground): string[] {
  const colours = column.values.map(() => OTHER[ground]);
  const byCount = column.values.map((_, code) => code).sort((a, b) => column.counts[b]! - column.counts[a]!);
  // in the order of the codes, as in the still pictures: a filter or another model changes no colour
  const all = CATEGORIES[ground];
  const palette = column.name === "cluster" ? [...all.slice(FIRST_OF_CLUSTERS), ...all.slice(0, FIRST_OF_CLUSTERS)] : all;
  const own = byCount.slice(0, palette.length).sort((a, b) => a - b);
  own.forEach((code, place) => (colours[code] = palette[place]!));
  return colours;
}

/** Whether a value shares the grey of those without a colour of their own. */
export function isOther(colour: string): boolean {
  return colour === OTHER.light || colour === OTHER.dark;
}

/** Colour of a number's share of its range, 0 to 1: from violet over green to amber, evenly in OKLab. */
export function rampColour(share: number): Rgb {
  const t = Math.max(0, Math.min(1, share));
  const lightness = 0.46 + 0.36 * t;
  const chroma = 0.13;
  const hue = ((290 - 215 * t) * Math.PI) / 180;
  return fromOklab(lightness, chroma * Math.cos(hue), chroma * Math.sin(hue));
}

export interface PointColours {
  /** 0xAABBGGRR of each point, as a canvas and WebGL read bytes on every machine that browsers run on. */
  colours: Uint32Array;
  /** 1 for what does not pass the filter: grey, or left out. */
  hidden: Uint8Array;
}

/**
 * Colour every point by its code or its value: the colours of values reach from the least to the largest that there is.
 * What is 1 in `hidden` is grey. Without a column all have one colour.
 */
export function colourPoints(
  column: Column | null, codes: Uint16Array | null, values: Values | null, count: number, hidden: Uint8Array | null, ground: Ground,
): PointColours {
  const colours = new Uint32Array(count).fill(pack(column ? OTHER[ground] : CATEGORIES[ground][0]!));
  if (column?.kind === "category" && codes) {
    const table = Uint32Array.from(categoryColours(column, ground), pack);
    for (let i = 0; i < count; i++) {
      const code = codes[i]!;
      if (code < table.length) colours[i] = table[code]!;
    }
  } else if (column?.kind === "number" && values) {
    const table = Uint32Array.from({ length: 256 }, (_, i) => packRgb(rampColour(i / 255)));
    const [least, most] = rangeOf(values) ?? [0, 1];
    for (let i = 0; i < count; i++) {
      const value = values[i]!;
      if (!Number.isNaN(value)) colours[i] = table[Math.round((255 * (value - least)) / (most - least || 1))]!;
    }
  }
  if (!hidden) return { colours, hidden: new Uint8Array(count) };
  const context = pack(CONTEXT[ground]);
  for (let i = 0; i < count; i++) if (hidden[i] === 1) colours[i] = context;
  return { colours, hidden };
}

export function cssColour(packed: number): string {
  return `rgb(${packed & 255} ${(packed >> 8) & 255} ${(packed >> 16) & 255})`;
}

export function accentColour(ground: Ground): string {
  return ACCENT[ground];
}

function pack(colour: string): number {
  const value = Number.parseInt(colour.slice(1), 16);
  return packRgb([value >> 16, (value >> 8) & 255, value & 255]);
}

function packRgb([red, green, blue]: Rgb): number {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** OKLab to sRGB, 0 to 255 (Björn Ottosson, 2020). */
function fromOklab(lightness: number, a: number, b: number): Rgb {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s,
  ];
  const channel = (value: number): number => {
    const clipped = Math.max(0, Math.min(1, value));
    return Math.round(255 * (clipped <= 0.0031308 ? 12.92 * clipped : 1.055 * clipped ** (1 / 2.4) - 0.055));
  };
  return [channel(linear[0]!), channel(linear[1]!), channel(linear[2]!)];
}
