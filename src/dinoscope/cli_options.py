"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dinoscope.errors import InputError

__all__ = [
    "INTERRUPTED",
    "CollectionPath",
    "DeviceOption",
    "JsonOption",
    "ModelOption",
    "TableOption",
    "output_suffix",
]

INTERRUPTED = 130  # exit code of a command that Ctrl-C stopped

CollectionPath = Annotated[Path, typer.Argument(metavar="COLLECTION", help="Folder that 'dinoscope embed' made.")]
ModelOption = Annotated[str | None, typer.Option("--model", help="Which model's vectors, where there are several.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, openvino, openvino-fp32 or cuda.")]
TableOption = Annotated[Path | None, typer.Option("-o", "--output", help="A .png picture or a .csv table.")]


def output_suffix(output: Path | None, *more: str) -> str:
    """Return how the name of a ``TableOption`` ends (.png without one), before anything is computed for it in vain.

    Args:
        output: The option.
        more: Endings that the command writes besides .png and .csv.

    Raises:
        InputError: If it is another one.
    """
    known = (".png", ".csv", *more)
    if output is not None and output.suffix not in known:
        endings = " or ".join(filter(None, (", ".join(known[:-1]), known[-1])))
        raise InputError(f"cannot write {output.name!r}: expected a name that ends with {endings}")
    return ".png" if output is None else output.suffix
