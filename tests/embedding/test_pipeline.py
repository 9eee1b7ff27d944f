import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from dinoscope.collection import Collection
from dinoscope.embedding.batches import Job, _hands
from dinoscope.embedding.pipeline import embed_source
from dinoscope.errors import CollectionError, ImageError, SourceError, UnreadableError
from dinoscope.models.encoder import Encoder
from dinoscope.sources.array import ArraySource
from dinoscope.sources.base import ImageSource, as_source
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.sources.items import Item
from dinoscope.sources.opening import open_source
from dinoscope.sources.pixels.decode import thumbnail
from dinoscope.sources.selection import select
from dinoscope.stages.checking.integrity import verify_collection
from dinoscope.storage.progress import Progress
from dinoscope.storage.tables import read_table, write_table
from tests.patching import replace_everywhere
from tests.reference.preprocess import picture


@pytest.fixture(scope="module")
def encoder():
    return Encoder("mini-fashion", batch_size=16)


@pytest.fixture(scope="module")
def pixels():
    return load_dataset("fashion-mnist-test").pixels[:300]


@pytest.fixture
def folder(tmp_path, pixels):
    """Sixty images in three sub-folders."""
    for index in range(60):
        path = tmp_path / "clothes" / "abc"[index % 3] / f"{index:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[index]).save(path)
    return tmp_path / "clothes"


def test_vectors_are_those_of_the_encoder_in_order(tmp_path, encoder, pixels):
    source = ArraySource(pixels)
    summary = embed_source(source, tmp_path / "c", encoder)
    assert (summary.embedded, summary.reused, summary.failures) == (300, 0, ())
    collection = Collection(tmp_path / "c")
    assert collection.rows.tolist() == list(range(300))
    np.testing.assert_array_equal(collection.vectors, encoder.encode([source.load(i) for i in range(300)]))


def test_results_of_an_earlier_state_are_deleted(tmp_path, encoder, pixels):
    path = tmp_path / "c"
    other = Encoder("mini", batch_size=16)
    embed_source(ArraySource(pixels[:50]), path, other)
    embed_source(ArraySource(pixels[:50]), path, encoder)
    for key in (other.key, encoder.key):
        Collection(path, key).neighbors(5)
    files = set((path / "results").rglob("*.parquet"))
    assert len(files) == 2
    embed_source(ArraySource(pixels[:60]), path, encoder)
    (kept,) = (path / "results").rglob("*.parquet")  # of the model that has seen no new image
    assert kept in files
    Collection(path, other.key).neighbors(5)
    assert set((path / "results").rglob("*.parquet")) == {kept}
    embed_source(ArraySource(pixels[:40]), path, encoder)
    Collection(path).neighbors(5)
    assert embed_source(ArraySource(pixels[:60]), path, encoder).embedded == 0  # twenty images came back
    assert set((path / "results").rglob("*.parquet")) == set()


def test_another_model_whose_vectors_are_damaged_is_no_obstacle(tmp_path, encoder, pixels):
    path, other = tmp_path / "c", Encoder("mini", batch_size=16)
    embed_source(ArraySource(pixels[:20]), path, other)
    Collection(path).neighbors(5)
    (part,) = (path / "vectors" / other.key).glob("part-*")
    part.write_bytes(part.read_bytes()[:-9])
    assert embed_source(ArraySource(pixels[:20]), path, encoder).embedded == 20
    assert len(Collection(path)) == 20


def test_another_model_whose_description_is_damaged_is_no_obstacle(tmp_path, encoder, pixels):
    path, other = tmp_path / "c", Encoder("mini", batch_size=16)
    embed_source(ArraySource(pixels[:20]), path, other)
    embed_source(ArraySource(pixels[:20]), path, encoder)
    (path / "vectors" / other.key / "model.json").write_bytes(b"{")
    for model in ("mini-fashion", encoder.key, None):
        assert Collection(path, model).key == encoder.key
    for model in ("mini", other.key):
        with pytest.raises(CollectionError, match=r"model\.json is damaged"):
            Collection(path, model)


