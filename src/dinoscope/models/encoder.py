"""From decoded images to vectors: preprocessing, the runtime, batches."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from copy import copy
from dataclasses import replace
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dinoscope.base.checks import check_choice, is_list_of_whole, shown
from dinoscope.base.parallel import in_order
from dinoscope.base.types import ModelDescription
from dinoscope.errors import InputError, ModelError
from dinoscope.models.catalogue import DEFAULT_MODEL, Model, get_model
from dinoscope.models.focus import FOREGROUND, check_focus, foreground_mean
from dinoscope.models.graphs.finer import with_finer_map
from dinoscope.models.graphs.trial import try_out
from dinoscope.models.loading import described_model, load_model
from dinoscope.models.patches import Seen, bundled_maps, bundled_side, longest_needed, see
from dinoscope.models.preprocess import Preprocessing, prepare, preprocessing_of
from dinoscope.models.runtime import Runtime, does_not_run, exact_device, open_runtime
from dinoscope.sources.pixels.decode import Decoding, Picture, read_reduced

__all__ = ["POOLINGS", "PRECISIONS", "Encoder", "check_pooling", "precision_of"]

POOLINGS = ("cls", "cls+mean")
PRECISIONS = ("auto", "fp32", "int8")
# The end of the keys of vectors in whole numbers.
_WHOLE_KEY = re.compile(r"-int8-[0-9a-f]{8}$")
# Part of every key of stored vectors: raise it when the same images and settings would give other vectors.
_VERSION = 2
_PATCHWISE_BATCH = 8  # squares of 128 pixels: the maps of more fill hundreds of megabytes


def check_pooling(pooling: str) -> None:
    """Raise an InputError if there is no such pooling."""
    check_choice(pooling, "pooling", POOLINGS)


def precision_of(key: str) -> str:
    """Return which of ``PRECISIONS`` to ask for, to go on with vectors that have this key."""
    return "int8" if _WHOLE_KEY.search(key) else "auto"


class Encoder:
    """A loaded model that turns images into vectors.

    Attributes:
        model: Its row of the model table, completed from its weights.
        dim: Length of a vector.
        resolution: Side of the square that the model sees, in pixels.
        pooling: What a vector is made of: ``cls``, or ``cls+mean``.
        focus: What a vector describes: the ``image``, or its ``foreground``.
        preprocessing: How an image becomes that square.
        published: How the model's authors prepare images, without ``pad`` and ``upstream``.
        assumed: What no file says of that and was assumed, as a text for people; empty if nothing was.
        batch_size: Images in one run of the model.
        asked_device: The device that was asked for, maybe ``auto``.
        device: What runs it: ``cpu``, ``openvino`` or ``cuda``.
        precision: What its products are computed in: ``fp32``, ``tf32``, ``bf16`` or ``int8``.
        reason: Why this device, for people.
        key: Names the vectors it makes: two encoders of one key make the same vectors.
        weights_sha256: SHA-256 of the weights, for the record.
    """

    decoding: Decoding = Decoding()  # of the collection whose pictures they are

    def __init__(
        self,
        model: str | Model = DEFAULT_MODEL,
        *,
        resolution: int | None = None,
        pooling: str = "cls",
        focus: str = "image",
        pad: bool = False,
        upstream: bool = False,
        device: str = "auto",
        precision: str = "auto",
        batch_size: int | None = None,
        threads: int | None = None,
        fetch: bool = True,
        sha256: str | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """Load a model.

        Args:
            model: A name of the model table, a hub id, or a path of weights; or what ``catalogue.get_model`` gives.
            resolution: Side of the square that the model sees, in pixels: a multiple of its patch. By default the
                model's own; fewer pixels are as good for images that are small themselves, and quadratically faster.
                "mini" takes any multiple of 8, by default 32, and sees larger images better at 40.
            pooling: ``cls``: the CLS token behind the final norm, (D,). ``cls+mean``: with the mean of the patches
                behind it, (2 D,), the feature of DINOv2's linear probe.
            focus: ``foreground``: the mean of the patches that stand out from the ground, instead of the CLS token
                (with ``cls``) or of the mean of all patches (with ``cls+mean``). Where the foreground is not clear,
                all patches count. A bundled model then sees 128 pixels a side, or any multiple of 8.
            pad: Show the model the whole image in a frame, instead of its middle.
            upstream: Preprocess as the authors evaluate (scale, then crop) where the published image processor differs.
            device: ``auto``, ``cpu``, ``openvino``, ``openvino-fp32`` or ``cuda``; see ``open_runtime``.
            precision: ``auto``: what suits the device. ``fp32``: float32, where ``auto`` might choose bfloat16 or a
                GPU. ``int8``: a bundled model computes in whole numbers of 8 bits, which is faster. Its vectors differ,
                and have a key of their own.
            batch_size: Images in one run of the model, by default what suits the device; the vectors do not depend on
                it.
            threads: Threads of the runtime, by default one for each core.
            fetch: Download weights that are not on this machine.
            sha256: SHA-256 that the weights must have; others are refused before anything of them is run.
            say: Called with what is about to be downloaded, if anything is.

        Raises:
            ModelError: If the model is unknown, does not load, or has other weights than those of ``sha256``.
            DownloadError: If its weights cannot be fetched, or are not here and ``fetch`` is False.
            InputError: If an argument cannot work.
        """
        if (batch_size is not None and batch_size < 1) or (threads is not None and threads < 1):
            raise InputError(f"batch_size and threads must be at least 1, got {batch_size} and {threads}")
        check_pooling(pooling)
        check_focus(focus)
        check_choice(precision, "precision", PRECISIONS)
        row = get_model(model) if isinstance(model, str) else model
        patchwise = focus == FOREGROUND and row.family == "bundled"
        side = bundled_side(resolution) if patchwise else None
        loaded = load_model(
            row,
            resolution=None if patchwise else resolution,
            whole=precision == "int8",
            fetch=fetch,
            sha256=sha256,
            say=say,
        )
        self.model, self.resolution, self.weights_sha256 = (
            loaded.model,
            side or loaded.resolution,
            loaded.weights_sha256,
        )
        self.pooling, self.focus, self._pad, self._upstream = pooling, focus, pad, upstream
        self.published, self.assumed, self._told = loaded.published, loaded.assumed, loaded.told
        self.preprocessing: Preprocessing = preprocessing_of(
            self.model.family, upstream=upstream, pad=pad, published=loaded.published
        )
        self.asked_device = device
        if loaded.graph.strange:
            try_out(loaded.graph, self.resolution)
        self._graph, self._threads, self._own_family = loaded.graph, threads, loaded.own_family
        self._ranges = loaded.ranges
        self._batch_size = batch_size or (_PATCHWISE_BATCH if patchwise else None)
        self._open(device)
        if precision == "fp32" and self.precision != "fp32":
            if device != "auto":
                raise InputError(
                    f"--device {device} computes in {self.precision} on this machine, and --precision fp32 was asked "
                    "for: leave --device out, or say cpu or openvino-fp32"
                )
            self._open(exact_device())
            self.reason = "float32 was asked for"

    def _open(self, device: str) -> None:
        """Get the graph ready to run, and say what follows from where it runs."""
        self._runtime = open_runtime(self._graph, device, self._threads)
        self.device, self.precision, self.reason = self._runtime.device, self._runtime.precision, self._runtime.reason
        self.batch_size = self._batch_size or self._runtime.batch_size
        self.dim = self._try(self._graph.remedy)
        self.model = replace(self.model, dim=self.dim if self.pooling == "cls" else self.dim // 2)
        self.key = self._key(self._own_family)

    def going_on(self, keys: Collection[str]) -> Encoder:
        """Return the encoder that goes on with vectors that are there, if only their precision is another.

        Where ``auto`` chose a shorter precision, and those vectors are in float32, it computes in float32, too: every
        machine can, and all images would have to be embedded again otherwise. What a person asked for stays.

        Args:
            keys: Keys of vectors.
        """
        exact_key = self.key.removesuffix(f"-{self.precision}")
        return self if self.key in keys or exact_key not in keys else self._exact()

    def _exact(self) -> Encoder:
        """Return this encoder in float32, if ``auto`` chose another precision."""
        if self.asked_device != "auto" or self.precision in ("fp32", "int8"):  # auto never chooses the latter
            return self
        exact = copy(self)
        vars(exact).pop("_looking", None)
        exact._open(exact_device())
        exact.reason = "as the vectors that are there"
        return exact

    def __repr__(self) -> str:
        return f"Encoder({self.model.name!r}, dim={self.dim}, resolution={self.resolution}, device={self.device!r})"

    @classmethod
    def from_description(
        cls,
        description: ModelDescription,
        *,
        weights: str | None = None,
        device: str = "auto",
        threads: int | None = None,
        fetch: bool = False,
        decoding: Decoding | None = None,
        resolution: int | None = None,
        precision: str | None = None,
    ) -> Encoder:
        """Load the model that made a collection's vectors, with the settings it had.

        The description may be a stranger's: a path in it is never opened, and nothing is downloaded because of it.

        Args:
            description: What ``describe`` gave.
            weights: Path of the weights, where they are neither bundled nor on the hub.
            device: See ``__init__``; ``auto`` computes in float32 where the vectors are in float32.
            threads: See ``__init__``.
            fetch: Download weights that are not on this machine: for a model that a person named.
            decoding: How the collection's pictures were decoded; new ones are decoded so, too.
            resolution: Another side of the square than the one the vectors were made with: for finer patches.
            precision: One of ``PRECISIONS`` instead of that of the vectors.

        Raises:
            DownloadError: If the weights are not on this machine.
            ModelError: If these are other weights than the ones that made the vectors, or prepare images otherwise.
        """
        if description.get("own"):
            raise ModelError(
                f"{description['model']} are vectors that were made elsewhere, and dinoscope has no model to embed "
                "another image with: search with a row, or with a vector of the same model; or embed the images with a "
                "model of dinoscope, too ('dinoscope embed SOURCE -o COLLECTION --model mini'), and add --model mini"
            )
        name = weights or str(description["model"])
        if weights is None and description.get("local"):
            raise ModelError(
                f"the vectors were made with weights from a file called {name[:100]!r}: say where it is (--weights)"
            )
        encoder = cls(
            described_model(description, fetch) if weights is None else get_model(weights),
            resolution=resolution or description["resolution"] or None,
            pooling=description.get("pooling", "cls"),
            focus=description.get("focus", "image"),
            pad=description.get("pad", False),
            upstream=description.get("upstream", False),
            device=device,
            precision=precision or ("int8" if description.get("precision") == "int8" else "auto"),
            threads=threads,
            fetch=fetch,
            sha256=str(description["weights_sha256"]),
        )
        encoder.decoding = decoding or encoder.decoding
        made, found = description.get("preprocessing"), encoder.preprocessing.key
        if made not in (None, found):  # what is beside the weights decides
            raise ModelError(
                f"the vectors were made of images prepared as {made}, with these weights of {name!r} they would be "
                f"{found}: put the config.json and preprocessor_config.json of the weights beside them, or embed the "
                "images again"
            )
        if description.get("geometry", encoder._told) != encoder._told:
            raise ModelError(
                f"config.json beside these weights of {name!r} is not the one that made the vectors (expected "
                f"{description['geometry'] or 'nothing unusual'}, got {encoder._told or 'nothing unusual'}): put the "
                "right one there, or embed the images again"
            )
        if precision is None and encoder._ranges and description.get("ranges") != encoder._ranges:
            raise ModelError(
                f"the vectors were made by a version of dinoscope whose {name!r} rounds otherwise in int8: embed the "
                "images again ('dinoscope embed SOURCE -o COLLECTION')"
            )
        return encoder._exact() if precision is None and description.get("precision", "fp32") == "fp32" else encoder

    def describe(self) -> ModelDescription:
        """Return what is stored beside the vectors: enough to make more of the same; no path."""
        described: ModelDescription = {
            "model": self.model.name,
            "dim": self.dim,
            "resolution": self.resolution,
            "pooling": self.pooling,
            "pad": self._pad,
            "upstream": self._upstream,
            "preprocessing": self.preprocessing.key,
            "precision": self.precision,
            "weights_sha256": self.weights_sha256,
            "licence": self.model.licence,
            "local": self.model.path is not None,
            "geometry": self._told,
        }
        if self.focus != "image":
            described["focus"] = self.focus
        if "patches" not in self._runtime.outputs:
            described["patches"] = False
        if self._ranges:
            described["ranges"] = self._ranges
        if self.model.normalization is not None:
            described["mean"], described["std"] = map(
                list, (self.model.normalization.mean, self.model.normalization.std)
            )
        if self.assumed:
            described["assumed"] = self.assumed
        if self.model.repo is not None:
            described["repo"], described["revision"] = self.model.repo, str(self.model.revision)
        return described

    def preprocess(self, image: NDArray[np.uint8], size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Bring one image to the square that the model sees; see ``dinoscope.models.preprocess``.

        Args:
            image: uint8 (H, W, 3), as ``read_image`` gives it.
            size: Width and height of the original, where it was decoded smaller.

        Returns:
            uint8 (resolution, resolution, 3).

        Raises:
            InputError: If the array is no such image.
        """
        known = isinstance(image, np.ndarray)
        if not known or image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
            got = f"{image.dtype} {image.shape}" if known else type(image).__name__
            raise InputError(f"an image must be uint8 of shape (H, W, 3), got {got}: use dinoscope.read_image")
        if size is not None and not _is_size(size):
            raise InputError(f"size must be width and height in whole pixels, got {shown(size)}")
        return prepare(image, self.preprocessing, self.resolution, size)

    def square(self, image: Picture) -> NDArray[np.uint8]:
        """Decode one image and bring it to the square that the model sees.

        Args:
            image: A path, a file's bytes, a Pillow image, or an array as ``read_image`` takes them.

        Returns:
            uint8 (resolution, resolution, 3).

        Raises:
            ImageError, InputError: See ``read_image``.
        """
        found = read_reduced(image, self.preprocessing.least(self.resolution), self.decoding, measured=False)
        return self.preprocess(found.pixels, found.size)

    def encode(self, images: Picture | Iterable[Picture]) -> NDArray[np.float32]:
        """Embed one image, or many.

        Args:
            images: See ``square``; or an iterable of such images, of any sizes, or an array (N, H, W[, 3]) of them.

        Returns:
            float32 (N, dim), each row of length 1; one image is one row.

        Raises:
            ImageError, InputError: See ``read_image``.
        """
        parts = list(self.stream(_many(images)))
        return np.concatenate(parts) if parts else np.empty((0, self.dim), np.float32)

    def stream(self, images: Iterable[Picture]) -> Iterator[NDArray[np.float32]]:
        """Embed images as they come, a batch at a time: decoded in threads, a few batches ahead of the model.

        Args:
            images: See ``encode``; read no further ahead than that.

        Yields:
            float32 (B, dim), each row of length 1, in order.

        Raises:
            ImageError, InputError: See ``read_image``.
        """
        squares = in_order(self.square, images, ahead=3 * self.batch_size)
        while batch := list(islice(squares, self.batch_size)):
            yield self.run(np.stack(batch))

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the model once: preprocessed uint8 (B, resolution, resolution, 3) to rows of length 1 (B, dim)."""
        pixels = np.ascontiguousarray(pixels)
        if self.focus == FOREGROUND:
            features = self._means(pixels)
            if self.pooling != "cls":
                features = np.concatenate([self._runtime.run(["cls"], pixels)[0], features], axis=1)
        elif self.pooling == "cls":
            (features,) = self._runtime.run(["cls"], pixels)
        else:
            cls, patches = self._runtime.run(["cls", "patches"], pixels)
            features = np.concatenate([cls, _without_registers(patches).mean(1)], axis=1)
        norms = np.linalg.norm(features, axis=1, keepdims=True)
        vectors: NDArray[np.float32] = features / np.maximum(norms, np.float32(1e-12))
        return vectors

    def _means(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the mean of the foreground's patches of each square (B, D)."""
        runtime = self._looking
        if self.model.family == "bundled":
            tokens, finer = bundled_maps(pixels, runtime.run, runtime.outputs)
        else:
            flat, finer = _without_registers(runtime.run(["patches"], pixels)[0]), None
            side = math.isqrt(flat.shape[1])
            tokens = flat.reshape(len(flat), side, side, -1)
        fine = [None] * len(tokens) if finer is None else finer
        return np.stack([foreground_mean(*each) for each in zip(tokens, fine, strict=True)])

    def patches(self, images: Picture | Iterable[Picture]) -> NDArray[np.float32]:
        """Embed the patches of images: float32 (N, T, D), row by row from the top left, not normalised.

        Args:
            images: See ``encode``.

        Raises:
            ImageError, InputError: See ``read_image``.
            ModelError: If the model gives no patches.
        """
        if "patches" not in self._runtime.outputs:
            raise ModelError(f"{self.model.name} gives one vector per image, no patches")
        squares = [self.square(image) for image in _many(images)]
        if not squares:  # one grey image tells how many patches there are, and how long they are
            return self.patches([np.full((8, 8, 3), 128, np.uint8)])[:0]
        pixels = np.stack(squares)
        starts = range(0, len(pixels), self.batch_size)
        tokens = [self._runtime.run(["patches"], pixels[at : at + self.batch_size])[0] for at in starts]
        return _without_registers(np.concatenate(tokens))

    def look(self, image: Picture, resolution: int | None = None) -> Seen:
        """Show the model one whole image, and return what it sees of it, patch by patch.

        Nothing is cropped. A bundled model sees the image in its own shape, every other one in a square with bars,
        whose patches are left out.

        Args:
            image: See ``square``.
            resolution: Side in pixels of the square, or of one with as many pixels. A bundled model takes any multiple
                of 8, by default 128, or what its vectors of the foreground were made of. Every other model was loaded
                for one resolution, which alone it takes.

        Raises:
            ImageError, InputError: See ``read_image``; or the model does not take that resolution.
            ModelError: If the model gives no patches.
        """
        if resolution is None and self.focus == FOREGROUND and self.model.family == "bundled":
            resolution = self.resolution  # the mask is that of the vectors
        least = 0, longest_needed(self.model, self.resolution, resolution)
        found = read_reduced(image, least, self.decoding, measured=False)
        runtime = self._looking
        return see(found, self.model, self.resolution, self.preprocessing, runtime.run, runtime.outputs, resolution)

    @cached_property
    def _looking(self) -> Runtime:
        """Return what shows patches: for a bundled model a graph of its own, since its vectors need no finer map."""
        if self.model.family != "bundled" or "patches" not in self._runtime.outputs:
            return self._runtime
        finer = replace(self._graph, proto=with_finer_map(self._graph.proto))
        return open_runtime(finer, self.asked_device, self._threads)

    def _try(self, remedy: str) -> int:
        """Embed one grey image: tells the length of a vector, and whether the model runs, before any work is done."""
        if "patches" not in self._runtime.outputs and (self.pooling != "cls" or self.focus == FOREGROUND):
            usual = "the focus 'image'" if self.focus == FOREGROUND else "the pooling 'cls'"
            raise ModelError(f"{self.model.name} gives one vector per image, no patches: expected {usual}")
        try:
            with np.errstate(all="ignore"):  # numbers beyond a float32 are reported below
                vector = self.run(np.full((1, self.resolution, self.resolution, 3), 128, np.uint8))[0]
            dim = len(vector)
        except InputError:  # the square has too few patches for a foreground
            raise
        except Exception as error:  # each runtime has errors of its own
            raise ModelError(does_not_run(self.model.name, self.resolution, error, remedy)) from None
        if not np.isfinite(vector).all():  # every later step would refuse these vectors
            raise ModelError(
                f"{self.model.name} gives NaN or infinity on {self.device} in {self.precision}: its weights are "
                "damaged, or overflow in 16 bits; fetch them again, or take those in float32"
            )
        return dim

    def _key(self, own_family: str) -> str:
        name = re.sub(r"[^\w.-]+", "--", self.model.name)
        parts = [name, f"{self.resolution}px", self.weights_sha256[:8], f"v{_VERSION}"]
        if self.pooling != "cls":
            parts.append(self.pooling)
        if self.focus != "image":
            parts.append(self.focus)
        if self.preprocessing != preprocessing_of(own_family):  # what the weights' digest does not tell
            parts.append(self.preprocessing.key)
        if self._told:
            parts.append(self._told)
        if self.precision != "fp32":
            parts.append(self.precision)
        if self._ranges:
            parts.append(self._ranges)
        return "-".join(parts)


def _many(images: Picture | Iterable[Picture]) -> Iterable[Picture]:
    """Return one image as many; an array (H, W, 3) is one, an array (N, H, W) holds N grey ones."""
    if isinstance(images, np.ndarray) and images.ndim:
        is_one = images.ndim == 2 or (images.ndim == 3 and images.shape[2] in (1, 3, 4))
        return [images] if is_one else images
    if isinstance(images, str | os.PathLike | bytes | Image.Image):
        return [images]
    if not _is_many(images):
        raise InputError(f"expected an image or several, got {shown(images)}: pass a path, bytes, an array or a list")
    return images


def _is_many(images: object) -> bool:
    return isinstance(images, Iterable) and not isinstance(images, np.ndarray)  # only one without axes gets here


def _is_size(size: object) -> bool:
    return is_list_of_whole(size) and len(size) == 2 and min(size) > 0


def _without_registers(tokens: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keep the patches, which form a square; a ready-made ONNX file gives its registers before them."""
    return tokens[:, tokens.shape[1] - math.isqrt(tokens.shape[1]) ** 2 :]
