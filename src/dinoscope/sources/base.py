"""What a source of images is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dinoscope.sources.decode import ReducedImage
from dinoscope.sources.items import Item

__all__ = ["ImageSource", "content_of", "load_reduced"]


@runtime_checkable
class ImageSource(Protocol):
    """A sequence of images in a fixed order."""

    @property
    def name(self) -> str:
        """Short name for people."""

    @property
    def kind(self) -> str:
        """One of "folder", "archive", "table", "array" and "dataset"."""

    @property
    def items(self) -> Sequence[Item]:
        """What is known of each image before it is decoded."""

    def load(self, index: int) -> NDArray[np.uint8]:
        """Decode one image to (H, W, 3) RGB; safe to call from several threads.

        Raises:
            ImageError: The image cannot be read; the message is the reason.
        """


@runtime_checkable
class _ReducingSource(Protocol):
    """A source of files, some of which can be decoded smaller than they are in less time."""

    def load_reduced(self, index: int, least: tuple[int, int]) -> ReducedImage:
        """Decode one image, perhaps reduced; see `dinoscope.sources.decode.read_reduced`."""


@runtime_checkable
class _FileSource(Protocol):
    """A source of files, whose bytes have a digest."""

    def content(self, index: int) -> str | None:
        """Return it, or None if it cannot be had cheaply; the same as `ReducedImage.content`."""


def content_of(source: ImageSource, index: int) -> str | None:
    """Return the digest of the bytes of an image's file, for a source of files; it tells a renamed file from a new one.

    Args:
        source: The images; only one with a method `content` knows of files.
        index: Which one.
    """
    return source.content(index) if isinstance(source, _FileSource) else None


def load_reduced(source: ImageSource, index: int, least: tuple[int, int]) -> ReducedImage:
    """Decode one image of a source, at reduced size where the source can do so and enough is left.

    Args:
        source: The images; only one with a method of this name reduces, the others give whole images.
        index: Which one.
        least: What must be left of the shortest and of the longest side, in pixels.

    Raises:
        ImageError: The image cannot be read; the message is the reason.
    """
    if isinstance(source, _ReducingSource):
        return source.load_reduced(index, least)
    return ReducedImage.whole(source.load(index))
