"""The command line's `cluster`: groups found without labels, and how far to trust each."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dinoscope.cli_options import CollectionPath, JsonOption, ModelOption

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dinoscope.cluster_quality import ClusterQuality, Finder, Null
    from dinoscope.clusters import Clustering
    from dinoscope.collection import Collection

__all__ = ["cluster"]

_NULL_IMAGES = 3_000  # that the nulls are made of, drawn at random where there are more
_RESAMPLES = 10
_ALSO = 0.5  # Jaccard similarity from which a null has found the same cluster


class MethodName(StrEnum):
    """What ``--method`` takes."""

    kmeans = "kmeans"
    hdbscan = "hdbscan"
    ward = "ward"


class SpaceName(StrEnum):
    """What ``--space`` takes."""

    embedding = "embedding"
    umap = "umap"


def cluster(
    collection: CollectionPath,
    k: Annotated[
        int | None, typer.Option("-k", "--clusters", min=1, help="Number of clusters; else the best silhouette.")
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
        bool, typer.Option("--stability", help="Tell how surely each is found again in resamples; slow with umap.")
    ] = False,
    nulls: Annotated[
        bool,
        typer.Option("--nulls", help="Tell which are no better than in shuffled features, and which pixels show too."),
    ] = False,
    output: Annotated[
        list[Path] | None,
        typer.Option("-o", "--output", help="A .csv table of the images, or a .png: curve of k, clusters by labels."),
    ] = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find clusters, by default with k-means, without -k as many as give the best silhouette; say how good each is."""
    from dinoscope import cluster_quality as quality
    from dinoscope.clusters import resolve_space
    from dinoscope.collection import Collection
    from dinoscope.errors import InputError
    from dinoscope.terminal import print_json

    for path in output or []:
        if path.suffix not in (".csv", ".png"):
            raise InputError(f"cannot write {path.name!r}: expected a name that ends with .csv or .png")
    opened = Collection(collection, model)
    where = resolve_space(method.value, space.value if space else None, k)
    found = opened.clusters(k, method=method.value, space=where)
    for path in output or []:
        _write(path, opened, found)
    find = _finder(found, method.value, where)
    judged = quality.judge(
        opened.vectors, found.labels, opened.labels, find=find if stability else None, resamples=_RESAMPLES
    )
    known = _find_in_nulls(opened, found, find, stability) if nulls else []
    rows = _rows(opened, found, judged, known)
    if as_json:
        agreed = quality.agreement(found.labels, opened.labels) if nulls else {}
        print_json({
            "method": method.value, "space": where, "silhouette": found.silhouette, "curve": found.curve,
            "no_cluster": int((found.labels < 0).sum()), **agreed, "clusters": rows,
            "nulls": [
                {"name": null.name, "clusters": len(null.quality.sizes), "silhouette": null.quality.silhouette,
                 "stability": _mean(null.quality.stability), **null.agreement}
                for null in known
            ],
        })  # fmt: skip
        return
    _print(opened, found, rows, where)
    if known:
        _print_nulls(judged, quality.agreement(found.labels, opened.labels), known)


def _finder(found: Clustering, method: Any, space: Any) -> Finder:
    """Return the recipe that found the clusters, with the number that it found."""
    from dinoscope.clusters import cluster as find_clusters

    k = None if method == "hdbscan" else len(found.medoids)

    def find(vectors: NDArray[np.float32]) -> NDArray[np.int32]:
        return find_clusters(vectors, k, method=method, space=space).labels

    return find


def _find_in_nulls(opened: Collection, found: Clustering, find: Finder, stability: bool) -> list[Null]:
    """Run the recipe on a sample's shuffled features, pixels, and vectors of an untrained network."""
    import numpy as np

    from dinoscope.cluster_quality import find_in_nulls
    from dinoscope.decode import read_image
    from dinoscope.untrained import pixel_vectors, untrained_vectors

    positions = np.arange(len(opened))
    if len(positions) > _NULL_IMAGES:
        positions = np.sort(np.random.default_rng(0).choice(positions, _NULL_IMAGES, replace=False))
    images = [read_image(picture) for picture in opened.thumbnails(positions)]
    others = {"pixels": pixel_vectors(images), "untrained network": untrained_vectors(images)}
    return find_in_nulls(
        opened.vectors[positions], found.labels[positions], find, opened.labels[positions], others=others,
        resamples=_RESAMPLES if stability else None,
    )  # fmt: skip


