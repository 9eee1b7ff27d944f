"""How a file becomes pixels: (H, W, 3) uint8 RGB, upright, alpha laid on white, every grey level as itself."""

from __future__ import annotations

import io
import os
import re
import stat
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin, TiffImagePlugin, WebPImagePlugin  # noqa: F401  the plugins register their formats

from dinoscope.base.digests import digest_bytes
from dinoscope.errors import ImageError, InputError, UnreadableError

__all__ = [
    "MAX_PIXELS",
    "Picture",
    "Queries",
    "Query",
    "ReducedImage",
    "check_images",
    "identify",
    "read_image",
    "read_reduced",
    "thumbnail",
]

Picture: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | NDArray[np.generic]
Query: TypeAlias = int | Picture  # the row of an image, an image, or a vector
Queries: TypeAlias = Query | Sequence[Query]
MAX_PIXELS = 100_000_000
WHOLE_BYTES = 1 << 26  # a file up to 64 MiB is read at once
_LARGE_PIXELS = 20_000_000
_THUMBNAIL = 128
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
_T = Image.Transpose
_UPRIGHT = (_T.FLIP_LEFT_RIGHT, _T.ROTATE_180, _T.FLIP_TOP_BOTTOM)
_TURNED = (_T.TRANSPOSE, _T.ROTATE_270, _T.TRANSVERSE, _T.ROTATE_90)
_TURNS = dict(enumerate(_UPRIGHT + _TURNED, start=2))  # what undoes each EXIF orientation
Image.preinit()  # registers JPEG, PNG, GIF and BMP
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:/")  # a path makes one slash of two; a drive of Windows has one letter
_large_image = threading.Lock()  # one huge image at a time, however many threads decode


@dataclass(frozen=True, slots=True)
class ReducedImage:
    """A decoded image, perhaps at 1/2, 1/4 or 1/8 of its size.

    Attributes:
        pixels: (H, W, 3) RGB.
        size: Width and height of the original, upright.
        content: Digest of the file's bytes, where there is a file and it was read whole.
    """

    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    content: str | None = None

    @classmethod
    def whole(cls, pixels: NDArray[np.uint8]) -> ReducedImage:
        """Wrap an image (H, W, 3) of full size."""
        return cls(pixels, (pixels.shape[1], pixels.shape[0]))


def read_image(source: Picture) -> NDArray[np.uint8]:
    """Decode one image to (H, W, 3) RGB, perhaps read-only: first frame, upright, alpha on white, 16 bits scaled to 8.

    Args:
        source: A path, a file's bytes (JPEG, PNG, GIF, WebP, BMP or TIFF), a Pillow image, or an array as `ArraySource`
            takes them, without N.

    Raises:
        UnreadableError: The file cannot be read.
        ImageError: The image is damaged, cut short, too large (`MAX_PIXELS`) or no image.
        InputError: `source` is of another type.
    """
    return read_reduced(source).pixels


def read_reduced(source: Picture, least: tuple[int, int] | None = None) -> ReducedImage:
    """Decode one image as `read_image` does, but a JPEG file at 1/2, 1/4 or 1/8 where that leaves enough of it.

    Most of the time that a large JPEG takes goes into pixels that scaling throws away; its blocks of 8 x 8 can be
    decoded to fewer at once.

    Args:
        source: See `read_image`.
        least: What must be left of the shortest and of the longest side, in pixels; None reduces nothing. Enough for a
            `thumbnail` is always left.

    Raises:
        ImageError, InputError: See `read_image`.
    """
    if not isinstance(source, str | os.PathLike | bytes | Image.Image | np.ndarray):
        raise InputError(f"expected a path, bytes, a Pillow image or an array, got {type(source).__name__}")
    if _is_address(source):
        raise UnreadableError("is an address, and images are read from files: download it first, and name the file")
    try:
        return _read(source, least)
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


def thumbnail(image: NDArray[np.uint8], max_side: int = _THUMBNAIL) -> bytes:
    """Encode a small picture of an image (H, W, 3): PNG as it is up to 64 pixels a side, else a JPEG of `max_side`."""
    picture, buffer = Image.fromarray(image), io.BytesIO()
    if max(picture.size) <= min(64, max_side):
        picture.save(buffer, "PNG")
    else:
        picture.thumbnail((max_side, max_side), Image.Resampling.LANCZOS, reducing_gap=2.0)
        picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def check_images(images: NDArray[np.generic]) -> None:
    """Refuse an array (N, H, W[, C]) that is not one of images, or whose range of values is not certain."""
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3, 4)):
        last = "; move the channels last" if images.ndim == 4 and images.shape[1] in (1, 3, 4) else ""
        raise InputError(f"images must have shape (N, H, W) or (N, H, W, 1 | 3 | 4), got {images.shape}{last}")
    if 0 in images.shape:
        raise InputError(f"images must have pixels, got shape {images.shape}")
    if images.dtype.kind == "f":
        low, high = float(images.min()), float(images.max())
        if not (low >= 0 and high <= 1):  # also true of NaN
            raise InputError(f"float pixels must lie in 0..1, got {low:g}..{high:g}; scale them, or pass uint8")
    elif images.dtype.kind != "b" and images.dtype.str[1:] not in ("u1", "u2"):
        raise InputError(f"pixels must be uint8, uint16, bool or floats in 0..1, got {images.dtype}")


