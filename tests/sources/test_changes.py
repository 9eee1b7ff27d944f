"""A source that changes between two runs: what is embedded again, and what keeps its row; and memory during a run."""

from __future__ import annotations

import os
import tracemalloc

import numpy as np
import pytest

from dinoscope.collection import Collection
from dinoscope.embedding import pipeline as embedding
from dinoscope.embedding.pipeline import embed_source
from dinoscope.errors import CollectionError, SourceError
from dinoscope.models.encoder import Encoder
from dinoscope.sources.array import ArraySource
from dinoscope.sources.opening import open_source
from dinoscope.stages.checking.integrity import verify_collection
from dinoscope.storage.manifest import list_models
from dinoscope.storage.progress import Progress
from dinoscope.storage.tables import list_parts, read_table, write_table
from tests.sources.archives.test_archive import make_tar, picture


@pytest.fixture(scope="module")
def encoder():
    return Encoder("mini", batch_size=4)


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        path = tmp_path / "set" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(40 * number))
    return tmp_path / "set"


def counts(source, path, encoder) -> tuple[int, int, int]:
    summary = embed_source(open_source(source), path, encoder)
    return summary.embedded, summary.reused, summary.removed


def rows(path) -> dict[str, int]:
    collection = Collection(path)
    return dict(zip(collection.ids, collection.rows.tolist(), strict=True))


def test_a_touched_file_is_not_embedded_again(tmp_path, folder, encoder):
    assert counts(folder, tmp_path / "c", encoder) == (6, 0, 0)
    before, vectors = rows(tmp_path / "c"), Collection(tmp_path / "c").vectors
    for path in folder.rglob("*.png"):
        os.utime(path, ns=(1, 1))
    assert counts(folder, tmp_path / "c", encoder) == (0, 6, 0)
    assert rows(tmp_path / "c") == before
    np.testing.assert_array_equal(Collection(tmp_path / "c").vectors, vectors)
    assert counts(folder, tmp_path / "c", encoder) == (0, 6, 0)


def test_a_renamed_or_moved_file_keeps_its_row(tmp_path, folder, encoder):
    counts(folder, tmp_path / "c", encoder)
    before = rows(tmp_path / "c")
    (folder / "a" / "0.png").rename(folder / "a" / "zero.png")
    (folder / "a" / "2.png").rename(folder / "b" / "2.png")
    assert counts(folder, tmp_path / "c", encoder) == (0, 6, 0)
    after = rows(tmp_path / "c")
    assert (after["a/zero.png"], after["b/2.png"]) == (before["a/0.png"], before["a/2.png"])
    collection = Collection(tmp_path / "c")
    assert collection.labels[collection.position(before["a/2.png"])] == "b"


def test_a_whole_folder_that_was_renamed_and_a_changed_file(tmp_path, folder, encoder):
    counts(folder, tmp_path / "c", encoder)
    (folder / "a").rename(folder / "cats")
    (folder / "b" / "1.png").write_bytes(picture(99))
    assert counts(folder, tmp_path / "c", encoder) == (1, 5, 1)


def test_copies_stay_apart(tmp_path, folder, encoder):
    """A second file with the same bytes is an image of its own; when one of the two goes, the other keeps its row."""
    counts(folder, tmp_path / "c", encoder)
    (folder / "a" / "copy.png").write_bytes((folder / "a" / "0.png").read_bytes())
    assert counts(folder, tmp_path / "c", encoder) == (1, 6, 0)
    before = rows(tmp_path / "c")
    (folder / "a" / "0.png").unlink()
    assert counts(folder, tmp_path / "c", encoder) == (0, 6, 1)
    assert rows(tmp_path / "c") == {name: row for name, row in before.items() if name != "a/0.png"}


def test_two_files_that_swap_names_swap_rows(tmp_path, folder, encoder):
    counts(folder, tmp_path / "c", encoder)
    before = rows(tmp_path / "c")
    one, other = folder / "a" / "0.png", folder / "a" / "2.png"
    one.rename(folder / "x.png")
    other.rename(one)
    (folder / "x.png").rename(other)
    for path in (one, other):
        os.utime(path)
    assert counts(folder, tmp_path / "c", encoder) == (0, 6, 0)
    after = rows(tmp_path / "c")
    assert (after["a/0.png"], after["a/2.png"]) == (before["a/2.png"], before["a/0.png"])


