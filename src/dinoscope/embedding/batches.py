"""Images to finished batches: decoded in threads, then run through the model, in order."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.parallel import in_order, one_thread_each
from dinoscope.errors import ImageError, UnreadableError
from dinoscope.sources.base import ImageSource
from dinoscope.sources.pixels.decode import thumbnail
from dinoscope.sources.pixels.facts import FileFacts
from dinoscope.sources.pixels.quality import Quality

if TYPE_CHECKING:
    from dinoscope.models.base import ImageEncoder

__all__ = ["Batches", "Decoded", "Finished", "Job", "finish_batches"]

_HANDED = 8  # images that a thread takes at once: to take a small one alone costs half of what decoding it does
_ALONE = 64  # images at the start that are taken one by one: a few large ones are for all cores


class Job(NamedTuple):
    """A row to work on: where its image is in the source, and what is stored already."""

    row: int
    source_index: int
    has_details: bool
    has_vector: bool


@dataclass
class Decoded:
    """Result of decoding the image of a row; without pixels once the model has seen them."""

    row: int
    pixels: NDArray[np.uint8] | None = None
    width: int = 0
    height: int = 0
    thumbnail: bytes | None = None
    error: str | None = None
    transient: bool = False
    content: str | None = None
    note: str | None = None
    quality: Quality | None = None
    facts: FileFacts | None = None


class Finished(NamedTuple):
    """Finished images: results of decoding, including unreadable ones, and rows with their new vectors (B, D)."""

    decoded: list[Decoded]
    rows: list[int]
    vectors: NDArray[np.float32]


class Batches(Protocol):
    """Makes finished batches of jobs: ``finish_batches`` here, or many machines (``dinoscope.on_ray``)."""

    def __call__(
        self, source: ImageSource, encoder: ImageEncoder, jobs: Iterable[Job]
    ) -> Generator[Finished, None, None]:
        """Yield the images of all jobs, in any order."""


def finish_batches(source: ImageSource, encoder: ImageEncoder, jobs: Iterable[Job]) -> Generator[Finished, None, None]:
    """Decode and embed the images of these jobs on this machine, in order.

    Unreadable images do not wait for a full batch: a batch's worth of them is finished at once.

    Args:
        source: The images.
        encoder: The model.
        jobs: Read lazily, no more than a few batches ahead of the model.
    """
    failed: list[Decoded] = []
    batch: list[tuple[Job, Decoded]] = []
    with one_thread_each():  # decoders measure pictures by small products, and each has a core already
        handed = min(_HANDED, max(1, encoder.batch_size // 8))  # of a small batch, each core gets some
        ahead, hands = -(-3 * encoder.batch_size // handed), _hands(jobs, handed)
        for job, each in chain.from_iterable(in_order(partial(_decode, source, encoder), hands, ahead=ahead)):
            if each.error is None:
                batch.append((job, each))
            else:
                failed.append(each)
            if len(batch) == encoder.batch_size:
                yield _finish(encoder, failed, batch)
                failed, batch = [], []
            elif len(failed) == encoder.batch_size:
                yield _finish(encoder, failed, [])
                failed = []
    if failed or batch:
        yield _finish(encoder, failed, batch)


def _finish(encoder: ImageEncoder, failed: list[Decoded], batch: list[tuple[Job, Decoded]]) -> Finished:
    decoded = [*failed, *(each for _, each in batch)]
    new = [each for job, each in batch if not job.has_vector]
    pixels = [each.pixels for each in new if each.pixels is not None]
    vectors = encoder.run(np.stack(pixels)) if pixels else np.empty((0, encoder.dim), np.float32)
    for each in decoded:
        each.pixels = None
    return Finished(decoded, [each.row for each in new], vectors)


def _hands(jobs: Iterable[Job], handed: int) -> Iterator[list[Job]]:
    left = iter(jobs)
    yield from ([job] for job in islice(left, _ALONE))
    yield from iter(lambda: list(islice(left, handed)), [])


def _decode(source: ImageSource, encoder: ImageEncoder, jobs: list[Job]) -> list[tuple[Job, Decoded]]:
    return [(job, _decoded(source, encoder, job)) for job in jobs]


def _decoded(source: ImageSource, encoder: ImageEncoder, job: Job) -> Decoded:
    try:
        image = source.load_reduced(job.source_index, encoder.preprocessing.least(encoder.resolution))
        small = None if job.has_details else thumbnail(image.pixels)
        pixels = encoder.preprocess(image.pixels, image.size)
        found = Decoded(job.row, pixels, *image.size, small)
        return replace(found, content=image.content, note=image.note, quality=image.quality, facts=image.facts)
    except ImageError as error:
        return Decoded(job.row, error=str(error), transient=isinstance(error, UnreadableError))