def test_a_collection_without_an_image_left_is_an_error(tmp_path, encoder, pixels):
    embed_source(ArraySource(pixels[:5]), tmp_path / "c", Encoder("mini"))
    embed_source(ArraySource(pixels[5:9]), tmp_path / "c", encoder, replace=True)
    with pytest.raises(CollectionError, match="has no vectors yet"):
        Collection(tmp_path / "c", "mini")


def test_second_run_does_nothing(tmp_path, encoder, pixels):
    source = ArraySource(pixels[:50])
    embed_source(source, tmp_path / "c", encoder)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "c").rglob("*") if p.is_file() and p.name != ".lock"}
    calls: list[Progress] = []
    summary = embed_source(source, tmp_path / "c", encoder, on_progress=calls.append)
    assert (summary.embedded, summary.reused) == (0, 50)
    assert calls == []
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_large_jpegs_are_decoded_reduced_and_recorded_whole(tmp_path, encoder):
    """Vectors and thumbnails are those of the reduced picture, with or without a thumbnail from before."""
    (tmp_path / "photos").mkdir()
    for name, size, orientation in (("1.jpg", (1200, 1000), 1), ("2.jpg", (1200, 800), 6)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        photo = Image.fromarray(picture(120, 100)).resize(size, Image.Resampling.BICUBIC)
        photo.save(tmp_path / "photos" / name, quality=90, exif=exif)
    source = open_source(tmp_path / "photos")
    embed_source(source, tmp_path / "c", encoder)
    collection = Collection(tmp_path / "c")
    details = read_table(tmp_path / "c" / "details" / "part-00000.parquet")[0]
    assert (details["width"].tolist(), details["height"].tolist()) == ([1200, 800], [1000, 1200])
    reduced = [source.load_reduced(index, encoder.preprocessing.least(28)) for index in range(2)]
    assert [image.pixels.shape for image in reduced] == [(250, 300, 3), (300, 200, 3)]
    assert collection.thumbnails(range(2)) == [thumbnail(image.pixels) for image in reduced]
    expected = encoder.run(np.stack([encoder.preprocess(image.pixels, image.size) for image in reduced]))
    np.testing.assert_array_equal(collection.vectors, expected)
    whole = encoder.encode([source.load(index) for index in range(2)])
    assert (collection.vectors * whole).sum(1).min() > 0.999
    for part in (tmp_path / "c").rglob("vectors/*/part-*.parquet"):
        part.unlink()
    embed_source(source, tmp_path / "c", encoder)
    np.testing.assert_array_equal(Collection(tmp_path / "c").vectors, expected)


def test_added_images_alone_are_embedded(tmp_path, encoder, folder, pixels):
    embed_source(open_source(folder), tmp_path / "c", encoder)
    first = Collection(tmp_path / "c")
    Image.fromarray(pixels[100]).save(folder / "a" / "000-new.png")  # sorts before most others
    summary = embed_source(open_source(folder), tmp_path / "c", encoder)
    assert (summary.embedded, summary.reused, summary.removed) == (1, 60, 0)
    second = Collection(tmp_path / "c")
    assert second.rows.tolist() == list(range(61))
    assert second.ids[60] == "a/000-new.png"
    np.testing.assert_array_equal(second.vectors[:60], first.vectors)
    assert second.ids[:60].tolist() == first.ids.tolist()


def test_removed_and_changed_images(tmp_path, encoder, folder, pixels):
    embed_source(open_source(folder), tmp_path / "c", encoder)
    (folder / "a" / "003.png").unlink()
    changed = folder / "b" / "001.png"
    Image.fromarray(pixels[200]).resize((40, 40)).save(changed)
    summary = embed_source(open_source(folder), tmp_path / "c", encoder)
    assert (summary.embedded, summary.removed) == (1, 2)
    collection = Collection(tmp_path / "c")
    assert len(collection) == 59
    assert "a/003.png" not in collection.ids
    assert collection.rows[collection.ids == "b/001.png"].tolist() == [60]


def test_an_image_that_comes_back_is_not_embedded_again(tmp_path, encoder, pixels):
    embed_source(ArraySource(pixels[:40]), tmp_path / "c", encoder)
    embed_source(ArraySource(pixels[:30]), tmp_path / "c", encoder)
    assert len(Collection(tmp_path / "c")) == 30
    summary = embed_source(ArraySource(pixels[:40]), tmp_path / "c", encoder)
    assert (summary.embedded, summary.reused) == (0, 40)
    assert len(Collection(tmp_path / "c")) == 40


def test_labels_follow_the_source(tmp_path, encoder, pixels):
    embed_source(ArraySource(pixels[:4], labels=["a", "b", "a", "b"]), tmp_path / "c", encoder)
    summary = embed_source(ArraySource(pixels[:4], labels=["x", "b", "a", "y"]), tmp_path / "c", encoder)
    assert summary.embedded == 0
    assert Collection(tmp_path / "c").labels.tolist() == ["x", "b", "a", "y"]


def test_a_source_that_says_no_labels_leaves_them(tmp_path, encoder, pixels):
    names = ["a", "b", None, "b"]
    embed_source(ArraySource(pixels[:4], labels=names), tmp_path / "c", encoder)
    embed_source(ArraySource(pixels[:5]), tmp_path / "c", Encoder("mini", batch_size=16))
    for model, count in (("mini-fashion", 4), ("mini", 5)):
        assert Collection(tmp_path / "c", model).labels.tolist() == [*names, None][:count]
    embed_source(ArraySource(pixels[:4], labels=["x", None, None, "y"]), tmp_path / "c", encoder)
    assert Collection(tmp_path / "c").labels.tolist() == ["x", None, None, "y"]  # a list does say None


@pytest.mark.parametrize("wrapped", [False, True])
def test_splits_and_sources_of_ones_own_are_left_alike(tmp_path, encoder, pixels, wrapped):
    source = ArraySource(pixels[:2])

    def given(items: Any) -> Any:
        if wrapped:
            return as_source(SimpleNamespace(name="array", kind="array", items=items, load=source.load))
        chosen = select(source, [0, 1])
        chosen.items = items
        chosen.has_labels = chosen.has_splits = any(item.label for item in items)
        return chosen

    keys = [item.key for item in source.items]
    embed_source(given([Item("0", keys[0], "a", "train"), Item("1", keys[1], "b", "test")]), tmp_path / "c", encoder)
    embed_source(given([Item("0", keys[0]), Item("1", keys[1])]), tmp_path / "c", encoder)
    collection = Collection(tmp_path / "c")
    assert (collection.labels.tolist(), collection.splits.tolist()) == (["a", "b"], ["train", "test"])


def test_a_table_without_a_label_column_leaves_labels_and_none_takes_them_away(tmp_path, encoder, folder):
    def embed(text: str, **columns: Any) -> list[str | None]:
        (folder / "t.csv").write_text(text)
        embed_source(open_source(folder / "t.csv", **columns), tmp_path / "c", encoder)
        found: list[str | None] = Collection(tmp_path / "c").labels.tolist()
        return found

    assert embed("path,label\na/000.png,x\nb/001.png,y\n") == ["x", "y"]
    assert embed("path\na/000.png\nb/001.png\n") == ["x", "y"]
    assert embed("path,label\na/000.png,\nb/001.png,y\n") == [None, "y"]
    assert embed("path,label\na/000.png,x\nb/001.png,y\n", label_column="none") == [None, None]


def test_bad_files_are_outcomes(tmp_path, encoder, folder):
    good = sorted(p for p in folder.rglob("*.png"))
    good[0].write_bytes(good[0].read_bytes()[:200])  # cut short
    good[1].write_bytes(b"")
    good[2].write_text("not a picture")
    (folder / "b" / "x.png").mkdir()
    summary = embed_source(open_source(folder), tmp_path / "c", encoder)
    assert len(summary.failures) == 4
    assert {f.id for f in summary.failures} == {*(p.relative_to(folder).as_posix() for p in good[:3]), "b/x.png"}
    assert all(f.reason for f in summary.failures)
    collection = Collection(tmp_path / "c")
    assert len(collection) == 57
    assert [f.id for f in collection.failures] == [f.id for f in summary.failures]
    failed = {f.id for f in summary.failures}
    wanted = [i for i, item in enumerate(open_source(folder).items) if item.id not in failed]
    assert collection.rows.tolist() == wanted
    # decoding is not tried again, and the failures are still told
    again = embed_source(open_source(folder), tmp_path / "c", encoder)
    assert (again.embedded, again.failures) == (0, summary.failures)


def test_a_mended_file_is_embedded(tmp_path, encoder, folder, pixels):
    (folder / "a" / "000.png").write_bytes(b"")
    assert len(embed_source(open_source(folder), tmp_path / "c", encoder).failures) == 1
    Image.fromarray(pixels[0]).save(folder / "a" / "000.png")
    summary = embed_source(open_source(folder), tmp_path / "c", encoder)
    assert (summary.embedded, summary.failures) == (1, ())
    assert len(Collection(tmp_path / "c")) == 60


def test_a_file_that_can_be_read_again_is_whole_again(tmp_path, encoder, pixels):
    """A failure that may pass is tried again: the same one twice writes nothing, success leaves no trace of it."""
    source = ArraySource(pixels[:20])

    class Flaky(ImageSource):
        name, kind, items, broken = source.name, source.kind, source.items, True

        def load(self, index):
            if self.broken and index == 7:
                raise UnreadableError("cannot be read: Permission denied")
            return source.load(index)

    flaky = Flaky()
    assert [f.row for f in embed_source(flaky, tmp_path / "c", encoder).failures] == [7]
    before = sorted(tmp_path.rglob("part-*.parquet"))
    assert [f.row for f in embed_source(flaky, tmp_path / "c", encoder).failures] == [7]
    assert sorted(tmp_path.rglob("part-*.parquet")) == before
    flaky.broken = False
    summary = embed_source(flaky, tmp_path / "c", encoder)
    assert (summary.embedded, summary.failures) == (1, ())
    collection = Collection(tmp_path / "c")
    assert collection.failures == ()
    assert collection.thumbnails([7]) == [thumbnail(source.load(7))]
    assert embed_source(flaky, tmp_path / "c", encoder).embedded == 0
    assert len(list((tmp_path / "c").rglob("part-*.parquet"))) == len(before) + 2


def test_a_failure_for_another_model_is_none_of_this_one(tmp_path, encoder, pixels):
    """The image keeps its vector, size and picture; when it can be read again, it does not count as stored twice."""
    source, path, broken = ArraySource(pixels[:9]), tmp_path / "c", Encoder("mini", batch_size=16)

    class Unreadable(ImageSource):
        name, kind, items = source.name, source.kind, source.items

        def load(self, index):
            raise UnreadableError("cannot be read: Permission denied")

    embed_source(source, path, encoder)
    with pytest.raises(SourceError, match="none of the 9 images"):
        embed_source(Unreadable(), path, broken)
    summary = embed_source(Unreadable(), path, encoder)
    assert (summary.reused, summary.failures) == (9, ())
    opened = Collection(path, encoder.key)
    assert (len(opened), opened.failures, opened.sizes.tolist()) == (9, (), [[28, 28]] * 9)
    assert embed_source(source, path, broken).embedded == 9
    assert verify_collection(path).damage == ()
    assert Collection(path).thumbnails(range(9)) == opened.thumbnails(range(9))


def test_only_bad_files_is_an_error(tmp_path, encoder):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "one.jpg").write_text("no")
    with pytest.raises(SourceError, match=r"none of the 1 images in 'bad' could be read; the first, one\.jpg: "):
        embed_source(open_source(tmp_path / "bad"), tmp_path / "c", encoder)


