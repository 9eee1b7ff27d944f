"""Which model embeds: the one that is named, otherwise that of the collection, otherwise the best one there is."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dinoscope.errors import DamagedError, DownloadError, InputError, ModelError

if TYPE_CHECKING:
    from dinoscope.base.types import ModelDescription
    from dinoscope.models.catalogue import Model
    from dinoscope.models.encoder import Encoder
    from dinoscope.sources.base import ImageSource

__all__ = ["choose_encoder"]

# what nobody asked for
_USUAL = {"resolution": None, "pooling": "cls", "focus": None, "pad": False, "upstream": False, "precision": "auto"}


def choose_encoder(
    model: str | Model,
    images: ImageSource,
    place: Path,
    settings: dict[str, Any],
    *,
    yes: bool,
    say: Callable[[str], None],
) -> Encoder:
    """Load the model that embeds into a collection.

    Args:
        images: What it embeds.
        model: What a person named; or "auto". A collection that is there keeps its own then, with its settings, and
            nothing is downloaded because of what it says. A new one gets the best model on this machine; where there
            are only bundled ones, a person at a terminal is asked once whether to fetch one.
        place: Folder of the collection.
        settings: Arguments of ``Encoder``.
        yes: Fetch it without a question.
        say: Called with what a person should know.

    Raises:
        DownloadError, ModelError, InputError: See ``Encoder``.
        DamagedError: If the collection does not tell which model it has.
    """
    from dinoscope.models.catalogue import AUTO, MODELS
    from dinoscope.models.encoder import precision_of
    from dinoscope.storage.manifest import list_models, read_model

    if model != AUTO:
        return _load(model, images, place, settings, say).going_on(list_models(place))
    key = _shown(place)
    if key is None and settings.get("precision") == "int8":
        return _bundled(images, place, settings, say)
    if key is None:
        return _best_here(settings, say) or _load(_best(yes, say), images, place, settings, say)
    try:
        return _as_before(read_model(place, key), images, place, settings, say)
    except DamagedError:  # embedding with the same model mends it; the key begins with the model's name
        named = [name for name in MODELS if key.startswith(f"{name}-")]
        if not named:
            raise
        if settings.get("precision", "auto") == "auto":
            settings = {**settings, "precision": precision_of(key)}
        return _load(max(named, key=len), images, place, {**settings, "fetch": False}, say).going_on([key])


def _load(
    model: str | Model, images: ImageSource, place: Path, settings: dict[str, Any], say: Callable[[str], None]
) -> Encoder:
    """Load a model at the resolution that was asked for, otherwise at the one that suits the images."""
    from dinoscope.embedding.resolution import usual_resolution
    from dinoscope.models.catalogue import get_model
    from dinoscope.models.encoder import Encoder
    from dinoscope.models.focus import FOREGROUND

    row = get_model(model) if isinstance(model, str) else model
    if settings.get("resolution") is None and settings.get("focus") != FOREGROUND:
        settings = {**settings, "resolution": usual_resolution(row, images, place)}
    return Encoder(row, say=say, **settings)


def _shown(place: Path) -> str | None:
    """Return the key of the model that a collection shows; None where there is none yet."""
    from dinoscope.storage.manifest import choose_model, list_models, read_manifest

    if not list_models(place):
        return None
    try:
        shown = read_manifest(place).get("vectors")
    except (FileNotFoundError, DamagedError):  # embedding writes it again
        shown = None
    return choose_model(place, shown, None)


def _as_before(
    shown: ModelDescription, images: ImageSource, place: Path, settings: dict[str, Any], say: Callable[[str], None]
) -> Encoder:
    from dinoscope.embedding.resolution import usual_resolution
    from dinoscope.models.catalogue import MODELS
    from dinoscope.models.encoder import Encoder
    from dinoscope.models.focus import FOREGROUND

    name = shown["model"]
    if shown.get("own"):
        raise InputError(
            f"{place} has vectors of your own ({name}): name their file again (--vectors), or a model (--model mini)"
        )
    if shown.get("local"):
        raise InputError(f"{place} was embedded with weights from a file called {name}: say where it is (--model)")
    shown = _with_shipped_weights(shown, place, say)
    asked: Any = {key: value for key, value in settings.items() if value != _USUAL.get(key, value)}
    if asked.get("focus") == shown.get("focus", "image"):
        del asked["focus"]
    wanted = asked.pop("precision", None)
    refocused = "focus" in asked
    if asked:  # another preprocessing than before is meant
        shown = {**shown, **asked}
        if refocused and "resolution" not in asked and name in MODELS and MODELS[name].family == "bundled":
            shown["resolution"] = 0  # its squares have another side then
        shown.pop("preprocessing", None)
    if shown["resolution"] == 0 and shown.get("focus") != FOREGROUND:
        shown = {**shown, "resolution": usual_resolution(MODELS[name], images, place) or 0}
    device = settings.get("device", "auto")
    encoder = Encoder.from_description(shown, device=device, precision=wanted)
    precision = shown.get("precision", "fp32")
    if wanted is None and precision == "int8":
        say("precision: int8, as the vectors that are there (--precision fp32 makes vectors in float32)")
    if wanted is None and device == "auto" and encoder.precision != precision:  # every machine has float32: it is kept
        say(
            f"the vectors of {place} were computed in {precision}, and this machine computes in {encoder.precision}: "
            "all images are embedded again"
        )
    return encoder


def _with_shipped_weights(shown: ModelDescription, place: Path, say: Callable[[str], None]) -> ModelDescription:
    """Return the description of a bundled model as this version has it; say that its images are embedded again."""
    from dinoscope.models.catalogue import MODELS, read_ranges, read_weights
    from dinoscope.models.focus import FOREGROUND
    from dinoscope.models.loading import digest_ranges

    row = MODELS.get(shown["model"])
    if row is None or row.family != "bundled":
        return shown
    shipped: Any = {"weights_sha256": hashlib.sha256(read_weights(row)).hexdigest()}
    if shown.get("precision") == "int8":
        shipped["ranges"] = digest_ranges(read_ranges(row, shipped["weights_sha256"]))
    if shown.items() >= shipped.items():
        return shown
    say(f"{place} was embedded by the {row.name} of another version of dinoscope: all images are embedded again")
    shown = {**shown, **shipped}
    shown.pop("preprocessing", None)
    if shown.get("focus") != FOREGROUND:  # the side is the usual one then
        shown["resolution"] = 0
    return shown


def _bundled(images: ImageSource, place: Path, settings: dict[str, Any], say: Callable[[str], None]) -> Encoder:
    """Load the bundled model for int8, and say which model embeds without it."""
    from dinoscope.models.catalogue import DEFAULT_MODEL
    from dinoscope.models.choice import models_here

    better = next(iter(models_here()), None)
    without = "" if better is None else f"; without it, {better.name} embeds, the best one on this machine"
    say(f"model: {DEFAULT_MODEL}, because --precision int8 is for the bundled models{without}")
    return _load(DEFAULT_MODEL, images, place, settings, say)


def _best_here(settings: dict[str, Any], say: Callable[[str], None]) -> Encoder | None:
    """Load the best model on this machine whose weights can be used; None if only bundled ones are."""
    from dinoscope.models.choice import models_here
    from dinoscope.models.encoder import Encoder
    from dinoscope.models.hub import find_weights

    for model in models_here():
        try:
            encoder = Encoder(model, say=say, **settings)
        except ModelError as error:
            file = find_weights(model)
            say(
                f"{model.name} is left out, because its weights cannot be used ({error}); to mend it, delete "
                f"{file and file.resolve()} and run 'dinoscope models fetch {model.name}'"
            )
            continue
        say(f"model: {model.name}, the best one on this machine (--model names another)")
        return encoder
    return None


def _best(yes: bool, say: Callable[[str], None]) -> Model:
    from dinoscope.models.catalogue import DEFAULT_MODEL, MODELS, stronger_model
    from dinoscope.models.choice import may_fetch
    from dinoscope.models.hub import fetch_weights, find_weights

    stronger = stronger_model()
    if may_fetch() and find_weights(stronger) is None and (yes or _wanted(stronger, say)):
        try:
            fetch_weights(stronger, say=say)
            return stronger
        except (DownloadError, ModelError) as error:
            say(f"{error}\nUntil then, dinoscope uses {DEFAULT_MODEL}.")
    return MODELS[DEFAULT_MODEL]


def _wanted(model: Model, say: Callable[[str], None]) -> bool:
    """Ask a person whether to fetch a model: at a terminal alone, and not again after a no."""
    from dinoscope.models.choice import decline, is_declined

    if not (sys.stdin.isatty() and sys.stderr.isatty()) or is_declined(model):
        return False
    say(f"{model.name} sorts photographs by what they show ({model.megabytes:.0f} MB, {model.licence}, fetched once).")
    if typer.confirm("Fetch it?", default=True, err=True):
        return True
    decline(model)
    say(f"dinoscope will not ask again; 'dinoscope models fetch {model.name}' fetches it at any time")
    return False
