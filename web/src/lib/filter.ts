/** Conditions on the columns of a collection: which images pass, how many of each value do, and how an address keeps them. */
import { isOutside, type Range } from "../map/range";
import { NO_CODE, type Values } from "./types";

/** Stands for images without a value. */
export const NONE = "";

/** What a column of the images that are shown must hold; a column has one condition at most, and all must hold. */
export type Condition =
  | { column: string; by: "is" | "not"; values: string[] }
  | { column: string; by: "range"; range: Range }
  | { column: string; by: "text"; text: string };

/** A condition on the arrays of its column. */
export type Test =
  | { codes: Uint16Array; /** 1 for each code that passes; the last one is for images without a value. */ passes: Uint8Array }
  | { values: Values; range: Range }
  | { has: Uint8Array };

/** One bit an image needs for each condition: more than these are not counted. */
export const MOST_CONDITIONS = 31;

/** For every image the conditions that it fails, as bits. */
export function failing(count: number, tests: readonly Test[]): Uint32Array {
  const fails = new Uint32Array(count);
  tests.slice(0, MOST_CONDITIONS).forEach((test, at) => {
    const bit = 1 << at;
    if ("codes" in test) {
      const { codes, passes } = test;
      const none = passes.length - 1;
      for (let i = 0; i < count; i++) if (passes[Math.min(codes[i]!, none)] !== 1) fails[i]! |= bit;
    } else if ("values" in test) {
      const { values, range } = test;
      for (let i = 0; i < count; i++) if (isOutside(values[i]!, range)) fails[i]! |= bit;
    } else {
      const { has } = test;
      for (let i = 0; i < count; i++) if (has[i] !== 1) fails[i]! |= bit;
    }
  });
  return fails;
}

/** 1 for each image that fails a condition. A loop, for `from` takes a frame's time for 70,000 images. */
export function failingAny(fails: Uint32Array): Uint8Array {
  const any = new Uint8Array(fails.length);
  for (let i = 0; i < fails.length; i++) if (fails[i] !== 0) any[i] = 1;
  return any;
}

/** Which codes pass a condition; the last place is for images without a value. */
export function passing(values: readonly string[], { by, values: named }: Condition & { by: "is" | "not" }): Uint8Array {
  const names = new Set(named);
  return Uint8Array.from([...values, NONE], (value) => Number(names.has(value) === (by === "is")));
}

/** The shortest condition under which these codes do not pass; null where all do. `values` and NONE, if some images have none. */
export function conditionOf(column: string, values: readonly string[], off: ReadonlySet<string>): Condition | null {
  const [shown, gone] = [values.filter((value) => !off.has(value)), values.filter((value) => off.has(value))];
  if (gone.length === 0) return null;
  const isShort = shown.length < gone.length || shown.length === 1;
  return isShort ? { column, by: "is", values: shown } : { column, by: "not", values: gone };
}

/** Those of some values, NONE perhaps among them, that do not pass a condition. */
export function valuesOff(values: readonly string[], condition: Condition | null): ReadonlySet<string> {
  if (condition?.by !== "is" && condition?.by !== "not") return new Set();
  const named = new Set(condition.values);
  return new Set(values.filter((value) => named.has(value) !== (condition.by === "is")));
}

/** Values that do not pass once this one is switched. */
export function switched(off: ReadonlySet<string>, value: string): ReadonlySet<string> {
  const after = new Set(off);
  if (!after.delete(value)) after.add(value);
  return after;
}

/** Values that do not pass where only this one shall; none where that is so already. */
export function onlyOn(values: readonly string[], off: ReadonlySet<string>, value: string): ReadonlySet<string> {
  const others = values.filter((other) => other !== value);
  return new Set(!off.has(value) && others.every((other) => off.has(other)) ? [] : others);
}

/** The codes of values that do not pass. */
export function codesOff(values: readonly string[], condition: Condition | null): ReadonlySet<number> {
  const off = valuesOff(values, condition);
  return new Set(values.flatMap((value, code) => (off.has(value) ? [code] : [])));
}

