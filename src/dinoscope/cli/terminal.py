"""What the command line prints: results on stdout; progress, summaries and remarks on stderr."""

from __future__ import annotations

import json
import math
import shlex
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from dinoscope.base.text import counted, duration
from dinoscope.cli.tables import CONTROLS, print_table

if TYPE_CHECKING:
    from rich.progress import Task
    from rich.text import Text

    from dinoscope.analysis.scores import Score
    from dinoscope.embedding.pipeline import EmbedSummary
    from dinoscope.stages.opened import OpenedCollection
    from dinoscope.storage.progress import Progress
    from dinoscope.wording.in_short import Point

__all__ = [
    "advise",
    "counting",
    "embedding_progress",
    "print_json",
    "print_table",
    "say",
    "score_rows",
    "suggest",
    "summarise",
    "tell",
    "watch",
    "working",
]

_LONG_RUN = 60.0  # seconds left from which an estimate is worth a line of its own
# JSON itself writes those below 32 so; outside of its texts no other stands
_JSON_CONTROLS = {code: f"\\u{code:04x}" for code in range(127, 160)}


def say(text: str) -> None:
    """Print for people (stderr); on a terminal long lines are broken between words."""
    sys.stderr.write(_wrapped(text.translate(CONTROLS), sys.stderr) + "\n")


def tell(text: str) -> None:
    """Print a result in words (stdout), broken as by ``say``."""
    sys.stdout.write(_wrapped(text.translate(CONTROLS), sys.stdout) + "\n")


def suggest(*words: object) -> None:
    """Say which command comes next, where somebody watches (stderr); its words are quoted where a shell needs it."""
    if sys.stderr.isatty():
        say(f"next: dinoscope {shlex.join(map(str, words))}")


def advise(point: Point | None) -> None:
    """Say what a model cannot see, with the command that helps on a line of its own (stderr); None says nothing."""
    if point is not None:
        say(f"{point.verdict} {point.text}\n{point.command}")


def _wrapped(text: str, stream: TextIO) -> str:
    if not stream.isatty():
        return text
    width, lines = shutil.get_terminal_size().columns, []
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip()))
        options = {"break_long_words": False, "break_on_hyphens": False, "subsequent_indent": indent}
        lines += textwrap.wrap(line, max(width, 20), **options) if len(line) > width else [line]  # type: ignore[arg-type]
    return "\n".join(lines)


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


def score_rows(scores: Iterable[Score]) -> list[tuple[str, str, str]]:
    """Return the score table as rows of text."""
    return [
        (each.name, f"{each.value:.3f}" if abs(each.value) < 10 else f"{each.value:.1f}", each.meaning)
        for each in scores
    ]


_STAGES = {
    "neighbors": "finding the nearest images",
    "map": "laying out the map",
    "map_quality": "measuring the map",
    "layout": "placing the pictures",
    "tuning": "trying settings of the map",
    "clusters": "finding clusters",
    "cluster_quality": "judging the clusters",
    "stability": "clustering resamples",
    "nulls": "clustering shuffled features",
    "scores": "computing the scores",
    "predictions": "predicting labels",
    "evaluation": "evaluating the labels",
    "duplicates": "looking for duplicates",
    "outliers": "looking for outliers",
    "label_errors": "checking the labels",
    "index": "building the index",
    "verdicts": "asking the neighbours of each image",
    "properties": "measuring brightness, colour and shape",
    "explanation": "comparing the map with what is measured",
    "windows": "looking inside the images",
}
_doing: list[str] = []  # what is shown now, the innermost last; "" beside a bar


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show what is being done and for how long (stderr), where somebody watches; nothing stays on the screen.

    Inside another one, that one's line says it. Beside a bar it shows nothing.
    """
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, SpinnerColumn, TimeElapsedColumn
    from rich.text import Text

    class Innermost(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(_doing[-1] if _doing else "")

    if _doing:
        with _bar(_doing[-1] and what):
            yield
        return
    console = Console(file=sys.stderr)
    columns = (SpinnerColumn("line"), Innermost(), TimeElapsedColumn())
    with _bar(what), Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as line:
        line.add_task("", total=None)
        yield


@contextmanager
def _bar(what: str = "") -> Iterator[None]:
    """Take the screen: for a bar, or for a line that says ``what``."""
    _doing.append(what)
    try:
        yield
    finally:
        at = len(_doing) - 1 - _doing[::-1].index(what)  # threads that began together need not end in turn
        del _doing[at]


def watch(collection: OpenedCollection) -> None:
    """Show each stage of a collection while it is computed."""
    collection.results.watch = lambda stage: working(_STAGES.get(stage, stage))


@contextmanager
def embedding_progress(name: str) -> Iterator[Callable[[Progress], None]]:
    """Show the progress of an embedding: images done, images a second, time left; an estimate before a long run."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(file=sys.stderr)
    plain = TextColumn("{task.description}", markup=False)  # a name in [brackets] is not markup
    columns = (plain, BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with _bar(), Bar(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"embedding {name.translate(CONTROLS)}", total=None, rate="")
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
    with _bar(), Progress(*columns, console=console, disable=not console.is_terminal) as bar:
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
