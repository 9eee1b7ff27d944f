"""How far the verdicts on new images can be trusted: ``python -m benchmarks.classification [--data DIR]``.

Prints two Markdown tables. The first judges the rules as they are: Fashion-MNIST's bundled test images, one part as
references and the other as queries, and, where the whole set is on this machine, its training images asked about its
test images. With ``--data``, photographs of CIFAR-10 (DIR/cifar10-train.parquet) are asked too, as strangers that
should be refused, and as a collection of their own through the other bundled model, with clothes as strangers.
The second compares ways to tell what is unknown, also without any photograph: each label in turn is taken from the
references, and its images should be refused.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from dinoscope import Collection, DinoscopeError, Encoder, read_image
from dinoscope.analysis.labels.classifier import Classifier
from dinoscope.analysis.labels.conformal import conformal_quantile, nonconformity
from dinoscope.analysis.labels.evaluation import Reliability, evaluate
from dinoscope.analysis.neighbors import NeighborGraph, neighbors, query_neighbors
from dinoscope.sources.datasets.named import load_dataset

__all__ = ["main"]

MODEL, OTHER_MODEL = "mini-fashion", "mini"
PHOTOGRAPHS, STRANGERS = 8_000, 2_000
REFUSE = 0.05

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Way = Callable[[NeighborGraph, NeighborGraph], Floats]


def main(argv: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.classification", description=__doc__)
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder with cifar10-train.parquet")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the collections there for the next run")
    parser.add_argument("--quick", action="store_true", help="the bundled images alone")
    arguments = parser.parse_args(argv)
    photographs, names = read_photographs(arguments.data)
    strangers = Encoder(MODEL).encode(photographs[:STRANGERS]) if photographs else None
    with tempfile.TemporaryDirectory() as folder:
        keep = arguments.keep or Path(folder)
        columns = {}
        test = Collection.from_images("fashion-mnist-test", keep / "fashion-mnist-test", model=MODEL)
        order = np.random.default_rng(0).permutation(len(test))
        half = order % 2 == 0
        columns["half of the test images to the other"] = measure(test.vectors, test.labels, half, strangers)
        columns["200 test images to the others"] = measure(test.vectors, test.labels, order < 200, strangers)
        if not arguments.quick:
            try:
                whole = Collection.from_images("fashion-mnist", keep / "fashion-mnist", model=MODEL)
                train = whole.splits == "train"
                columns["training to test images"] = measure(whole.vectors, whole.labels, train, strangers)
            except DinoscopeError as error:
                print(f"without the whole of Fashion-MNIST: {error}", file=sys.stderr)
    if photographs:
        general = Encoder(OTHER_MODEL)
        vectors = general.encode(photographs)
        clothes = general.encode([read_image(each) for each in load_dataset("fashion-mnist-test").pixels[:STRANGERS]])
        even = np.arange(len(vectors)) % 2 == 0
        columns[f"half of {len(vectors):,} CIFAR-10 images to the other, {OTHER_MODEL}"] = measure(
            vectors, names, even, clothes
        )
    print_rules(columns)
    print()
    print_ways(test, half, strangers)
    return 0


def read_photographs(data: Path | None) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """Read images that have nothing to do with clothes, and their labels."""
    if data is None:
        return [], []
    table = pq.read_table(data / "cifar10-train.parquet").slice(0, PHOTOGRAPHS)
    return [read_image(each) for each in table["image"].to_pylist()], table["label"].to_pylist()


def measure(
    vectors: Vectors, labels: ArrayLike, is_reference: NDArray[np.bool_], strangers: Vectors | None
) -> dict[str, str]:
    """Evaluate one pair of references and queries: measure -> text."""
    found = evaluate(vectors, labels, is_reference, abstain=REFUSE)
    wide = evaluate(vectors, labels, is_reference, abstain=REFUSE, coverage=0.95)
    low, high = found.interval
    out = {
        "accuracy": f"{found.accuracy:.4f} ({low:.3f} to {high:.3f})",
        "calibration error of the votes": f"{found.votes.error:.4f}",
        "calibration error, calibrated": f"{found.calibrated.error:.4f}",
        "the same, were they exact": f"{noise(found.calibrated):.4f}",
        "logarithmic loss of the votes": f"{found.log_loss_votes:.4f}",
        "logarithmic loss, calibrated": f"{found.log_loss:.4f}",
        "sets at 90 %: hold the truth": f"{found.coverage:.4f}",
        "sets at 90 %: labels": f"{found.set_size:.3f}",
        "sets at 95 %: hold the truth": f"{wide.coverage:.4f}",
        "sets at 95 %: labels": f"{wide.set_size:.3f}",
        "known images refused": f"{found.refused:.4f}",
    }
    if strangers is not None:
        own = np.asarray(labels, dtype=object)[is_reference]
        verdicts = Classifier(vectors[is_reference], own, abstain=REFUSE).classify(strangers)
        out["strangers refused"] = f"{np.mean([verdict.unknown for verdict in verdicts]):.4f}"
    return out


def noise(exact: Reliability) -> float:
    """Return the calibration error that exact probabilities show on so many images, by chance alone."""
    filled = exact.images > 0
    claimed, images = exact.claimed[filled], exact.images[filled]
    draws = np.random.default_rng(0).binomial(images, claimed, (2_000, len(images)))
    return float((np.abs(draws / images - claimed) * images).sum(axis=1).mean() / images.sum())


def print_rules(columns: dict[str, dict[str, str]]) -> None:
    """Print the measures as a table."""
    targets = {
        "sets at 90 %: hold the truth": "0.88 to 0.92",
        "known images refused": "at most 0.1",
        "strangers refused": "at least 0.9",
    }
    print(f"| {' | '.join(['measure', *columns, 'target'])} |")
    print("|---|" + "---:|" * (len(columns) + 1))
    for name in next(iter(columns.values())):
        print(
            f"| {' | '.join([name, *(column.get(name, '') for column in columns.values()), targets.get(name, '')])} |"
        )


def ways() -> dict[str, Way]:
    """Name the ways to score nonconformity, from the graphs of queries and of references: the higher, the stranger."""

    def crowding(graph: NeighborGraph, k: int) -> Floats:
        return nonconformity(graph, np.zeros(int(graph.indices.max()) + 1), k)

    def ours(k: int) -> Way:
        return lambda asked, known: nonconformity(asked, crowding(known, k), k)

    def mean(k: int) -> Way:
        return lambda asked, known: 1 - asked.similarities[:, :k].mean(axis=1, dtype=np.float64)

    def kth(k: int) -> Way:
        return lambda asked, known: 1 - asked.similarities[:, k - 1].astype(np.float64)

    def ratio(k: int) -> Way:
        return lambda asked, known: crowding(asked, k) - crowding(known, k)[asked.indices[:, :k]].mean(axis=1)

    return {
        "distance to the nearest": kth(1),
        "distance to the 5th nearest": kth(5),
        "distance to the 20th nearest": kth(20),
        "mean distance to 5": mean(5),
        "mean distance to 20": mean(20),
        "local density ratio, 20": ratio(20),
        "ours, 5": ours(5),
        "ours, 20 (the default)": ours(20),
    }


def print_ways(collection: Collection, half: NDArray[np.bool_], strangers: Vectors | None) -> None:
    """Compare ways to tell what is unknown, at the same share of left-out images refused."""
    vectors, labels = collection.vectors, np.asarray(collection.labels.tolist())
    references, own = vectors[half], labels[half]
    known = neighbors(references, 20)
    sets: dict[str, list[tuple[NeighborGraph, NeighborGraph]]] = {
        "known images refused": [(known, query_neighbors(references, vectors[~half], 20))]
    }
    if strangers is not None:
        sets["CIFAR-10 images refused"] = [(known, query_neighbors(references, strangers, 20))]
    sets["images of a label left out refused"] = []
    for label in np.unique(own):
        rest = references[own != label]
        sets["images of a label left out refused"].append(
            (neighbors(rest, 20), query_neighbors(rest, references[own == label], 20))
        )
    print(f"| way, at {REFUSE:.0%} of left-out images | {' | '.join(sets)} |")
    print("|---|" + "---:|" * len(sets))
    for name, way in ways().items():
        shares = [np.mean([refused(way, *pair) for pair in pairs]) for pairs in sets.values()]
        print(f"| {name} | {' | '.join(f'{share:.3f}' for share in shares)} |")


def refused(way: Way, known: NeighborGraph, asked: NeighborGraph) -> float:
    """Return the share of images asked about that is stranger than all but 5% of the left-out known ones."""
    limit = conformal_quantile(way(known, known), 1 - REFUSE)
    return float((way(asked, known) > limit).mean())


if __name__ == "__main__":
    sys.exit(main())
