"""Weights that a collection needs and this machine lacks: what the explorer says about them before they are fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dinoscope.errors import ModelError
from dinoscope.explorer.types import WeightsInfo
from dinoscope.models.catalogue import LICENCE_LINKS
from dinoscope.models.hub import is_offline

if TYPE_CHECKING:
    from dinoscope.models.catalogue import Model

__all__ = ["NeedsWeights", "weights_info"]


class NeedsWeights(ModelError):
    """A model whose weights are not on this machine, with what is to be known before they are fetched."""

    def __init__(self, reason: str, weights: WeightsInfo) -> None:
        super().__init__(reason)
        self.weights = weights


def weights_info(model: Model, *, read_only: bool) -> WeightsInfo:
    """Return what a person is to know before the weights of a model are fetched.

    Args:
        model: A model that comes from a repository. Without a row in the table, size and licence are not known.
        read_only: Whether the explorer writes nothing.
    """
    obstacle = None
    if read_only:
        obstacle = "it was started with --read-only"
    elif is_offline():
        obstacle = "HF_HUB_OFFLINE is set where dinoscope explore runs"
    return WeightsInfo(
        name=model.name,
        repository=str(model.repo),
        megabytes=model.megabytes or None,
        licence=model.licence,
        licence_link=LICENCE_LINKS.get(model.licence, ""),
        obstacle=obstacle,
    )