@pytest.mark.parametrize("part", ["details", "vectors"])
def test_a_deleted_part_is_made_anew(tmp_path, encoder, pixels, part):
    source = ArraySource(pixels[:40])
    embed_source(source, tmp_path / "c", encoder)
    before = Collection(tmp_path / "c")
    thumbnails = before.thumbnails(range(40))
    for file in (tmp_path / "c" / part).rglob("part-*.parquet"):
        file.unlink()
    if part == "details":
        with pytest.raises(CollectionError, match="has lost the details of 2 images: run 'dinoscope embed' again"):
            before.thumbnails([3, 7])
    else:
        with pytest.raises(CollectionError, match="has no vectors yet"):
            Collection(tmp_path / "c")
    summary = embed_source(source, tmp_path / "c", encoder)
    assert summary.embedded == (40 if part == "vectors" else 0)
    after = Collection(tmp_path / "c")
    np.testing.assert_array_equal(after.vectors, before.vectors)
    assert after.thumbnails(range(40)) == thumbnails


def test_another_source_is_kept_out(tmp_path, encoder, folder, pixels):
    embed_source(open_source(folder), tmp_path / "c", encoder)
    with pytest.raises(CollectionError, match=r"holds the folder 'clothes', got the array 'array'.*with -o"):
        embed_source(ArraySource(pixels), tmp_path / "c", encoder)
    assert len(Collection(tmp_path / "c")) == 60


