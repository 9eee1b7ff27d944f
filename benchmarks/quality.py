"""How well poor pictures are found, before and after twenty answers: ``python -m benchmarks.quality [--data DIR]``.

Among 5,000 pictures (Fashion-MNIST's test images, and with ``--data`` the first 5,000 photographs of Tiny-ImageNet) 200
of each of seven kinds are planted, from slight (0) to strong (1). Blurred: a Gaussian of 1% to 6% of the side, at least
half a pixel. Dark: 50% to 8% of the light. Blown out: 1.2 times the light and 135 to 215 more. Empty: one colour and
noise of 4 to 0 levels. Framed: 6% to 18% at each edge. Odd size: 2 to 8 times the side, or a half to an eighth. Odd
shape: 1.8 to 5 times as wide. In the first table all are planted from the middle up. In the second a looser person
calls all of them poor, a stricter one those from the middle up. Each answers twenty questions: in one go, and one
by one.

Screenshots and charts (``--shots``, see ``benchmarks.screenshots``) are planted among photographs of real size
(``--photos``). Photographs of Tiny-ImageNet fill them up to 5,000.

What is found of a kind and is not what that person calls so counts as wrong, whatever the picture really is, with two
exceptions, which count as neither: a blown-out picture that came out white is empty, and one that was made larger is
blurred.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from dinoscope.analysis.cleaning.pictures import FAINTEST, SUGGESTED, PictureScores, score_pictures
from dinoscope.analysis.cleaning.threshold import ThresholdFit, choose_questions, fit_threshold
from dinoscope.base.types import PICTURE_KINDS, PictureKind
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.sources.pixels.decode import Picture, read_reduced
from dinoscope.storage.details import LOOK

_COUNT, _EACH, _ANSWERS, _MIDDLE = 5_000, 200, 20, 0.5
_TASTES = {"looser": 0.0, "stricter": _MIDDLE}  # the degree from which on a picture is called poor
Plant = Callable[[Image.Image, float, Generator], Image.Image]


def main() -> None:
    """Measure and print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of tiny-imagenet-train-0.parquet")
    parser.add_argument("--photos", type=Path, help="folder of photographs, among which the screenshots are planted")
    parser.add_argument("--shots", type=Path, help="folder that benchmarks.screenshots made; needs --data and --photos")
    parser.add_argument("--quick", action="store_true", help="1,400 pictures, 20 of each kind: a smoke test")
    arguments = parser.parse_args()
    count, each = (1_400, 20) if arguments.quick else (_COUNT, _EACH)
    sets = {"Fashion-MNIST": garments(count)}
    if arguments.data is not None:
        sets["Tiny-ImageNet"] = photographs(arguments.data, count)
    print("| pictures | kind | precision | recall | of the pictures as they are |\n| --- | --- | --- | --- | --- |")
    for name, pictures in sets.items():
        planted_plainly(name, pictures, each)
    print("\n| pictures, person | kind | before | a sheet of 20 | one by one |\n| --- | --- | --- | --- | --- |")
    inside: list[list[bool]] = []
    for name, pictures in sets.items():
        asked(name, pictures, each, inside)
    if arguments.shots is not None:
        planted_screenshots(arguments.shots, arguments.photos, sets["Tiny-ImageNet"], inside)
    precise, recalled = np.mean(inside, axis=0)
    print(f"\nof {len(inside)} intervals of 90% for precision, {precise:.0%} hold the truth; for recall {recalled:.0%}")


def garments(count: int) -> list[Image.Image]:
    """Return Fashion-MNIST's first test images."""
    return [Image.fromarray(each).convert("RGB") for each in load_dataset("fashion-mnist-test").pixels[:count]]


def photographs(folder: Path, count: int) -> list[Image.Image]:
    """Return the first photographs of Tiny-ImageNet."""
    import pyarrow.parquet as pq

    found: list[Image.Image] = []
    for batch in pq.ParquetFile(folder / "tiny-imagenet-train-0.parquet").iter_batches(500, columns=["image"]):
        held = [each["bytes"] if isinstance(each, dict) else each for each in batch.column(0).to_pylist()]
        found += [Image.open(io.BytesIO(each)).convert("RGB") for each in held]
        if len(found) >= count:
            break
    return found[:count]


