"""Collections copied while they are written, restored, put together of two: they open, and no vector is mixed up."""

import os
import random
import shutil

import numpy as np
import pytest

from dinoscope.collection import Collection
from dinoscope.embedding import pipeline
from dinoscope.embedding.pipeline import embed_source
from dinoscope.errors import CollectionError
from dinoscope.explorer.model_view import model_infos
from dinoscope.sources.array import ArraySource
from dinoscope.sources.items import Item
from dinoscope.stages.checking.integrity import verify_collection
from dinoscope.storage.result_files import stale_results
from dinoscope.storage.tables import read_table, write_table
from dinoscope.survey.parts import open_vectors
from tests.patching import replace_everywhere

FIRST, ALL, PART = 40, 104, 16


@pytest.fixture(scope="module")
def expected(pixels, encoder):
    return encoder.encode([ArraySource(pixels).load(index) for index in range(ALL)])


@pytest.fixture(autouse=True)
def short_parts(monkeypatch):
    monkeypatch.setattr(pipeline, "_PART_ROWS", PART)
    monkeypatch.setattr(pipeline, "_FIRST_ROWS", PART)


def embed(pixels, path, encoder, index=slice(None)):
    """Embed some of the images, each under the name that it has among all."""
    source, places = ArraySource(pixels[index]), np.arange(ALL)[index]
    source.items = [Item(f"{place:05d}", item.key) for place, item in zip(places, source.items, strict=True)]
    return embed_source(source, path, encoder)


def state_of(path):
    return {each.relative_to(path): each.read_bytes() for each in sorted(path.rglob("*")) if each.is_file()}


@pytest.fixture(scope="module")
def states(tmp_path_factory, pixels, encoder):
    """What is on the disk after every file that two runs write, the second with images in front of the old ones."""
    path, found = tmp_path_factory.mktemp("states") / "c", []
    replace = os.replace
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "_PART_ROWS", PART)

        def record(source, target):
            replace(source, target)
            found.append(state_of(path))

        patch.setattr(os, "replace", record)
        embed(pixels, path, encoder, slice(ALL - FIRST, ALL))
        embed(pixels, path, encoder, slice(0, ALL - 10))  # ten are gone
        embed(pixels, path, encoder)
        found.append(state_of(path))
    return found


def copied(states, target, chance, order):
    """Copy file by file, each as it is at its moment, in an order that programs copy in."""
    names = sorted({name for state in states for name in state}, key=str)
    born = {name: next(at for at, state in enumerate(states) if name in state) for name in names}
    if order == "time":
        names.sort(key=born.__getitem__)
    elif order == "newest first":
        names.sort(key=born.__getitem__, reverse=True)
    elif order == "any":
        chance.shuffle(names)
    moments = sorted(chance.randrange(len(states)) for _ in names)
    for name, moment in zip(names, moments, strict=True):
        if name in states[moment]:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(states[moment][name])


def check_vectors(path, pixels, expected):
    """Compare each image's vector with that of its pixels, whichever row it has."""
    opened = Collection(path)
    true = expected[[int(name) for name in opened.ids]]
    wrong = int((np.abs(opened.vectors - true).max(axis=1) > 1e-5).sum())
    assert wrong == 0, f"{wrong} of {len(opened)} images have another picture's vector"
    return opened


def check_copies(states, tmp_path, pixels, encoder, expected, orders, count):
    chance, opened, refused, lost = random.Random(count), 0, [], []
    for trial in range(count):
        path = tmp_path / f"c{trial}"
        path.mkdir()
        copied(states, path, chance, orders[trial % len(orders)])
        try:
            check_vectors(path, pixels, expected)
            opened += 1
        except CollectionError as error:
            refused.append(str(error))
        if (path / "collection.json").exists():
            verify_collection(path)
        try:
            embed(pixels, path, encoder)
        except CollectionError as error:
            assert not (path / "images.parquet").exists()  # nothing but parts arrived
            lost.append(str(error))
            continue
        whole = check_vectors(path, pixels, expected)
        assert len(whole) == ALL
        assert verify_collection(path).damage == ()
    assert not any("\n" in text for text in refused)
    assert all("lost its table of images" in text or "is not a collection" in text for text in lost)
    return opened, len(refused)


def test_copies_taken_at_fifteen_moments(states, tmp_path, pixels, encoder, expected):
    orders = ("name", "time", "any", "newest first")
    opened, refused = check_copies(states, tmp_path, pixels, encoder, expected, orders, 15)
    assert opened >= 5
    assert refused >= 1


@pytest.mark.stress
def test_copies_taken_at_two_hundred_moments(states, tmp_path, pixels, encoder, expected):
    for order in ("name", "time", "any", "newest first"):
        (tmp_path / order).mkdir()
        check_copies(states, tmp_path / order, pixels, encoder, expected, [order], 50)


