"""What a file says about its photograph: format, date, camera, exposure, place. The bytes are already in memory.

Names of persons and serial numbers, which Exif may hold too, are never read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from PIL import Image

__all__ = ["FileFacts", "describe_file"]

_MAKE, _MODEL, _CHANGED, _EXIF, _GPS = 0x010F, 0x0110, 0x0132, 0x8769, 0x8825
_TAKEN, _LENS, _FOCAL, _EXPOSURE, _APERTURE, _ISO = 0x9003, 0xA434, 0x920A, 0x829A, 0x829D, 0x8827
_SAME_FORMAT = {"MPO": "JPEG"}  # several JPEGs in one, of which the first is shown
_MOST_LETTERS = 200
Told = TypeVar("Told")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a file says; None is not said. Its fields are columns of the collection's details.

    Attributes:
        format: JPEG, PNG and so on.
        date: When the photograph was taken, else when it was changed: seconds since 1970, by the camera's clock.
        camera: Make and model.
        lens: Its name.
        focal_length: In millimetres.
        exposure: In seconds.
        f_number: Focal length by aperture.
        iso: Sensitivity.
        latitude: In degrees, north is positive.
        longitude: In degrees, east is positive.
    """

    format: str | None = None
    date: int | None = None
    camera: str | None = None
    lens: str | None = None
    focal_length: float | None = None
    exposure: float | None = None
    f_number: float | None = None
    iso: int | None = None
    latitude: float | None = None
    longitude: float | None = None


def describe_file(image: Image.Image, form: str | None) -> FileFacts | None:
    """Return what an image that was read from a file of some format says; None without a file.

    A value that is damaged or impossible counts as not said.
    """
    if form is None:
        return None
    form = _SAME_FORMAT.get(form, form)
    try:
        exif = image.getexif()
        if not len(exif):
            return FileFacts(form)
        shot, place = (exif.get_ifd(each) if each in exif else {} for each in (_EXIF, _GPS))
    except Exception:  # damaged notes about a photograph do not spoil the photograph
        return FileFacts(form)
    date = _read(shot, _TAKEN, _date)
    return FileFacts(
        form,
        date if date is not None else _read(exif, _CHANGED, _date),
        _camera(_read(exif, _MAKE, _text), _read(exif, _MODEL, _text)),
        _read(shot, _LENS, _text),
        _read(shot, _FOCAL, _positive),
        _read(shot, _EXPOSURE, _positive),
        _read(shot, _APERTURE, _positive),
        _read(shot, _ISO, _whole),
        _read_place(place, 1, ("N", "S"), 90),
        _read_place(place, 3, ("E", "W"), 180),
    )


def _read(held: Mapping[int, Any], tag: int, convert: Callable[[Any], Told]) -> Told | None:
    with suppress(Exception):  # of any type, even against the standard
        return convert(held[tag])
    return None


def _read_place(held: Mapping[int, Any], tag: int, sides: tuple[str, str], most: float) -> float | None:
    """Return degrees; the side of the equator or of Greenwich is under one tag, degrees, minutes, seconds the next."""
    with suppress(Exception):
        degrees, minutes, seconds = (float(each) for each in held[tag + 1])
        found = degrees + minutes / 60 + seconds / 3600
        side = sides.index(_text(held[tag]).upper())
        if math.isfinite(found) and 0 <= found <= most:
            return -found if side else found
    return None


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in value.partition("\0")[0]).split())
    if not text:
        raise ValueError("nothing is said")
    return text[:_MOST_LETTERS]


def _camera(make: str | None, model: str | None) -> str | None:
    """Return make and model, without the make twice: "Canon" and "Canon EOS 5D" are one."""
    if make is None or model is None or model.lower().startswith(make.split()[0].lower()):
        return model or make
    return f"{make} {model}"


def _date(value: Any) -> int:
    return int(datetime.strptime(_text(value)[:19], "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC).timestamp())


def _positive(value: Any) -> float:
    number = float(value)
    if not 0 < number < 1e9:
        raise ValueError("impossible")
    return number


def _whole(value: Any) -> int:
    return round(_positive(value[0] if isinstance(value, tuple) else value))
