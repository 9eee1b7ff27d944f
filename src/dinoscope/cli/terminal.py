"""What the command line prints: results on stdout; progress, summaries and remarks on stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dinoscope.base.text import counted, duration

if TYPE_CHECKING:
    from dinoscope.analysis.scores import Score
    from dinoscope.embedding.pipeline import EmbedSummary
    from dinoscope.storage.progress import Progress

__all__ = ["counting", "embedding_progress", "print_json", "print_table", "say", "score_rows", "summarise"]

_LONG_RUN = 60.0  # seconds left from which an estimate is worth a line of its own
# A file's name may hold what a terminal takes for orders.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}

# JSON itself writes those below 32 so; outside of its texts no other stands
_JSON_CONTROLS = {code: f"\\u{code:04x}" for code in range(127, 160)}


def say(text: str) -> None:
    """Print a line for people (stderr)."""
    sys.stderr.write(text.translate(_CONTROLS) + "\n")


def print_json(value: object) -> None:
    """Print a result for programs (stdout); what is not a number becomes null, which every parser reads."""
    escape = not (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")
    text = json.dumps(_without_nan(value), indent=2, ensure_ascii=escape, allow_nan=False)
    sys.stdout.write(text.translate(_JSON_CONTROLS) + "\n")


def _without_nan(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """Print a table (stdout); the columns in ``right`` are aligned to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=any(columns))
    for index, name in enumerate(columns):
        table.add_column(name, justify="right" if index in right else "left", no_wrap=index in right)
    for row in rows:
        table.add_row(*(Text(cell.translate(_CONTROLS)) for cell in row))  # Text: a label in [brackets] is no markup
    # Piped output is not a terminal of 80 columns: nothing is cut off there.
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200)
    console.print(table)


def score_rows(scores: Iterable[Score]) -> list[tuple[str, str, str]]:
    """Return the score table as rows of text."""
    return [
        (each.name, f"{each.value:.3f}" if abs(each.value) < 10 else f"{each.value:.1f}", each.meaning)
        for each in scores
    ]


@contextmanager
def embedding_progress(name: str) -> Iterator[Callable[[Progress], None]]:
    """Show the progress of an embedding: images done, images a second, time left; an estimate before a long run."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(file=sys.stderr)
    plain = TextColumn("{task.description}", markup=False)  # a name in [brackets] is no markup
    columns = (plain, BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with Bar(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"embedding {name.translate(_CONTROLS)}", total=None, rate="")
        estimated = False

        def show(progress: Progress) -> None:
            nonlocal estimated
            if not estimated:
                estimated = True
                if progress.seconds_left > _LONG_RUN:
                    left = duration(progress.seconds_left)
                    console.print(
                        f"about {left} for {progress.total:,} images; stop at any time, a second run continues"
                    )
            rate = f"{progress.images_per_second:,.0f} images/s"
            bar.update(task, total=progress.total, completed=progress.done, rate=rate)

        yield show


@contextmanager
def counting(name: str) -> Iterator[Callable[[int, int], None]]:
    """Show how many are done, on stderr, where somebody watches."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def summarise(summary: EmbedSummary, limit: int | None = None) -> None:
    """Say what an embedding did, and name the files that could not be read; ``limit`` is that of the command."""
    if summary.value_range is not None:
        low, high = summary.value_range
        say(f"pictures of more than 8 bits: {low:g} is black, {high:g} is white (--range chooses for a new collection)")
    if summary.embedded:
        rate = summary.embedded / max(summary.seconds, 1e-9)
        took = f"in {duration(summary.seconds)} ({rate:,.0f} images/s)"
        usual = (summary.device, summary.precision) == ("cpu", "fp32")
        how = "" if usual else f" on {summary.device} in {summary.precision}"
        say(f"embedded {counted(summary.embedded)} with {summary.model}{how} {took}")
        if summary.reused:
            say(f"{counted(summary.reused)} had vectors already")
    else:
        say(f"nothing to embed: {counted(summary.reused)} with vectors already")
    if summary.removed:
        beyond = f"not among the {limit:,} of --limit, or " if limit is not None else ""
        say(f"{counted(summary.removed)} {beyond}no longer in the source, left out")
    if summary.notes:
        say(f"{counted(len(summary.notes))} could be read, though something is wrong with the files:")
        for note in summary.notes:
            say(f"  {note.id}: {note.reason}")
    if summary.relabelled:
        say(f"{counted(summary.relabelled)} have another label or split than before; their vectors are kept")
    if summary.failures:
        say(f"{counted(len(summary.failures))} could not be read:")
        for failure in summary.failures:
            say(f"  {failure.id}: {failure.reason}")
