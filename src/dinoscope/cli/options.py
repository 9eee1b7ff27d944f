"""Arguments and options that several commands share, and what each does with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from dinoscope.errors import InputError

if TYPE_CHECKING:
    from dinoscope.collection import Collection
    from dinoscope.survey.parts import PartedVectors

__all__ = [
    "INTERRUPTED",
    "ClusterOption",
    "CollectionPath",
    "DeviceOption",
    "JsonOption",
    "LabelsOption",
    "ModelOption",
    "PrivateOption",
    "TableOption",
    "WeightsOption",
    "WhereOption",
    "check_cluster",
    "check_data_dir",
    "check_output",
    "chosen_options",
    "missing_of",
    "open_collection",
    "output_option",
    "output_suffix",
    "parse_range",
    "say_missing",
    "say_part",
    "spare_collections",
    "write_picture",
]

_Written: TypeAlias = Path | list[Path] | None

INTERRUPTED = 130  # exit code of a command that Ctrl-C stopped


def spare_collections(output: _Written) -> _Written:
    """Refuse an output that would take the place of a collection's own files.

    Raises:
        InputError: If it would.
    """
    from dinoscope.storage.manifest import owner_of

    for path in output if isinstance(output, list) else [output]:
        owner = None if path is None else owner_of(path)
        if owner is not None:
            raise InputError(f"cannot write {path}: it belongs to the collection {owner}; name another place with -o")
    return output


def missing_of(given: Mapping[str, object]) -> str:
    """Return the names of what a command needs and was not given."""
    *most, last = [name for name, value in given.items() if value is None]
    return f"{', '.join(most)} and {last}" if most else last


output_option = partial(typer.Option, "-o", "--output", callback=spare_collections)
CollectionPath = Annotated[Path, typer.Argument(metavar="COLLECTION", help="Folder that 'dinoscope embed' made.")]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", help="Which model's vectors, where there are several: a name or key of 'dinoscope info'."),
]
WeightsOption = Annotated[
    str | None, typer.Option("--weights", help="Where the weights are, if --model was a file or folder.")
]
LabelsOption = Annotated[
    str,
    typer.Option(
        "--labels-from",
        metavar="source|mine|merged",
        help="Labels of the images' source, those that you gave with 'dinoscope label', or yours where there are some.",
    ),
]
WhereOption = Annotated[
    str | None,
    typer.Option(
        metavar="CONDITION",
        help="Only images that meet it, such as \"width >= 1000 and format = 'JPEG'\"; see docs/columns.md.",
    ),
]
PrivateOption = Annotated[
    bool, typer.Option("--private-columns", help="Also tell latitude and longitude, which are left out otherwise.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, openvino, openvino-fp32 or cuda.")]
TableOption = Annotated[Path | None, output_option(help="A .png picture or a .csv table.")]
ClusterOption = Annotated[
    str | None,
    typer.Option(  # without the backslash the brackets are markup
        metavar="ray", help=r"Share the work out by Ray: ray, or HOST:PORT of a cluster; dinoscope\[ray]."
    ),
]


def open_collection(path: Path, model: str | None, labels: str = "source", where: str | None = None) -> Collection:
    """Open a collection, show its stages while they are computed, and say if it is a part of its source only.

    With a condition, open the images that meet it, and say how many these are.
    """
    from dinoscope.cli.terminal import watch, working

    with working(f"opening {path}"):
        from dinoscope.collection import Collection

        opened = Collection(path, model, labels=labels, where=where)
    watch(opened)
    if where is None:
        say_missing(path, opened)
    else:
        say_part(opened)
    return opened


def chosen_options(model: str | None = None, labels: str = "source", where: str | None = None) -> list[str]:
    """Return these options as words of a command that asks for the same images; those that were not given are left out.

    The words are not quoted: see ``shlex.join``.
    """
    words = ["--where", where] if where is not None else []
    words += ["--model", model] if model is not None else []
    return words + (["--labels-from", labels] if labels != "source" else [])


def say_part(opened: Collection) -> None:
    """Say how many images meet the condition."""
    from dinoscope.base.text import counted
    from dinoscope.cli.terminal import say

    say(f"{counted(len(opened))} of {opened.embedded_images:,} where {opened.condition}")


def say_missing(path: Path, opened: Collection | PartedVectors) -> None:
    """Say how many images of a collection's source are not embedded yet, if any: results are without them."""
    from dinoscope.base.text import counted
    from dinoscope.cli.terminal import say
    from dinoscope.errors import DamagedError
    from dinoscope.storage.manifest import list_models, read_model
    from dinoscope.storage.progress import read_progress

    try:
        missing = opened.missing
    except DamagedError:  # of what the command may not need
        return
    if not missing:
        return
    running = read_progress(path)
    at_it = running is not None and running.model == read_model(path, opened.key)["model"]
    rest = "an embedding that runs now adds the rest" if at_it else "'dinoscope embed' again embeds the rest"
    of = f" of {opened.key}" if len(list_models(path)) > 1 else ""
    say(f"{len(opened):,} of {counted(len(opened) + missing)} have vectors{of}; {rest}")


