"""How a file becomes pixels: (H, W, 3) uint8 RGB, upright, alpha laid on white, every grey level as itself."""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import IO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from dinoscope.base.digests import digest_bytes
from dinoscope.base.paths import named_path
from dinoscope.errors import ImageError, InputError, UnreadableError
from dinoscope.sources.pixels.facts import FileFacts, describe_file
from dinoscope.sources.pixels.formats import check_scans, held_whole, identify, mend_end
from dinoscope.sources.pixels.levels import DeepValues, ValueRange, check_images, is_deep, sample_values, to_uint8
from dinoscope.sources.pixels.memory import LARGE_BYTES, decoders
from dinoscope.sources.pixels.quality import Quality, describe_quality
from dinoscope.sources.pixels.rgb import as_rgb, is_turned, is_upright
from dinoscope.sources.pixels.wide import WHOLE, has_wide_colours, scale_colours, wide_colours

__all__ = [
    "MAX_PIXELS",
    "Decoding",
    "Picture",
    "Queries",
    "Query",
    "ReducedImage",
    "deep_values",
    "read_image",
    "read_reduced",
    "thumbnail",
]

Picture: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | NDArray[np.generic]
Query: TypeAlias = int | Picture  # the row of an image, an image, or a vector
Queries: TypeAlias = Query | Sequence[Query]
MAX_PIXELS = 100_000_000
WHOLE_BYTES = 1 << 26  # a file up to 64 MiB is read at once
_THUMBNAIL = 128
_WEBP_SHARE = 0.75  # of the pixels of other formats: its decoder holds three pictures beside the one that it gives
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:/")  # a path makes one slash of two; a drive of Windows has one letter


@dataclass(frozen=True)
class Decoding:
    """How the pictures of one collection are decoded.

    Attributes:
        value_range: What is black and what is white in pictures of more than 8 bits; None: 0 and 65535, or 0 and 1 of
            floats, and no other values are accepted.
        max_pixels: How many pixels may be decoded at once, at most. A JPEG that can be decoded at 1/8 has fewer.
    """

    value_range: ValueRange | None = None
    max_pixels: int = MAX_PIXELS


_USUAL = Decoding()


@dataclass(frozen=True, slots=True)
class ReducedImage:
    """A decoded image, perhaps at 1/2, 1/4 or 1/8 of its size.

    Attributes:
        pixels: (H, W, 3) RGB.
        size: Width and height of the original, upright.
        content: Digest of the file's bytes, where there is a file and it was read whole.
        note: What is wrong with the file, though it could be read.
        quality: What tells the better of two copies, where it was measured.
        facts: What the file says about the photograph, where that was read.
    """

    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    content: str | None = None
    note: str | None = None
    quality: Quality | None = None
    facts: FileFacts | None = None

    @classmethod
    def whole(cls, pixels: NDArray[np.uint8]) -> ReducedImage:
        """Wrap an image (H, W, 3) of full size."""
        return cls(pixels, (pixels.shape[1], pixels.shape[0]))


def read_image(source: Picture, how: Decoding = _USUAL) -> NDArray[np.uint8]:
    """Decode one image to (H, W, 3) RGB, perhaps read-only: first frame, upright, sRGB, alpha on white, 16 bits as 8.

    Args:
        source: A path, a file's bytes (JPEG, PNG, GIF, WebP, AVIF, BMP or TIFF; HEIC with `dinoscope[heic]`), a Pillow
            image, or an array as `ArraySource` takes them, without N.
        how: What the collection says that the image is for, such as the range of its values.

    Raises:
        UnreadableError: The file cannot be read.
        ImageError: The image is damaged, cut short, too large (`Decoding.max_pixels`) or no image.
        InputError: `source` is of another type.
    """
    return read_reduced(source, how=how, measured=False).pixels


