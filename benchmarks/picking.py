"""How good picked images are beside random ones, and how long picking takes: ``python -m benchmarks.picking``.

Of the 10,000 Fashion-MNIST test images with the vectors of mini-fashion, 1,000 are picked by each rule. Radius: the
cosine distance of the image that is farthest from all picked ones. Distance: the mean distance to the nearest picked
one. Accuracy: how many of the other images their five nearest picked ones name right. Random: smallest and largest of
20 choices. "uncertain" picks beside the 100 most typical images, whose labels vote; what it is compared with has them
too.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.labels.voting import label_votes
from dinoscope.analysis.neighbors import neighbors, query_neighbors
from dinoscope.analysis.picking import (
    PickingCurve,
    pick_balanced,
    pick_farthest,
    pick_typical,
    pick_uncertain,
    picking_curve,
)
from dinoscope.models.encoder import Encoder
from dinoscope.sources.datasets.named import load_dataset

_SIZES = (100, 1_000)
_FIRST = 100


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1,500 images: a smoke test, not a measurement")
    count = 1_500 if parser.parse_args().quick else 10_000
    dataset = load_dataset("fashion-mnist-test")
    labels = [str(item.label) for item in dataset.items[:count]]
    vectors = Encoder("mini-fashion").encode(list(dataset.pixels[:count]))
    graph = neighbors(vectors)
    first = pick_typical(graph, _FIRST)
    print("| rule | picked | radius | random | distance | random | accuracy | random | s |\n" + "| --- " * 9 + "|")
    for rule in ("coverage", "typical", "balanced", "uncertain"):
        began = time.perf_counter()
        beside = first if rule == "uncertain" else np.empty(0, np.int64)
        if rule == "coverage":
            picked = pick_farthest(vectors, _SIZES[-1])
        elif rule == "typical":
            picked = pick_typical(graph, _SIZES[-1])
        elif rule == "balanced":
            picked = pick_balanced(graph, labels, _SIZES[-1])
        else:
            picked = pick_uncertain(graph, margins(vectors, labels, first), _SIZES[-1], beside=first)
        seconds = time.perf_counter() - began
        curve = picking_curve(vectors, picked, labels, beside=beside)
        for size in _SIZES:
            print(line(rule, curve, curve.sizes.tolist().index(size), seconds))


def margins(vectors: NDArray[np.float32], labels: list[str], voters: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how far the votes for the likeliest label are ahead of those for the next (N,)."""
    graph = query_neighbors(vectors[voters], vectors, 20)
    shares = np.sort(label_votes(graph, [labels[at] for at in voters]).shares, axis=1)
    found: NDArray[np.float64] = shares[:, -1] - shares[:, -2]
    return found


def line(rule: str, curve: PickingCurve, at: int, seconds: float) -> str:
    """Return a line of the table."""
    cells = [rule, f"{curve.sizes[at]:,}"]
    for name in ("radius", "distance", "accuracy"):
        random = getattr(curve, f"random_{name}")[:, at]
        cells += [f"{getattr(curve, name)[at]:.3f}", f"{random.min():.3f} to {random.max():.3f}"]
    return f"| {' | '.join([*cells, f'{seconds:.1f}'])} |"


if __name__ == "__main__":
    main()