def test_a_run_killed_as_it_began_is_continued(tmp_path, encoder, pixels):
    path = tmp_path / "collection"
    path.mkdir()
    for name in (".lock", ".lock-holder.json", ".collection.json.part-999999999-1@elsewhere"):
        (path / name).write_bytes(b"{")
    assert embed_source(ArraySource(pixels[:3]), path, encoder).embedded == 3


def test_a_folder_that_is_no_collection_is_left_alone(tmp_path, encoder, folder, pixels):
    with pytest.raises(CollectionError, match="exists and is not a collection"):
        embed_source(ArraySource(pixels), folder, encoder)
    assert sorted(p.name for p in folder.iterdir()) == ["a", "b", "c"]


def test_progress_counts_to_the_total(tmp_path, encoder, pixels):
    calls: list[Progress] = []
    embed_source(ArraySource(pixels[:50]), tmp_path / "c", encoder, on_progress=calls.append)
    assert [c.done for c in calls] == [16, 32, 48, 50]
    assert {c.total for c in calls} == {50}
    assert calls[-1].seconds_left == 0
    assert all(c.images_per_second > 0 for c in calls)


def test_stopping_keeps_whole_batches(tmp_path, encoder, pixels):
    def stop(progress: Progress) -> None:
        if progress.done >= 48:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_source(ArraySource(pixels[:100]), tmp_path / "c", encoder, on_progress=stop)
    summary = embed_source(ArraySource(pixels[:100]), tmp_path / "c", encoder)
    assert (summary.embedded, summary.reused) == (52, 48)


