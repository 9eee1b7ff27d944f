"""The table of image sets: where their files are, how many images, which of them are held out, on what terms.

Free of torch, so that the model card and ``benchmarks`` read the same rows as the training.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["FASHION_MNIST", "SETS", "SetRow", "get_set"]

# Where Debian's package dataset-fashion-mnist puts its files.
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


@dataclass(frozen=True)
class SetRow:
    """One set of training images.

    Attributes:
        title: Its name in print.
        prefix: How the names of its files start, in the folder given by ``--data``.
        images: Images in those files.
        one_in: One image in so many, the last ones in file order, is held out from training.
        what: What is on the images.
        terms: Licence or terms of the images.
    """

    title: str
    prefix: str
    images: int
    one_in: int
    what: str
    terms: str

    def held_out(self, total: int | None = None) -> int:
        """How many of the last images in file order no training sees; the files are shuffled already."""
        return (self.images if total is None else total) // self.one_in


SETS = {
    # A fifth: the 40k/10k protocol of benchmarks.weights, since the files hold no test images.
    "cifar10": SetRow(
        "CIFAR-10",
        "cifar10-train",
        50_000,
        5,
        "32 x 32 colour photographs of ten kinds of animals and vehicles, training part",
        "no stated licence (Krizhevsky 2009)",
    ),
    "tiny-imagenet": SetRow(
        "Tiny-ImageNet",
        "tiny-imagenet-train",
        101_000,
        10,
        "64 x 64 colour photographs of 202 WordNet classes, training part, re-encoded as WebP",
        "from ImageNet, whose images are for non-commercial research and education",
    ),
    # Its test images are files of their own, which nothing here ever opens: the monitor needs only a few.
    "fashion-mnist": SetRow(
        "Fashion-MNIST",
        "train",
        60_000,
        30,
        "28 x 28 grey pictures of ten kinds of clothes, training part",
        "MIT (Zalando SE)",
    ),
}


def get_set(name: str) -> SetRow:
    """Return the row of a set.

    Raises:
        ValueError: If there is no set of that name.
    """
    if name not in SETS:
        raise ValueError(f"unknown set {name!r}: expected one of {', '.join(SETS)}")
    return SETS[name]
