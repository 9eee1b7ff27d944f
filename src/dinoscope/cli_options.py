"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["CollectionPath", "DeviceOption", "JsonOption", "ModelOption", "TableOption"]

CollectionPath = Annotated[Path, typer.Argument(metavar="COLLECTION", help="Folder that 'dinoscope embed' made.")]
ModelOption = Annotated[str | None, typer.Option("--model", help="Which model's vectors, where there are several.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, openvino, openvino-fp32 or cuda.")]
TableOption = Annotated[Path | None, typer.Option("-o", "--output", help="A .png picture or a .csv table.")]