def test_an_older_table_with_newer_parts(states, tmp_path, pixels, encoder, expected, caplog):
    """What gave 40 of 80 images other pictures' vectors: their rows are given again, to others."""
    path = tmp_path / "c"
    embed(pixels, path, encoder, slice(0, FIRST))
    older = {name: (path / name).read_bytes() for name in ("images.parquet", "images.parquet.bak")}
    embed(pixels, path, encoder, np.r_[0:FIRST, 60:100])
    for name, content in older.items():
        (path / name).write_bytes(content)
    Collection(path).neighbors(5)
    assert len(check_vectors(path, pixels, expected)) == FIRST
    assert len(open_vectors(path)) == FIRST
    assert [info.images for info in model_infos(path)] == [FIRST]
    assert stale_results(path) == []
    damage = verify_collection(path).damage
    assert [text.split(": ")[1] for text in damage] == ["40 rows are not in images.parquet"] * 2
    other = np.r_[0:FIRST, 50:90]
    assert embed(pixels, path, encoder, other).embedded == 40
    assert "of another copy or collection" in caplog.text
    assert len(check_vectors(path, pixels, expected)) == len(other)
    assert verify_collection(path).damage == ()


def test_parts_that_come_back_after_their_rows_were_given_again(tmp_path, pixels, encoder, expected):
    """A backup is restored, other images are embedded, and a program that synchronises brings the newer parts back."""
    path = tmp_path / "c"
    embed(pixels, path, encoder, slice(0, FIRST))
    backup = shutil.copytree(path, tmp_path / "backup")
    embed(pixels, path, encoder, np.r_[0:FIRST, 60:100])
    newer = state_of(path)
    embed(pixels, backup, encoder, np.r_[0:FIRST, 50:60])
    for name, content in newer.items():
        if name.name.startswith("part-"):
            (backup / name).write_bytes(content)
    opened = check_vectors(backup, pixels, expected)
    assert len(opened) == FIRST
    damage = verify_collection(backup).damage
    assert [text.split(": ")[1] for text in damage].count("10 rows are of other images than images.parquet says") == 2
    embed(pixels, backup, encoder)
    opened = check_vectors(backup, pixels, expected)
    assert len(opened) == ALL
    assert len(opened.thumbnails(range(ALL))) == ALL
    assert verify_collection(backup).damage == ()


def test_parts_of_two_copies_together(tmp_path, pixels, encoder, expected):
    """Both went on from the same state, in parts of other lengths: some rows stand twice, once stay."""
    path = tmp_path / "c"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "_embed_rows", lambda *_: 0)
        embed(pixels, path, encoder)  # the table alone
    other = shutil.copytree(path, tmp_path / "other")
    embed(pixels, path, encoder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "_PART_ROWS", 24)
        embed(pixels, other, encoder)
    for number, part in enumerate(sorted(other.glob("vectors/*/part-*"))[:2], start=20):
        shutil.copy(part, path / part.relative_to(other).with_name(f"part-{number:05d}.parquet"))
    assert len(check_vectors(path, pixels, expected)) == ALL
    assert [text.split(": ")[1] for text in verify_collection(path).damage] == ["48 rows are there twice"]
    assert embed(pixels, path, encoder).embedded == 0
    assert verify_collection(path).damage == ()
    assert len(check_vectors(path, pixels, expected)) == ALL


def test_parts_of_another_collection_are_refused(tmp_path, pixels, encoder, expected):
    """The same model, the same rows, other images."""
    mine, other = tmp_path / "mine", tmp_path / "other"
    embed(pixels, mine, encoder, slice(0, 50))
    embed(pixels, other, encoder, slice(50, 100))
    for part in other.rglob("part-*"):
        shutil.copy(part, mine / part.relative_to(other))
    with pytest.raises(CollectionError, match="has no vectors yet"):
        Collection(mine)
    texts = [text.split(": ")[1] for text in verify_collection(mine).damage]
    assert texts.count("50 rows are of other images than images.parquet says") == 2
    assert embed(pixels, mine, encoder, slice(0, 50)).embedded == 50
    assert len(check_vectors(mine, pixels, expected)) == 50


def test_collections_from_before_there_were_generations(tmp_path, pixels, encoder, expected):
    """They open, nothing is embedded again, and the copy of one that was written meanwhile is no trap either."""
    path = tmp_path / "c"
    with pytest.MonkeyPatch.context() as patch:
        replace_everywhere(patch, write_table, without_generation)
        embed(pixels, path, encoder, slice(0, FIRST))
        older = {name: (path / name).read_bytes() for name in ("images.parquet", "images.parquet.bak")}
        copy = shutil.copytree(path, tmp_path / "copy")
        embed(pixels, copy, encoder, np.r_[0:FIRST, 60:100])
        for name, content in older.items():
            (copy / name).write_bytes(content)
    assert len(check_vectors(path, pixels, expected)) == FIRST
    summary = embed(pixels, path, encoder, slice(0, 60))
    assert (summary.embedded, summary.reused) == (20, FIRST)
    assert len(check_vectors(path, pixels, expected)) == 60
    assert (read_table(path / "images.parquet")[0]["generation"] == 0).sum() == FIRST
    assert len(check_vectors(copy, pixels, expected)) == FIRST
    assert embed(pixels, copy, encoder, np.r_[0:FIRST, 50:90]).embedded == 40
    assert len(check_vectors(copy, pixels, expected)) == 80


def without_generation(path, columns, *more, **options):
    write_table(path, {name: values for name, values in columns.items() if name != "generation"}, *more, **options)
