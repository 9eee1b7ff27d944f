"""Which of several copies of a picture is worth keeping: by size, by what its file says, by its pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["LOSSLESS", "THUMBNAIL", "FileFacts", "choose_keeper"]

LOSSLESS = 101.0  # quality of a file that holds every pixel as it was
THUMBNAIL = 0  # instead of a fraction of the size: measured on the thumbnail, where little noise is left
_NOISE_WEIGHT = (2.0, 6.0)  # of noise against detail; on thumbnails
_ALIKE = 2.0  # smaller differences in quality say nothing
_TRUSTED = 90.0  # quality from which compression takes no noise away, so that less of it is a merit
_NOISE = (3.0, 2.0)  # grey levels and factor by which a picture is noisy beside another
_GRAINIER, _GRAIN = 1.2, 0.3  # factor and grey levels by which a picture is grainy beside another
_DEAD_ZONE = 6.5  # grey levels of half a low-frequency step at quality 50
_BLURRED = 3.0  # factor of detail over what a blur, and no noise, explains
_NOISIER = (4.0, 3.0)  # factor of grain over what a usual blur takes away; less of it where it was decoded smaller
_BLOCKY = 50.0  # quality up to which the edges of blocks count as detail
_CLEARLY = 0.8  # least part of the pixels inside a frame that an unframed copy has
_SHARPER = 1.04  # factor of detail over noise that is significant


@dataclass(frozen=True)
class FileFacts:
    """What is known about the file of an image; None where nothing is.

    Attributes:
        pixels: Width times height.
        quality: From 1 to 100 as JPEG has it, ``LOSSLESS`` for a file without loss.
        noise: Grey levels, by a Laplacian in most places.
        detail: Grey levels, by a Laplacian at the strongest edges, without the noise.
        grain: Grey levels, by low frequencies in the flattest places, which compression keeps.
        reduced: At which part of its size it was measured: 1, 8 for an eighth, or ``THUMBNAIL``. Others cannot be
            compared with it.
        bytes: Size of the file.
        modified: When it was written, in nanoseconds.
        colour: Whether it has colours.
        inside: Share of its area inside a frame of one colour; 1 without a frame.
        unknown_loss: Whether the quality is a guess: WebP, AVIF and HEIC do not say it.
    """

    pixels: int
    quality: float | None = None
    noise: float | None = None
    detail: float | None = None
    grain: float | None = None
    reduced: float | None = None
    bytes: float | None = None
    modified: float | None = None
    colour: bool | None = None
    inside: float = 1.0
    unknown_loss: bool = False


def choose_keeper(copies: Sequence[FileFacts]) -> tuple[int, str]:
    """Return the place of the copy to keep, and why.

    These decide, in this order: the largest area, without a frame. In colour and not blurred, where noise and blocks of
    compression are not detail. The least compressed, unless it is noisy and another one is neither noisy nor much
    compressed. The most detail against noise, the most bytes, the oldest, the first.
    """
    left = list(range(len(copies)))
    pixels = (_unframed, _by_size, _in_colour, _not_blurred, _without_noise)
    for rule in (*pixels, _by_quality, _by_sharpness, _by_bytes, _by_age):
        chosen, reason = rule([copies[at] for at in left])
        if len(chosen) < len(left):
            left = [left[at] for at in chosen]
            if len(left) == 1:
                return left[0], reason
    return left[0], "the first of equals"


_Chosen = tuple[list[int], str]


def _unframed(copies: Sequence[FileFacts]) -> _Chosen:
    """Leave out copies in a frame, unless one has clearly more inside than every copy without one; then keep those."""
    everything = range(len(copies))
    free = [at for at in everything if copies[at].inside == 1]
    if len(free) == len(copies):
        return free, ""
    inside = [copy.pixels * copy.inside for copy in copies]
    enough = _CLEARLY * max(inside)
    if max((inside[at] for at in free), default=0) >= enough:
        return free, "without the frame"
    kept = [at for at in everything if inside[at] >= enough]
    largest = max(everything, key=lambda at: copies[at].pixels)
    return kept, "the largest" if largest in kept else "the largest inside its frame"


def _by_size(copies: Sequence[FileFacts]) -> _Chosen:
    most = max(copy.pixels for copy in copies)
    return [at for at, copy in enumerate(copies) if copy.pixels == most], "the largest"


def _in_colour(copies: Sequence[FileFacts]) -> _Chosen:
    coloured = [at for at, copy in enumerate(copies) if copy.colour]
    return coloured or list(range(len(copies))), "in colour"


def _not_blurred(copies: Sequence[FileFacts]) -> _Chosen:
    """Leave out copies with far less detail than another one, if that is not noise or compression."""
    measured = _measured(copies)
    if measured is None:
        return list(range(len(copies))), ""
    _, detail = measured

    def is_blurred(at: int, beside: int) -> bool:
        return detail[beside] > _BLURRED * detail[at] + 1 and not _is_spoilt(copies[beside], copies[at])

    everything = range(len(copies))
    kept = [at for at in everything if not any(is_blurred(at, beside) for beside in everything)]
    return kept, _most_detail(copies)


def _is_spoilt(copy: FileFacts, beside: FileFacts) -> bool:
    """Tell whether a copy is more compressed than another one, and noisy or blocky beside it."""
    quality = copy.quality or LOSSLESS
    if quality >= (beside.quality or LOSSLESS) - _ALIKE:
        return False
    if quality <= _BLOCKY:
        return True
    if copy.grain is None or beside.grain is None:
        return False
    return copy.grain > _NOISIER[copy.reduced != 1] * beside.grain + _GRAIN


def _known(copies: Sequence[FileFacts], value: Callable[[FileFacts], float | None]) -> list[float] | None:
    """Return a value of all copies; None unless all have it."""
    found = [value(copy) for copy in copies]
    return None if None in found else [float(each) for each in found if each is not None]


def _measured(copies: Sequence[FileFacts]) -> tuple[list[float], list[float]] | None:
    """Return noise and detail of copies that were measured at the same size."""
    noise, detail = _known(copies, lambda copy: copy.noise), _known(copies, lambda copy: copy.detail)
    alike = len({copy.reduced for copy in copies}) == 1
    return (noise, detail) if noise is not None and detail is not None and alike else None


def _without_noise(copies: Sequence[FileFacts]) -> _Chosen:
    """Leave out copies with more grain than another one that compression cannot have smoothed, nor a blur."""
    everything = list(range(len(copies)))
    measured, grain = _measured(copies), _known(copies, lambda copy: copy.grain)
    if measured is None or grain is None:
        return _without_noise_at_edges(copies)
    _, detail = measured

    def is_noisy(at: int, beside: int) -> bool:
        most = max(_GRAINIER * grain[beside] + _GRAIN, _smoothed(copies[beside]))
        return grain[at] > most and detail[at] <= _BLURRED * detail[beside] + 1

    kept = [at for at in everything if not any(is_noisy(at, beside) for beside in everything)]
    least, worst = min(grain), max(grain)
    return kept or everything, f"less noise (a grain of {least:.1f} grey levels against {worst:.1f})"


def _smoothed(copy: FileFacts) -> float:
    """Return the grain that compression may have taken away: half of a step of the low frequencies, and a bit."""
    if copy.unknown_loss:  # it may be any
        return math.inf
    quality = copy.quality or LOSSLESS
    scale = max(0.0, 2 - quality / 50) if quality >= 50 else 50 / quality
    return _DEAD_ZONE * scale / (copy.reduced or 1)


def _without_noise_at_edges(copies: Sequence[FileFacts]) -> _Chosen:
    """Do so for what an earlier version measured: without grain, beside copies that are hardly compressed."""
    everything = list(range(len(copies)))
    measured = _measured(copies)
    clean = [at for at in everything if (copies[at].quality or 0) >= _TRUSTED]
    if measured is None or not clean:
        return everything, ""
    noise, detail = measured
    least = min(clean, key=lambda at: noise[at])
    limit = max(noise[least] + _NOISE[0], noise[least] * _NOISE[1])
    kept = [at for at in everything if noise[at] <= limit or detail[at] > _SHARPER * detail[least]]
    worst = max(noise[at] for at in everything)
    return kept, f"less noise ({noise[least]:.1f} grey levels against {worst:.1f})"


def _by_quality(copies: Sequence[FileFacts]) -> _Chosen:
    quality = _known(copies, lambda copy: copy.quality)
    if quality is None:
        return list(range(len(copies))), ""
    best = max(quality)
    kept = [at for at, each in enumerate(quality) if each >= best - _ALIKE and (best < LOSSLESS or each == best)]
    rest = max((each for at, each in enumerate(quality) if at not in kept), default=0)
    told = "without loss" if best == LOSSLESS else f"quality {best:.0f}"
    return kept, f"the least compressed ({told} against {rest:.0f})"


def _by_sharpness(copies: Sequence[FileFacts]) -> _Chosen:
    measured = _measured(copies)
    if measured is None:
        return list(range(len(copies))), ""
    small = copies[0].reduced == THUMBNAIL
    score = [detail - _NOISE_WEIGHT[small] * noise for noise, detail in zip(*measured, strict=True)]
    best = max(score)
    margin = 0 if small else (_SHARPER - 1) * max(abs(best), 1.0)
    return [at for at, each in enumerate(score) if each >= best - margin], _most_detail(copies)


def _most_detail(copies: Sequence[FileFacts]) -> str:
    return "the most detail against noise" + (", by the thumbnails" if copies[0].reduced == THUMBNAIL else "")


def _by_bytes(copies: Sequence[FileFacts]) -> _Chosen:
    size = _known(copies, lambda copy: copy.bytes)
    if size is None:
        return list(range(len(copies))), ""
    return [at for at, each in enumerate(size) if each == max(size)], "the most bytes for as many pixels"


def _by_age(copies: Sequence[FileFacts]) -> _Chosen:
    written = _known(copies, lambda copy: copy.modified)
    if written is None:
        return list(range(len(copies))), ""
    return [at for at, each in enumerate(written) if each == min(written)], "the oldest file"
