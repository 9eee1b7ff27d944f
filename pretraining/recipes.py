"""The recipes of the bundled weights, and what these are bad at."""

from __future__ import annotations

from pretraining.train import Recipe

__all__ = ["RECIPES", "REMARKS", "WEAKNESSES"]

# One row a model.
RECIPES = {
    "mini-fashion": Recipe(steps=6600),
    "mini": Recipe(
        backbone="resnet-32-strided",
        steps=6000,
        size=32,
        local_size=16,
        batch=96,
        shares={"cifar10": 0.45, "tiny-imagenet": 0.45, "fashion-mnist": 0.1},
        global_scale=(0.3, 1.0),
        local_scale=(0.15, 0.5),
        jitter=0.35,
    ),
}

_PROJECTION = (
    "Its vectors are 256 numbers out of {}, and the mean of the last map. The PCA that takes them, half whitened, was "
    "fitted on 10,000 unlabelled training images and stands behind the network inside the file."
)

_LAYOUT = "1,280: the map before the last stage in 4 x 4 cells, each averaged with its mirror image's"
_MEAN = "384: the mean of the map before the last stage"

# What the model card adds to the recipe.
REMARKS = {
    "mini-fashion": (
        f"{_PROJECTION.format(_LAYOUT)} The run shared two cores with other work, and its length was "
        "changed twice while it ran (32 minutes, then 8,500 steps, then 6,600), so the learning rate did not follow "
        "one cosine."
    ),
    "mini": (
        f"{_PROJECTION.format(_MEAN)} The run shared two cores with other work, and was planned "
        "at 8,000 steps and cut to 6,000 at step 2,403, so the learning rate did not follow one cosine."
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
        "It is small, trained for an hour or two, and sees thumbnails: it tells coarse kinds of things apart (animal "
        "or vehicle, indoors or outdoors, dominant shapes and colours), not breeds, faces, brands or text. It is far "
        "below DINOv2 and DINOv3, which are one option away. Its images are those that people uploaded to the web "
        "about twenty years ago, with all the biases of ImageNet and of Tiny Images. Mirrored images count as the "
        "same, and colour is partly ignored by design."
    ),
}
