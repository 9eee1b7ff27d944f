"""The command ``compare``: which model to take for these images."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dinoscope.cli.options import DeviceOption, JsonOption, TableOption, output_suffix

if TYPE_CHECKING:
    from dinoscope.analysis.ranking import Contender
    from dinoscope.comparison import Comparison

__all__ = ["compare"]


def compare(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="As for 'embed'; a sample of it is used.")],
    models: Annotated[
        str | None,
        typer.Option(help="Names with commas between; by default all that are on this machine. Baselines are added."),
    ] = None,
    resolution: Annotated[str, typer.Option(help="Pixels with commas between, for models that take several.")] = "",
    pooling: Annotated[str, typer.Option(help="cls, cls+mean or both with a comma.")] = "cls",
    focus: Annotated[str, typer.Option(help="image, foreground or both with a comma.")] = "image",
    sample: Annotated[int, typer.Option(min=3, help="Images at most; every label keeps its share.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same images.")] = 0,
    device: DeviceOption = "auto",
    data_dir: Annotated[Path | None, typer.Option(help="Where to look for data sets first.")] = None,
    output: TableOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score models on a sample of your images: how much they see, how fast, and which one to take."""
    from dinoscope.analysis.ranking import advise, certainty, rank_agreement, rank_without_labels
    from dinoscope.cli.terminal import embedding_progress, print_json, say, suggest
    from dinoscope.comparison import compare_models
    from dinoscope.sources.opening import open_source

    output_suffix(output)
    resolutions = _numbers(resolution)
    opened = open_source(source, data_dir=data_dir)
    with embedding_progress(opened.name) as show:
        found = compare_models(
            opened,
            None if models is None else _names(models),
            resolutions=resolutions,
            poolings=_names(pooling),
            focuses=_names(focus),
            sample=sample,
            seed=seed,
            device=device,
            on_progress=lambda _title, progress: show(progress),
            say=say,
        )
    advice, tau = advise(found.contenders), rank_agreement(found.contenders)
    places = {number: place for place, number in enumerate(rank_without_labels(found.contenders), 1)}
    rows = [_row(each, places[number]) for number, each in enumerate(found.contenders)]
    if as_json:
        print_json(
            {
                "images": found.images,
                "labels": found.labels,
                "contenders": rows,
                "advice": advice,
                "rank_agreement": tau,
                "certainty": certainty(found.contenders),
                "left_out": [{"model": name, "reason": why} for name, why in found.left_out],
            }
        )
    else:
        _print(found, rows, advice)
    if output is not None:  # at last: a folder that cannot be written costs no result
        _write(output, found.contenders, rows)
        if not as_json:
            typer.echo(str(output))
    if not as_json:
        suggest("embed", source, "--model", "NAME")


def _print(found: Comparison, rows: list[dict[str, float | str]], advice: str) -> None:
    from dinoscope.analysis.ranking import certainty
    from dinoscope.cli.terminal import print_table, say, tell
    from dinoscope.comparison import focus_gains

    labelled = not any(math.isnan(each.scores.knn_accuracy) for each in found.contenders)
    columns = [key for key in rows[0] if labelled or key not in _NEED_LABELS]
    print_table(
        [_HEADS[key] for key in columns],
        [[_text(key, row[key]) for key in columns] for row in rows],
        right=range(1, len(columns)),
    )
    for name, why in found.left_out:
        say(f"{name} was left out: {why}")
    tell(f"{found.images:,} images. {advice}")
    for title, whole, focused in focus_gains(found.contenders):
        verdict = "helps" if focused > whole else "does not help"
        tell(f"A focus on the foreground {verdict} {title}: its k-NN accuracy is {focused:.3f} instead of {whole:.3f}.")
    say(certainty(found.contenders))


_NEED_LABELS = ("knn_accuracy", "mean_average_precision", "nmi", "silhouette_labels")
_HEADS = {
    "model": "model",
    "knn_accuracy": "k-NN",
    "mean_average_precision": "mAP",
    "nmi": "NMI",
    "silhouette_labels": "sil. labels",
    "silhouette_clusters": "sil. clusters",
    "effective_rank": "eff. rank",
    "hubness": "hubness",
    "agreement": "agreement",
    "found_again": "found again",
    "place_without_labels": "place",
    "images_per_second": "images/s",
    "megabytes": "MB",
    "dim": "vector",
}


def _row(contender: Contender, place: int) -> dict[str, float | str]:
    return {
        "model": contender.name,
        **vars(contender.scores),
        "agreement": contender.agreement,
        "found_again": contender.found_again,
        "place_without_labels": place,
        "images_per_second": contender.images_per_second,
        "megabytes": contender.megabytes,
        "dim": contender.dim,
    }


def _text(key: str, value: float | str) -> str:
    if isinstance(value, str):
        return value
    if key in ("dim", "place_without_labels"):
        return f"{value}"
    if math.isnan(value):
        return ""
    digits = {"images_per_second": 0 if value >= 100 else 1, "megabytes": 0, "effective_rank": 1, "hubness": 1}
    return f"{value:,.{digits.get(key, 3)}f}"


def _names(text: str | None) -> list[str]:
    return [each.strip() for each in (text or "").split(",") if each.strip()]


def _numbers(text: str) -> list[int]:
    from dinoscope.errors import InputError

    try:
        return [int(each) for each in _names(text)]
    except ValueError:
        raise InputError(f"--resolution takes numbers of pixels with commas between, got {text!r}") from None


def _write(output: Path, contenders: tuple[Contender, ...], rows: list[dict[str, float | str]]) -> None:
    from dinoscope.storage.files import write_bytes, write_csv

    if output.suffix == ".png":
        from dinoscope.plots.ranking import comparison_figure

        write_bytes(output, comparison_figure(contenders))
        return
    write_csv(output, list(rows[0]), [list(row.values()) for row in rows])
