/** The sheet that holds a panel below the map of a narrow screen: heights, as shares of map and sheet together. */
export const STOPS = [0.24, 0.5, 0.9] as const;
/** Where it stands when it opens. */
export const OPENED = 1;
/** Below this share it closes. */
const CLOSED = 0.14;
/** Shares of the height a second from which a flick means the next stop. */
const FLICK = 0.9;

/** The stop at which a sheet comes to rest that was let go at a height, moving up by `speed` shares a second; null closes it. */
export function restOf(height: number, speed: number): number | null {
  if (Math.abs(speed) > FLICK) {
    const next = speed > 0 ? STOPS.findIndex((stop) => stop > height) : STOPS.findLastIndex((stop) => stop < height);
    if (next >= 0) return next;
    return speed > 0 ? STOPS.length - 1 : null;
  }
  if (height < CLOSED) return null;
  const away = STOPS.map((stop) => Math.abs(stop - height));
  return away.indexOf(Math.min(...away));
}
