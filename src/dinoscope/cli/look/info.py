"""The command line's `info`: what a collection holds, or whether it is whole."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dinoscope.cli.options import CollectionPath, JsonOption, ModelOption, WhereOption, chosen_options
from dinoscope.cli.share.integrity import print_verification

if TYPE_CHECKING:
    from dinoscope.collection import Collection

__all__ = ["info"]

_SHOWN = 12  # labels, splits, results in the table


def info(
    collection: CollectionPath,
    model: ModelOption = None,
    where: WhereOption = None,
    check: Annotated[
        bool, typer.Option("--verify", help="Check every checksum and row; exit with 1 if anything is damaged.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what a collection holds, or whether it is whole."""
    from dinoscope.cli.terminal import print_json, print_table, suggest, working
    from dinoscope.collection import Collection

    if check:
        print_verification(collection, as_json)
        return
    with working(f"opening {collection}"):
        opened = Collection(collection, model, where=where)
        facts = _facts(opened)
    if as_json:
        print_json(facts)
    else:
        print_table(("", ""), list(_texts(opened, facts).items()))
        suggest("explore", collection, *chosen_options(model))


def _facts(opened: Collection) -> dict[str, Any]:
    from dinoscope.storage.manifest import list_models, read_manifest
    from dinoscope.storage.progress import read_progress

    running = read_progress(opened.path)
    labels = zip(opened.labels, opened.label_sets, strict=True)
    return {
        "source": f"{opened.name} ({opened.kind})",
        "images": len(opened),
        "where": opened.condition,
        "missing": opened.missing,
        "running": running is not None and running.model == opened.model["model"],
        "model": opened.model["model"],
        "key": opened.key,
        "models": list_models(opened.path),
        "vector": opened.model["dim"],
        "resolution": opened.model["resolution"],
        "pooling": opened.model.get("pooling", "cls"),
        "focus": opened.model.get("focus", "image"),
        "precision": opened.model.get("precision", "fp32"),
        "devices": _devices(opened.path, opened.key),
        "range": opened.decoding.value_range and list(opened.decoding.value_range),
        "range_stored": "range" in read_manifest(opened.path),
        "labels": dict(Counter(each for label, held in labels for each in held or (label,) if each).most_common()),
        "splits": dict(Counter(split for split in opened.splits if split is not None)),
        "columns": {name: column.kind for name, column in opened.columns().items()},
        "folders": read_manifest(opened.path).get("folders"),
        "results": dict(Counter(p.parent.name for p in (opened.path / "results").glob("*/*.parquet"))),
        "left_out": opened.left_out,
        "failures": [{"row": f.row, "id": f.id, "reason": f.reason} for f in opened.failures],
        "megabytes": round(_bytes(opened.path) / 1e6, 1),
    }


def _texts(opened: Collection, facts: dict[str, Any]) -> dict[str, str]:
    """Return the lines of the table: what is as always is left out."""
    from dinoscope.sources.names import describe_endings

    told = ("source", "images", "model", "models", "vector", "resolution", "labels", "splits", "results")
    from dinoscope.sources.folders import FolderRule

    texts = {name: str(facts[name]) for name in (*told, "failures", "megabytes")}
    texts["images"] = f"{facts['images']:,}"
    texts["images"] += "" if facts["where"] is None else f" of {opened.embedded_images:,} where {facts['where']}"
    if facts["range"]:
        texts["range"] = "{:g} is black, {:g} is white in pictures of more than 8 bits".format(*facts["range"])
    elif not facts["range_stored"]:
        texts["range"] = "none stored: pictures of more than 8 bits go from 0 to 65535, floats from 0 to 1"
    if facts["left_out"]:
        texts["left out"] = describe_endings(Counter(facts["left_out"]))
    if facts["missing"]:
        rest = "a process is at it" if facts["running"] else "'dinoscope embed' again embeds them"
        texts["images"] += f" ({facts['missing']:,} more are not embedded yet: {rest})"
    texts["models"] = "\n".join(f"{key}: {_settings(opened.path, key)}" for key in facts["models"])
    texts["model"] = f"{_settings(opened.path, opened.key)} (--model {opened.key})"
    if len(facts["models"]) == 1:
        del texts["models"]
    if opened.model.get("own"):
        del texts["resolution"]
    for name in ("labels", "splits", "results"):
        pairs = list(facts[name].items())
        more = f", and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else ""
        texts[name] = (", ".join(f"{key} {count:,}" for key, count in pairs[:_SHOWN]) + more) or "none"
    texts["columns"] = ", ".join(f"{name} ({kind})" for name, kind in facts["columns"].items()) or "none"
    if facts["folders"]:
        texts["folders"] = f"chosen: {FolderRule.from_json(facts['folders']).described}"
    texts["failures"] = "\n".join(f"{f['id']}: {f['reason']}" for f in facts["failures"]) or "none"
    return texts


def _settings(path: Path, key: str) -> str:
    """Return the name of a model and, of its settings, those that are not as they are by default."""
    from dinoscope.errors import DamagedError
    from dinoscope.models.catalogue import MODELS
    from dinoscope.storage.manifest import read_model

    try:
        model = read_model(path, key)
    except DamagedError as error:  # of another model than the one that is shown
        return f"damaged ({error.reason})"
    name, side, precision = model["model"], model["resolution"], model.get("precision", "fp32")
    devices = ", ".join(_devices(path, key))
    if model.get("own"):
        return f"{name}, made elsewhere"
    parts = [
        str(name),
        f"{side} pixels" if name not in MODELS or side != MODELS[name].resolution else "",
        model["pooling"] if model.get("pooling", "cls") != "cls" else "",
        f"--focus {model['focus']}" if "focus" in model else "",
        "--pad" if model.get("pad") else "",
        "--upstream" if model.get("upstream") else "",
        f"in {precision}" if precision != "fp32" else "",
        f"on {devices}" if devices not in ("", "cpu") else "",
    ]
    return ", ".join(filter(None, parts))


def _devices(path: Path, key: str) -> list[str]:
    """Return what computed the vectors under a key, where that was stored."""
    from dinoscope.errors import DamagedError
    from dinoscope.stages.checking.receipt import makers

    with suppress(DamagedError, FileNotFoundError):  # --verify names damage
        return sorted({str(each["device"]) for each in makers(path, key) if "device" in each})
    return []


def _bytes(path: Path) -> int:
    """Return the size of all files of a folder; an embedding that runs may take one away meanwhile."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                total += Path(folder, name).stat().st_size
    return total
