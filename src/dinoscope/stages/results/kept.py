"""Results of stages: run once, stored under the key of what they were made from, and held in memory."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from dinoscope.base.text import remark
from dinoscope.base.types import Columns, JsonObject
from dinoscope.errors import DamagedError, WriteError
from dinoscope.stages.results.packing import Packed, pack, plain, unpack, unpack_arrays
from dinoscope.stages.results.stored import check_arrays, check_stored
from dinoscope.storage.files import remove_leftovers
from dinoscope.storage.result_files import STAGES, belongs, result_file, settings_of
from dinoscope.storage.tables import read_table, write_table

__all__ = ["Computed", "Results", "Stage"]

Result = TypeVar("Result")
Computed = Packed

_HELD_BYTES = 256 << 20  # of results in memory; a larger one is read again


@dataclass(frozen=True)
class Stage:
    """How a result was made: the settings, the seconds that computing it took, and whether it was stored."""

    name: str
    settings: JsonObject
    seconds: float
    stored: bool


class Results:
    """Runs the stages of a collection and keeps what they give.

    A result is named by the images, their vectors, the stage and its settings, so nothing is computed twice and nothing
    stale is shown. Safe to use from several threads: what one computes, another waits for.

    Attributes:
        state: A digest of the images and their vectors.
        label_state: A digest of all labels and splits, for the settings of stages that read them.
        stages: For each stage, how its latest result was made.
        read_only: Whether nothing is to be stored.
        unstored: How many results are in memory alone, because of that, or because the folder cannot be written.
        watch: Entered with the name of a stage while that is computed: for who shows people what takes time.
    """

    def __init__(
        self,
        folder: Path,
        state: str,
        label_state: str,
        count: int,
        *,
        read_only: bool = False,
        whole: tuple[str, str] | None = None,
    ) -> None:
        """Say what the results belong to.

        Args:
            folder: The collection.
            state: See above, and so are the next and ``read_only``.
            label_state: See above.
            count: How many images there are.
            read_only: See above.
            whole: Of a part of a collection, both states of all its images: what is stored goes when they change.
        """
        self._folder, self.state, self.label_state, self._count = folder, state, label_state, count
        self._whole = whole
        self.read_only = read_only
        self.stages: dict[str, Stage] = {}
        self.watch: Callable[[str], AbstractContextManager[object]] = lambda _: nullcontext()
        self._held: OrderedDict[Path, Computed] = OrderedDict()  # the one used last comes last
        self._unstored: dict[Path, tuple[int, Computed]] = {}  # with the time; these stay
        self._computed: set[Path] = set()  # by this object
        self._seconds, self._computing, self._since = 0.0, 0, 0.0  # of how many stages, since when
        self._changing = threading.Lock()
        self._running: defaultdict[Path, threading.RLock] = defaultdict(threading.RLock)
        self._nested = threading.local()  # seconds of the stages that the one in progress asked for, a thread each

    @property
    def seconds_computing(self) -> float:
        """Seconds in which this object computed a result or several; those it found stored cost none."""
        return self._seconds

    def in_order(self) -> list[Stage]:
        """Return ``stages`` in the order of the pipeline, whichever ended first."""
        return sorted(self.stages.values(), key=lambda stage: STAGES.index(stage.name))

    @property
    def unstored(self) -> int:  # noqa: D102
        return len(self._unstored)

    def has_computed(self, path: Path) -> bool:
        """Tell whether this object computed the result that a file holds."""
        with self._changing:
            return path in self._computed

    def run(
        self,
        name: str,
        settings: JsonObject,
        compute: Callable[[], Computed],
        *,
        check: Callable[[Computed], object] | None = None,
        **sizes: int,
    ) -> Computed:
        """Return a result, or compute and store it.

        What was computed while somebody changed the labels that it reads may be of both, so it is given and not kept.

        Args:
            name: Name of the stage, one of those that ``storage.result_files`` knows.
            settings: JSON values; with the images and the model they decide which result is meant. Labels may be
                read only if ``label_state`` is among them.
            compute: Gives columns of equal length, and JSON values.
            check: Raises a ValueError for what was stored and is no such result: it is computed again.
            sizes: What is known about its shapes; see ``check_stored``.

        Returns:
            The columns, which nobody may change, and the values, those with "settings" and "seconds".
        """
        settings = plain(settings)
        path = result_file(self._folder, self.state, name, settings)
        with self._changing:
            turn = self._running[path]
        with turn:
            found = self._find(path, name, settings, {"N": self._count, **sizes}, check)
            if found is None:
                found = self._compute(path, settings, compute)
        seconds = found[1]["seconds"]
        with self._changing:
            # asked again, it is still this run that computed it
            self.stages[name] = Stage(name, settings, seconds, path not in self._computed)
        return found

    def keep(
        self, name: str, settings: JsonObject, kind: type[Result], compute: Callable[[], Result], **sizes: int
    ) -> Result:
        """Return a result, a dataclass or a tuple of some, as ``run`` does."""

        def check(found: Computed) -> None:
            check_arrays(name, unpack_arrays(kind, found), {"N": self._count, **sizes})

        return unpack(kind, self.run(name, settings, lambda: pack(compute()), check=check, **sizes))

    def has(self, name: str, settings: JsonObject) -> bool:
        """Tell whether there is a result, without reading it: its file may be damaged."""
        path = result_file(self._folder, self.state, name, plain(settings))
        with self._changing:
            if path in self._unstored or path in self._held:
                return True
        return path.exists()

    def stored(self, name: str) -> list[JsonObject]:
        """Return the settings of the results that a stage has given, of the collection as it is, the newest first.

        Of those that are stored, and of those that this object computed and could not store.
        """
        with self._changing:
            found = [
                (since, meta["settings"])
                for path, (since, (_, meta)) in self._unstored.items()
                if path.parent.name == name and self._is_of_these_labels(meta["settings"])
            ]
        for path in (self._folder / "results" / name).glob("*.parquet"):
            try:
                modified, settings = path.stat().st_mtime_ns, settings_of(path)
            except (DamagedError, FileNotFoundError):  # the latter: removed meanwhile
                continue
            if belongs(path, settings, self.state, self.label_state):
                found.append((modified, settings))
        return [settings for _, settings in sorted(found, key=lambda each: -each[0])]

    def renew(self, name: str, settings: JsonObject) -> None:
        """Make a result that there is the newest of its stage."""
        path = result_file(self._folder, self.state, name, plain(settings))
        with self._changing:
            if path in self._unstored:
                self._unstored[path] = time.time_ns(), self._unstored[path][1]
                return
        os.utime(path)
        os.utime(path.parent)  # by whose time others see that there is something new

    def is_current(self, path: Path) -> bool:
        """Tell whether a stored result is of the collection as it is now.

        Raises:
            DamagedError: If it is damaged.
        """
        return belongs(path, settings_of(path), self.state, self.label_state)

    def _find(
        self,
        path: Path,
        name: str,
        settings: JsonObject,
        sizes: Mapping[str, int],
        check: Callable[[Computed], object] | None,
    ) -> Computed | None:
        with self._changing:
            if path in self._unstored:
                return self._unstored[path][1]
            if path in self._held:
                self._held.move_to_end(path)
                return self._held[path]
        try:
            found = read_table(path)
            check_stored(name, *found, settings, sizes)
            if check is not None:
                check(found)
        except FileNotFoundError:
            return None
        except (DamagedError, ValueError) as error:
            reason = error.reason if isinstance(error, DamagedError) else error
            remark(f"{path} was damaged ({reason}) and is computed again")
            return None
        self._hold(path, found)
        return found

    def _compute(self, path: Path, settings: JsonObject, compute: Callable[[], Computed]) -> Computed:
        before = getattr(self._nested, "seconds", 0.0)
        self._nested.seconds = 0.0
        began = time.perf_counter()
        try:
            with self._clocked(), self.watch(path.parent.name):
                columns, meta = compute()
        finally:
            took = time.perf_counter() - began
            own = max(0.0, took - self._nested.seconds)  # the time of stages that this one asked for is theirs
            self._nested.seconds = before + took
        meta = {**meta, "seconds": round(own, 3), "settings": settings}
        if self._whole is not None:
            meta["whole"] = list(self._whole)
        of_these = self._is_of_these_labels(settings)
        is_stored = of_these and self._store(path, columns, meta)
        with self._changing:
            self._computed.add(path)
        if of_these:
            self._hold(path, (columns, meta), is_stored)
        return columns, meta

    @contextmanager
    def _clocked(self) -> Iterator[None]:
        """Count the time in which anything is computed, once where threads compute several stages."""
        with self._changing:
            if not self._computing:
                self._since = time.perf_counter()
            self._computing += 1
        try:
            yield
        finally:
            with self._changing:
                self._computing -= 1
                if not self._computing:
                    self._seconds += time.perf_counter() - self._since

    def _is_of_these_labels(self, settings: JsonObject) -> bool:
        return bool(settings.get("labels", self.label_state) == self.label_state)

    def _store(self, path: Path, columns: Columns, meta: JsonObject) -> bool:
        """Store a result; that this cannot be done, in a folder that is read only, is no reason to lose it."""
        if self.read_only:
            return False
        remove_leftovers(path.parent)
        try:
            write_table(path, columns, meta, within=self._folder)
        except WriteError as error:
            if not self._unstored:  # said once
                remark(f"{error}. Results are used all the same, and computed again next time")
            return False
        return True

    def _hold(self, path: Path, found: Computed, is_stored: bool = True) -> None:
        for column in found[0].values():
            if isinstance(column, np.ndarray):
                column.flags.writeable = False
        with self._changing:
            if not is_stored:
                self._unstored[path] = time.time_ns(), found
                return
            self._held[path] = found
            while sum(map(_size, self._held.values())) > _HELD_BYTES:
                self._held.popitem(last=False)


def _size(found: Computed) -> int:
    """Return about how many bytes a result takes in memory."""
    return sum(
        column.nbytes if isinstance(column, np.ndarray) else sum(map(_length, column)) for column in found[0].values()
    )


def _length(value: object) -> int:
    return len(value) if isinstance(value, bytes | str) else 64
