"""The command line's `cluster`: groups found without labels, and how far to trust each."""

from __future__ import annotations

import sys
from collections import Counter
from enum import StrEnum
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated, Any

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
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dinoscope.analysis.clusters.clustering import Clustering
    from dinoscope.collection import Collection
    from dinoscope.stages.clusters import ClusterJudgement

__all__ = ["cluster"]

_WIDE = 120  # columns of a terminal that fit one line per cluster


class MethodName(StrEnum):
    """What ``--method`` takes."""

    kmeans = "kmeans"
    hdbscan = "hdbscan"
    ward = "ward"
    gmm = "gmm"


class SpaceName(StrEnum):
    """What ``--space`` takes."""

    embedding = "embedding"
    umap = "umap"


def cluster(
    collection: CollectionPath,
    k: Annotated[
        int | None,
        typer.Option(
            "-k", "--clusters", min=1, help="Number of clusters; by default as many as the silhouette allows."
        ),
    ] = None,
    method: Annotated[
        MethodName, typer.Option(help="hdbscan finds the number itself and leaves out what is between.")
    ] = MethodName.kmeans,
    space: Annotated[
        SpaceName | None,
        typer.Option(
            help="umap: better clusters, slower. By default the embedding, umap for hdbscan.", show_default=False
        ),
    ] = None,
    stability: Annotated[
        bool,
        typer.Option("--stability", help="Say how reliably each cluster is found again in samples; slow with umap."),
    ] = False,
    nulls: Annotated[
        bool, typer.Option("--nulls", help="Say which clusters shuffled features or plain pixels show as well.")
    ] = False,
    output: Annotated[
        list[Path] | None, output_option(help="A .csv table of the images, or a .png: curve of k, clusters by labels.")
    ] = None,
    where: WhereOption = None,
    model: ModelOption = None,
    labels_from: LabelsOption = "source",
    as_json: JsonOption = False,
) -> None:
    """Find clusters, by default with k-means, without -k as many as the silhouette allows; say how good each is."""
    from dinoscope.analysis.clusters.clustering import resolve_space
    from dinoscope.cli.terminal import print_json, suggest
    from dinoscope.errors import InputError

    for path in output or []:
        if path.suffix not in (".csv", ".png"):
            raise InputError(f"cannot write {path.name!r}: expected a name that ends with .csv or .png")
    opened = open_collection(collection, model, labels_from, where)
    within = resolve_space(method.value, space.value if space else None, k)
    found = opened.clusters(k, method=method.value, space=within)
    for path in output or []:
        _write(path, opened, found)
    judged = opened.judge(k, method=method.value, space=within, stability=stability, nulls=nulls)
    rows = _rows(opened, found, judged)
    if as_json:
        agreed = judged.agreement if nulls else {}
        print_json(
            {
                "method": method.value,
                "space": within,
                "silhouette": found.silhouette,
                "curve": found.curve,
                "no_cluster": int((found.labels < 0).sum()),
                **agreed,
                "clusters": rows,
                "nulls": [
                    {
                        "name": null.name,
                        "clusters": len(null.quality.sizes),
                        "silhouette": null.quality.silhouette,
                        "stability": _mean(null.quality.stability),
                        **null.agreement,
                    }
                    for null in judged.nulls
                ],
            }
        )
        return
    _print(opened, found, rows, within)
    if judged.nulls:
        _print_nulls(judged)
    suggest("explore", collection, *chosen_options(model, labels_from))


def _rows(opened: Collection, found: Clustering, judged: ClusterJudgement) -> list[dict[str, Any]]:
    """Return what is known about each cluster. What was not requested is left out."""
    import numpy as np

    quality = judged.quality
    rows = []
    for number, medoid in enumerate(found.medoids.tolist()):
        members = found.labels == number
        counts = Counter(label for label in opened.labels[members] if label is not None).most_common(3)
        row: dict[str, Any] = {
            "cluster": number,
            "size": int(members.sum()),
            "medoid": int(opened.rows[medoid]),
            "medoid_id": opened.ids[medoid],
            "labels": [[str(label), count] for label, count in counts],
            "cohesion": float(quality.cohesion[number]),
        }
        if np.isfinite(quality.stability).any():
            row["stability"] = float(quality.stability[number])
        if counts:
            row["purity"] = float(quality.purity[number])
        if judged.weak is not None:
            row["weak"] = bool(judged.weak[number])
            row["also_in"] = list(judged.also_in[number])
        rows.append(row)
    return rows


