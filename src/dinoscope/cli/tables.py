"""Tables on a terminal (stdout): nothing in them is cut off, however narrow it is."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["CONTROLS", "print_table"]

# A file's name may hold what a terminal takes for orders.
CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}
_PATH = 24  # letters without a space from which a column may have lines of its own


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """Print a table (stdout); the columns in ``right`` are aligned to the right.

    Where the terminal is too narrow for it, cells are broken between words. Where their longest words do not fit beside
    each other, paths get lines of their own, or the rows become the columns. Where that is not enough, each row becomes
    a list: nothing is cut off.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Text: a label in [brackets] is not markup
    cells = [[Text(cell.translate(CONTROLS)) for cell in row] for row in rows]
    # piped output is not a terminal of 80 columns: nothing is cut off there
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200)
    pad, widths = _fitted(console.width, columns, cells)
    if widths is None:
        if not cells:
            sys.stdout.write(f"\n{_filled(Text('   '.join(columns)), console.width, ' ', ' ')}\n")
            return
        if _print_paths_apart(console, columns, cells, right):
            return
        across = [columns[0], *(row[0].plain for row in cells)]
        turned = [list(line) for line in zip(map(Text, columns[1:]), *(row[1:] for row in cells), strict=True)]
        pad, widths = _fitted(console.width, across, turned)
        if widths is None:
            _print_records(columns, cells, console.width)
            return
        columns, cells, right = across, turned, range(1, len(across))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=any(columns), padding=(0, pad))
    for index, name in enumerate(columns):
        table.add_column(name, justify="right" if index in right else "left", width=widths[index], overflow="fold")
    for row in cells:
        table.add_row(*row)
    console.print(table)


def _fitted(room: int, columns: Sequence[str], cells: Sequence[Sequence[Text]]) -> tuple[int, list[int] | None]:
    """Return the spaces on both sides of a cell and the columns' widths; None where the words do not fit at all."""
    for pad in (1, 0):
        widths = _column_widths(room, columns, cells, pad)
        if widths is not None:
            break
    return pad, widths


def _column_widths(room: int, columns: Sequence[str], cells: Sequence[Sequence[Text]], pad: int) -> list[int] | None:
    """Return how wide each column of a table is; None where not even the longest words fit beside each other.

    Args:
        room: How wide the table may be.
        columns: Heads of the columns.
        cells: Rows.
        pad: Spaces on both sides of a cell, except for the table's edges.
    """
    from rich.cells import cell_len

    def widest(texts: Iterable[str], separator: str | None) -> int:
        return max((cell_len(piece) for text in texts for piece in text.split(separator)), default=0)

    texts = [[name, *(row[at].plain for row in cells)] for at, name in enumerate(columns)]
    room -= (2 * pad + 1) * (len(columns) - 1) + 2  # between columns, and at the edges
    whole = [widest(column, "\n") for column in texts]
    if sum(whole) <= room:
        return whole
    least = [widest(column, None) for column in texts]
    whole = [max(low, widest(column[1:], "\n")) for low, column in zip(least, texts, strict=True)]  # heads are broken
    spare = room - sum(least)
    if spare < 0:
        return None
    for at in sorted(range(len(columns)), key=lambda at: whole[at] - least[at]):  # what needs little first
        given = min(whole[at] - least[at], spare)
        least[at], spare = least[at] + given, spare - given
    return least


def _print_paths_apart(
    console: Console, columns: Sequence[str], cells: Sequence[Sequence[Text]], right: Sequence[int]
) -> bool:
    """Print a table with paths below their row, or above it if they name it; return False if that does not fit."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    paths = [at for at in range(len(columns)) if any(_longest_word(row[at]) >= _PATH for row in cells)]
    beside = [at for at in range(len(columns)) if at not in paths]
    pad, widths = _fitted(console.width, [columns[at] for at in beside], [[row[at] for at in beside] for row in cells])
    if not paths or widths is None:
        return False
    gap = 2 * pad + 1

    def show(row: Sequence[Text]) -> None:
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, gap, 0, 0))
        for at, width in zip(beside, widths, strict=True):
            table.add_column(justify="right" if at in right else "left", width=width, overflow="fold")
        table.add_row(*(row[at] for at in beside))
        above, below = ([row[at] for at in paths if (at == 0) is first] for first in (True, False))
        for cell in above:
            console.print(Text(_filled(cell, console.width, " ", "   ")), soft_wrap=True, end="")
        if beside:
            console.print(Padding(table, (0, 0, 0, 1)))
        for cell in below:  # dim: a row and what belongs to it look like one
            console.print(Text(_filled(cell, console.width, "   ", "   "), style="dim"), soft_wrap=True, end="")

    sys.stdout.write("\n")
    show([Text(name, style="bold") for name in columns])
    sys.stdout.write(f" {'─' * (sum(widths) + gap * (len(widths) - 1) if beside else _PATH)}\n")
    for row in cells:
        show(row)
    sys.stdout.write("\n")
    return True


def _longest_word(cell: Text) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, cell.plain.split()), default=0)


def _filled(cell: Text, room: int, head: str, rest: str) -> str:
    """Return a cell as lines, broken between words; an empty cell has none."""
    from rich.cells import cell_len

    lines, line, is_begun = "", head, False
    for gap, word in re.findall(r"(\s*)(\S+)", cell.plain):  # a path may hold several spaces side by side
        gap = re.sub(r"[^ ]", " ", gap)
        if is_begun and cell_len(line + gap + word) > max(room, 24):
            lines, line, gap = f"{lines}{line}\n", rest, ""
        line, is_begun = line + gap + word, True
    return f"{lines}{line}\n" if is_begun else ""


def _print_records(columns: Sequence[str], cells: Sequence[Sequence[Text]], room: int) -> None:
    from rich.cells import cell_len, set_cell_size

    wide = max(map(cell_len, columns))
    for row in cells:
        for name, cell in zip(columns, row, strict=True):
            head, rest = f" {set_cell_size(name, wide)}  ", " " * (wide + 3)
            if _longest_word(cell) > room - len(rest):  # a path without room beside the name goes below it
                sys.stdout.write(f" {name}\n")
                head = rest = "   "
            if cell.plain.split():
                sys.stdout.write(_filled(cell, room, head, rest))
        sys.stdout.write("\n")