/** How many images have each code, of those that fail no condition but that of `bit`; the last count is of those without. */
export function countCodes(codes: Uint16Array, values: number, fails: Uint32Array | null, bit: number): Uint32Array {
  const counts = new Uint32Array(values + 1);
  for (let i = 0; i < codes.length; i++) {
    if (fails === null || (fails[i]! & ~bit) === 0) counts[Math.min(codes[i]!, values)]!++;
  }
  return counts;
}

/** The part of a range, of `bins` equal ones, that each value lies in; 255 for none. */
export function binsOf(values: Values, [low, high]: Range, bins: number): Uint8Array {
  const scale = bins / (high - low || 1);
  return Uint8Array.from(values, (value) => (value >= low && value <= high ? Math.min(bins - 1, Math.floor((value - low) * scale)) : 255));
}

/** How many images lie in each part, of those that fail no condition but that of `bit`. */
export function countBins(places: Uint8Array, bins: number, fails: Uint32Array | null, bit: number): Uint32Array {
  const counts = new Uint32Array(256);
  for (let i = 0; i < places.length; i++) if (fails === null || (fails[i]! & ~bit) === 0) counts[places[i]!]!++;
  return counts.slice(0, bins);
}

/** Positions in the order of a column: images without a value come last, whichever way. */
export function sorted(positions: Uint32Array, values: Values | Uint16Array, descending: boolean): Uint32Array {
  const isNone = (value: number): boolean => (values instanceof Uint16Array ? value === NO_CODE : Number.isNaN(value));
  return positions.slice().sort((one, other) => {
    const [a, b] = [values[one]!, values[other]!];
    if (isNone(a) || isNone(b)) return Number(isNone(a)) - Number(isNone(b));
    return descending ? b - a : a - b;
  });
}

// ---- in the address ----

const MOST_TEXT = 200;
/** More than this makes an address that mail programs cut. */
const MOST_LENGTH = 1500;

/** Stands in the address for conditions that it has no room for. */
const MORE = "+";

/** Conditions as a part of the address; those that would make it too long are left out, which a mark at the end says. */
export function encodeConditions(conditions: readonly Condition[]): string {
  const tooLong = new Set(tooLongOf(conditions));
  return [...conditions.filter((each) => !tooLong.has(each)).map(encoded), ...(tooLong.size > 0 ? [MORE] : [])].join(";");
}

/** Those of some conditions that an address has no room for. */
export function tooLongOf(conditions: readonly Condition[]): Condition[] {
  let length = 0;
  return conditions.filter((condition) => {
    const more = encoded(condition).length + 1; // with what separates it
    if (length + more > MOST_LENGTH) return true;
    length += more;
    return false;
  });
}

/** Whether an address has left conditions out. */
export function isCut(text: string): boolean {
  return text.split(";").includes(MORE);
}

function encoded(condition: Condition): string {
  return [condition.column, condition.by, ...contentOf(condition)].map(plain).join(":");
}

function contentOf(condition: Condition): string[] {
  if (condition.by === "range") return condition.range.map(String); // exact: the image at its end passes
  return condition.by === "text" ? [condition.text] : condition.values;
}

/** Conditions of an address; what makes no sense is left out. */
export function decodeConditions(text: string): Condition[] {
  const found: Condition[] = [];
  for (const part of text.split(";").slice(0, MOST_CONDITIONS)) {
    const [column, by, ...content] = part.split(":").map(spoken);
    if (!column || found.some((each) => each.column === column)) continue;
    if (by === "is" || by === "not") found.push({ column, by, values: content });
    else if (by === "text" && content[0]) found.push({ column, by, text: content[0].slice(0, MOST_TEXT) });
    else if (by === "range") {
      const [low, high] = content.map(Number);
      if (content.length === 2 && Number.isFinite(low) && Number.isFinite(high) && low! <= high!) found.push({ column, by, range: [low!, high!] });
    }
  }
  return found;
}

/** Without what separates conditions and their parts. */
function plain(text: string): string {
  return text.replace(/[%:;]/g, encodeURIComponent);
}

function spoken(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
