"""Embed on Ray: the same encoder in a pool of workers, on this machine or on a cluster.

Workers decode and embed; this process hands out the rows and writes the parts, so the collection is the one that a run
without Ray makes. A worker that dies is replaced, and what it was doing is done again. Source and weights must be
within reach of every node: a shared file system, ``s3://``, weights that are bundled or on the hub.

Needs ``dinoscope[ray]``.
"""

from __future__ import annotations

import pickle
from collections.abc import Generator, Iterable, Iterator
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.types import ModelDescription
from dinoscope.embedding.batches import Finished, Job, finish_batches
from dinoscope.errors import DinoscopeError, ModelError, RayError
from dinoscope.on_ray.cluster import connect, reason

if TYPE_CHECKING:
    import ray

    from dinoscope.models.base import ImageEncoder
    from dinoscope.models.encoder import Encoder
    from dinoscope.sources.base import ImageSource

__all__ = ["OnRay", "Recipe"]

_Unit: TypeAlias = dict[str, NDArray[np.int64]]
_UNIT_ROWS = 256  # that a worker is given at once: what its death costs


class OnRay:
    """Embeds on Ray; give it to ``embed_source`` or ``Collection.from_images`` as ``batches``."""

    def __init__(self, address: str = "ray", workers: int | None = None) -> None:
        """Say where.

        Args:
            address: ``ray``: the cluster that this machine belongs to, or else one that is started for this run on this
                machine alone; or ``HOST:PORT`` of a cluster, ``ray://HOST:PORT`` of one that is reached as a client.
            workers: How many there are at most; by default one for each GPU, or each core where there is no GPU.
        """
        self._address = None if address == "ray" else address
        self._workers = workers

    def __call__(
        self, source: ImageSource, encoder: ImageEncoder, jobs: Iterable[Job]
    ) -> Generator[Finished, None, None]:
        """Yield finished batches in the order in which they arrive.

        Args:
            source: The images; every worker gets a copy of it.
            encoder: The model; every worker loads its own.
            jobs: What is to be done.

        Raises:
            RayError: If Ray is not installed, there is no cluster, or it fails for good.
            ModelError: If a worker would make other vectors than this machine, in another precision for example.
        """
        from dinoscope.models.encoder import Encoder

        if not isinstance(encoder, Encoder):
            raise ModelError(f"{encoder.model.name!r} cannot be loaded elsewhere: expected a model of the table")
        units = list(_units(jobs, max(1, _UNIT_ROWS // encoder.batch_size) * encoder.batch_size))
        ray = connect(self._address)
        resources = ray.cluster_resources()
        gpus, cores = int(resources.get("GPU", 0)), int(resources.get("CPU", 1))
        workers = max(1, min(self._workers or gpus or cores, gpus or cores, len(units)))
        work = ray.data.from_items(units, override_num_blocks=len(units)).map_batches(
            _Worker,
            fn_constructor_args=(ray.put(source), Recipe.of(encoder)),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=0 if gpus else 1,
            num_gpus=1 if gpus else 0,
        )
        try:
            for unit in work.iter_rows():
                finished = pickle.loads(unit["finished"])  # noqa: S301  # what our own workers made
                if isinstance(finished, DinoscopeError):
                    raise finished
                yield from finished
        except ray.exceptions.RayError as error:
            raise RayError(f"Ray gave up ({reason(error)}); what is done is kept") from None


class Recipe(NamedTuple):
    """What a node needs to load the encoder that this machine has."""

    description: ModelDescription
    weights: str | None
    device: str  # as asked for: what "auto" finds here need not be there
    key: str

    @classmethod
    def of(cls, encoder: Encoder) -> Recipe:
        """Write it down."""
        return cls(encoder.describe(), encoder.model.path, encoder.asked_device, encoder.key)

    def load(self) -> Encoder:
        """Load it, on a node.

        Raises:
            ModelError: If it would make other vectors than this machine.
        """
        from dinoscope.models.encoder import Encoder

        encoder = Encoder.from_description(
            self.description, weights=self.weights, device=self.device, threads=1, fetch=True
        )
        if encoder.key != self.key:
            raise ModelError(
                f"a worker makes vectors of {encoder.key!r}, expected {self.key!r} as on this machine: give all nodes "
                "the same runtime, or name one with --device"
            )
        return encoder


class _Worker:
    """What runs on a node: a source, an encoder, and units of jobs."""

    def __init__(self, source: ray.ObjectRef[ImageSource], recipe: Recipe) -> None:
        import ray

        self._source: ImageSource = ray.get(source)
        self._recipe = recipe

    @cached_property
    def _encoder(self) -> Encoder:  # loaded in a call, whose errors are answered
        return self._recipe.load()

    def __call__(self, unit: _Unit) -> dict[str, list[bytes]]:
        """Answer with finished batches, or with an expected error: raised here, Ray would bury it in traces."""
        rows, indices, has_details, has_vector = unit["jobs"][0]
        jobs = map(Job, rows.tolist(), indices.tolist(), (has_details > 0).tolist(), (has_vector > 0).tolist())
        try:
            finished: list[Finished] | DinoscopeError = list(finish_batches(self._source, self._encoder, jobs))
        except DinoscopeError as error:
            finished = error
        return {"finished": [pickle.dumps(finished)]}


def _units(jobs: Iterable[Job], size: int) -> Iterator[_Unit]:
    remaining = iter(jobs)
    while unit := list(islice(remaining, size)):
        yield {"jobs": np.asarray(unit, np.int64).T}