def _print(opened: Collection, found: Clustering, rows: list[dict[str, Any]], space: str) -> None:
    from dinoscope.analysis.clusters.clustering import PLATEAU
    from dinoscope.cli.terminal import print_table, tell

    optional = [name for name in ("stability", "purity") if any(name in row for row in rows)]
    tested = any("weak" in row for row in rows)
    labelled = any(row["labels"] for row in rows)
    names = ["cluster", "images", "cohesion", *optional, *(["weak?", "also in"] if tested else []), "medoid"]
    lines = []
    for row in rows:
        cells = [str(row["cluster"]), f"{row['size']:,}"]
        cells += [_number(row.get(name)) for name in ("cohesion", *optional)]
        if tested:
            cells += ["weak" if row["weak"] else "", ", ".join(row["also_in"])]
        cells.append(f"{row['medoid_id']} (row {row['medoid']})")
        if labelled:
            cells.append(", ".join(f"{label} {count / row['size']:.0%}" for label, count in row["labels"]))
        lines.append(cells)
    names += ["most common labels"] if labelled else []
    right = tuple(range(3 + len(optional)))
    if tested and sys.stdout.isatty() and get_terminal_size().columns < _WIDE:
        split = names.index("medoid")
        print_table(names[:split], [cells[:split] for cells in lines], right=right)
        print_table(["cluster", *names[split:]], [[cells[0], *cells[split:]] for cells in lines], right=(0,))
    else:
        print_table(names, lines, right=right)
    if "purity" in optional and any(label is None for label in opened.labels[found.labels >= 0]):
        tell("purity is of the images with a label; the shares of the labels are of all images of a cluster")
    left_out = int((found.labels < 0).sum())
    if left_out:
        tell(f"{left_out:,} of {len(opened):,} images are in no cluster")
    if len(rows) > 1:
        where = "embedding" if space == "embedding" else "embedding; found in its UMAP"
        tell(f"{len(rows)} clusters, silhouette {found.silhouette:.3f} (cosine, in the {where})")
    if found.curve:
        tell(f"chosen by the silhouette: the most clusters at a peak within {PLATEAU:g} of the best; -k takes another")


def _print_nulls(judged: ClusterJudgement) -> None:
    """Print the scores of the whole, and below them those of each null."""
    from dinoscope.cli.terminal import print_table, tell

    found = [("these clusters", judged.quality, judged.agreement)]
    found += [(null.name, null.quality, null.agreement) for null in judged.nulls]
    steady = any(_mean(quality.stability) is not None for _, quality, _ in found)
    names = ["", "k", "silhouette", *(["stability"] if steady else [])]
    names += [name if name == "accuracy" else name.upper() for name in judged.agreement]
    lines = []
    for name, quality, agreement in found:
        cells = [name, str(len(quality.sizes)), _number(quality.silhouette)]
        cells += [_number(_mean(quality.stability))] if steady else []
        lines.append([*cells, *(_number(agreement.get(score)) for score in judged.agreement)])
    print_table(names, lines, right=tuple(range(1, len(names))))
    tell(
        "weak: no more cohesive than clusters of shuffled features, or not stable.\n"
        "also in: the same cluster is found without the model.\n"
        "Do not compare the silhouettes: each is measured in vectors of its own. Compare stability and the agreement "
        "with the labels (accuracy, NMI, AMI, ARI)."
    )


def _number(value: float | None) -> str:
    return "" if value is None or value != value else f"{value:.2f}"


def _mean(values: NDArray[np.float64]) -> float | None:
    finite = values[values == values]
    return float(finite.mean()) if len(finite) else None


def _write(path: Path, opened: Collection, found: Clustering) -> None:
    """Write the cluster of each image as CSV, or the picture."""
    from dinoscope.plots.clusters import cluster_picture
    from dinoscope.storage.files import write_bytes, write_csv

    if path.suffix == ".png":
        title = f"{len(found.medoids)} clusters of {opened.name} by label"
        write_bytes(path, cluster_picture(found, opened.labels, title))
        return
    rows = zip(opened.rows.tolist(), opened.ids, opened.labels, found.labels.tolist(), strict=True)
    write_csv(path, ("row", "id", "label", "cluster"), rows)
