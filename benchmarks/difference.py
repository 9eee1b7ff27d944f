"""How well planted differences between two collections are found: ``python -m benchmarks.difference [--data DIR]``.

Of Fashion-MNIST's 10,000 test images BEFORE and AFTER are drawn without an image in common; what differs is planted.

Nothing planted: 20 draws of 4,000 and 4,000. A new kind: BEFORE lacks one label, AFTER holds 50 images of it among
1,000; each label in turn. The same with foreign images, of CIFAR-10, where ``--data`` has them. More of a kind: one
label comes twice as often in AFTER. The list of new images is compared with what is at hand elsewhere, at the same
length: the distance to the nearest image of BEFORE, and scikit-learn's LocalOutlierFactor for novelties.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor

from dinoscope.analysis.difference import Difference, find_difference
from dinoscope.analysis.neighbors import query_neighbors
from dinoscope.models.encoder import Encoder
from dinoscope.sources.datasets.named import load_dataset

Vectors = NDArray[np.float32]

_NEW, _AFTER = 50, 1_000


def main() -> None:
    """Measure and print three Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["mini-fashion", "mini"])
    parser.add_argument("--data", type=Path, help="folder with CIFAR-10's Parquet file, for foreign images")
    parser.add_argument("--draws", type=int, default=20, help="draws without a difference")
    arguments = parser.parse_args()
    dataset = load_dataset("fashion-mnist-test")
    labels = np.asarray([str(item.label) for item in dataset.items])
    images = [np.repeat(image[:, :, None], 3, axis=2) for image in dataset.pixels]
    foreign = _foreign(arguments.data) if arguments.data else []
    vectors = {name: Encoder(name).encode(images + foreign) for name in arguments.models}
    began = time.perf_counter()
    for title, table in (("nothing planted", nothing), ("a new kind", new_kinds), ("more of a kind", more)):
        for number, (name, rows) in enumerate(vectors.items()):
            for line in table(name, rows, labels, arguments.draws):
                if number == 0 or not line.startswith(("| what", "| ---")):
                    print(line.replace("| what", f"| {title}"), flush=True)
        print()
    print(f"{time.perf_counter() - began:.0f} s after embedding")


def nothing(model: str, vectors: Vectors, labels: NDArray[np.str_], draws: int) -> list[str]:
    """Draw two collections of one kind, and count what is claimed all the same."""
    found = []
    for seed in range(draws):
        order = np.random.default_rng(seed).permutation(len(labels))
        found.append(find_difference(vectors[order[:4_000]], vectors[order[4_000:8_000]], seed=seed))
    apart = sum(each.p_value <= 0.05 for each in found)
    clusters = sum(change.changed for each in found for change in each.changes)
    listed = [len(each.new) + len(each.gone) for each in found]
    shares = [share for each in found for share in (each.new_share, each.gone_share)]
    return [
        "| what | called separate | clusters called changed | images listed, mean and most | new share, mean |",
        "| --- | --- | --- | --- | --- |",
        f"| `{model}`, {draws} draws | {apart} | {clusters} of {sum(len(each.changes) for each in found)} | "
        f"{np.mean(listed):.1f}, {max(listed)} | {np.mean(shares):.4f} |",
    ]


def new_kinds(model: str, vectors: Vectors, labels: NDArray[np.str_], draws: int) -> list[str]:
    """Plant each label, and foreign images, in AFTER alone."""
    lines = [
        "| what | listed | right among them | found of the planted | as many by distance; LOF | AUC; distance; LOF | "
        "new share, 0.05 planted |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    kinds = [str(name) for name in np.unique(labels)] + (["foreign (CIFAR-10)"] if len(vectors) > len(labels) else [])
    for number, kind in enumerate(kinds):
        draw = np.random.default_rng(number)
        usual = draw.permutation(np.flatnonzero(labels != kind))
        own = np.flatnonzero(labels == kind) if kind in labels else np.arange(len(labels), len(vectors))
        after = np.concatenate([usual[: _AFTER - _NEW], draw.permutation(own)[:_NEW]])
        before = usual[_AFTER - _NEW : _AFTER - _NEW + 4_000]
        lines.append(f"| `{model}`, {kind} | {_row(vectors[before], vectors[after])} |")
    return lines


def _row(before: Vectors, after: Vectors) -> str:
    found = find_difference(before, after)
    truth = np.arange(_AFTER) >= _AFTER - _NEW
    others = {
        "distance": -query_neighbors(before, after, 1).similarities[:, 0],
        "LOF": -LocalOutlierFactor(n_neighbors=20, metric="cosine", novelty=True).fit(before).score_samples(after),
    }
    listed = found.new - len(before)
    right = int(truth[listed].sum())
    same_length = [int(truth[np.argsort(-scores)[: len(listed)]].sum()) for scores in others.values()]
    ours = -found.familiarity[len(before) :]
    areas = "; ".join(f"{roc_auc_score(truth, scores):.3f}" for scores in (ours, *others.values()))
    return (
        f"{len(listed)} | {right} | {right / _NEW:.2f} | {'; '.join(map(str, same_length))} | {areas} | "
        f"{found.new_share:.3f}"
    )


def more(model: str, vectors: Vectors, labels: NDArray[np.str_], draws: int) -> list[str]:
    """Double the share of each label in turn, and see which clusters are called changed."""
    hit, clusters, right = 0, 0, 0
    kinds = np.unique(labels)
    for number, kind in enumerate(kinds):
        order = np.random.default_rng(number).permutation(len(labels))
        before, rest = order[:4_000], order[4_000:]
        own, others = rest[labels[rest] == kind], rest[labels[rest] != kind]
        after = np.concatenate([own[:400], others[:1_600]])
        found = find_difference(vectors[before], vectors[after])
        grown = _grown(found)
        named = [_commonest(labels[np.concatenate([before, after])[found.clusters == at]]) for at in grown]
        clusters, right, hit = clusters + len(grown), right + named.count(kind), hit + (kind in named)
    return [
        "| what | labels found of those doubled | clusters called grown | of that label |",
        "| --- | --- | --- | --- |",
        f"| `{model}` | {hit} of {len(kinds)} | {clusters} | {right} |",
    ]


def _grown(found: Difference) -> list[int]:
    changes = enumerate(found.changes)
    return [at for at, each in changes if each.changed and each.share_after > each.share_before]


def _commonest(labels: NDArray[np.str_]) -> str:
    names, counts = np.unique(labels, return_counts=True)
    return str(names[counts.argmax()])


def _foreign(folder: Path) -> list[Any]:
    from benchmarks.weights import parquet

    read: Callable[..., Any] = parquet
    return list(read("cifar10", folder)[0][:_NEW])


if __name__ == "__main__":
    main()
