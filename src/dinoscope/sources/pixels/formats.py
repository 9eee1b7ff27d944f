"""Which bytes are a picture that dinoscope reads, and what its header says, before anything is decoded."""

from __future__ import annotations

from typing import IO

from PIL import Image, JpegImagePlugin, TiffImagePlugin, WebPImagePlugin  # noqa: F401  the plugins register their formats

from dinoscope.errors import ImageError

__all__ = ["check_scans", "held_whole", "identify"]

_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
_SCANS = 20  # of the largest picture that is decoded; of a smaller one as many as take the same time
_START_OF_SCAN = b"\xff\xda"
_BLOCK = 1 << 20
Image.preinit()  # registers JPEG, PNG, GIF and BMP


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
    return True  # something odd stands there


def check_scans(image: Image.Image, most_pixels: int) -> None:
    """Refuse a JPEG, of which `held_whole` is true, that goes over its pixels so often that it would take minutes.

    Args:
        image: Not decoded yet.
        most_pixels: Of the largest picture that is decoded.

    Raises:
        ImageError: It has too many scans for its size.
    """
    assert isinstance(image, JpegImagePlugin.JpegImageFile)
    assert image.fp is not None
    most = _SCANS * most_pixels // max(image.width * image.height, 1)
    scans = _count(image.fp, _START_OF_SCAN)
    if scans > most:
        raise ImageError(f"has {scans:,} scans, expected at most {most:,} of {image.width} x {image.height} pixels")


def _count(file: IO[bytes], mark: bytes) -> int:
    file.seek(0)
    count, last = 0, b""
    while block := file.read(_BLOCK):
        count += (last + block).count(mark)
        last = block[1 - len(mark) :]
    return count
