/** Several images picked by hand, as in a file manager. */

export interface Picks {
  /** Places in the list, not positions. */
  picked: ReadonlySet<number>;
  /** Where a range begins. */
  anchor: number | null;
}

export const noPicks: Picks = { picked: new Set(), anchor: null };

/** Take one more in, or out if it was in. */
export function toggled(picks: Picks, index: number): Picks {
  const picked = new Set(picks.picked);
  if (!picked.delete(index)) picked.add(index);
  return { picked, anchor: index };
}

/** Take in everything from the anchor to here. */
export function extended(picks: Picks, index: number): Picks {
  const anchor = picks.anchor ?? index;
  const picked = new Set(picks.picked);
  for (let each = Math.min(anchor, index); each <= Math.max(anchor, index); each++) picked.add(each);
  return { picked, anchor };
}
