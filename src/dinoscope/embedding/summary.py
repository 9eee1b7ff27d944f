"""What a run of embedding did."""

from __future__ import annotations

from dataclasses import dataclass

from dinoscope.sources.pixels.levels import ValueRange

__all__ = ["EmbedSummary", "Failure"]


@dataclass(frozen=True)
class Failure:
    """An image that could not be read: its row, its id and the reason."""

    row: int
    id: str
    reason: str


@dataclass(frozen=True)
class EmbedSummary:
    """What a run did.

    Attributes:
        embedded: Images embedded by this run.
        reused: Images that had their vectors already.
        removed: Images that were in the collection and are no longer in the source; their vectors stay on disk.
        failures: Images without vectors that could not be read, by this run or an earlier one.
        seconds: Time that this run took.
        model: Name of the model.
        device: What it ran on.
        precision: What its products were computed in.
        value_range: What is black and what is white in pictures of more than 8 bits, where there are some.
        notes: Defects of images that this run could read anyway.
        relabelled: Images that were there already and have another label or split than before.
    """

    embedded: int
    reused: int
    removed: int
    failures: tuple[Failure, ...]
    seconds: float
    model: str
    device: str = "cpu"
    precision: str = "fp32"
    value_range: ValueRange | None = None
    notes: tuple[Failure, ...] = ()
    relabelled: int = 0