def test_a_collection_from_before_digests_embeds_what_was_renamed(tmp_path, folder, encoder):
    counts(folder, tmp_path / "c", encoder)
    for part in list_parts(tmp_path / "c" / "details"):
        columns, meta = read_table(part)
        columns.pop("content")
        write_table(part, columns, meta)
    assert counts(folder, tmp_path / "c", encoder) == (0, 6, 0)
    (folder / "a" / "0.png").rename(folder / "a" / "zero.png")
    assert counts(folder, tmp_path / "c", encoder) == (1, 5, 1)


@pytest.mark.parametrize("uri", [False, True])
def test_a_collection_inside_its_source_is_no_part_of_it(tmp_path, folder, encoder, uri):
    source, inside = folder.as_uri() if uri else folder, folder / "a" / "c"
    assert counts(source, inside, encoder) == (6, 0, 0)
    (inside / "map.png").write_bytes(picture(1))
    (inside / "evaluation").mkdir()
    (inside / "evaluation" / "confusion.png").write_bytes(picture(2))
    (folder / "b" / "collection.json").write_text("[]")  # anybody's
    assert counts(source, inside, encoder) == (0, 6, 0)
    assert open_source(source).ignored_endings == {".json": 1}
    with pytest.raises(SourceError, match=r"'c' is a collection: expected the folder, archive or table of images"):
        open_source(inside.as_uri() if uri else inside)


@pytest.mark.parametrize(
    "lost", [["images.parquet"], ["collection.json"], ["images.parquet", "collection.json"], ["images.parquet.bak"]]
)
def test_a_damaged_collection_inside_its_source_is_no_part_of_it_either(tmp_path, folder, encoder, lost):
    inside = folder / "a" / "c"
    counts(folder, inside, encoder)
    sheets = inside / "results" / "sheets"
    sheets.mkdir(parents=True)
    (sheets / "0123456789abcdef.png").write_bytes(picture(1))
    (folder / "b" / "details").mkdir()  # a class of that name
    (folder / "b" / "details" / "x.png").write_bytes(picture(2))
    (folder / "b" / "vectors").mkdir()
    (folder / "b" / "vectors" / "x.png").write_bytes(picture(3))
    for name in lost:
        (inside / name).unlink()
    ids = [item.id for item in open_source(folder).items]
    assert len(ids) == 8
    assert not any("sheets" in name for name in ids)


def test_a_sample_of_renamed_files(tmp_path, folder, encoder):
    embed_source(open_source(folder, limit=3), tmp_path / "c", encoder)
    for path in folder.rglob("*.png"):
        os.utime(path, ns=(1, 1))
    summary = embed_source(open_source(folder, limit=3), tmp_path / "c", encoder)
    assert (summary.embedded, summary.reused) == (0, 3)


def test_a_folder_of_the_same_name_with_other_images_is_asked_about(tmp_path, folder, encoder):
    counts(folder, tmp_path / "c", encoder)
    Collection(tmp_path / "c").neighbors(2)
    folder.rename(tmp_path / "first")
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.png").write_bytes(picture(40 * number + 7))
    with pytest.raises(
        CollectionError, match=r"holds 6 images, and the folder 'set' has none of them among its 4 imag"
    ):
        counts(folder, tmp_path / "c", encoder)
    with pytest.raises(CollectionError, match=r": 6 of 6 would leave the collection\. If .*, add --replace; otherwise"):
        counts(folder, tmp_path / "c", encoder)
    assert len(Collection(tmp_path / "c")) == 6
    assert len(list((tmp_path / "c" / "results" / "neighbors").iterdir())) == 1
    summary = embed_source(open_source(folder), tmp_path / "c", encoder, replace=True)
    assert (summary.embedded, summary.removed) == (4, 6)
    assert counts(folder, tmp_path / "c", encoder) == (0, 4, 0)


def test_one_image_in_common_by_its_content_is_a_change_like_any_other(tmp_path, folder, encoder):
    counts(folder, tmp_path / "c", encoder)
    for path in folder.rglob("*.png"):
        path.unlink()
    (folder / "new.png").write_bytes(picture(40))  # what was b/1.png
    (folder / "other.png").write_bytes(picture(77))
    assert counts(folder, tmp_path / "c", encoder) == (1, 1, 5)