def blurred(image: Image.Image, degree: float, _: Generator) -> Image.Image:
    """Blur by a part of the side."""
    share = 0.01 * 6**degree
    return image.filter(ImageFilter.GaussianBlur(max(0.5, share * min(image.size))))


def dark(image: Image.Image, degree: float, _: Generator) -> Image.Image:
    """Take most of the light away."""
    share = 0.5 * (0.08 / 0.5) ** degree
    return image.point(lambda value: int(value * share))


def blown_out(image: Image.Image, degree: float, _: Generator) -> Image.Image:
    """Add light until most is white."""
    return image.point(lambda value: min(255, int(1.2 * value + 135 + 80 * degree)))


def empty(image: Image.Image, degree: float, generator: Generator) -> Image.Image:
    """Return one colour with a little noise."""
    noise = generator.normal(0, 4 * (1 - degree), (image.height, image.width, 3))
    return Image.fromarray(np.clip(generator.integers(0, 256, 3) + noise, 0, 255).astype(np.uint8))


def framed(image: Image.Image, degree: float, generator: Generator) -> Image.Image:
    """Put a frame of one colour around the picture, of the same size in all."""
    width, height = image.size
    share = 0.06 + 0.12 * degree
    across, down = max(1, round(share * width)), max(1, round(share * height))
    colour = tuple(generator.integers(0, 256, 3).tolist())
    return ImageOps.expand(image.resize((width - 2 * across, height - 2 * down)), border=(across, down), fill=colour)


def odd_size(image: Image.Image, degree: float, generator: Generator) -> Image.Image:
    """Make it larger, or smaller."""
    factor = (2 * 4**degree) ** (1 if generator.random() < 0.5 else -1)
    return image.resize((max(3, round(image.width * factor)), max(3, round(image.height * factor))))


def odd_shape(image: Image.Image, degree: float, _: Generator) -> Image.Image:
    """Cut a strip out of it."""
    height = max(3, round(image.height / (1.8 * (5 / 1.8) ** degree)))
    top = (image.height - height) // 2
    return image.crop((0, top, image.width, top + height))


PLANTED: dict[PictureKind, Plant] = {
    "blurred": blurred,
    "dark": dark,
    "blown out": blown_out,
    "empty": empty,
    "framed": framed,
    "odd size": odd_size,
    "odd shape": odd_shape,
}
_ALSO: dict[PictureKind, PictureKind] = {"empty": "blown out", "blurred": "odd size"}


class Planted:
    """Pictures with poor ones among them.

    Attributes:
        scored: How much each picture is of each kind.
        kinds: The kind that was planted (N,), a number in ``PLANTED``; -1 for the others.
        degrees: How strong it is (N,).
    """

    def __init__(self, pictures: Sequence[Image.Image], each: int, least: float) -> None:
        """Plant ``each`` pictures of each kind, none slighter than ``least``."""
        generator = np.random.default_rng(0)
        order = generator.permutation(len(pictures))
        shown = list(pictures)
        self.kinds, self.degrees = np.full(len(pictures), -1), np.zeros(len(pictures))
        for number, plant in enumerate(PLANTED.values()):
            for at in order[number * each : (number + 1) * each].tolist():
                self.kinds[at], self.degrees[at] = number, generator.uniform(least, 1)
                shown[at] = plant(pictures[at], float(self.degrees[at]), generator)
        self.scored = score(shown)

    def is_neither(self, kind: PictureKind) -> NDArray[np.bool_]:
        """Tell which pictures (N,) count as neither right nor wrong."""
        also = _ALSO.get(kind)
        neither: NDArray[np.bool_] = self.kinds == (-2 if also is None else list(PLANTED).index(also))
        return neither


def planted_plainly(name: str, pictures: list[Image.Image], each: int) -> None:
    """Print how many of the pictures that are plainly poor are found without any answers."""
    planted, plain = Planted(pictures, each, _MIDDLE), score(pictures)
    for number, kind in enumerate(PLANTED):
        place = PICTURE_KINDS.index(kind)
        precision, recall = figures(
            planted.scored.scores[:, place] >= SUGGESTED, planted.kinds == number, planted.is_neither(kind)
        )
        alarms = int((plain.scores[:, place] >= SUGGESTED).sum())
        print(f"| {name} | {kind} | {precision:.2f} | {recall:.2f} | {alarms:,} |", flush=True)


