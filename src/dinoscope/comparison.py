"""Run several models on a sample of your images and score what they see: the pipeline behind ``compare``."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from dinoscope.analysis.neighbors import neighbors
from dinoscope.analysis.ranking import Contender, found_again, neighbor_agreement, score_vectors, stratified_sample
from dinoscope.embedding.pipeline import embed_source
from dinoscope.embedding.resolution import usual_resolution
from dinoscope.errors import DinoscopeError, InputError, SourceError
from dinoscope.models.base import ImageEncoder
from dinoscope.models.baselines import PixelEncoder, UntrainedEncoder
from dinoscope.models.catalogue import get_model
from dinoscope.models.encoder import Encoder, check_pooling
from dinoscope.models.focus import FOREGROUND, check_focus
from dinoscope.sources.augmentation import AugmentedSource
from dinoscope.sources.base import ImageSource
from dinoscope.sources.selection import select
from dinoscope.stages.opened import OpenedCollection
from dinoscope.storage.manifest import weights_text
from dinoscope.storage.progress import Progress

__all__ = ["BASELINES", "Comparison", "compare_models", "default_models", "focus_gains"]

BASELINES = ("pixels", "untrained")
_RATE_IMAGES, _RATE_SECONDS = 64, 1.5
_NEIGHBORS = 15
_CHANGED = 1_000  # most images to change and find again; the standard deviation of a share is then below 0.016


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes:
        contenders: One per model and setting, in the given order.
        left_out: Name and reason of those that did not load.
        images: Number of images in the sample.
        labels: Number of different labels in it.
    """

    contenders: tuple[Contender, ...]
    left_out: tuple[tuple[str, str], ...]
    images: int
    labels: int


@dataclass(frozen=True)
class _Entry:
    """A model and setting that ran."""

    title: str
    encoder: ImageEncoder
    collection: OpenedCollection
    found_again: float
    rate: float


def default_models() -> list[str]:
    """Return the models on this machine: bundled ones, and downloaded official ones."""
    from dinoscope.models.catalogue import MODELS
    from dinoscope.models.hub import find_weights

    return [name for name, row in MODELS.items() if row.family == "bundled" or find_weights(row) is not None]


