"""A run that is useful before it ends."""

from typing import Any

import numpy as np
import pytest

from dinoscope.collection import Collection
from dinoscope.embedding.pipeline import ORDER_SEED, embed_source
from dinoscope.models.encoder import Encoder
from dinoscope.sources.array import ArraySource
from dinoscope.sources.base import ImageSource
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.storage.progress import read_progress
from dinoscope.storage.tables import list_parts, read_table

N = 350
FIRST = 128


@pytest.fixture(scope="module", autouse=True)
def _small():
    """The same with fewer images, however slow the machine is."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("_SAMPLE_FROM", 300), ("_FIRST_ROWS", FIRST), ("_PART_SECONDS", 1e9)):
            patch.setattr(f"dinoscope.embedding.pipeline.{name}", value)
        yield


@pytest.fixture(scope="module")
def encoder():
    return Encoder("mini-fashion", batch_size=32)


@pytest.fixture(scope="module")
def source():
    dataset = load_dataset("fashion-mnist-test")
    order = sorted(range(N), key=lambda index: dataset.items[index].label or "")  # as folders of classes are
    return ArraySource(dataset.pixels[order], labels=[dataset.items[index].label for index in order])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, encoder, source):
    path = tmp_path_factory.mktemp("undisturbed") / "c"
    embed_source(source, path, encoder)
    return path


def stored_rows(path):
    return [read_table(part, ["row"])[0]["row"].tolist() for part in list_parts(next(path.glob("vectors/*")))]


def test_the_first_part_is_a_random_sample_that_another_process_can_use(tmp_path, encoder, source):
    seen: dict[str, Any] = {}

    def look(progress):
        running = read_progress(tmp_path / "c")
        assert running is not None
        if running.written and not seen:
            opened = Collection(tmp_path / "c")
            seen.update(
                count=len(opened),
                labels=set(opened.labels),
                map=opened.map(method="pca").shape,
                running=running,
                pictures=len(opened.thumbnails(range(len(opened)))),
            )

    embed_source(source, tmp_path / "c", encoder, on_progress=look)
    assert seen["count"] == seen["running"].written == FIRST
    assert len(seen["labels"]) == 10
    assert seen["map"] == (FIRST, 2)
    assert seen["pictures"] == FIRST
    assert (seen["running"].total, seen["running"].model) == (N, "mini-fashion")
    assert seen["running"].seconds_left > 0
    assert read_progress(tmp_path / "c") is None
    assert not (tmp_path / "c" / "progress.json").exists()


def test_the_order_depends_on_the_rows_alone(undisturbed, source):
    ranks = np.random.default_rng(ORDER_SEED).random(N)
    assert np.concatenate(stored_rows(undisturbed)).tolist() == np.argsort(ranks).tolist()
    assert [len(rows) for rows in stored_rows(undisturbed)] == [FIRST, N - FIRST]
    collection = Collection(undisturbed)
    assert collection.rows.tolist() == list(range(N))
    assert collection.ids.tolist() == [item.id for item in source.items]


def test_a_stopped_run_goes_on_in_the_same_order_and_batches(tmp_path, encoder, source, undisturbed):
    """Also where fewer images are left than a random order is worth having for."""
    batches = []

    class Recording:
        def __getattr__(self, name):
            return getattr(encoder, name)

        def run(self, batch):
            batches.append(len(batch))
            return encoder.run(batch)

    def stop(at):
        def check(progress):
            if progress.done >= at:
                raise KeyboardInterrupt

        return check

    for at in (50, 150):
        with pytest.raises(KeyboardInterrupt):
            embed_source(source, tmp_path / "c", Recording(), on_progress=stop(at))
    summary = embed_source(source, tmp_path / "c", Recording())
    assert (summary.embedded, summary.reused) == (N - 64 - 160, 64 + 160)
    assert batches == [32] * (N // 32) + [N % 32]
    assert np.concatenate(stored_rows(tmp_path / "c")).tolist() == np.concatenate(stored_rows(undisturbed)).tolist()
    np.testing.assert_array_equal(Collection(tmp_path / "c").vectors, Collection(undisturbed).vectors)


def test_a_source_that_is_read_in_order_keeps_its_order(tmp_path, encoder, source):
    class Stream(ImageSource):
        name, kind, items, load, random_access = source.name, source.kind, source.items, source.load, False

    embed_source(Stream(), tmp_path / "c", encoder)
    assert stored_rows(tmp_path / "c") == [list(range(N))]


def test_few_images_keep_their_order(tmp_path, encoder, source):
    class Few(ImageSource):
        name, kind, items, load = source.name, source.kind, source.items[:100], source.load

    embed_source(Few(), tmp_path / "c", encoder)
    assert stored_rows(tmp_path / "c") == [list(range(100))]
