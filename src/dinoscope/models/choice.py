"""Which model embeds where nobody named one: what is on this machine, and whether to ask for what is not."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_config_path

from dinoscope.errors import DamagedError, WriteError
from dinoscope.models.catalogue import AUTO_ORDER, MODELS, Model
from dinoscope.models.hub import find_weights
from dinoscope.storage.files import read_json, write_json

__all__ = ["decline", "declined_file", "is_declined", "may_fetch", "models_here"]


def models_here() -> list[Model]:
    """Return the models whose weights are on this machine, the best by ``AUTO_ORDER`` first; not the bundled ones.

    No network is asked.
    """
    return [MODELS[name] for name in AUTO_ORDER if find_weights(MODELS[name]) is not None]


def may_fetch() -> bool:
    """Return whether the hub may be asked: HF_HUB_OFFLINE forbids it."""
    from huggingface_hub import constants

    return not constants.HF_HUB_OFFLINE


def declined_file() -> Path:
    """Return where it is remembered that a person did not want a model: among the settings of this account."""
    return user_config_path("dinoscope") / "declined.json"


def is_declined(model: Model) -> bool:
    """Return whether a person said no to this model."""
    return model.name in _declined()


def decline(model: Model) -> None:
    """Remember that a person said no, so that nobody asks again. Where nothing can be written, it is not remembered."""
    try:
        write_json(declined_file(), sorted({*_declined(), model.name}))
    except WriteError:
        return


def _declined() -> list[str]:
    try:
        names: list[str] = read_json(declined_file(), list[str])
        return names
    except (OSError, DamagedError):
        return []