@pytest.mark.parametrize("column", ["thumbnail", "vector"])
def test_stopping_as_a_part_was_written_stores_nothing_twice(tmp_path, encoder, pixels, monkeypatch, column):
    write, stopped = write_table, list[Any]()

    def write_and_stop(path, columns, *args, **keywords):
        write(path, columns, *args, **keywords)
        if column in columns and not stopped:
            stopped.append(path)
            raise KeyboardInterrupt

    replace_everywhere(monkeypatch, write_table, write_and_stop)
    monkeypatch.setattr("dinoscope.embedding.pipeline._PART_ROWS", 16)
    with pytest.raises(KeyboardInterrupt):
        embed_source(ArraySource(pixels[:40]), tmp_path / "c", encoder)
    assert len(Collection(tmp_path / "c")) == 16
    assert verify_collection(tmp_path / "c").damage == ()


def test_second_model_keeps_the_first_and_the_details(tmp_path, encoder, pixels):
    class Other:
        model, dim, resolution, batch_size, weights_sha256 = encoder.model, 3, 28, 16, "0"
        key, preprocessing, device, precision = "other", encoder.preprocessing, "cpu", "fp32"

        def describe(self):
            return {"model": "other", "dim": 3, "resolution": 28, "weights_sha256": "0", "licence": "MIT"}

        def preprocess(self, image, size):
            return image

        def run(self, batch):
            return np.full((len(batch), 3), 3**-0.5, np.float32)

    source = ArraySource(pixels[:20])
    embed_source(source, tmp_path / "c", encoder)
    embed_source(source, tmp_path / "c", cast(Encoder, Other()))
    assert Collection(tmp_path / "c").vectors.shape == (20, 3)  # the last one embedded is shown
    rows = [read_table(p, ["row"])[0]["row"] for p in (tmp_path / "c" / "details").glob("*.parquet")]
    assert sorted(np.concatenate(rows).tolist()) == list(range(20))


