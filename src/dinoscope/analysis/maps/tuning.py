"""Settings for UMAP on one's own images: a grid of maps, measured, and one recommendation with its reasons."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.maps.projection import umap
from dinoscope.analysis.maps.quality import label_silhouette, map_difference, rank_correlation
from dinoscope.analysis.metrics.maps import draw_rows, neighborhood_preservation, trustworthiness
from dinoscope.analysis.neighbors import NeighborGraph, neighbors
from dinoscope.base.checks import check_count, check_vectors
from dinoscope.base.parallel import in_threads
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError

__all__ = ["MIN_DIST", "N_NEIGHBORS", "Setting", "Tuning", "pareto_front", "tune"]

N_NEIGHBORS = (5, 15, 50, 100)
MIN_DIST = (0.0, 0.1, 0.3, 0.8)
_DEFAULT = (15, 0.1)
_EPOCHS = 200  # a map of 10,000 images and more gets as many anyway; the ranking is that of 500 (benchmarks/tuning.py)
_JUDGED = 1_000  # images for the trustworthiness: the same in all maps, so that differences are exact
_PAIRS = 20_000  # and pairs for comparing distances


@dataclass(frozen=True, eq=False)
class Setting:
    """One setting of the grid and how its maps came out; numbers are means over its seeds.

    Attributes:
        n_neighbors: As in ``umap``.
        min_dist: As in ``umap``.
        neighbors_kept: Share of the nearest neighbours that are so on the map.
        trustworthiness: Are neighbours on the map true ones, by rank.
        silhouette: Of the labels on the map; None without labels.
        rank_correlation: Of the distances; see ``map_quality``.
        difference: Mean ``map_difference`` between the seeds' maps, 0 is stable; None where only one seed was run.
        seconds: Time of one map, without the neighbour graph.
        seeds: Maps made.
        on_front: Whether no other setting is better in one of the two aims and at least as good in the other.
        coordinates: The map (N, 2) of the first seed.
    """

    n_neighbors: int
    min_dist: float
    neighbors_kept: float
    trustworthiness: float
    silhouette: float | None
    rank_correlation: float
    difference: float | None
    seconds: float
    seeds: int
    on_front: bool
    coordinates: NDArray[np.float32]

    @property
    def aim(self) -> float:
        """The second score besides the neighbours kept; see ``Tuning.aim``."""
        return self.rank_correlation if self.silhouette is None else self.silhouette


@dataclass(frozen=True, eq=False)
class Tuning:
    """What a grid of maps says.

    Attributes:
        settings: Every setting, by n_neighbors and min_dist.
        recommended: The one of the front that is nearest to the best of both aims.
        default: The one that ``umap`` takes by itself.
        aim: The second score besides the neighbours kept: "silhouette" or, without labels, "rank correlation".
        verdict: Recommendation and what the default costs against it, in one sentence.
        positions: Positions (N,) of the images that were mapped.
        k: Neighbours that were compared.
    """

    settings: tuple[Setting, ...]
    recommended: Setting
    default: Setting
    aim: str
    verdict: str
    positions: NDArray[np.intp]
    k: int


@dataclass(frozen=True, eq=False)
class _Trial:
    """One map and its numbers: neighbours kept, trustworthiness, silhouette (or NaN), rank correlation, seconds."""

    coordinates: NDArray[np.float32]
    numbers: tuple[float, float, float, float, float]


def tune(
    vectors: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    n_neighbors: Sequence[int] = N_NEIGHBORS,
    min_dist: Sequence[float] = MIN_DIST,
    seeds: int = 3,
    sample: int | None = 5_000,
    k: int = 15,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Tuning:
    """Map a random sample with every setting of a grid, from one neighbour graph, and say which setting to take.

    Two aims pull apart: neighbours kept, and the silhouette of the labels (without labels the rank correlation of the
    distances, the large picture). A setting is on the Pareto front when none beats it in one without losing in the
    other. Recommended is the setting of the front nearest to the ideal point, each aim scaled from the worst to the
    best of the grid; or the default, where that setting's gain over it is within two standard errors over the seeds, in
    both aims. All settings are mapped with one seed; the better half by that distance, the front so far and
    the default get the other seeds as well, and only those can be on the front. The default setting is always among
    them.

    Args:
        vectors: Array (N, D), N >= 6.
        labels: Labels (N,), None where an image has none.
        n_neighbors: Values to try, each 2 or more; beyond the number of images they count as that.
        min_dist: Values to try, from 0 to 1.
        seeds: Maps of each setting that stays in.
        sample: Most images to map, drawn at random; None maps all.
        k: Neighbours to compare; fewer where there are not 2 k images.
        seed: Seed of the draw; the maps take ``seed``, ``seed`` + 1 and so on.
        on_progress: Called with maps done and maps in all, from several threads.

    Raises:
        InputError: An argument is out of its range, or the labels do not fit.
    """
    array = check_vectors(vectors, at_least=6)
    names = None if labels is None else np.asarray(labels, object)
    if names is not None and names.shape != (len(array),):
        raise InputError(f"labels must have shape ({len(array)},), one an image, got {names.shape}")
    check_count(seeds, "seeds")
    check_count(seed, "seed", at_least=0, at_most=2**31)
    positions = draw_rows(len(array), sample if sample is None else check_count(sample, "sample", at_least=6), seed)
    unit = l2_normalize(array[positions])
    grid = _grid(n_neighbors, min_dist, len(unit))
    k = min(check_count(k, "k"), (len(unit) - 1) // 2)
    bench = _Bench(unit, None if names is None else names[positions], k, max(size for size, _ in grid), on_progress)

    bench.run([(*each, seed) for each in grid], len(grid) + (seeds - 1) * (len(grid) + 1) // 2)
    score = bench.aims(grid)
    order = np.argsort(_distance_to_ideal(score), kind="stable")
    stays = pareto_front(score)
    stays[order[: (len(grid) + 1) // 2]] = True
    stays[grid.index(_default(len(unit)))] = True
    finalists = [each for each, stay in zip(grid, stays, strict=True) if stay]
    rest = [(*each, seed + more) for more in range(1, seeds) for each in finalists]
    bench.run(rest, len(grid) + len(rest))
    return _conclude(bench, grid, finalists, positions)


def pareto_front(aims: ArrayLike) -> NDArray[np.bool_]:
    """Tell which points (P, A) no other point beats: none is at least as large in every aim and larger in one.

    Raises:
        InputError: The numbers are not finite, or no matrix.
    """
    points = check_vectors(aims, "aims")
    no_worse = (points[:, None] >= points).all(axis=2)  # row against column
    larger = (points[:, None] > points).any(axis=2)
    front: NDArray[np.bool_] = np.logical_not((no_worse & larger).any(axis=0))
    return front


class _Bench:
    """Makes maps from one graph, in threads (the layout lets go of the interpreter lock), and measures them."""

    def __init__(
        self,
        unit: NDArray[np.float32],
        labels: NDArray[np.object_] | None,
        k: int,
        largest: int,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        scored = labels is not None and label_silhouette(unit, labels, "cosine") is not None
        self.labels = labels if scored else None
        self.unit, self.k, self._say = unit, k, on_progress
        self.graph: NeighborGraph = neighbors(unit, max(largest - 1, k))
        self.trials: dict[tuple[int, float], list[_Trial]] = {}
        self._columns = [0, 3 if self.labels is None else 2]  # of the numbers, the aims

    def run(self, jobs: list[tuple[int, float, int]], total: int) -> None:
        """Make the maps of ``jobs`` (n_neighbors, min_dist, seed)."""
        begun = sum(map(len, self.trials.values()))
        done = itertools.count(begun + 1)

        def work(job: tuple[int, float, int]) -> _Trial:
            trial = self._trial(*job)
            if self._say is not None:
                self._say(next(done), total)
            return trial

        for (size, dist, _), trial in zip(jobs, in_threads(work, jobs), strict=True):
            self.trials.setdefault((size, dist), []).append(trial)

    def _trial(self, size: int, dist: float, seed: int) -> _Trial:
        began = time.perf_counter()
        made = umap(self.unit, graph=self.graph, n_neighbors=size, min_dist=dist, seed=seed, epochs=_EPOCHS)
        seconds = time.perf_counter() - began
        separation = None if self.labels is None else label_silhouette(made, self.labels, "euclidean")
        return _Trial(
            made,
            (
                neighborhood_preservation(self.graph, made, self.k),
                trustworthiness(self.unit, made, self.k, sample=_JUDGED),
                np.nan if separation is None else separation,
                rank_correlation(self.unit, made, pairs=_PAIRS),
                seconds,
            ),
        )

    def means(self, setting: tuple[int, float]) -> NDArray[np.float64]:
        """Return the numbers of a setting over its seeds (5,)."""
        means: NDArray[np.float64] = np.asarray([trial.numbers for trial in self.trials[setting]]).mean(axis=0)
        return means

    def aims_of(self, setting: tuple[int, float]) -> NDArray[np.float64]:
        """Return what is to be large of each map of a setting (seeds, 2); a correlation that does not exist is 0."""
        return np.nan_to_num([[trial.numbers[at] for at in self._columns] for trial in self.trials[setting]])

    def aims(self, settings: list[tuple[int, float]]) -> NDArray[np.float64]:
        """Return the means of that over the seeds (S, 2)."""
        return np.stack([self.aims_of(each).mean(axis=0) for each in settings])


def _grid(n_neighbors: Sequence[int], min_dist: Sequence[float], count: int) -> list[tuple[int, float]]:
    """Return the settings, the default among them."""
    if not len(n_neighbors) or not len(min_dist):
        raise InputError("n_neighbors and min_dist must each hold a value to try, got none; leave them out for a grid")
    sizes = {min(check_count(size, "n_neighbors", at_least=2), count) for size in n_neighbors}
    for dist in min_dist:
        if not 0 <= dist <= 1:
            raise InputError(f"min_dist must lie between 0 and 1, got {dist!r}")
    grid = set(itertools.product(sizes, map(float, min_dist)))
    return sorted(grid | {_default(count)})


def _default(count: int) -> tuple[int, float]:
    return min(_DEFAULT[0], count), _DEFAULT[1]


def _distance_to_ideal(aims: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance (S,) from the best of each aim, in units of its range over the grid."""
    span = np.ptp(aims, axis=0)
    distance: NDArray[np.float64] = np.linalg.norm((aims.max(axis=0) - aims) / np.where(span > 0, span, 1), axis=1)
    return distance


