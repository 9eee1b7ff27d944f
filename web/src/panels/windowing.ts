/** Which items of a long list or grid are worth drawing, and where the keyboard leads. */

/** Items first (included) to last (left out). */
export interface Stretch {
  first: number;
  last: number;
}

/**
 * Items whose rows meet the visible part.
 *
 * @param top Upper edge of the visible part, in pixels below the upper edge of the list; may be negative.
 * @param bottom Lower edge of it.
 * @param spare Rows drawn beyond either edge, so that scrolling shows no gaps.
 */
export function visibleStretch(
  count: number, columns: number, rowHeight: number, top: number, bottom: number, spare = 3,
): Stretch {
  const rows = Math.ceil(count / columns);
  const from = Math.max(0, Math.floor(top / rowHeight) - spare);
  const to = Math.min(rows, Math.ceil(bottom / rowHeight) + spare);
  if (bottom <= top || from >= to) return { first: 0, last: 0 };
  return { first: from * columns, last: Math.min(count, to * columns) };
}

/** Columns of tiles at least `size` wide, with `gap` between them, that fit into `width`; at least one. */
export function columnsFor(width: number, size: number, gap: number): number {
  return Math.max(1, Math.floor((width + gap) / (size + gap)));
}

/**
 * Item that a key leads to, or null for a key that does not move.
 *
 * @param page Rows that a page up or down skips.
 */
export function moved(key: string, index: number, count: number, columns: number, page: number): number | null {
  if (count === 0) return null;
  const last = count - 1;
  const down = (rows: number): number => {
    const target = index + rows * columns;
    if (target <= last && target >= 0) return target;
    if (target < 0) return rows === -1 ? index : index % columns;
    // a shorter last row takes whoever comes from above
    return Math.floor(index / columns) < Math.floor(last / columns) ? last : index;
  };
  switch (key) {
    case "ArrowLeft": return Math.max(0, index - 1);
    case "ArrowRight": return Math.min(last, index + 1);
    case "ArrowUp": return down(-1);
    case "ArrowDown": return down(1);
    case "PageUp": return down(-Math.max(1, page));
    case "PageDown": return down(Math.max(1, page));
    case "Home": return 0;
    case "End": return last;
    default: return null;
  }
}
