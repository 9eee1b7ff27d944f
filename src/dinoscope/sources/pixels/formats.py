"""Which bytes are a picture that dinoscope reads, and what its header says, before anything is decoded."""

from __future__ import annotations

import io
from importlib.util import find_spec
from typing import IO

import numpy as np
from PIL import AvifImagePlugin, Image, JpegImagePlugin, TiffImagePlugin, WebPImagePlugin

from dinoscope.base.digests import digest_bytes
from dinoscope.errors import ImageError

__all__ = ["HEIC", "READ", "check_head", "check_scans", "held_whole", "identify", "mend_end", "pixels_at_once"]

HEIC = find_spec("pi_heif") is not None  # what decodes it is an extra
READ = f"JPEG, PNG, GIF, WebP, AVIF{', HEIC' if HEIC else ''}, BMP or TIFF"
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
_BRANDS = 256  # bytes in which a file of the HEIF family says what it is
_END_OF_IMAGE = b"\xff\xd9"
_FILLS = (b"", 4096 * b"\x55", 4096 * b"\xaa")  # what a picture that is all there does not depend on
_REDUCED = 8  # what a JPEG can be decoded at: 1/8
_LARGE = 20_000_000
_PIXEL_BYTES, _OTHER_BYTES = 8, 1 << 26  # a file may have: for each pixel, and for notes, profiles and more frames
_SCANS = 20  # of the largest picture that is decoded; of a smaller one as many as take the same time
_START_OF_SCAN = b"\xff\xda"
_BLOCK = 1 << 20
_PLUGINS = (TiffImagePlugin, WebPImagePlugin)  # register their formats
Image.preinit()  # registers JPEG, PNG, GIF and BMP


def identify(file: IO[bytes]) -> Image.Image:
    """Read a header: size and format, no pixels.

    `Image.open` would do, but warns of large images, by filters that all threads share.

    Raises:
        ImageError: If it is not an image of a kind that dinoscope reads.
    """
    prefix = file.read(16)
    if not prefix:
        raise ImageError("is empty")
    if prefix[4:8] == b"ftyp":
        return _identify_heif(file, prefix)
    for name in _FORMATS:
        factory, accept = Image.OPEN[name]
        if accept is not None and accept(prefix) is True:
            file.seek(0)
            return factory(file, "")
    raise ImageError(f"is not a {READ} image")


def check_head(head: bytes, size: int) -> None:
    """Refuse a file by its first bytes: one that is not an image, or much larger than its pixels can be.

    Args:
        head: What it begins with, or all of it.
        size: Bytes of all of it.

    Raises:
        ImageError: It is such a file.
    """
    try:
        image = identify(io.BytesIO(head))
    except ImageError:
        raise
    except Exception:  # the header is longer, or damaged: decoding will tell
        return
    most = image.width * image.height * _PIXEL_BYTES + _OTHER_BYTES
    if size > most and image.format != "TIFF":  # which may have any number of pages
        of = f"{image.width} x {image.height} pixels"
        raise ImageError(f"has {size >> 20} MB for {of}, expected at most {most >> 20}")


def _identify_heif(file: IO[bytes], prefix: bytes) -> Image.Image:
    """Open what the brands of a file of the HEIF family say that it is."""
    length = min(int.from_bytes(prefix[:4]), _BRANDS)
    brands = prefix[8:12] + file.read(max(0, length - len(prefix)))
    kinds = {brands[at : at + 4] for at in range(0, len(brands), 4)}
    file.seek(0)
    if kinds & {b"avif", b"avis"}:
        return AvifImagePlugin.AvifImageFile(file, "")
    if not any(kind[:3] in (b"hei", b"hev", b"mif", b"msf") for kind in kinds):
        raise ImageError(f"is not a {READ} image")  # a film, for example
    if not HEIC:
        raise ImageError("is a HEIC image, which an extra reads: pip install 'dinoscope[heic]'")
    from pi_heif import HeifImageFile  # type: ignore[import-not-found, unused-ignore]

    found: Image.Image = HeifImageFile(file, "")
    return found


def held_whole(image: Image.Image) -> bool:
    """Tell whether a JPEG, not decoded yet, will hold all its coefficients at once: they come in several scans."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or (file := image.fp) is None:
        return False
    if image.info.get("progressive"):
        return True
    file.seek(2)
    while len(head := file.read(4)) == 4 and head[0] == 0xFF:
        if head[1] == 0xFF:  # a byte that only fills
            file.seek(-3, 1)
        elif head[:2] == _START_OF_SCAN:
            return file.read(1)[:1] < bytes([image.layers])
        else:
            file.seek(int.from_bytes(head[2:]) - 2, 1)
    return True  # something odd is there


def pixels_at_once(image: Image.Image) -> int:
    """Return how many pixels of an image must be decoded at once, at least: a JPEG can be decoded at 1/8."""
    reduced = isinstance(image, JpegImagePlugin.JpegImageFile) and not held_whole(image)
    return image.width * image.height // (_REDUCED**2 if reduced else 1)


def check_scans(image: Image.Image, most_pixels: int) -> None:
    """Refuse a JPEG that goes over its pixels so often that decoding would take minutes.

    Args:
        image: Not decoded yet.
        most_pixels: Of the largest picture that is decoded.

    Raises:
        ImageError: It has too many scans for its size.
    """
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or image.fp is None:
        return
    most = _SCANS * most_pixels // max(image.width * image.height, 1)
    scans = _count(image.fp, _START_OF_SCAN) if held_whole(image) else 1
    if scans > most:
        raise ImageError(f"has {scans:,} scans, expected at most {most:,} of {image.width} x {image.height} pixels")


def mend_end(image: Image.Image) -> IO[bytes] | None:
    """Return the file of a JPEG that would not load with the mark of its end; None if more than that is missing.

    What comes between the last byte and the mark then makes no difference: the decoder reads no further.
    """
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or image.fp is None:
        return None
    image.fp.seek(0)
    data = image.fp.read().removesuffix(_END_OF_IMAGE[:1])
    seen: set[str] = set()
    for fill in _FILLS:
        tried = JpegImagePlugin.JpegImageFile(io.BytesIO(data + fill + _END_OF_IMAGE), "")
        if tried.width * tried.height > _LARGE and not held_whole(tried):
            tried.draft(None, (tried.width // _REDUCED, tried.height // _REDUCED))
        try:
            seen.add(digest_bytes(np.asarray(tried).tobytes()))
        except OSError:
            return None
        if len(seen) > 1:
            return None
    return io.BytesIO(data + _END_OF_IMAGE)


def _count(file: IO[bytes], mark: bytes) -> int:
    file.seek(0)
    count, last = 0, b""
    while block := file.read(_BLOCK):
        count += (last + block).count(mark)
        last = block[1 - len(mark) :]
    return count
