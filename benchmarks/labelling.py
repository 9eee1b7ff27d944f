"""Labels by questions and answers: ``python -m benchmarks.labelling``.

A simulated person names Fashion-MNIST's 10,000 test images, of which `mini-fashion` made vectors, as `dinoscope label`
asks. Every key counts as an answer: one image named, a batch accepted whole, or a batch that holds an image of another
label sent back. One of ten answers, from the 50th on, is on a random part; what the person says there is hidden from
what proposes labels, and makes the interval for the rest. Beside it: images chosen at random, and medoids of as many
clusters, both with k-NN (k 5).

``--runs N`` plays N short runs on 800 of the images, which are to be called tops, dresses, trousers, shoes or bags,
with every third answer on the random part. It counts how often the interval held the truth, and how often at least 95%
of the rest were right when the rule said to stop.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.labels.active import Proposer, first_images
from dinoscope.analysis.labels.simulation import Curve, simulate
from dinoscope.analysis.labels.voting import knn_predict
from dinoscope.analysis.neighbors import neighbors, query_neighbors
from dinoscope.models.encoder import Encoder
from dinoscope.sources.datasets.named import load_dataset

_POINTS = [50, 100, 200, 500, 1000]
_MUST = ["0.80", "0.84", "0.87", "0.90", "0.92"]
_LONG = 2000  # answers within which 0.95 is looked for
_SAMPLE, _EVERY, _TARGET = 800, 3, 0.95
_SHORT = [100, 200, 300, 400]
_KINDS = {"T-shirt/top": "top", "Pullover": "top", "Coat": "top", "Shirt": "top"}
_KINDS |= dict.fromkeys(("Sandal", "Sneaker", "Ankle boot"), "shoe")


def main() -> None:
    """Measure and print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=0, help="short runs of interval and rule, such as 200")
    arguments = parser.parse_args()
    dataset = load_dataset("fashion-mnist-test")
    vectors = Encoder("mini-fashion").encode(list(dataset.pixels))
    labels = [item.label or "" for item in dataset.items]
    if arguments.runs:
        short_runs(
            vectors, np.unique([_KINDS.get(label, label) for label in labels], return_inverse=True)[1], arguments.runs
        )
    else:
        curves(vectors, np.unique(labels, return_inverse=True)[1], arguments.seeds)


def curves(vectors: NDArray[np.float32], truth: NDArray[np.intp], seeds: int) -> None:
    """Print the share of all images that are right after so many answers."""
    graph = neighbors(vectors)
    print(f"| share of all images right after | {' | '.join(f'{each:,}' for each in _POINTS)} | answers to 0.95 |")
    print(f"| --- |{' --- |' * (len(_POINTS) + 1)}")
    print(f"| must | {' | '.join(_MUST)} | |")
    rules = {"random, k-NN": at_random, "medoids, k-NN": medoids}
    for title, choose in rules.items():
        draws = [[named(vectors, truth, choose(vectors, n, seed)) for n in _POINTS] for seed in range(seeds)]
        found = np.mean(draws, axis=0)
        print(f"| {title} | {' | '.join(f'{each:.3f}' for each in found)} | |", flush=True)
    steps = [*_POINTS, *range(1100, _LONG + 1, 100)]
    for title, batches in (("asked singly", False), ("singly and in batches", True)):
        runs = [simulate(Proposer(vectors, graph), truth, steps, seed=seed, batches=batches) for seed in range(seeds)]
        right = np.asarray([run.right[: len(_POINTS)] for run in runs])
        means, spreads = right.mean(axis=0), right.std(axis=0)
        cells = [f"{mean:.3f} ± {spread:.3f}" for mean, spread in zip(means, spreads, strict=True)]
        print(f"| {title} | {' | '.join(cells)} | {np.mean([reached(run) for run in runs]):,.0f} |", flush=True)
        by_hand = np.mean([run.named[: len(_POINTS)] for run in runs], axis=0)
        print(f"| images named by hand | {' | '.join(f'{each:,.0f}' for each in by_hand)} | |", flush=True)


def reached(run: Curve) -> float:
    """Return the answers after which 0.95 of all images were right; infinity if there were too few."""
    return next((float(n) for n, share in zip(run.answers, run.right, strict=True) if share >= 0.95), np.inf)


def at_random(vectors: NDArray[np.float32], count: int, seed: int) -> NDArray[np.intp]:
    """Return images chosen at random."""
    return np.random.default_rng(seed).permutation(len(vectors))[:count]


def medoids(vectors: NDArray[np.float32], count: int, seed: int) -> NDArray[np.intp]:
    """Return the medoids of as many clusters."""
    return first_images(vectors, count, seed)


def named(vectors: NDArray[np.float32], truth: NDArray[np.intp], known: NDArray[np.intp]) -> float:
    """Return the share of all images right, where these are known and k-NN names the others."""
    graph = query_neighbors(vectors[known], vectors, 5)
    right = knn_predict(graph, truth[known], k=5).labels == truth
    right[known] = True
    return float(right.mean())


def short_runs(vectors: NDArray[np.float32], truth: NDArray[np.intp], runs: int) -> None:
    """Print how often intervals and the rule for stopping were right."""
    play = partial(one_run, vectors, truth)
    inside: list[list[bool]] = []
    widths, stops = [], []
    for seed in range(runs):
        curve = play(seed)
        pairs = list(zip(curve.rest, curve.truth, strict=True))
        inside.append([rest.low <= share <= rest.high for rest, share in pairs])
        widths.append([rest.high - rest.low for rest, _ in pairs])
        stops += [curve.stop] if curve.stop is not None else []
    for at, answers in enumerate(_SHORT):
        held, width = [[row[at] for row in each if len(row) > at] for each in (inside, widths)]
        told = f"held the truth in {np.mean(held):.3f} of {len(held)} runs, mean width {np.mean(width):.2f}"
        print(f"after {answers:,} answers the interval {told}", flush=True)
    kept = [share >= _TARGET for _, share in stops]
    mean = np.mean([each for each, _ in stops]) if stops else 0
    print(f"the rule said to stop in {len(stops)} of {runs} runs, after {mean:,.0f} answers in the mean")
    print(f"{np.mean(kept) if kept else 1:.3f} of these kept their promise")


def one_run(vectors: NDArray[np.float32], truth: NDArray[np.intp], seed: int) -> Curve:
    """Play one run on some of the images, until the rule says to stop."""
    some = np.random.default_rng(seed).choice(len(vectors), _SAMPLE, replace=False)
    proposer = Proposer(vectors[some], neighbors(vectors[some]))
    return simulate(proposer, truth[some], [*_SHORT, _SAMPLE], seed=seed, target=_TARGET, every=_EVERY)


if __name__ == "__main__":
    main()
