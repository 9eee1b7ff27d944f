"""The commands ``receipt`` and ``verify``, and what ``info --verify`` prints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dinoscope.cli.options import (
    CollectionPath,
    DeviceOption,
    JsonOption,
    ModelOption,
    WeightsOption,
    check_data_dir,
    check_output,
    open_collection,
    output_option,
)

if TYPE_CHECKING:
    from dinoscope.stages.checking.receipt import Receipt
    from dinoscope.stages.checking.repeated import Deviation

__all__ = ["print_verification", "receipt", "verify"]


def print_verification(path: Path, as_json: bool) -> None:
    """Check a collection, print one table, and exit with 1 if anything is damaged."""
    from dinoscope.cli.terminal import print_json, print_table, say, suggest, working
    from dinoscope.stages.checking.integrity import verify_collection

    with working("checking every byte"):
        found = verify_collection(path)
    if as_json:
        print_json(
            {
                "damage": found.damage,
                "checks": [
                    {"name": each.name, "found": each.found, "damage": each.damage, "note": each.note}
                    for each in found.checks
                ],
            }
        )
    else:
        lines = [(each.name, each.found, "\n".join(each.damage) or each.note or "ok") for each in found.checks]
        print_table(("checked", "found", "state"), lines)
    if found.damage:
        say(
            f"{len(found.damage)} damaged: 'dinoscope embed SOURCE -o {path}' makes these again and keeps the rest. "
            "Damaged results are computed again when you ask for them."
        )
        raise typer.Exit(1)
    if not as_json:
        say(f"{path} is whole")
        suggest("explore", path)


def receipt(
    collection: CollectionPath,
    output: Annotated[
        Path | None,
        output_option(help="A .json file; by default receipt.json in the collection, and a pipe gets it whole."),
    ] = None,
    model: ModelOption = None,
) -> None:
    """State what made a collection and what came out, so that another machine can check it; no paths, no pictures."""
    from dinoscope.base.text import counted
    from dinoscope.cli.terminal import print_json, say, suggest
    from dinoscope.stages.checking.receipt import make_receipt
    from dinoscope.storage.files import write_json

    check_output(output, ".json")
    made = make_receipt(open_collection(collection, model))
    if output is None and not sys.stdout.isatty():
        print_json(made)
        return
    output = output or collection / "receipt.json"
    write_json(output, made, checked=True)
    say(f"receipt of {counted(made['images']['count'])} in {output}")
    suggest("verify", output, "SOURCE")


def verify(
    receipt: Annotated[Path, typer.Argument(metavar="RECEIPT", help="What 'dinoscope receipt' wrote.")],
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="The images (embedded again), or a collection (compared).")
    ],
    data_dir: Annotated[Path | None, typer.Option(help="Where data sets are looked for first.")] = None,
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    model: ModelOption = None,
    tolerance: Annotated[
        float | None,
        typer.Option(min=0, help="Largest deviation of any number; by default 1e-4, in bfloat16 and the like 2e-2."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Embed 64 of a receipt's images again on this machine, and say how far the vectors are from what they were."""
    from dataclasses import asdict

    from dinoscope.cli.terminal import print_json
    from dinoscope.stages.checking.receipt import read_receipt

    stated = read_receipt(receipt)
    found = _deviation(stated, source, data_dir, weights, device, model, tolerance)
    if as_json:
        print_json({**asdict(found), "within": found.within})
    else:
        _print(found)
    if not found.within:
        raise typer.Exit(1)


def _deviation(
    stated: Receipt,
    source: str,
    data_dir: Path | None,
    weights: str | None,
    device: str,
    model: str | None,
    tolerance: float | None,
) -> Deviation:
    from dinoscope.models.encoder import Encoder
    from dinoscope.sources.opening import open_source
    from dinoscope.stages.checking.repeated import compare_collection, embed_again

    if (Path(source) / "collection.json").exists():
        return compare_collection(stated, open_collection(Path(source), model), tolerance)
    images = open_source(source, data_dir=data_dir)
    check_data_dir(source, data_dir)
    encoder = Encoder.from_description(stated["model"], weights=weights, device=device)
    return embed_again(stated, images, encoder, tolerance)


def _print(found: Deviation) -> None:
    from dinoscope.cli.terminal import print_table, say

    verdict = "within the tolerance" if found.largest <= found.tolerance else "BEYOND the tolerance"
    rows = [
        ("images compared", f"{found.images}" + (f" ({found.missing} missing here)" if found.missing else "")),
        ("same pictures", f"{found.same_pictures} of {found.images}"),
        ("largest deviation", f"{found.largest:.2g}, {verdict} of {found.tolerance:.2g}"),
        ("smallest similarity", f"{found.similarity:.6f}"),
    ]
    print_table(("", ""), [*rows, *(("differs", text) for text in found.differing)])
    if found.largest > found.tolerance and found.same_pictures < found.images:
        say("the pictures themselves are not the same: somebody changed them, or this machine decodes them differently")
