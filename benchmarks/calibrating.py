"""What twenty answers make of the threshold of duplicates: ``python -m benchmarks.calibrating --data DIR``.

To 10,000 images 200 copies are added (saved as JPEG, enlarged, shifted, brightened) and 200 further shots of others:
turned by up to six degrees, cropped by up to 15%, in other light, with noise. Two people are asked about twenty pairs
on a sheet, as by ``dinoscope calibrate``: one takes the copies for the same picture, the other the shots too. Pairs of
two originals count as different, though CIFAR-10 and Fashion-MNIST hold copies of their own. "One by one": each pair is
chosen by the answers before, as in the explorer.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.cleaning import brightened, enlarged, saved, shifted
from dinoscope.analysis.cleaning.candidates import score_pairs
from dinoscope.analysis.cleaning.fingerprints import fingerprints
from dinoscope.analysis.cleaning.threshold import ThresholdFit, choose_questions, fit_threshold
from dinoscope.models.encoder import Encoder
from dinoscope.sources.datasets.named import load_dataset

Images = list[NDArray[np.uint8]]
Scored = tuple[NDArray[np.float64], NDArray[np.int64], float]

_COUNT, _EACH, _ANSWERS = 10_000, 50, 20
_SEED = 100  # of the first draw: with those from 0 on the spread of the prior was chosen
_TASTES = {"copies": 1, "copies and shots": 2}  # the last kind that is the same picture


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the Parquet files of the other two sets")
    parser.add_argument("--draws", type=int, default=5)
    arguments = parser.parse_args()
    from benchmarks.weights import parquet

    sets = {"Fashion-MNIST, `mini-fashion`": ("mini-fashion", list(load_dataset("fashion-mnist-test").pixels))}
    others = {} if arguments.data is None else {"CIFAR-10, `mini`": "cifar10", "Tiny-ImageNet, `mini`": "tiny-imagenet"}
    for title, name in others.items():
        pixels, _, held_out = parquet(name, arguments.data)
        sets[title] = ("mini", list(pixels[-held_out:][:_COUNT]))
    print("| images, the same picture is | suggested | a sheet of 20 | with one wrong answer | one by one | best |")
    print("| --- | --- | --- | --- | --- | --- |")
    inside: list[bool] = []
    for title, (model, images) in sets.items():
        encoder = Encoder(model)
        known, prints = encode(encoder, images), fingerprints(images)
        draws = [score(encoder, images, known, prints, seed) for seed in range(_SEED, _SEED + arguments.draws)]
        for taste, last in _TASTES.items():
            cells = []
            for way in ("suggested", "sheet", "slipped", "singly", "best"):
                told = [figures(draw, last, way, seed, inside) for seed, draw in enumerate(draws)]
                threshold, precision, recall = np.mean(told, axis=0)
                cells.append(f"{threshold:.2f}: {precision:.2f}, {recall:.2f}")
            print(f"| {title}: {taste} | {' | '.join(cells)} |", flush=True)
    print(f"\nof {len(inside)} intervals of 90% for precision and recall {np.mean(inside):.0%} hold the truth")


def score(encoder: Encoder, images: Images, known: NDArray[np.float32], prints: NDArray[np.uint8], seed: int) -> Scored:
    """Return the scores of the pairs, their kind (0: nothing planted, 1: a copy, 2: a shot), and the suggestion."""
    random = np.random.default_rng(seed)
    chosen = random.choice(len(images), 8 * _EACH, replace=False).tolist()
    ways = (saved, enlarged, shifted, brightened)
    added = [ways[number // _EACH](images[at]) for number, at in enumerate(chosen[: 4 * _EACH])]
    added += [shot(images[at], random) for at in chosen[4 * _EACH :]]
    more = fingerprints(added)
    if more.shape[3] < prints.shape[3]:
        more = np.repeat(more, 3, axis=3)
    found = score_pairs(np.concatenate([known, encode(encoder, added)]), prints=np.concatenate([prints, more]))
    kinds = {(at, len(images) + number): 1 + number // (4 * _EACH) for number, at in enumerate(chosen)}
    pairs = zip(found.pairs.first.tolist(), found.pairs.second.tolist(), strict=True)
    return found.pairs.scores, np.asarray([kinds.get(pair, 0) for pair in pairs]), found.suggested


def figures(draw: Scored, last: int, way: str, seed: int, inside: list[bool]) -> tuple[float, float, float]:
    """Return a threshold with its precision and recall; note whether the intervals of a fit hold them."""
    scores, kinds, suggested = draw
    same = (kinds > 0) & (kinds <= last)
    planted = 4 * _EACH * last

    def truth(threshold: float) -> tuple[float, float, float]:
        over = scores >= threshold
        return threshold, float(same[over].mean()) if over.any() else 1.0, float(same[over].sum()) / planted

    if way == "suggested":
        return truth(suggested)
    if way == "best":
        every = [truth(each) for each in np.arange(0.3, 1, 0.01)]
        return max(every, key=lambda each: 2 * each[1] * each[2] / max(each[1] + each[2], 1e-9))
    rounds = _ANSWERS if way == "singly" else 1
    fit = ask(scores, same, suggested, rounds, slips=int(way == "slipped"), seed=seed)
    threshold, precision, recall = truth(fit.threshold)
    at = fit.at(fit.threshold)
    if way in ("sheet", "singly"):
        found = recall * planted / max(same.sum(), 1)  # of the pairs that are looked at, as the interval says
        for value, (low, _, high) in ((precision, fit.precision[at]), (found, fit.recall[at])):
            inside.append(bool(low - 0.005 <= value <= high + 0.005))
    return threshold, precision, recall


def ask(
    scores: NDArray[np.float64], same: NDArray[np.bool_], suggested: float, rounds: int, *, slips: int, seed: int
) -> ThresholdFit:
    """Let a person answer twenty pairs in so many rounds, perhaps some of them wrong."""
    answers = np.full(len(scores), np.nan)
    for _ in range(rounds):
        chosen = choose_questions(scores, answers, suggested, _ANSWERS // rounds)
        answers[chosen] = same[chosen]
    wrong = np.random.default_rng(seed).choice(np.flatnonzero(~np.isnan(answers)), slips, replace=False)
    answers[wrong] = 1 - answers[wrong]
    return fit_threshold(scores, answers, suggested)


def shot(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Take the same picture again: turned, from nearer, in other light, with noise."""
    height, width = image.shape[:2]
    turned = Image.fromarray(image).rotate(random.uniform(-6, 6), Image.Resampling.BICUBIC)
    share = random.uniform(0.85, 0.97)
    left, top = (random.uniform(0, (1 - share) * side) for side in (width, height))
    box = (left, top, left + share * width, top + share * height)
    near = np.asarray(turned.resize((width, height), Image.Resampling.BICUBIC, box=box), np.float64)
    lit = near * random.uniform(0.85, 1.15) + random.normal(0, 3, near.shape)
    taken: NDArray[np.uint8] = np.clip(lit, 0, 255).round().astype(np.uint8)
    return taken


def encode(encoder: Encoder, images: Images) -> NDArray[np.float32]:
    """Embed grey or colour images."""
    return encoder.encode([image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2) for image in images])


if __name__ == "__main__":
    main()
