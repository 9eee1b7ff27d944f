"""Run several models on a sample of somebody's images and score what they see: the pipeline behind ``compare``."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinoscope.collection import Collection
from dinoscope.compare import Contender, neighbor_agreement, score_vectors, stratified_sample
from dinoscope.embedding import Progress
from dinoscope.encoder import Encoder
from dinoscope.errors import DinoscopeError, InputError, ModelError
from dinoscope.images import ImageSource, select
from dinoscope.knn import neighbors
from dinoscope.models import Model, get_model, read_weights
from dinoscope.preprocess import Preprocessing, prepare, preprocessing_of
from dinoscope.runtime import Graph, open_runtime
from dinoscope.untrained import redraw_weights

__all__ = ["BASELINES", "Comparison", "PixelEncoder", "UntrainedEncoder", "compare_models", "default_models"]

BASELINES = ("pixels", "untrained")

_RATE_IMAGES, _RATE_SECONDS = 64, 1.5
_NEIGHBORS = 15


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes:
        contenders: One a model and setting, in the order asked for.
        left_out: Name and reason of those that did not load.
        images: Number of images in the sample.
        labels: Number of different labels in it.
    """

    contenders: tuple[Contender, ...]
    left_out: tuple[tuple[str, str], ...]
    images: int
    labels: int


