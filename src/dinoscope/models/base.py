"""What an encoder is to everything that embeds with one."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dinoscope._version import __version__
from dinoscope.base.machine import this_machine
from dinoscope.base.types import ModelDescription, Provenance
from dinoscope.models.catalogue import Model
from dinoscope.models.preprocess import Preprocessing

__all__ = ["ImageEncoder", "provenance"]


class ImageEncoder(Protocol):
    """Images to vectors: ``Encoder``, or a baseline with the same attributes."""

    model: Model
    dim: int
    resolution: int
    batch_size: int
    device: str
    precision: str
    key: str
    preprocessing: Preprocessing

    def preprocess(self, image: NDArray[np.uint8], size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """See ``Encoder.preprocess``."""

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See ``Encoder.run``."""

    def describe(self) -> ModelDescription:
        """See ``Encoder.describe``."""


def provenance(encoder: ImageEncoder) -> Provenance:
    """Return what computes the vectors of an encoder on this machine, for the record."""
    return {"dinoscope": __version__, "device": encoder.device, "precision": encoder.precision, **this_machine()}
