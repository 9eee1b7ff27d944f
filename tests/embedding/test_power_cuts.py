"""Power cuts: what was not flushed is lost or cut short, renames come in any order; nothing is lost or mixed up."""

import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dinoscope.collection import Collection
from dinoscope.embedding import pipeline
from dinoscope.embedding.pipeline import embed_source
from dinoscope.sources.array import ArraySource
from dinoscope.stages.checking.integrity import verify_collection
from dinoscope.stages.cleaning.findings import dismiss_finding, dismissed_keys, finding_key
from dinoscope.storage.tables import read_table

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="reads what is flushed from /proc")

FIRST, ALL, PART = 40, 120, 16


@dataclass
class Disk:
    """What a disk was told, in order: contents and names that were flushed, and renames."""

    root: Path
    told: list[tuple[str, Path, Any]] = field(default_factory=list)

    def record(self, patch):
        flush, rename = os.fsync, os.replace

        def fsync(number):
            flush(number)
            path = Path(os.readlink(f"/proc/self/fd/{number}"))
            if path.is_dir():
                self.told.append(("names", path, {each.name for each in path.iterdir() if each.is_dir()}))
            else:
                self.told.append(("content", path, path.read_bytes()))

        def replace(source, target):
            content = Path(source).read_bytes()
            rename(source, target)
            self.told.append(("rename", Path(target), content))
            if not any(kind == "content" and path == Path(source) for kind, path, _ in self.told):
                self.told.append(("unflushed", Path(target), content))

        patch.setattr(os, "fsync", fsync)
        patch.setattr(os, "replace", replace)

    def after_a_cut(self, moment, target, chance):
        """Write what is left of the disk into a folder; return the names that were promised to be there."""
        files: dict[Path, bytes] = {}
        waiting: list[tuple[Path, bytes]] = []
        folders, cut_short, promised = {self.root.parent}, set(), set()
        for kind, path, value in self.told[:moment]:
            if kind == "rename":
                waiting.append((path, value))
                cut_short.discard(path)
            elif kind == "unflushed":
                cut_short.add(path)
            elif kind == "names":
                for name, content in [each for each in waiting if each[0].parent == path]:
                    files[name] = content
                    promised.add(name)
                waiting = [each for each in waiting if each[0].parent != path]
                folders |= {path / name for name in value}
        chance.shuffle(waiting)
        for name, content in waiting:
            if chance.random() < 0.5:
                files[name] = content[: chance.randrange(len(content) + 1)] if name in cut_short else content
        for name, content in files.items():
            if all(folder in folders for folder in name.parents if folder.is_relative_to(self.root)):
                place = target / name.relative_to(self.root)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
        return {name.relative_to(self.root) for name in promised}


@pytest.fixture(scope="module")
def disk(tmp_path_factory, pixels, encoder):
    """Two runs, a result and a decision between them."""
    recorded = Disk(tmp_path_factory.mktemp("disk") / "c")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "_PART_ROWS", PART)
        recorded.record(patch)
        embed_source(ArraySource(pixels[:FIRST]), recorded.root, encoder)
        collection = Collection(recorded.root)
        collection.map(method="pca")
        dismiss_finding(collection, finding_key(collection, "outliers", [3]))
        embed_source(ArraySource(pixels), recorded.root, encoder)
    return recorded


def check_cuts(disk, tmp_path, pixels, encoder, moments, chance):
    expected = encoder.encode([ArraySource(pixels).load(index) for index in range(ALL)])
    for moment in moments:
        path = tmp_path / f"c{moment}"
        path.mkdir()
        promised = disk.after_a_cut(moment, path, chance)
        assert all((path / name).exists() for name in promised), moment
        parts = [name for name in promised if name.parts[0] == "vectors" and name.suffix == ".parquet"]
        stored = sum(len(read_table(path / name, ["row"])[0]["row"]) for name in parts)
        summary = embed_source(ArraySource(pixels), path, encoder)
        assert summary.reused >= stored, moment
        assert summary.embedded + summary.reused == ALL
        opened = Collection(path)
        assert np.abs(opened.vectors - expected[[int(name) for name in opened.ids]]).max() < 1e-5, moment
        assert verify_collection(path).damage == (), moment
        assert len(opened.thumbnails(range(ALL))) == ALL
        if Path("dismissed.json") in promised:
            assert len(dismissed_keys(opened)) == 1


def test_power_cuts(disk, tmp_path, pixels, encoder):
    chance = random.Random(1)
    moments = chance.sample(range(len(disk.told) + 1), 6)
    check_cuts(disk, tmp_path, pixels, encoder, moments, chance)


@pytest.mark.stress
def test_power_cuts_at_every_moment(disk, tmp_path, pixels, encoder):
    check_cuts(disk, tmp_path, pixels, encoder, range(len(disk.told) + 1), random.Random(2))


def test_what_is_recorded_is_what_was_written(disk, tmp_path):
    """The imitation forgets nothing: without a cut, the folder is the one that was made."""
    promised = disk.after_a_cut(len(disk.told), tmp_path, random.Random(3))
    kept = {name for name in promised if (disk.root / name).exists()}  # stale results were deleted
    assert {Path("collection.json"), Path("images.parquet"), Path("images.parquet.bak"), Path("dismissed.json")} <= kept
    assert all((tmp_path / name).read_bytes() == (disk.root / name).read_bytes() for name in kept)