_RUN = """
import sys
from pathlib import Path
import numpy as np
import dinoscope.embedding.pipeline as embedding
from dinoscope.models.encoder import Encoder
from dinoscope.sources.array import ArraySource
embedding._PART_ROWS = 64
run = Encoder.run
def slow(self, batch):
    import time
    time.sleep(0.02)
    return run(self, batch)
Encoder.run = slow
print("ready", flush=True)
source, encoder = ArraySource(np.load(sys.argv[1])), Encoder("mini-fashion", batch_size=16)
embedding.embed_source(source, Path(sys.argv[2]), encoder)
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
def test_kill_at_random_moments_loses_nothing(tmp_path, encoder, pixels):
    np.save(tmp_path / "pixels.npy", pixels)
    target = tmp_path / "c"
    rng = np.random.default_rng(0)
    command = [sys.executable, "-c", _RUN, str(tmp_path / "pixels.npy"), str(target)]
    killed = 0
    for _ in range(3):
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(float(rng.uniform(0.1, 0.45)))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        process.stdout.close()
    assert killed >= 1
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    embed_source(ArraySource(pixels), tmp_path / "undisturbed", encoder)
    expected, got = Collection(tmp_path / "undisturbed"), Collection(target)
    assert got.rows.tolist() == expected.rows.tolist()
    np.testing.assert_array_equal(got.vectors, expected.vectors)
    stored = [read_table(p, ["row"])[0]["row"] for p in target.glob("vectors/*/part-*.parquet")]
    assert len(stored) > 1
    assert sorted(np.concatenate(stored).tolist()) == list(range(300))  # none twice
    assert not list(target.rglob("*.part-*"))


def test_a_run_of_unreadable_images_is_kept_as_it_goes(tmp_path, encoder, pixels, monkeypatch):
    """They fill no batch; killed among thousands of them, a run went through all of them again."""
    monkeypatch.setattr("dinoscope.embedding.pipeline._PART_ROWS", 32)
    tried: list[int] = []

    class Broken(ArraySource):
        def load_reduced(self, index, least):
            tried.append(index)
            if 8 <= index < 250:
                raise ImageError("it is not a picture")
            if index == 250 and len(tried) < 300:
                raise KeyboardInterrupt  # which keeps what is finished, and a kill would not
            return super().load_reduced(index, least)

    source, path = Broken(pixels), tmp_path / "c"
    written = []

    def count_parts(_):
        written.append(len(list(path.glob("details/part-*"))))

    with pytest.raises(KeyboardInterrupt):
        embed_source(source, path, encoder, on_progress=count_parts)
    assert written[-1] >= 5  # of 242 unreadable ones, before the run ended
    known = {row for part in path.glob("details/part-*") for row in read_table(part, ["row"])[0]["row"].tolist()}
    assert len(known & set(range(8, 250))) >= 192
    tried.clear()
    tried += [0] * 300
    summary = embed_source(source, path, encoder)
    assert (summary.embedded, len(summary.failures)) == (58, 242)
    assert len(tried) - 300 <= 300 - 192
    np.testing.assert_array_equal(  # the batches are those of a run that nobody stopped
        Collection(path).vectors, encoder.encode([pixels_of(pixels, index) for index in (*range(8), *range(250, 300))])
    )


def pixels_of(pixels, index):
    return ArraySource(pixels[index : index + 1]).load(0)


def test_a_label_without_end_is_cut_and_the_collection_opens(tmp_path, encoder, pixels):
    labels = ["a" * 40_000, *("b" for _ in range(len(pixels) - 1))]
    embed_source(ArraySource(pixels, labels), tmp_path / "c", encoder)
    assert {len(label) for label in Collection(tmp_path / "c").labels} == {1, 32_768}
    assert embed_source(ArraySource(pixels, labels), tmp_path / "c", encoder).relabelled == 0


def test_decoders_take_images_one_by_one_at_first_so_that_a_few_large_ones_are_for_all_cores():
    hands = list(_hands([Job(row, 0, False, False) for row in range(100)], 8))
    assert [len(hand) for hand in hands] == [1] * 64 + [8] * 4 + [4]
    assert [job.row for hand in hands for job in hand] == list(range(100))