def read_reduced(
    source: Picture, least: tuple[int, int] | None = None, how: Decoding = _USUAL, *, measured: bool = True
) -> ReducedImage:
    """Decode one image as `read_image` does, but a JPEG file at 1/2, 1/4 or 1/8 where that leaves enough of it.

    Most of the time that a large JPEG takes goes into pixels that scaling throws away; its blocks of 8 x 8 can be
    decoded to fewer at once.

    Args:
        source: See `read_image`.
        least: What must be left of the shortest and of the longest side, in pixels; None reduces nothing. Enough for a
            `thumbnail` is always left.
        how: See `read_image`.
        measured: Whether to tell quality and facts, too: of a small picture they take longer than its pixels.

    Raises:
        ImageError, InputError: See `read_image`.
    """
    if not isinstance(source, str | os.PathLike | bytes | Image.Image | np.ndarray):
        raise InputError(f"expected a path, bytes, a Pillow image or an array, got {type(source).__name__}")
    if _is_address(source):
        raise UnreadableError("is an address, and images are read from files: download it first, and name the file")
    try:
        return _read(source, least, how, measured)
    except ImageError:
        raise
    except Exception as error:  # decoders raise nearly anything on a damaged file
        raise _image_error(error) from error


def _is_address(source: object) -> bool:
    """Tell whether a path that leads nowhere is an address on the web."""
    return (
        isinstance(source, str | os.PathLike)
        and _ADDRESS.match(os.fsdecode(source)) is not None
        and not os.path.exists(source)
    )


def deep_values(source: Picture) -> DeepValues | None:
    """Return a sample of the values (V,) of a picture of more than 8 bits, and whether they are whole numbers.

    None of any other picture, which is not decoded, and of one that cannot be read.
    """
    if isinstance(source, np.ndarray):
        return (sample_values(source), source.dtype.kind in "iu") if is_deep(source) else None
    try:
        if isinstance(source, Image.Image):
            return _deep_values(source)
        with io.BytesIO(source) if isinstance(source, bytes) else _open_regular(source) as file:
            return _deep_values(identify(file))
    except Exception:  # reading it in earnest will tell
        return None


