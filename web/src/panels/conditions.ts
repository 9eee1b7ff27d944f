/** Filters in words, as one would say them. */
import { FILE_SIZE, isDate } from "../lib/data";
import { NONE, type Condition } from "../lib/filter";
import type { CategoryColumn, Column, ModelView } from "../lib/types";
import type { Range } from "../map/range";
import { TAGS } from "../state/filters.svelte";
import { filterTexts as texts, panelTexts } from "../texts";

const DAY = 86_400_000; // milliseconds
const MONTHS = 60; // days from which a range is told in months, and in years
const YEARS = 5 * 365;
const HOURS = 2; // days below which it is told in hours and minutes

/** A value of a number column, with as many digits as its range bears; bytes as kB or MB; a minute, a day, a month or a year. */
export function valueWords(column: Column, value: number, [low, high]: Range): string {
  if (column.data?.ofFile === FILE_SIZE) return panelTexts.bytes(value);
  if (!isDate(column)) return Number(value.toPrecision(3)).toLocaleString("en", { useGrouping: Math.abs(value) >= 10_000 });
  const days = high - low;
  const time: Intl.DateTimeFormatOptions = days < HOURS ? { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } : {};
  const form: Intl.DateTimeFormatOptions =
    days >= YEARS ? { year: "numeric" } : days >= MONTHS ? { year: "numeric", month: "short" } : { year: "numeric", month: "short", day: "numeric", ...time };
  return new Date(value * DAY).toLocaleString("en", { ...form, timeZone: "UTC" });
}

/** What is asked of a column, as a part of a sentence. */
export function conditionWords(condition: Condition, view: ModelView | null): string {
  const { column: name } = condition;
  const column = view?.columns.find((each) => each.name === name);
  const title = lower(column?.title ?? view?.texts?.find((each) => each.name === name)?.title ?? name);
  if (condition.by === "text") return texts.contains(title, condition.text);
  if (condition.by === "range") {
    const [low, high] = column ? condition.range.map((value) => valueWords(column, value, condition.range)) : condition.range.map(String);
    const words = texts.between(low ?? "", high ?? "");
    const dates = view?.columns.filter(isDate).length ?? 0;
    return column && isDate(column) && dates === 1 ? words : texts.value(title, words);
  }
  if (name === TAGS) return texts.tagged(condition.values);
  return column?.kind === "category" ? valuesWords(condition, column, title) : texts.is(title, condition.values);
}

function valuesWords({ by, values }: Condition & { by: "is" | "not" }, column: CategoryColumn & Column, title: string): string {
  const isOn = by === "is";
  if (values.length === 1 && values[0] === NONE) return isOn ? texts.none(title) : texts.some(title);
  const only = values.length === 1 ? yesOrNo(values[0] ?? "") : null;
  if (column.data?.kind === "boolean" && only !== null) return only === isOn ? texts.yes(title) : texts.no(title);
  const names = values.map((value) => (value === NONE ? texts.nothing : value));
  // "Cluster 3" says itself what it is
  if (names.every((value) => lower(value).startsWith(title))) return isOn ? texts.group(names) : texts.notGroup(names);
  return isOn ? texts.is(title, names) : texts.isNot(title, names);
}

function yesOrNo(value: string): boolean | null {
  if (/^(true|yes|1)$/i.test(value)) return true;
  return /^(false|no|0)$/i.test(value) ? false : null;
}

/** A title within a sentence; EXIF and ISO stay as they are. */
function lower(title: string): string {
  return /^[A-Z][A-Z0-9]/.test(title) ? title : title.charAt(0).toLowerCase() + title.slice(1);
}
