"""What a recipe is, the recipes of the bundled weights, and what these are bad at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from pretraining.augment import Views
from pretraining.losses import LOSSES

__all__ = ["RECIPES", "REMARKS", "WEAKNESSES", "Recipe"]

# The largest side of an image that is a thumbnail.
_THUMBNAIL = 32


@dataclass(frozen=True)
class Recipe:
    """Every setting of a run; it is stored in the checkpoint and printed in the model card.

    Attributes:
        shares: Set name -> its share of every batch.
        size: Side of the global views; ``local_size`` that of the others.
        thumbnail: Side of the global views of images no larger than 32 pixels, 0 for ``size``.
        local_thumbnail: Side of their local views, 0 for half of ``thumbnail``.
        hue: Largest turn of the colours either way, in degrees.
        composed: Share of the global views whose surroundings are another image's.
        steps: Length of the run in steps, or 0 when ``minutes`` sets it.
        minutes: Length of the run in minutes of training time (over all its pieces), or 0.
        ema: Share of the teacher that survives a step, at the start; rises to 1.
    """

    backbone: str = "resnet-32"
    loss: str = "simdino"
    shares: dict[str, float] = field(default_factory=lambda: {"fashion-mnist": 1.0})
    size: int = 28
    local_size: int = 16
    thumbnail: int = 0
    local_thumbnail: int = 0
    local_views: int = 2
    global_scale: tuple[float, float] = (0.4, 1.0)
    local_scale: tuple[float, float] = (0.25, 0.6)
    rotation: float = 0.0
    jitter: float = 0.4
    greyscale: float = 0.2
    hue: float = 0.0
    composed: float = 0.0
    erase: float = 0.0
    batch: int = 64
    steps: int = 0
    minutes: float = 0.0
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.04
    ema: float = 0.996
    expansion: float = 0.25
    clip: float = 3.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check what cannot work.

        Raises:
            ValueError: If the length is not set in exactly one way, the loss is unknown, or it has too few views.
        """
        if bool(self.steps) == bool(self.minutes):
            raise ValueError(f"set exactly one of steps and minutes, got steps={self.steps}, minutes={self.minutes}")
        if self.loss not in LOSSES:
            raise ValueError(f"unknown loss {self.loss!r}: expected one of {', '.join(LOSSES)}")
        if not LOSSES[self.loss](self.expansion).global_views and self.local_views < 2:
            raise ValueError(
                f"{self.loss} compares local views with each other: expected local_views of 2 or more, got "
                f"{self.local_views}"
            )

    @classmethod
    def stored(cls, settings: Mapping[str, Any]) -> Recipe:
        """Read what a checkpoint or an exported file holds: JSON has lists for tuples."""
        given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in settings.items()}
        return cls(**given)

    def side(self, images: Tensor) -> int:
        """Return at which side a set is seen as a whole."""
        return self.thumbnail if self._is_thumbnail(images) else self.size

    def _is_thumbnail(self, images: Tensor) -> bool:
        return self.thumbnail > 0 and images.shape[-1] <= _THUMBNAIL

    def views(self, images: Tensor) -> tuple[Views, Views]:
        """Return how the global and the local views of a set are drawn."""
        side = self.side(images)
        local = (self.local_thumbnail or side // 2) if self._is_thumbnail(images) else self.local_size
        colour = {"rotation": self.rotation, "jitter": self.jitter, "greyscale": self.greyscale, "hue": self.hue}
        return (Views(side, self.global_scale, erase=self.erase, **colour), Views(local, self.local_scale, **colour))


# One row a model.
RECIPES = {
    "mini-fashion": Recipe(steps=6600),
    "mini": Recipe(  # begins with weights of an earlier run (--start), see REMARKS
        backbone="resnet-32-light",
        loss="emp-ssl",
        minutes=90,
        size=32,
        local_size=32,
        thumbnail=32,
        local_thumbnail=24,
        local_views=10,
        batch=96,
        shares={"tiny-imagenet": 0.5, "cifar10": 0.4, "fashion-mnist": 0.1},
        local_scale=(0.1, 0.8),
        jitter=0.35,
        hue=10,
        composed=0.3,
        learning_rate=7e-4,
        warmup=0.03,
        expansion=0.5,
    ),
}

_FITTED = "It was fitted on 10,000 unlabelled training images, and is in the file, behind the network."
_LAYOUT = (
    "Its vectors are 256 numbers out of 1,280: the map before the last stage in 4 x 4 cells, each averaged with its "
    f"mirror image's, and the mean of the last map. A PCA, half whitened, makes them. {_FITTED}"
)
_SPREAD = (
    "Its vectors are 256 numbers out of 768: mean and standard deviation of the map before the last stage, and of the "
    "last map. A projection makes them: directions in which two views of one image differ much are shortened. A PCA, "
    f"whitened by a quarter, follows. {_FITTED} Patches have a PCA of their own, half whitened."
)

# What the model card adds to the recipe.
REMARKS = {
    "mini-fashion": (
        f"{_LAYOUT} The run shared two cores with other work, and its length was "
        "changed twice while it ran (32 minutes, then 8,500 steps, then 6,600), so the learning rate did not follow "
        "one cosine."
    ),
    "mini": (
        f"{_SPREAD} The run began with weights of an earlier one (SimDINO, 60 minutes on two cores, "
        "576,000 images at 32 pixels, from random values), without their first residual block. It had one core. At "
        "step 1,882 two settings changed: the crops, from 12% to 50% of an image to 10% to 80%, and the share of "
        "composed images, from 0.1 of the crops to 0.3 of the images. The readings show Tiny-ImageNet at 64 pixels."
    ),
}

# The section "What it is bad at" of the model card.
WEAKNESSES = {
    "mini-fashion": (
        "It has seen nothing but small grey pictures of single clothes on black. On photographs, on colour (it learned "
        "from grey images alone, repeated to three channels) and on anything larger than a thumbnail its vectors mean "
        "little. Shirts, coats and pullovers overlap. Where in the picture something is counts, so clothes that stand "
        "at its edge look less alike; mirrored images count nearly as the same, so left and right are lost, and so "
        "are, in part, brightness and contrast."
    ),
    "mini": (
        "It is small, trained for two or three hours, and sees thumbnails: it tells coarse kinds of things apart "
        "(animal or vehicle, indoors or outdoors, dominant shapes and colours), not breeds, faces, brands or text. It "
        "is far below DINOv2 and DINOv3, which are one option away. Its images are those that people uploaded to the "
        "web about twenty years ago, with all the biases of ImageNet and of Tiny Images. Mirrored images count as the "
        "same, and colour is partly ignored by design."
    ),
}
