"""Colours as their file's ICC profile means them, in sRGB, which models were trained on and screens show."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

__all__ = ["to_srgb"]

_SAME = 2  # levels by which a profile of sRGB may be off, because it is written in several ways
_GRID = 9  # levels of each colour that are tried
_MODES = {"RGB": "RGB", "RGBA": "RGBA", "CMYK": "RGB"}  # and what they become
_KEPT = 64  # profiles: a collection has few


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert the colours of an RGB, RGBA or CMYK image with an ICC profile to sRGB.

    The image is returned as it is where there is no profile, or one that is sRGB, cannot be read, or is of another kind
    of colours than the image.
    """
    if not profile or image.mode not in _MODES:
        return image
    transform = _transform(profile, image.mode)
    if transform is None:
        return image
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # what is not changed in place is returned
    return converted


@lru_cache(_KEPT)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    try:
        held = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if mode != "CMYK" and "srgb" in (ImageCms.getProfileDescription(held) or "").lower():
            return None
        transform = ImageCms.buildTransform(
            held,
            ImageCms.createProfile("sRGB"),
            mode,
            _MODES[mode],
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return transform if mode == "CMYK" or _changes(transform, mode) else None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _changes(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    levels = np.linspace(0, 255, _GRID).astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(_GRID, -1, 3)
    tried = ImageCms.applyTransform(Image.fromarray(colours).convert(mode), transform)
    assert tried is not None
    return int(np.abs(np.asarray(tried)[..., :3].astype(int) - colours).max()) > _SAME
