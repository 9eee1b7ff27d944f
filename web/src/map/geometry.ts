/** Positions of the points x0, y0, x1, y1, … that lie inside a polygon of the same form (even-odd rule). */
export function insidePolygon(points: Float32Array, polygon: readonly number[]): Uint32Array {
  let [left, right, bottom, top] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let i = 0; i < polygon.length; i += 2) {
    left = Math.min(left, polygon[i] as number);
    right = Math.max(right, polygon[i] as number);
    bottom = Math.min(bottom, polygon[i + 1] as number);
    top = Math.max(top, polygon[i + 1] as number);
  }
  const found: number[] = [];
  for (let position = 0; position < points.length / 2; position++) {
    const x = points[2 * position] as number;
    const y = points[2 * position + 1] as number;
    if (x >= left && x <= right && y >= bottom && y <= top && isInside(x, y, polygon)) found.push(position);
  }
  return Uint32Array.from(found);
}

function isInside(x: number, y: number, polygon: readonly number[]): boolean {
  let inside = false;
  for (let i = 0, before = polygon.length - 2; i < polygon.length; before = i, i += 2) {
    const [x0, y0] = [polygon[before] as number, polygon[before + 1] as number];
    const [x1, y1] = [polygon[i] as number, polygon[i + 1] as number];
    if (y0 > y !== y1 > y && x < x0 + ((y - y0) / (y1 - y0)) * (x1 - x0)) inside = !inside;
  }
  return inside;
}

/** Rows of a model, and the place of each on a map: x0, y0, x1, y1, … */
export interface Places {
  rows: Uint32Array;
  points: Float32Array;
}

/** Where every image was: the same row's place; an image that had none starts where it belongs. */
export function placesBefore(was: Places, rows: Uint32Array, now: Float32Array): Float32Array {
  const places = was.rows === rows ? null : new Map(Array.from(was.rows, (row, position) => [row, position]));
  const before = now.slice();
  rows.forEach((row, position) => {
    const old = places ? places.get(row) : position;
    if (old !== undefined && !Number.isNaN(was.points[2 * old]!)) before.set(was.points.subarray(2 * old, 2 * old + 2), 2 * position);
  });
  return before;
}