@pytest.mark.parametrize("form", ["folder", "tar", "csv"])
def test_a_source_that_was_renamed_or_became_an_archive_keeps_its_vectors(tmp_path, folder, encoder, form):
    counts(folder, tmp_path / "c", encoder)
    before = rows(tmp_path / "c")
    moved = {"folder": tmp_path / "pictures", "tar": tmp_path / "set.tar", "csv": folder / "set.csv"}[form]
    if form == "tar":
        make_tar(moved, [(path.relative_to(folder).as_posix(), path.read_bytes()) for path in folder.rglob("*.png")])
    elif form == "csv":
        moved.write_text(
            "path\n" + "".join(f"{path.relative_to(folder).as_posix()}\n" for path in folder.rglob("*.png"))
        )
    else:
        folder.rename(moved)
    with pytest.raises(CollectionError, match=r"'dinoscope embed SOURCE -o .*c --moved' keeps their vectors"):
        counts(moved, tmp_path / "c", encoder)
    summary = embed_source(open_source(moved), tmp_path / "c", encoder, moved=True)
    assert (summary.embedded, summary.reused, summary.removed) == (0, 6, 0)
    assert rows(tmp_path / "c") == before
    collection = Collection(tmp_path / "c")
    assert (collection.name, collection.kind) == (moved.name, {"tar": "archive", "csv": "table"}.get(form, "folder"))
    assert collection.labels.tolist() == ["a"] * 3 + ["b"] * 3
    assert counts(moved, tmp_path / "c", encoder) == (0, 6, 0)  # and is its source from now on
    assert read_table(tmp_path / "c" / "images.parquet")[1]["source"]["name"] == moved.name


def test_moved_is_no_way_to_other_images(tmp_path, folder, encoder):
    counts(folder, tmp_path / "c", encoder)
    other = tmp_path / "other"
    other.mkdir()
    (other / "1.png").write_bytes(picture(3))
    with pytest.raises(CollectionError, match="6 of 6 would leave"):
        embed_source(open_source(other), tmp_path / "c", encoder, moved=True)
    assert Collection(tmp_path / "c").name == "set"
    embed_source(open_source(other), tmp_path / "c", encoder, moved=True, replace=True)
    assert Collection(tmp_path / "c").ids.tolist() == ["1.png"]


def test_a_first_run_that_failed_binds_to_nothing(tmp_path, folder, encoder):
    bad = tmp_path / "bad"
    bad.mkdir()
    for number in range(3):
        (bad / f"{number}.png").write_text("no picture")
    with pytest.raises(SourceError, match="none of the 3 images in 'bad' could be read"):
        counts(bad, tmp_path / "c", Encoder("mini-fashion"))
    assert counts(folder, tmp_path / "c", encoder) == (6, 0, 0)
    collection = Collection(tmp_path / "c")
    assert (collection.name, collection.rows.tolist(), collection.failures) == ("set", list(range(6)), ())
    assert verify_collection(tmp_path / "c").damage == ()
    assert list_models(tmp_path / "c") == [encoder.key]


def test_shards_that_grow(tmp_path, encoder):
    shards = tmp_path / "shards"
    shards.mkdir()
    make_tar(shards / "0.tar", [("1.png", picture(1)), ("2.png", picture(2))])
    assert counts(shards / "*.tar", tmp_path / "c", encoder) == (2, 0, 0)
    make_tar(shards / "1.tar", [("1.png", picture(3))])
    assert counts(shards / "*.tar", tmp_path / "c", encoder) == (1, 2, 0)


def test_memory_does_not_grow_with_what_is_done(tmp_path, monkeypatch):
    """What is held between two parts is the same at the beginning of a run and at its end."""
    monkeypatch.setattr(embedding, "_PART_SECONDS", 0.0)  # a part after every batch
    monkeypatch.setattr(Encoder, "run", lambda self, pixels: np.zeros((len(pixels), 192), np.float32))
    source = ArraySource(np.random.default_rng(0).integers(0, 256, (3000, 8, 8), np.uint8))
    held: list[int] = []

    def measure(progress: Progress) -> None:
        if progress.done in (500, 2900):  # objects of the run itself; pixels come and go as the threads please
            own = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*embedding.py")])
            held.append(sum(each.size for each in own.statistics("filename")))

    tracemalloc.start()
    embed_source(source, tmp_path / "c", Encoder("mini", batch_size=100), on_progress=measure)
    tracemalloc.stop()
    first, last = held
    assert last - first < 300_000  # an object for each of the 2,400 images done in between would take 900,000
