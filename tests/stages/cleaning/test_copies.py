"""Which of two copies is kept."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageFilter
from sklearn.datasets import load_sample_images

from dinoscope import Collection
from dinoscope.stages.cleaning import copies
from dinoscope.stages.cleaning.answers import candidates
from dinoscope.stages.cleaning.copies import keep_first
from dinoscope.stages.cleaning.findings import duplicates
from dinoscope.stages.opened import OpenedCollection
from dinoscope.storage.details import QUALITY
from dinoscope.storage.tables import list_parts, read_table, write_table

PICTURES = 6


@cache
def photographs() -> tuple[Image.Image, ...]:
    return tuple(map(Image.fromarray, load_sample_images().images))


def scene(seed: int) -> Image.Image:
    """A part of a photograph."""
    random, whole = np.random.default_rng(seed), photographs()[seed % 2]
    left, top = int(random.integers(0, whole.width - 300)), int(random.integers(0, whole.height - 225))
    return whole.crop((left, top, left + 300, top + 225))


def noisy(picture: Image.Image) -> Image.Image:
    values = np.asarray(picture) + np.random.default_rng(9).normal(0, 9, (picture.height, picture.width, 3))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def soft(seed: int) -> Image.Image:
    """A picture without edges."""
    return scene(seed).filter(ImageFilter.GaussianBlur(8))


def embedded(tmp_path, worse, picture=scene, **options):
    """Originals and worse copies of the same size, the copies first by name."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for at in range(PICTURES):
        picture(at).save(folder / f"{at} original.jpg", quality=95)
        worse(picture(at)).save(folder / f"{at} a copy.jpg", **options)
    return Collection.from_images(folder, tmp_path / "made")


@pytest.mark.parametrize(
    ("worse", "options"),
    [
        (lambda each: each, {"quality": 60}),
        (noisy, {"quality": 95}),
        (noisy, {"quality": 92}),
        (noisy, {"quality": 85, "picture": soft}),
        (noisy, {"quality": 30, "picture": soft}),
    ],
    ids=["JPEG 60", "noisy", "noisy and compressed", "soft, noisy", "soft, noisy and much compressed"],
)
def test_the_original_is_kept(tmp_path, run, worse, options):
    collection = embedded(tmp_path, worse, **options)
    code, out, _ = run("clean", collection.path, "--duplicates", "--threshold", "0.5", "--json")
    kept = [each for each in json.loads(out)["duplicates"]["found"] if each["action"] == "keep"]
    assert code == 0
    assert sorted(each["id"] for each in kept) == [f"{at} original.jpg" for at in range(PICTURES)]
    assert all(each["reason"] for each in kept)


def test_the_reason_is_printed_planned_and_shown(tmp_path, run):
    collection = embedded(tmp_path, lambda each: each, quality=60)
    plan = tmp_path / "plan.json"
    out = run("clean", collection.path, "--duplicates", "--threshold", "0.5", "--write-plan", plan)[1]
    assert "the least compressed (quality 95 against 60)" in " ".join(out.split())
    moves = json.loads(plan.read_text())["moves"]
    assert {move["id"] for move in moves} == {f"{at} a copy.jpg" for at in range(PICTURES)}
    assert all("the one kept is the least compressed" in move["reason"] for move in moves)


def test_collections_from_before_are_judged_by_their_thumbnails(tmp_path):
    collection = embedded(tmp_path, noisy, quality=92)
    for part in list_parts(collection.path / "details"):
        columns, _ = read_table(part)
        write_table(part, {name: values for name, values in columns.items() if name not in QUALITY})
        assert not set(QUALITY) & set(pq.read_schema(part).names)
    opened = Collection(collection.path)
    names, kept = opened.ids.tolist(), []
    for at in range(PICTURES):
        pair = [names.index(f"{at} a copy.jpg"), names.index(f"{at} original.jpg")]
        (first, _), reason = keep_first(opened, pair)
        assert reason == "the most detail against noise, by the thumbnails"
        kept.append(names[first].endswith("original.jpg"))
    assert sum(kept) >= PICTURES - 1  # little is left of noise in a thumbnail


def test_small_pictures_of_copies_are_read_once_and_together(tmp_path, monkeypatch):
    collection = embedded(tmp_path, lambda each: each, quality=60)
    candidates(collection, 0.5)  # which looks at all images
    asked: list[list[int]] = []
    read = OpenedCollection.thumbnails

    def thumbnails(self, positions):
        asked.append(list(positions))
        return read(self, positions)

    monkeypatch.setattr(OpenedCollection, "thumbnails", thumbnails)
    monkeypatch.setattr(copies, "_BLOCK", 8)
    groups = duplicates(collection, 0.5).groups
    assert len(groups) == PICTURES
    assert sorted(map(len, asked)) == [2 * PICTURES - 8, 8]
    assert sorted(at for block in asked for at in block) == sorted(at for group in groups for at in group)
    asked.clear()
    assert [keep_first(collection, group)[0] for group in groups] == list(groups)
    assert duplicates(collection, 0.5).groups == groups
    assert not asked