def asked(name: str, pictures: list[Image.Image], each: int, inside: list[list[bool]]) -> None:
    """Print how well two people are served by their answers; note whether the intervals hold the truth."""
    planted = Planted(pictures, each, 0)
    for taste, least in _TASTES.items():
        for number, kind in enumerate(PLANTED):
            is_poor = (planted.kinds == number) & (planted.degrees >= least)
            scores = planted.scored.scores[:, PICTURE_KINDS.index(kind)]
            told = answer(scores, is_poor, planted.is_neither(kind), inside)
            print(f"| {name}, {taste} | {kind} | {told} |", flush=True)


def planted_screenshots(shots: Path, folder: Path, fillers: list[Image.Image], inside: list[list[bool]]) -> None:
    """Print how well screenshots are found among photographs, and how many charts are."""
    place = PICTURE_KINDS.index("screenshot")
    shown, charts = ([path.read_bytes() for path in sorted(shots.glob(f"{letter}*"))] for letter in "sc")
    photos = [path.read_bytes() for path in sorted(folder.rglob("*.jpg"))]
    others: list[Picture] = [*photos, *fillers[: _COUNT - len(photos) - len(shown)]]
    for resolution in (64, 224):
        scores = score([*shown, *others], resolution).scores[:, place]
        is_poor = np.arange(len(scores)) < len(shown)
        told = answer(scores, is_poor, np.zeros(len(scores), bool), inside)
        print(f"| photographs, decoded for {resolution} pixels | screenshot | {told} |", flush=True)
        drawn = score([*charts, *photos], resolution).scores[: len(charts), place] >= SUGGESTED
        print(f"| the same: of {len(charts)} charts are found | {drawn.mean():.2f} | | | |", flush=True)


def answer(
    scores: NDArray[np.float64], is_poor: NDArray[np.bool_], neither: NDArray[np.bool_], inside: list[list[bool]]
) -> str:
    """Return precision and recall before and after twenty answers, in one go and one by one."""
    cells = ["{:.2f}, {:.2f}".format(*figures(scores >= SUGGESTED, is_poor, neither))]
    candidates = np.flatnonzero(scores >= FAINTEST)
    for rounds in (1, _ANSWERS):
        fit, said = ask(scores[candidates], is_poor[candidates], neither[candidates], rounds)
        found = np.zeros(len(scores), bool)
        found[candidates] = (scores[candidates] >= fit.used) & (said != 0) | (said == 1)
        precision, recall = figures(found, is_poor, neither)
        cells.append(f"{precision:.2f}, {recall:.2f}")
        truths, at = figures(scores >= fit.threshold, is_poor, neither), fit.at(fit.threshold)
        intervals = zip((fit.precision[at], fit.recall[at]), truths, strict=True)
        inside.append([bool(low - 0.005 <= truth <= high + 0.005) for (low, _, high), truth in intervals])
    return " | ".join(cells)


def ask(
    scores: NDArray[np.float64], is_poor: NDArray[np.bool_], neither: NDArray[np.bool_], rounds: int
) -> tuple[ThresholdFit, NDArray[np.float64]]:
    """Let a person answer twenty questions in so many rounds; return what comes of it, and the answers."""
    answers = np.full(len(scores), np.nan)
    for _ in range(rounds):
        chosen = choose_questions(scores, answers, SUGGESTED, _ANSWERS // rounds)
        answers[chosen] = np.where(neither[chosen], 0.5, is_poor[chosen])
    return fit_threshold(scores, answers, SUGGESTED), answers


def figures(found: NDArray[np.bool_], is_poor: NDArray[np.bool_], neither: NDArray[np.bool_]) -> tuple[float, float]:
    """Return precision and recall of what was found."""
    right = int((found & is_poor).sum())
    return right / max(1, int((found & ~neither).sum())), right / int(is_poor.sum())


def score(pictures: Sequence[Picture], resolution: int | None = None) -> PictureScores:
    """Return how much pictures are of each kind, each decoded as a file is, for a model of some resolution."""
    looks, sizes = [], []
    for each in pictures:
        read = read_reduced(each, None if resolution is None else (resolution, resolution))
        assert read.quality is not None  # it was to be measured
        looks.append(asdict(read.quality))
        sizes.append(read.size)
    return score_pictures({name: np.asarray([each[name] for each in looks], float) for name in LOOK}, sizes)


if __name__ == "__main__":
    main()