class _Baseline:
    """What stands in for an ``Encoder`` where there is nothing to load; see there."""

    resolution, precision, device = 32, "fp32", "cpu"
    preprocessing: Preprocessing = preprocessing_of("bundled")

    def __init__(self, name: str, dim: int, batch_size: int) -> None:
        self.model = Model(name, "baseline", "bundled", resolution=self.resolution, dim=dim)
        self.dim, self.batch_size, self.key = dim, batch_size, name

    def preprocess(self, image: NDArray[np.uint8], size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Scale and crop to 32 pixels."""
        return prepare(image, self.preprocessing, self.resolution, size)

    def describe(self) -> dict[str, Any]:
        """Return what is stored beside the vectors."""
        return {"model": self.key, "dim": self.dim, "resolution": self.resolution, "weights_sha256": "", "licence": ""}


class PixelEncoder(_Baseline):
    """The images themselves, small, as vectors: what every model has to beat."""

    def __init__(self) -> None:
        """Make one."""
        super().__init__("pixels", self.resolution**2 * 3, 256)

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Lay out the pixels of each image in a row of length 1. Black is 1 of 256, for a row of zeros has none."""
        rows = pixels.reshape(len(pixels), -1).astype(np.float32) + 1
        vectors: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return vectors


class UntrainedEncoder(_Baseline):
    """The bundled network with weights drawn at random: what its shape alone sees."""

    def __init__(self, seed: int = 0) -> None:
        """Draw the weights."""
        mini = get_model("mini")
        super().__init__("untrained", mini.dim, 64)
        self._runtime = open_runtime(Graph("untrained", redraw_weights(read_weights(mini), seed), small=True), "cpu")

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return unit vectors (B, D)."""
        features = self._runtime.run(["cls"], pixels)[0]
        vectors: NDArray[np.float32] = features / np.linalg.norm(features, axis=1, keepdims=True)
        return vectors


def default_models() -> list[str]:
    """Return the models that are on this machine already: bundled, and official ones that were downloaded."""
    from dinoscope.hub import find_weights
    from dinoscope.models import MODELS

    return [name for name, row in MODELS.items() if row.family == "bundled" or find_weights(row) is not None]


def compare_models(
    source: ImageSource,
    models: Sequence[str] | None = None,
    *,
    resolutions: Sequence[int] = (),
    poolings: Sequence[str] = ("cls",),
    sample: int = 2000,
    seed: int = 0,
    device: str = "auto",
    on_progress: Callable[[str, Progress], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Comparison:
    """Score models on a stratified sample of images.

    Args:
        source: The images.
        models: Names as ``Encoder`` takes them, and ``pixels`` and ``untrained``, which are always added; by default
            every model that is on this machine.
        resolutions: For models that take more than one; by default each model's own.
        poolings: For models that have patches.
        sample: Images at most.
        seed: Seed of the sample, of k-means and of the untrained network.
        device: See ``Encoder``.
        on_progress: Called with the name of what is embedding, and how far it is.
        say: Called with what is about to be downloaded, if anything is.

    Raises:
        InputError: If there are fewer than 3 images that can be read, or no model is named.
        DinoscopeError: If not a single model loads: the first one's error.
    """
    names = list(models) if models is not None else default_models()
    names += [name for name in BASELINES if name not in names]
    rows = stratified_sample([item.label for item in source.items], sample, seed)
    chosen = select(source, rows.tolist())
    left_out: list[tuple[str, str]] = []
    first_error: DinoscopeError | None = None
    found: list[tuple[str, Any, Collection, float]] = []
    with TemporaryDirectory(prefix="dinoscope-") as place:
        for name in names:
            for title, make in _variants(name, resolutions, poolings, device, seed, say):
                try:
                    encoder = make()
                except InputError as error:  # a setting that this model does not take
                    first_error = first_error or error
                    left_out.append((title, str(error)))
                    continue
                except DinoscopeError as error:  # the model itself: its other settings would say the same
                    first_error = first_error or error
                    left_out.append((name, str(error)))
                    break
                report = None if on_progress is None else _reporter(on_progress, title)
                collection = Collection.from_images(chosen, Path(place), model=encoder, on_progress=report)
                found.append((title, encoder, collection, _rate(encoder, chosen)))
        if first_error is not None and all(entry[0] in BASELINES for entry in found):
            raise first_error
        contenders = _score(found, seed)
    labels = {label for label in found[0][2].labels if label is not None}
    return Comparison(contenders, tuple(left_out), len(found[0][2]), len(labels))


def _variants(
    name: str, resolutions: Sequence[int], poolings: Sequence[str], device: str, seed: int,
    say: Callable[[str], None] | None,
) -> list[tuple[str, Callable[[], Any]]]:  # fmt: skip
    """Return title and maker of every setting of a model."""
    if name == "pixels":
        return [("pixels", PixelEncoder)]
    if name == "untrained":
        return [("untrained", lambda: UntrainedEncoder(seed))]
    try:
        row = get_model(name)
    except ModelError as error:
        return [(name, _raiser(error))]
    if row.family == "bundled":
        return [(name, lambda: Encoder(name, device=device))]
    variants: list[tuple[str, Callable[[], Any]]] = []
    for resolution in resolutions or (None,):
        for pooling in poolings:
            title = row.name + (f" {resolution}px" if resolution else "") + (f" {pooling}" if pooling != "cls" else "")

            def make(resolution: int | None = resolution, pooling: str = pooling) -> Encoder:
                return Encoder(name, resolution=resolution, pooling=pooling, device=device, say=say)

            variants.append((title, make))
    return variants


def _raiser(error: ModelError) -> Callable[[], Any]:
    def raise_it() -> Any:
        raise error

    return raise_it


def _reporter(on_progress: Callable[[str, Progress], None], title: str) -> Callable[[Progress], None]:
    return lambda progress: on_progress(title, progress)


def _rate(encoder: Any, source: ImageSource) -> float:
    """Measure how many preprocessed images a second go through the model, decoding left out."""
    pixels = []
    for index in range(len(source.items)):
        try:
            pixels.append(encoder.preprocess(source.load(index)))
        except DinoscopeError:  # a bad file was an outcome of the embedding already
            continue
        if len(pixels) == _RATE_IMAGES:
            break
    batch = np.stack((pixels * encoder.batch_size)[: encoder.batch_size])
    encoder.run(batch)
    began, runs = time.perf_counter(), 0
    while runs == 0 or time.perf_counter() - began < _RATE_SECONDS:
        encoder.run(batch)
        runs += 1
    return runs * len(batch) / (time.perf_counter() - began)


def _score(found: Sequence[tuple[str, Any, Collection, float]], seed: int) -> tuple[Contender, ...]:
    count = len(found[0][2])
    if count < 3:
        raise InputError(f"a comparison needs at least 3 images that can be read, got {count}")
    k = min(_NEIGHBORS, count - 1)
    graphs = [neighbors(collection.vectors, k) for _, _, collection, _ in found]
    contenders = []
    for position, (title, encoder, collection, rate) in enumerate(found):
        known = np.asarray([label is not None for label in collection.labels])
        labels = [str(label) for label in collection.labels[known]]
        scores = (
            score_vectors(collection.vectors[known], labels, seed=seed)
            if len(set(labels)) >= 2 and known.sum() >= 3
            else score_vectors(collection.vectors, seed=seed)
        )
        # settings of one model agree with each other whatever they see
        others = [
            neighbor_agreement(graphs[position], graph, k)
            for graph, (_, other, _, _) in zip(graphs, found, strict=True)
            if other.model.name != encoder.model.name
        ]
        contenders.append(Contender(
            title, collection.vectors.shape[1], scores, float(np.mean(others)) if others else float("nan"), rate,
            encoder.model.megabytes, title in BASELINES,
        ))  # fmt: skip
    return tuple(contenders)
