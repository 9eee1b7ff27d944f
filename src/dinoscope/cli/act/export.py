"""The command line's `export`: a collection for other tools."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dinoscope.cli.options import (
    CollectionPath,
    LabelsOption,
    ModelOption,
    PrivateOption,
    WhereOption,
    missing_of,
    open_collection,
    spare_collections,
)
from dinoscope.errors import InputError

__all__ = ["export"]


class FormName(StrEnum):
    """What ``--as`` takes."""

    imagefolder = "imagefolder"
    coco = "coco"
    yolo_cls = "yolo-cls"
    huggingface = "huggingface"
    fiftyone = "fiftyone"
    webdataset = "webdataset"
    csv = "csv"
    parquet = "parquet"
    annotations = "annotations"


def export(
    collection: CollectionPath,
    to: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--to",
            "--output",
            callback=spare_collections,
            metavar="FOLDER",
            help="Where to; a new or an empty folder.",
        ),
    ] = None,
    form: Annotated[FormName | None, typer.Option("--as", help="For which tool.")] = None,
    images: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="What the collection was made of, for forms that hold pictures."),
    ] = None,
    vectors: Annotated[bool, typer.Option("--vectors", help="Also write the vectors.")] = False,
    clusters: Annotated[bool, typer.Option("--clusters", help="Also write the cluster of each image.")] = False,
    predictions: Annotated[
        bool, typer.Option("--predictions", help="Also write what labelled neighbours say of each image.")
    ] = False,
    where: WhereOption = None,
    private_columns: PrivateOption = False,
    model: ModelOption = None,
    labels_from: LabelsOption = "source",
) -> None:
    """Write the images with their labels and splits for another tool. Files are copied as they are.

    What a camera wrote into a file, such as a place, goes with it.
    """
    if to is None or form is None:
        command = ("dinoscope", "export", str(collection), "-o", str(to or "exported"), "--as", form or "coco")
        told = f"such as: {shlex.join(command)} (--as takes {', '.join(FormName)})"
        raise InputError(f"export needs {missing_of({'-o': to, '--as': form})}, {told}")
    from dinoscope.base.text import counted
    from dinoscope.cli.terminal import say, working

    opened = open_collection(collection, model, labels_from, where)
    with working("writing the files"):
        remarks = opened.export(
            to,
            form.value,
            images=images,
            vectors=vectors,
            clusters=clusters,
            predictions=predictions,
            private_columns=private_columns,
        )
    for remark in remarks:
        say(remark)
    say(f"wrote {counted(len(opened))} to {to}, as {form.value}")