def parse_range(text: str | None) -> tuple[float, float] | None:
    """Return the two numbers of ``--range``.

    Raises:
        InputError: They are not a range.
    """
    from dinoscope.sources.pixels.levels import check_range

    if text is None:
        return None
    try:
        numbers = [float(each) for each in text.split(",")]
    except ValueError:
        raise InputError(f"--range must be two numbers, black before white, such as 0,4095; got {text!r}") from None
    return check_range(numbers)


def check_cluster(on: str | None, workers: int | None) -> None:
    """Check ``--on`` and ``--workers``, which are read late, or never where there is nothing to do.

    Raises:
        InputError: If they cannot work.
    """
    if on is None and workers is not None:
        raise InputError("--workers counts the workers of --on: add --on ray")
    if on not in (None, "ray") and not re.fullmatch(r"(ray://)?\S+:\d+", on or ""):
        raise InputError(f"--on expects ray, HOST:PORT or ray://HOST:PORT, got {on!r}")


def check_data_dir(source: str, data_dir: Path | None) -> None:
    """Check that ``--data-dir`` was not given in vain.

    Raises:
        InputError: If the source is not a data set.
    """
    from dinoscope.sources.datasets.named import DATASETS

    if data_dir is not None and source not in DATASETS:
        raise InputError(f"--data-dir is for data sets ({', '.join(DATASETS)}), got {source!r}: leave it out")


def check_output(output: Path | None, *known: str) -> None:
    """Check the name of a file to write, before anything is computed for it in vain.

    Args:
        output: The option.
        known: Endings that the command writes.

    Raises:
        InputError: If it ends otherwise, or is a folder.
    """
    if output is None:
        return
    endings = " or ".join(filter(None, (", ".join(known[:-1]), known[-1])))
    if output.is_dir():
        raise InputError(f"cannot write {output.name!r}, which is a folder: expected a file that ends with {endings}")
    if output.suffix not in known:
        raise InputError(f"cannot write {output.name!r}: expected a name that ends with {endings}")


def output_suffix(output: Path | None, *more: str) -> str:
    """Return how the name of a ``TableOption`` ends, .png without one; see ``check_output``.

    Args:
        output: The option.
        more: Endings that the command writes besides .png and .csv.

    Raises:
        InputError: If it is another one.
    """
    check_output(output, ".png", ".csv", *more)
    return ".png" if output is None else output.suffix


def write_picture(path: Path, picture: bytes, *, asked: bool) -> bool:
    """Write a picture that comes with figures, and tell whether it was written.

    Args:
        path: The file.
        picture: What it holds.
        asked: Whether somebody named it. If not, it goes into the collection, and where that is read-only, the figures
            are worth more than the picture.

    Raises:
        WriteError: If it was asked for and cannot be written.
    """
    from dinoscope.cli.terminal import say
    from dinoscope.errors import WriteError
    from dinoscope.storage.files import write_bytes

    try:
        write_bytes(path, picture)
    except WriteError as error:
        if asked:
            raise
        say(f"no picture: {error}, with -o")
        return False
    return True
