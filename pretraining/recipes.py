"""What a recipe is, the recipes of the bundled weights, and what these are bad at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pretraining.augment import Views
from pretraining.losses import LOSSES

__all__ = ["RECIPES", "REMARKS", "WEAKNESSES", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """Every setting of a run; it is stored in the checkpoint and printed in the model card.

    Attributes:
        shares: Set name -> its share of every batch.
        largest: Larger images are reduced to this side first, 0 for none.
        size: Side of the global views, and of whole images; ``local_size`` that of the local views.
        small_views: How many more local views there are, of a side and a scale of their own.
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
    largest: int = 0
    local_views: int = 2
    small_views: int = 0
    small_size: int = 16
    global_scale: tuple[float, float] = (0.4, 1.0)
    local_scale: tuple[float, float] = (0.25, 0.6)
    small_scale: tuple[float, float] = (0.08, 0.4)
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
        if not LOSSES[self.loss](self.expansion).global_views and self.local_views + self.small_views < 2:
            raise ValueError(
                f"{self.loss} compares local views with each other: expected local_views of 2 or more, got "
                f"{self.local_views + self.small_views}"
            )

    @classmethod
    def stored(cls, settings: Mapping[str, Any]) -> Recipe:
        """Read what a checkpoint or an exported file holds: JSON has lists for tuples."""
        given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in settings.items()}
        return cls(**given)

    @property
    def global_view(self) -> Views:
        """How a global view is drawn."""
        return Views(self.size, self.global_scale, erase=self.erase, **self._colour)

    @property
    def locals(self) -> list[Views]:
        """How each local view is drawn, the small ones last."""
        large, small = (
            Views(side, scale, **self._colour)
            for side, scale in ((self.local_size, self.local_scale), (self.small_size, self.small_scale))
        )
        return [large] * self.local_views + [small] * self.small_views

    @property
    def _colour(self) -> dict[str, float]:
        return {"rotation": self.rotation, "jitter": self.jitter, "greyscale": self.greyscale, "hue": self.hue}


# One row a model.
RECIPES = {
    "mini-fashion": Recipe(steps=6600),
    "mini": Recipe(  # begins with weights of an earlier run (--start), see REMARKS
        backbone="resnet-32-light",
        loss="emp-ssl",
        minutes=100,
        largest=32,
        size=32,
        local_size=24,
        local_views=5,
        small_views=5,
        batch=96,
        shares={"tiny-imagenet": 0.55, "cifar10": 0.36, "fashion-mnist": 0.09},
        local_scale=(0.3, 1.0),
        jitter=0.4,
        hue=18,
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
    f"half whitened, follows. {_FITTED} Patches have a PCA of their own."
)

# What the model card adds to the recipe.
REMARKS = {
    "mini-fashion": (
        f"{_LAYOUT} The run shared two cores with other work, and its length was "
        "changed twice while it ran (32 minutes, then 8,500 steps, then 6,600), so the learning rate did not follow "
        "one cosine."
    ),
    "mini": (
        f"{_SPREAD} Larger images are seen at 40 pixels. The run began with the weights of three earlier ones: "
        "SimDINO, 60 minutes on two cores, 576,000 images, from random values; EMP-SSL, 90 minutes on one core, "
        "377,568 images in ten crops of 24 or 32 pixels; and its own recipe, 67 minutes on two cores, 215,424 images. "
        "It had two cores, and shared them with other work for a quarter of the time. It was planned for 100 minutes "
        "and cooled down from minute 84."
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
        "It is small, trained for five hours, and sees thumbnails: it tells coarse kinds of things apart "
        "(animal or vehicle, indoors or outdoors, dominant shapes and colours), not breeds, faces, brands or text. It "
        "is far below DINOv2 and DINOv3, which are one option away. Its images are those that people uploaded to the "
        "web about twenty years ago, with all the biases of ImageNet and of Tiny Images. Mirrored images count as the "
        "same, and colour is partly ignored by design."
    ),
}
