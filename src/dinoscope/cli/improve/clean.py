"""The command line's `clean`: what to look at before a collection is used, as tables, CSV, sheets and a plan."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dinoscope.cli.options import (
    CollectionPath,
    JsonOption,
    LabelsOption,
    ModelOption,
    WhereOption,
    chosen_options,
    open_collection,
    output_option,
    spare_collections,
)
from dinoscope.errors import InputError

if TYPE_CHECKING:
    from dinoscope.cli.improve.parts import Part
    from dinoscope.collection import Collection

__all__ = ["clean"]

_LIMIT, _BRIEFLY = 20, 2  # findings of a kind that are printed in full, and in the summary of all kinds


def clean(
    collection: CollectionPath,
    duplicates: Annotated[bool, typer.Option("--duplicates", help="Images that show the same picture.")] = False,
    outliers: Annotated[bool, typer.Option("--outliers", help="Images far from all others.")] = False,
    label_errors: Annotated[bool, typer.Option("--label-errors", help="Labels that neighbours contradict.")] = False,
    leaks: Annotated[bool, typer.Option("--leaks", help="Duplicates across splits.")] = False,
    pictures: Annotated[
        bool,
        typer.Option(
            "--pictures", help="Blurred, dark, blown out, empty or framed, screenshots, or of an odd size or shape."
        ),
    ] = False,
    crops: Annotated[
        bool,
        typer.Option(
            "--crops",
            help="Images that are a part of another one. It looks inside all, nine times the work of embedding, once.",
        ),
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="How far duplicates must stand out; by default what 'calibrate' or the collection says.",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help=f"Findings of a kind printed and drawn, by default {_LIMIT}; files hold all."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Print every finding, instead of the first ones or of a summary.")
    ] = False,
    output: Annotated[Path | None, output_option(metavar="FOLDER", help="Write CSV and PNG.")] = None,
    write_plan: Annotated[
        Path | None,
        typer.Option(callback=spare_collections, metavar="FILE", help="Write proposed moves as JSON, for you to edit."),
    ] = None,
    dismiss: Annotated[
        list[str] | None, typer.Option(metavar="KEY", help="Remember that a finding is no problem; keys: see --json.")
    ] = None,
    where: WhereOption = None,
    model: ModelOption = None,
    labels_from: LabelsOption = "source",
    as_json: JsonOption = False,
) -> None:
    """Find duplicates, leaks between splits, outliers, labels to check and poor pictures: some, or all.

    All kinds together are printed as a summary; a kind that you name, --limit and --all print the findings. No image is
    touched.
    """
    from dinoscope.base.text import counted
    from dinoscope.cli.improve.parts import examine
    from dinoscope.cli.terminal import advise, print_json, say, suggest, tell
    from dinoscope.wording.in_short import advice, is_too_weak

    if everything and limit is not None:
        raise InputError("--all prints every finding, and --limit some: leave out one")
    opened = open_collection(collection, model, labels_from, where)
    for key in dismiss or []:
        opened.dismiss(key)
    chosen = {"duplicates": duplicates, "outliers": outliers, "label_errors": label_errors, "leaks": leaks}
    chosen["pictures"] = pictures
    named = {name for name, yes in chosen.items() if yes} | ({"crops"} if crops else set())
    if crops:
        say(
            f"looking inside {counted(len(opened))}: nine parts of each are embedded, once, and each image is slid "
            "over eight others"
        )
    parts = examine(
        opened,
        named or set(chosen),
        threshold,
        calibrate=["dinoscope", "calibrate", str(collection), *chosen_options(model)],
    )
    if as_json:
        print_json({name: {**part.facts, "found": part.records, "remark": part.remark} for name, part in parts.items()})
    else:
        if limit is None and not everything and not named:
            limits = () if threshold is None else ("--threshold", f"{threshold:g}")
            _summarise(parts, collection, [*chosen_options(model, labels_from, where), *limits])
        else:
            _print(parts, None if everything else limit or _LIMIT)
        tell(_conclusion(parts, weak=is_too_weak(opened)))
        advise(advice(opened, folder=str(collection)))
    if output:
        _write_files(opened, parts, output, limit or _LIMIT)
        say(f"lists and sheets: {output}")
    if write_plan:
        _write_plan(opened, parts, write_plan)
        say(f"plan: {write_plan} (nothing has been moved: delete the lines that you do not agree with)")
    if as_json:
        return
    if write_plan:
        suggest("apply", write_plan, "--images", "YOUR-PHOTOS", "--to", "quarantine")
    else:
        suggest("explore", collection, *chosen_options(model, labels_from))


def _summarise(parts: dict[str, Part], collection: Path, options: list[str]) -> None:
    """Print a few lines a kind: how many, the first ones, and the command that prints the others."""
    from dinoscope.cli.terminal import tell
    from dinoscope.wording.findings import NO_CROPS

    for name, part in parts.items():
        first, *others = part.remark.split("\n")
        checked = [line for line in others if line.startswith(("checked: ", "not checked "))]
        tell("\n".join([f"{part.title}: {first.partition('; ')[0]}", *(f"  {line}" for line in checked)]))
        for brief in part.briefs[:_BRIEFLY]:
            tell(f"  {brief}")
        if part.briefs:
            count = len(part.briefs)
            told = "more of it" if count <= _BRIEFLY else f"all {count:,}"
            kind = f"--{name.replace('_', '-')}"
            tell(f"  {told}: {shlex.join(['dinoscope', 'clean', str(collection), kind, *options])}")
    if "duplicates" in parts:
        tell(NO_CROPS)


def _print(parts: dict[str, Part], limit: int | None) -> None:
    from dinoscope.cli.terminal import print_table, tell

    for part in parts.values():
        tell(f"{part.title}: {part.remark}")
        if part.lines:
            print_table(part.columns, part.lines[:limit], right=(0,))
        if limit is not None and len(part.lines) > limit:
            tell(f"and {len(part.lines) - limit:,} more (--all)\n")


def _conclusion(parts: dict[str, Part], *, weak: bool) -> str:
    """Say whether there is something to do, and with what to begin."""
    found = {name: len({str(each["key"]) for each in part.records}) for name, part in parts.items()}
    if not any(found.values()):
        return "That is good: nothing to look at was found."
    first = {  # the surest and the costliest come first
        "leaks": "The same pictures in train and test make test scores look too good: take them out of one.",
        "duplicates": "Begin with the duplicates: these pictures are the same, and one of each group is enough.",
        "label_errors": "Begin with the labels at the top of the list: look before you change one.",
        "crops": "Look at the crops: where one picture shows less of the same, keep the whole one.",
        "outliers": "Most outliers are only unusual: look at the first few, and remove what does not belong.",
        "pictures": "Look at the worst pictures of each kind first, and keep those that only look odd.",
    }
    text = next(said for name, said in first.items() if found.get(name))
    if weak and found.get("label_errors"):
        text += " Most labels on the list may be right, because the model cannot see enough."
    return text


def _write_files(opened: Collection, parts: dict[str, Part], folder: Path, limit: int) -> None:
    """Write NAME.csv with all findings of a kind and NAME.png with the first."""
    from dinoscope.plots.sheets import draw_sheet
    from dinoscope.storage.files import make_folder, write_bytes, write_csv

    make_folder(folder)
    for name, part in parts.items():
        if not part.records:  # an old list must not pass for a new one
            (folder / f"{name}.csv").unlink(missing_ok=True)
            (folder / f"{name}.png").unlink(missing_ok=True)
            continue
        write_csv(folder / f"{name}.csv", list(part.records[0]), [list(each.values()) for each in part.records])
        shown = part.blocks[:limit]
        title = f"{opened.name}: {part.title}, {len(shown):,} of {len(part.blocks):,}"
        write_bytes(folder / f"{name}.png", draw_sheet(title, part.note, shown, opened.thumbnails))


def _write_plan(opened: Collection, parts: dict[str, Part], path: Path) -> None:
    """Write the moves, at most one removal per image, and of each group one image that stays."""
    from dinoscope.storage.files import write_json

    leaked = parts["leaks"].moves if "leaks" in parts else []
    rows = {move[name] for move in leaked for name in ("row", "keeper")}
    moves = list(leaked)
    for name, part in parts.items():
        if name == "duplicates":  # what a leak's moves settle is not settled twice
            moves += [move for move in part.moves if move["row"] not in rows and move["keeper"] not in rows]
        elif name != "leaks":
            moves += part.moves
    write_json(path, {"collection": opened.name, "model": opened.model["model"], "moves": moves})
