/** How often each value of a column occurs among some images. */
import { NO_CODE, type Position } from "../lib/types";

export interface Count {
  code: number;
  value: string;
  count: number;
}

/** Counts of the values that occur, the most frequent first; `NO_CODE` stands for images without a value. */
export function tally(codes: Uint16Array, values: readonly string[], positions: ArrayLike<Position>, none: string): Count[] {
  const counts = new Map<number, number>();
  for (let each = 0; each < positions.length; each++) {
    const code = codes[positions[each]!] ?? NO_CODE;
    counts.set(code, (counts.get(code) ?? 0) + 1);
  }
  return [...counts]
    .map(([code, count]) => ({ code, value: code === NO_CODE ? none : (values[code] ?? none), count }))
    .sort((one, other) => other.count - one.count || one.code - other.code);
}

/** Those of the positions that have this code, in their order. */
export function withCode(codes: Uint16Array, positions: Uint32Array, code: number): Uint32Array {
  return positions.filter((position) => codes[position] === code);
}

/** Positions, ascending, once others were added to them or taken from them. */
export function combined(positions: Iterable<Position>, others: Iterable<Position>, effect: "add" | "subtract"): Uint32Array {
  const kept = new Set(positions);
  for (const position of others) {
    if (effect === "add") kept.add(position);
    else kept.delete(position);
  }
  return Uint32Array.from(kept).sort();
}

/** Positions whose codes in every column are the ones asked for. */
export function havingAll(asked: readonly { codes: Uint16Array; code: number }[]): Uint32Array {
  const found: number[] = [];
  const length = asked[0]?.codes.length ?? 0;
  for (let position = 0; position < length; position++) {
    if (asked.every(({ codes, code }) => codes[position] === code)) found.push(position);
  }
  return Uint32Array.from(found);
}