def _is_gain(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Tell whether some maps gain over others in one of the aims (seeds, A) by more than two standard errors."""
    if min(len(one), len(other)) < 2:
        return True  # nothing is known about chance
    error = np.sqrt(one.var(axis=0, ddof=1) / len(one) + other.var(axis=0, ddof=1) / len(other))
    return bool((one.mean(axis=0) - other.mean(axis=0) > 2 * error).any())


def _conclude(
    bench: _Bench, grid: list[tuple[int, float]], finalists: list[tuple[int, float]], positions: NDArray[np.intp]
) -> Tuning:
    front = dict(zip(finalists, pareto_front(bench.aims(finalists)).tolist(), strict=True))
    settings = {each: _setting(bench, each, front.get(each, False)) for each in grid}
    far = np.where([each.on_front for each in settings.values()], _distance_to_ideal(bench.aims(grid)), np.inf)
    best, usual = grid[int(far.argmin())], _default(len(bench.unit))
    aim = "rank correlation" if bench.labels is None else "silhouette"
    verdict = _verdict(settings[best], settings[usual], aim)
    if best != usual and not _is_gain(bench.aims_of(best), bench.aims_of(usual)):
        verdict = (
            f"Stay with the default ({usual[0]}, {usual[1]:g}): what other settings gain, other seeds gain as well."
        )
        best = usual
    recommended, default = settings[best], settings[usual]
    return Tuning(tuple(settings.values()), recommended, default, aim, verdict, positions, bench.k)


def _setting(bench: _Bench, setting: tuple[int, float], on_front: bool) -> Setting:
    trials = bench.trials[setting]
    kept, trust, separation, correlation, seconds = bench.means(setting).tolist()
    differences = [map_difference(a.coordinates, b.coordinates) for a, b in itertools.combinations(trials, 2)]
    return Setting(
        n_neighbors=setting[0],
        min_dist=setting[1],
        neighbors_kept=kept,
        trustworthiness=trust,
        silhouette=None if bench.labels is None else separation,
        rank_correlation=correlation,
        difference=float(np.mean(differences)) if differences else None,
        seconds=seconds,
        seeds=len(trials),
        on_front=on_front,
        coordinates=trials[0].coordinates,
    )


def _verdict(recommended: Setting, default: Setting, aim: str) -> str:
    usual = f"the default ({default.n_neighbors}, {default.min_dist:g})"
    if recommended is default:
        return f"Stay with {usual}: no setting of the grid is nearer to the best of neighbours kept and {aim}."
    return (
        f"Take n_neighbors {recommended.n_neighbors}, min_dist {recommended.min_dist:g}: it keeps "
        f"{recommended.neighbors_kept:.1%} of the neighbours, with a {aim} of {recommended.aim:.3f}; {usual} keeps "
        f"{default.neighbors_kept:.1%}, with {default.aim:.3f}."
    )