def _rows(opened: Collection, found: Clustering, judged: ClusterQuality, known: list[Null]) -> list[dict[str, Any]]:
    """Return what is known of each cluster; what was not asked for is left out."""
    import numpy as np

    from dinoscope.cluster_quality import weak_clusters

    shuffled = [null.quality for null in known if null.name == "shuffled features"]
    weak = weak_clusters(judged, shuffled) if shuffled else None
    rows = []
    for number, medoid in enumerate(found.medoids.tolist()):
        members = found.labels == number
        counts = Counter(label for label in opened.labels[members] if label is not None).most_common(3)
        row: dict[str, Any] = {
            "cluster": number, "size": int(members.sum()), "medoid": int(opened.rows[medoid]),
            "medoid_id": opened.ids[medoid], "labels": [[str(label), count] for label, count in counts],
            "cohesion": float(judged.cohesion[number]),
        }  # fmt: skip
        if np.isfinite(judged.stability).any():
            row["stability"] = float(judged.stability[number])
        if counts:
            row["purity"] = float(judged.purity[number])
        if weak is not None:
            row["weak"] = bool(weak[number])
            also = {null.name for null in known if null.quality not in shuffled and null.match[number] > _ALSO}
            row["also_in"] = sorted(also)
        rows.append(row)
    return rows


def _print(opened: Collection, found: Clustering, rows: list[dict[str, Any]], space: str) -> None:
    from dinoscope.terminal import print_table

    optional = [name for name in ("stability", "purity") if any(name in row for row in rows)]
    tested = any("weak" in row for row in rows)
    labelled = any(row["labels"] for row in rows)
    names = ["cluster", "images", "cohesion", *optional, *(["weak?", "also in"] if tested else []), "medoid"]
    lines = []
    for row in rows:
        cells = [str(row["cluster"]), f"{row['size']:,}", f"{row['cohesion']:.2f}"]
        cells += [_number(row.get(name)) for name in optional]
        if tested:
            cells += ["weak" if row["weak"] else "", ", ".join(row["also_in"])]
        cells.append(f"{row['medoid_id']} (row {row['medoid']})")
        if labelled:
            cells.append(", ".join(f"{label} {count / row['size']:.0%}" for label, count in row["labels"]))
        lines.append(cells)
    print_table([*names, *(["most common labels"] if labelled else [])], lines, right=tuple(range(3 + len(optional))))
    left_out = int((found.labels < 0).sum())
    if left_out:
        typer.echo(f"{left_out:,} of {len(opened):,} images are in no cluster")
    if len(rows) > 1:
        where = "embedding" if space == "embedding" else "embedding; found in its UMAP"
        typer.echo(f"{len(rows)} clusters, silhouette {found.silhouette:.3f} (cosine, in the {where})")


def _print_nulls(judged: ClusterQuality, agreed: dict[str, float], known: list[Null]) -> None:
    """Print every score of the whole beside those of the nulls."""
    from dinoscope.terminal import print_table

    columns = [("these clusters", judged, agreed), *((null.name, null.quality, null.agreement) for null in known)]
    lines = [["clusters", *(str(len(quality.sizes)) for _, quality, _ in columns)]]
    lines.append(["silhouette, in its own vectors", *(_number(quality.silhouette) for _, quality, _ in columns)])
    if any(_mean(quality.stability) is not None for _, quality, _ in columns):
        lines.append(["mean stability", *(_number(_mean(quality.stability)) for _, quality, _ in columns)])
    for name in agreed:
        title = name if name == "accuracy" else name.upper()
        lines.append([f"{title}, with the labels", *(_number(scores.get(name)) for _, _, scores in columns)])
    print_table(["", *(name for name, _, _ in columns)], lines, right=tuple(range(1, len(columns) + 1)))
    typer.echo(
        "weak: no more cohesive than clusters of shuffled features, or not stable. also in: the same cluster is found "
        "without the model.\nSilhouettes of different vectors cannot be compared; stability and agreement can."
    )


def _number(value: float | None) -> str:
    return "" if value is None or value != value else f"{value:.2f}"


def _mean(values: NDArray[np.float64]) -> float | None:
    finite = values[values == values]
    return float(finite.mean()) if len(finite) else None


def _write(path: Path, opened: Collection, found: Clustering) -> None:
    """Write the cluster of each image as CSV, or the picture."""
    from dinoscope.cluster_plots import cluster_picture
    from dinoscope.store import write_bytes, write_csv

    if path.suffix == ".png":
        title = f"{len(found.medoids)} clusters of {opened.name} by label"
        write_bytes(path, cluster_picture(found, opened.labels, title))
        return
    rows = zip(opened.rows.tolist(), opened.ids, opened.labels, found.labels.tolist(), strict=True)
    write_csv(path, ("row", "id", "label", "cluster"), rows)