def to_uint8(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale checked pixels of any accepted type to 0..255."""
    if pixels.dtype == np.uint8:
        return pixels
    white = 65535 if pixels.dtype.kind == "u" else 1
    return np.rint(pixels * np.float32(255 / white)).astype(np.uint8)


def to_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Copy (H, W[, 1 | 3 | 4]) to (H, W, 3), alpha laid on white."""
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    channels = pixels.shape[2]
    return _decode(Image.fromarray(pixels)).pixels if channels == 4 else np.repeat(pixels, 3 // channels, axis=2)


def _read(source: Picture, least: tuple[int, int] | None) -> ReducedImage:
    if isinstance(source, np.ndarray):
        if source.shape[2:] not in ((), (1,), (3,), (4,)) or source.ndim < 2:
            last = "; move the channels last" if source.ndim == 3 and source.shape[0] in (1, 3, 4) else ""
            raise InputError(f"an image must have shape (H, W) or (H, W, 1 | 3 | 4), got {source.shape}{last}")
        check_images(source[None])
        return ReducedImage.whole(to_rgb(to_uint8(source)))
    if isinstance(source, Image.Image):
        return _decode(source)
    if isinstance(source, bytes):
        return replace(_decode(identify(io.BytesIO(source)), least), content=digest_bytes(source))
    mode = os.stat(source).st_mode
    if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
        raise ImageError("is a directory" if stat.S_ISDIR(mode) else "is not a regular file")
    with open(source, "rb") as file:
        if os.fstat(file.fileno()).st_size <= WHOLE_BYTES:
            return _read(file.read(), least)
        return _decode(identify(file), least)


def _image_error(error: Exception) -> ImageError:
    if isinstance(error, OSError) and error.errno is not None:
        return UnreadableError(f"cannot be read: {error.strerror}")
    if isinstance(error, MemoryError):
        return ImageError("needs more memory than there is")
    if isinstance(error, InputError):
        return ImageError(str(error))
    reason = (str(error) or type(error).__name__).splitlines()[0][:120]
    if reason == "not identified by this driver":  # Pillow's words for a width or height of 0
        reason = "no pixels"
    return ImageError(f"damaged: {reason}")


def identify(file: IO[bytes]) -> Image.Image:
    """Read a header: size and format, no pixels.

    `Image.open` would do, but warns of large images, by filters that all threads share.

    Raises:
        ImageError: If it is no image of a kind that dinoscope reads.
    """
    prefix = file.read(16)
    if not prefix:
        raise ImageError("is empty")
    for name in _FORMATS:
        factory, accept = Image.OPEN[name]
        if accept is not None and accept(prefix) is True:
            file.seek(0)
            return factory(file, "")
    raise ImageError("is not a JPEG, PNG, GIF, WebP, BMP or TIFF image")


def _decode(image: Image.Image, least: tuple[int, int] | None = None) -> ReducedImage:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(f"has {width} x {height} pixels, expected at most {MAX_PIXELS // 1_000_000} million")
    if width * height == 0:
        raise ImageError("has no pixels")
    if least and isinstance(image, JpegImagePlugin.JpegImageFile):
        _reduce(image, least)
    # the coefficients of a progressive JPEG are held whole, at whatever size it is decoded
    held = width * height if image.info.get("progressive") else image.width * image.height
    with _large_image if held > _LARGE_PIXELS else nullcontext():
        image.load()
        turn = _turn(image)
        image = _as_rgb(image)
        pixels = np.asarray(image if turn is None else image.transpose(turn))
    return ReducedImage(pixels, (height, width) if turn in _TURNED else (width, height))


def _reduce(image: JpegImagePlugin.JpegImageFile, least: tuple[int, int]) -> None:
    """Have a JPEG decoded at the smallest size that is large enough."""
    width, height = image.size
    short, long = max(least[0], 1), max(least[1], 2 * _THUMBNAIL)
    for factor in (8, 4, 2):
        # Pixels that stand for less than `factor` of the original come last; turning the image would put them first.
        whole = width % factor == height % factor == 0 or _turn(image) is None
        if whole and min(width, height) >= factor * short and max(width, height) >= factor * long:
            image.draft(None, (width // factor, height // factor))
            return


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F" or image.mode.startswith("I"):
        greys = np.asarray(image)
        if image.mode == "I" and greys.min() >= 0 and greys.max() <= 65535:  # 32 bits wide for a 16-bit file
            greys = greys.astype(np.uint16)
        check_images(greys[None])
        levels = to_uint8(greys)
        if isinstance(clear := image.info.get("transparency"), int):  # of a 16-bit PNG: one grey that is none
            levels[greys == clear] = 255
        image = Image.fromarray(levels)
    if image.has_transparency_data:
        picture = image.convert("RGBA")
        image = Image.new("RGB", picture.size, "white")
        image.paste(picture, mask=picture)
    return image if image.mode == "RGB" else image.convert("RGB")


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return _TURNS.get(image.getexif().get(0x0112, 1))
    except Exception:  # damaged notes about a photograph do not spoil the photograph
        return None