def compare_models(
    source: ImageSource,
    models: Sequence[str] | None = None,
    *,
    resolutions: Sequence[int] = (),
    poolings: Sequence[str] = ("cls",),
    focuses: Sequence[str] = ("image",),
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
        resolutions: For models of the hub; by default each model's own. The images decide it for a bundled one.
        poolings: For models that have patches.
        focuses: Likewise; see ``Encoder``.
        sample: Images at most.
        seed: Seed of the sample, of k-means, of the untrained network, and of the changes to images.
        device: See ``Encoder``.
        on_progress: Called with the name of what is embedding, and how far it is.
        say: Called with what is about to be downloaded, if anything is, and with the weights of each model of a hub.

    Raises:
        InputError: If there are fewer than 3 images that can be read, or no model is named.
        ModelError: If a name is not a model's.
        DinoscopeError: If no model loads: the error of the first.
    """
    asked = default_models() if models is None else list(models)
    for focus in focuses:
        check_focus(focus)
    _check(asked, resolutions, poolings, len(source.items))
    names = list(dict.fromkeys([*asked, *BASELINES]))
    rows = stratified_sample([item.label for item in source.items], sample, seed)
    chosen = select(source, rows.tolist())
    left_out: list[tuple[str, str]] = []
    first_error: DinoscopeError | None = None
    found: list[_Entry] = []
    with TemporaryDirectory(prefix="dinoscope-") as place:
        for name in names:
            for title, make in _variants(name, chosen, resolutions, poolings, focuses, device, seed, say):
                try:
                    encoder = make()
                except InputError as error:  # a setting that this model does not take
                    first_error = first_error or error
                    left_out.append((title, str(error)))
                    continue
                except DinoscopeError as error:  # the model itself: its other settings would fail the same way
                    first_error = first_error or error
                    left_out.append((name, str(error)))
                    break
                report = None if on_progress is None else _reporter(on_progress, title)
                folder = Path(place, "images")
                embed_source(chosen, folder, encoder, on_progress=report)
                collection = OpenedCollection(folder, encoder.key)
                again = _find_again(collection, chosen, encoder, Path(place, "changed"), seed, report)
                found.append(_Entry(title, encoder, collection, again, _rate(encoder, chosen)))
        if first_error is not None and all(entry.title in BASELINES for entry in found):
            raise first_error
        contenders = _score(found, seed)
    collection = found[0].collection
    labels = {label for label in collection.labels if label is not None}
    return Comparison(contenders, tuple(left_out), len(collection), len(labels))


def focus_gains(contenders: Sequence[Contender]) -> list[tuple[str, float, float]]:
    """Return where a focus on the foreground can be weighed: the title without it, and both k-NN accuracies.

    Args:
        contenders: Of a comparison with both focuses, on labelled images; otherwise there are none.

    Returns:
        Title, accuracy of the whole image, accuracy of the foreground.
    """
    accuracy = {each.name: each.scores.knn_accuracy for each in contenders}
    ending = f" {FOREGROUND}"
    pairs = ((title.removesuffix(ending), found) for title, found in accuracy.items() if title.endswith(ending))
    return [
        (title, accuracy[title], found) for title, found in pairs if title in accuracy and np.isfinite(accuracy[title])
    ]


def _check(models: Sequence[str], resolutions: Sequence[int], poolings: Sequence[str], images: int) -> None:
    """Refuse what cannot be compared before it costs minutes."""
    if images < 3:
        raise InputError(f"a comparison needs at least 3 images, got {images}")
    if not models:
        raise InputError("no model is named: name at least one, or leave the choice to what is on this machine")
    if min(resolutions, default=1) < 1:
        raise InputError(f"a resolution must be at least 1 pixel, got {min(resolutions)}")
    for pooling in poolings:
        check_pooling(pooling)
    for name in models:
        if name not in BASELINES:
            get_model(name)  # an unknown name is a typing mistake, unlike a model that does not load


def _variants(
    name: str,
    source: ImageSource,
    resolutions: Sequence[int],
    poolings: Sequence[str],
    focuses: Sequence[str],
    device: str,
    seed: int,
    say: Callable[[str], None] | None,
) -> list[tuple[str, Callable[[], ImageEncoder]]]:
    """Return title and maker of every setting of a model."""
    if name == "pixels":
        return [("pixels", PixelEncoder)]
    if name == "untrained":
        return [("untrained", lambda: UntrainedEncoder(seed=seed))]
    row = get_model(name)
    variants: list[tuple[str, Callable[[], ImageEncoder]]] = []
    its_own = row.family == "bundled"  # the images decide, except for the foreground
    settings = product(resolutions or (None,), poolings, focuses)
    for side, pooling, focus in dict.fromkeys(
        (None if its_own and focus != FOREGROUND else side, pooling, focus) for side, pooling, focus in settings
    ):
        title = row.name + (f" {side}px" if side else "") + (f" {pooling}" if pooling != "cls" else "")
        title += f" {focus}" if focus != "image" else ""

        def make(resolution: int | None = side, pooling: str = pooling, focus: str = focus) -> Encoder:
            if resolution is None and focus != FOREGROUND:
                resolution = usual_resolution(row, source)
            encoder = Encoder(name, resolution=resolution, pooling=pooling, focus=focus, device=device, say=say)
            if say is not None and encoder.model.repo is not None:
                say(f"weights: {encoder.model.repo}, {weights_text(encoder.describe())}...")
            return encoder

        variants.append((title, make))
    return variants


def _reporter(on_progress: Callable[[str, Progress], None], title: str) -> Callable[[Progress], None]:
    return lambda progress: on_progress(title, progress)


def _rate(encoder: ImageEncoder, source: ImageSource) -> float:
    """Measure how many preprocessed images per second go through the model, without decoding."""
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


def _find_again(
    collection: OpenedCollection,
    source: ImageSource,
    encoder: ImageEncoder,
    place: Path,
    seed: int,
    on_progress: Callable[[Progress], None] | None,
) -> float:
    """Embed changed copies of some images, and search for their images among all."""
    count = len(source.items)
    drawn = np.sort(np.random.default_rng(seed).permutation(count)[:_CHANGED]).tolist()
    copies = AugmentedSource(select(source, drawn), seed)
    try:
        embed_source(copies, place, encoder, on_progress=on_progress)
    except SourceError:  # none of the drawn images can be read
        return float("nan")
    changed = OpenedCollection(place, encoder.key)
    at = {name: position for position, name in enumerate(collection.ids)}
    read = [number for number, name in enumerate(changed.ids) if name in at]  # another image may have become readable
    if not read:
        return float("nan")
    return found_again(collection.vectors, changed.vectors[read], [at[changed.ids[number]] for number in read])


def _score(found: Sequence[_Entry], seed: int) -> tuple[Contender, ...]:
    count = len(found[0].collection)
    if count < 3:
        raise InputError(f"a comparison needs at least 3 images that can be read, got {count}")
    k = min(_NEIGHBORS, count - 1)
    graphs = [neighbors(entry.collection.vectors, k) for entry in found]
    contenders = []
    for entry, own in zip(found, graphs, strict=True):
        collection, model = entry.collection, entry.encoder.model
        known = np.asarray([label is not None for label in collection.labels])
        labels = [str(label) for label in collection.labels[known]]
        scores = (
            score_vectors(collection.vectors[known], labels, seed=seed)
            if len(set(labels)) >= 2 and known.sum() >= 3
            else score_vectors(collection.vectors, seed=seed)
        )
        # settings of one model always agree with each other
        others = [
            neighbor_agreement(own, graph, k)
            for graph, other in zip(graphs, found, strict=True)
            if other.encoder.model.name != model.name
        ]
        contenders.append(
            Contender(
                entry.title,
                collection.vectors.shape[1],
                scores,
                float(np.mean(others)) if others else float("nan"),
                entry.found_again,
                entry.rate,
                model.megabytes,
                entry.title in BASELINES,
            )
        )
    return tuple(contenders)