def thumbnail(image: NDArray[np.uint8], max_side: int = _THUMBNAIL) -> bytes:
    """Encode a small picture of an image (H, W, 3): PNG as it is up to 64 pixels a side, else a JPEG of `max_side`."""
    buffer = io.BytesIO()
    if max(image.shape[:2]) <= min(64, max_side):
        grey = bool((image == image[..., :1]).all())  # half of the time and of the bytes
        Image.fromarray(image[..., 0] if grey else image).save(buffer, "PNG", compress_level=1)
    else:
        picture = Image.fromarray(image)
        picture.thumbnail((max_side, max_side), Image.Resampling.HAMMING, reducing_gap=2.0)  # a third of Lanczos' time
        picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def to_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Copy (H, W[, 1 | 3 | 4]) to (H, W, 3), alpha laid on white."""
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    channels = pixels.shape[2]
    return (
        _decode(Image.fromarray(pixels), _USUAL).pixels if channels == 4 else np.repeat(pixels, 3 // channels, axis=2)
    )


def _read(source: Picture, least: tuple[int, int] | None, how: Decoding, measured: bool) -> ReducedImage:
    if isinstance(source, np.ndarray):
        if source.shape[2:] not in ((), (1,), (3,), (4,)) or source.ndim < 2:
            last = "; move the channels last" if source.ndim == 3 and source.shape[0] in (1, 3, 4) else ""
            raise InputError(f"an image must have shape (H, W) or (H, W, 1 | 3 | 4), got {source.shape}{last}")
        check_images(source[None], how.value_range)
        return ReducedImage.whole(to_rgb(to_uint8(source, how.value_range)))
    if isinstance(source, Image.Image):
        return _decode(source, how, measured=measured)
    if isinstance(source, bytes):
        found = _decode(identify(io.BytesIO(source)), how, least, measured=measured)
        return replace(found, content=digest_bytes(source), quality=_of_file(found.quality, len(source)))
    with _open_regular(source) as file:
        size, modified = os.fstat(file.fileno()).st_size, os.fstat(file.fileno()).st_mtime_ns
        with decoders.alone(size > LARGE_BYTES):
            whole = size <= WHOLE_BYTES
            found = (
                _read(file.read(), least, how, measured)
                if whole
                else _decode(identify(file), how, least, measured=measured)
            )
        return replace(found, quality=_of_file(found.quality, size, modified))


def _of_file(quality: Quality | None, size: int, modified: int | None = None) -> Quality | None:
    return None if quality is None else replace(quality, bytes=size, modified=modified)


def _open_regular(path: str | os.PathLike[str]) -> IO[bytes]:
    path = named_path(path)
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):  # opening a pipe would wait forever
        raise ImageError("is a directory" if stat.S_ISDIR(mode) else "is not a regular file")
    return open(path, "rb")


def _image_error(error: Exception) -> ImageError:
    if isinstance(error, OSError) and error.errno is not None:
        return UnreadableError(f"cannot be read: {error.strerror}")
    if isinstance(error, MemoryError):
        return UnreadableError("needs more memory than there was: the next run tries it again")
    if isinstance(error, InputError):
        return ImageError(str(error))
    reason = (str(error) or type(error).__name__).splitlines()[0][:120]
    if reason == "not identified by this driver":  # Pillow's words for a width or height of 0
        reason = "no pixels"
    return ImageError(f"damaged: {reason}")


def _deep_values(image: Image.Image) -> DeepValues | None:
    is_wide = has_wide_colours(image)
    if not (is_deep(image) or is_wide):
        return None
    _check_size(image.size, image.format, image.width * image.height, _USUAL)
    with decoders.take(image.width * image.height):
        if is_wide:
            file = getattr(image, "fp", None)
            image.load()
            return None if file is None else (sample_values(wide_colours(image, file)[..., :3]), True)
        return sample_values(np.asarray(image)), image.mode != "F"


def _check_size(size: tuple[int, int], form: str | None, held: int, how: Decoding) -> None:
    """Refuse an image of which more pixels would be held at once than may be."""
    width, height = size
    most = how.max_pixels * (_WEBP_SHARE if form == "WEBP" else 1)
    if held > most:
        of = " of a WebP image" if form == "WEBP" else ""
        raise UnreadableError(
            f"has {width} x {height} pixels, expected at most {most / 1e6:g} million{of} (--max-megapixels)"
        )
    if width * height == 0:
        raise ImageError("has no pixels")


def _decode(
    image: Image.Image, how: Decoding, least: tuple[int, int] | None = None, *, measured: bool = False
) -> ReducedImage:
    width, height = image.size
    check_scans(image, how.max_pixels)
    whole = held_whole(image)
    if least and isinstance(image, JpegImagePlugin.JpegImageFile):
        _reduce(image, least)
    # all coefficients of a progressive JPEG are held, at any decoded size
    held = width * height if whole else image.width * image.height
    _check_size((width, height), image.format, held, how)
    with decoders.take(held):
        file, is_wide = getattr(image, "fp", None), has_wide_colours(image)
        opened, note = _load(image)
        if is_wide and file is not None and how.value_range not in (None, WHOLE):
            scale_colours(opened, file, how.value_range)
        pixels = as_rgb(opened, how.value_range)
    found = ReducedImage(pixels, (height, width) if is_turned(opened) else (width, height), note=note)
    if not measured:
        return found
    quality = describe_quality(opened, opened.format, pixels, round(max(width, height) / max(pixels.shape)))
    return replace(found, quality=quality, facts=describe_file(opened, image.format))


def _load(image: Image.Image) -> tuple[Image.Image, str | None]:
    """Decode an image, also a JPEG that only lacks the mark of its end; return what is wrong with it, too."""
    try:
        image.load()
    except OSError:
        draft, whole = image.size, mend_end(image)
        if whole is None:
            raise
        mended = JpegImagePlugin.JpegImageFile(whole, "")
        mended.draft(None, draft)
        mended.load()
        return mended, "its last bytes are missing; the picture is whole"
    return image, None


def _reduce(image: JpegImagePlugin.JpegImageFile, least: tuple[int, int]) -> None:
    """Have a JPEG decoded at the smallest size that is large enough."""
    width, height = image.size
    short, long = max(least[0], 1), max(least[1], 2 * _THUMBNAIL)
    for factor in (8, 4, 2):
        # Pixels that stand for less than `factor` of the original come last; turning the image would put them first.
        whole = width % factor == height % factor == 0 or is_upright(image)
        if whole and min(width, height) >= factor * short and max(width, height) >= factor * long:
            image.draft(None, (width // factor, height // factor))
            return
