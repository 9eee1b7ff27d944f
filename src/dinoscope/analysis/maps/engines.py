"""What lays out UMAP's graph: dinoscope's own layout, fastumap or umap-learn, each from the same neighbours."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.neighbors import NeighborGraph
from dinoscope.base.loading import LOADING
from dinoscope.base.parallel import one_thread_each
from dinoscope.errors import InputError

__all__ = ["ENGINES", "ROUNDING", "Engine", "Settings"]

Engine = Literal["dinoscope", "fastumap", "umap-learn"]
ROUNDING = 1e-6  # what a cosine distance between equal vectors can come out as
_EPOCHS, _EPOCHS_OF_MANY, _MANY = 500, 200, 10_000  # of dinoscope's layout, as in UMAP


@dataclass(frozen=True)
class Settings:
    """What decides a layout beside the graph.

    Attributes:
        n_components: Axes.
        min_dist: See ``umap``.
        seed: See ``umap``.
        epochs: Passes over the graph; None leaves it to the engine.
        start: Where the points start (N, n_components); None: at the spectrum of the graph.
        spare: Returns the start if the spectrum would take too long.
        on_progress: See ``umap``.
    """

    n_components: int
    min_dist: float
    seed: int
    epochs: int | None
    start: NDArray[np.float64] | None
    spare: Callable[[], NDArray[np.float64]]
    on_progress: Callable[[int, int], None] | None = None

    def named(self) -> dict[str, object]:
        """Return the settings by the names that fastumap and umap-learn share."""
        named: dict[str, object] = {"min_dist": self.min_dist, "random_state": self.seed, "metric": "cosine"}
        if self.epochs is not None:
            named["n_epochs"] = self.epochs
        if self.start is not None:
            named["init"] = self.start
        return named


def _all_at_once(_unit: NDArray[np.float32], graph: NeighborGraph, how: Settings) -> NDArray[np.float32]:
    """Lay out the graph with ``layout``, which needs no vectors."""
    from dinoscope.analysis.maps.fuzzy import NoStart, fit_curve, fuzzy_weights, spectral_start
    from dinoscope.analysis.maps.layout import lay_out

    weights, start = fuzzy_weights(graph, ROUNDING), how.start
    if start is None:
        try:
            with one_thread_each():
                start = spectral_start(weights, how.n_components, how.seed)
        except NoStart:
            start = how.spare()
    epochs = how.epochs or (_EPOCHS_OF_MANY if len(graph) > _MANY else _EPOCHS)
    return lay_out(weights, start, fit_curve(how.min_dist), epochs=epochs, seed=how.seed, on_progress=how.on_progress)


def _fastumap(unit: NDArray[np.float32], graph: NeighborGraph, how: Settings) -> NDArray[np.floating]:
    """Run fastumap from the graph."""
    try:
        with LOADING:
            from fastumap import umap_project
    except ImportError as error:
        raise _missing("fastumap") from error

    unread = unit[:, : how.n_components].astype(np.float64)  # with a graph; a million whole ones would take 3 GB
    project: Callable[..., NDArray[np.float64]] = umap_project
    known = _with_self(graph)
    return project(unread, how.n_components, n_neighbors=graph.k + 1, precomputed_knn=known, **how.named())


def _umap_learn(unit: NDArray[np.float32], graph: NeighborGraph, how: Settings) -> NDArray[np.floating]:
    """Run umap-learn from the graph."""
    try:
        with LOADING:
            from umap import UMAP
    except ImportError as error:
        raise _missing("umap-learn") from error

    size = min(graph.k + 1, len(unit) - 1)  # its own upper limit
    known = tuple(part[:, :size] for part in _with_self(graph))
    settings = {**how.named(), "n_neighbors": size, "n_components": how.n_components}
    model = UMAP(precomputed_knn=known, n_jobs=1, **settings)  # a seed allows one thread only
    with warnings.catch_warnings():
        # It says that new points cannot be placed without its own search index; none are.
        warnings.filterwarnings("ignore", message=r"precomputed_knn\[2\]")
        layout: NDArray[np.floating] = model.fit_transform(unit)
    return layout


def _missing(engine: Engine) -> InputError:
    return InputError(
        f"engine {engine!r} needs a package that is not installed: pip install 'dinoscope[{engine}]', or use "
        "engine='dinoscope'"
    )


def _with_self(graph: NeighborGraph) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return indices and distances (N, k + 1) with each point first among its own neighbours, as UMAP expects.

    Distances within the rounding of float32 products become 0: UMAP takes the nearest neighbour at a positive
    distance as the unit of its scale, and that must not be the distance to a duplicate.
    """
    rows = np.arange(len(graph))[:, None]
    distances = np.where(graph.distances < ROUNDING, np.float32(0), graph.distances)
    return np.hstack([rows, graph.indices]), np.hstack([np.zeros_like(rows, np.float32), distances])


_Work = Callable[[NDArray[np.float32], NeighborGraph, Settings], NDArray[np.floating]]
ENGINES: dict[Engine, _Work] = {"dinoscope": _all_at_once, "fastumap": _fastumap, "umap-learn": _umap_learn}
