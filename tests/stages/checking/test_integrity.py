import contextlib
import json
import logging
import shutil

import numpy as np
import pytest

from dinoscope.collection import Collection
from dinoscope.embedding.pipeline import embed_source
from dinoscope.errors import CollectionError, DamagedError, DinoscopeError
from dinoscope.models.encoder import Encoder
from dinoscope.sources.array import ArraySource
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.stages.checking.integrity import verify_collection
from dinoscope.storage.details import QUALITY
from dinoscope.storage.files import read_json, write_json
from dinoscope.storage.tables import read_table, write_table
from tests.served import images, make_collection

N = 40


@pytest.fixture(scope="module")
def encoder():
    return Encoder("mini-fashion", batch_size=16)


@pytest.fixture(scope="module")
def source():
    return ArraySource(load_dataset("fashion-mnist-test").pixels[:N], labels=[str(n % 4) for n in range(N)])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, encoder, source):
    path = tmp_path_factory.mktemp("whole") / "c"
    embed_source(source, path, encoder)
    Collection(path).neighbors(5)
    write_json(path / "dismissed.json", {"keys": ["pair-12"]}, checked=True)
    return path


@pytest.fixture
def collection(tmp_path, undisturbed):
    return shutil.copytree(undisturbed, tmp_path / "c")


def the_file(path, kind):
    patterns = {"details": "details/part-*", "vectors": "vectors/*/part-*", "result": "results/neighbors/*"}
    return next(path.glob(patterns.get(kind, f"**/{kind}")))


def flip(file, at):
    content = bytearray(file.read_bytes())
    content[at % len(content)] ^= 1 << at % 8
    file.write_bytes(content)


KINDS = [
    "collection.json",
    "images.parquet",
    "images.parquet.bak",
    "details",
    "model.json",
    "vectors",
    "result",
    "dismissed.json",
]


def same(path, undisturbed):
    """Tell whether a collection holds and shows what the undisturbed one does."""
    left, right = Collection(path), Collection(undisturbed)
    np.testing.assert_array_equal(left.vectors, right.vectors)
    np.testing.assert_array_equal(left.rows, right.rows)
    np.testing.assert_array_equal(left.sizes, right.sizes)
    np.testing.assert_array_equal(left.neighbors(5).indices, right.neighbors(5).indices)
    assert left.thumbnails(range(N)) == right.thumbnails(range(N))
    assert left.labels.tolist() == right.labels.tolist()
    assert left.model == right.model
    return True


def test_a_whole_collection(undisturbed):
    found = verify_collection(undisturbed)
    assert found.damage == ()
    assert {check.name.split(" mini")[0]: check.found for check in found.checks} == {
        "collection.json": "2 files",
        "images.parquet": "2 files",
        "details": "1 file",
        "model.json": "1 file",
        "vectors": "1 file",
        "results": "1 file",
        "rows of images": "40, 40 of them in the source",
        "rows of details": "40 read, 0 unreadable",
        "rows of vectors": "40",
    }
    assert [check.note for check in found.checks if check.note] == []


@pytest.mark.parametrize("kind", KINDS)
def test_flipped_bits_are_found_named_and_repaired(collection, undisturbed, encoder, source, caplog, kind):
    file = the_file(collection, kind)
    whole = file.read_bytes()
    for at in np.random.default_rng(len(kind)).integers(0, len(whole), 25).tolist():
        file.write_bytes(whole)
        flip(file, at)
        damage = verify_collection(collection).damage
        assert len(damage) >= 1
        assert damage[0].startswith(f"{file.relative_to(collection).as_posix()}: ")
    if kind in ("collection.json", "images.parquet", "model.json", "vectors"):
        with pytest.raises(CollectionError, match=rf"{file.name} is damaged .*run 'dinoscope embed' again"):
            Collection(collection)
    with caplog.at_level(logging.WARNING, "dinoscope"):
        summary = embed_source(source, collection, encoder)
        assert same(collection, undisturbed)
    assert summary.embedded == (N if kind == "vectors" else 0)
    assert verify_collection(collection).damage == ()
    if kind not in ("images.parquet.bak",):
        assert file.name in caplog.text
    if kind == "dismissed.json":
        assert (collection / "dismissed.json.damaged").exists()


def test_a_damaged_column_is_never_shown(collection):
    file = the_file(collection, "details")
    content = bytearray(file.read_bytes())
    opened, shown = Collection(collection), 0
    pictures, sizes = opened.thumbnails(range(N)), opened.sizes.tolist()

    def fresh_sizes():
        return Collection(collection).sizes.tolist()

    for at in range(4, len(content), len(content) // 60):
        content[at] ^= 1
        file.write_bytes(content)
        content[at] ^= 1
        for use, expected in ((lambda: opened.thumbnails(range(N)), pictures), (fresh_sizes, sizes)):
            with contextlib.suppress(DamagedError):
                assert use() == expected
                shown += 1
    assert 0 < shown < 60  # damage to a column that is not read is none of the reader's business
    file.write_bytes(content)
    assert opened.thumbnails(range(N)) == pictures


def test_the_table_of_images_and_its_copy_both_damaged(collection, encoder, source):
    for kind in ("images.parquet", "images.parquet.bak"):
        flip(the_file(collection, kind), 300)
    with pytest.raises(CollectionError, match=r"has lost its table of images and the copy .* into a new folder"):
        embed_source(source, collection, encoder)
    for kind in ("images.parquet", "images.parquet.bak"):
        the_file(collection, kind).unlink()
    with pytest.raises(CollectionError, match="both are gone"):
        embed_source(source, collection, encoder)


def test_a_damaged_manifest_still_keeps_another_source_out(collection, encoder, source):
    flip(the_file(collection, "collection.json"), 40)
    other = ArraySource(load_dataset("fashion-mnist-test").pixels[:N], name="other")
    with pytest.raises(CollectionError, match="holds the array 'array', got the array 'other'"):
        embed_source(other, collection, encoder)
    (collection / "collection.json").unlink()
    with pytest.raises(CollectionError, match="holds the array 'array', got the array 'other'"):
        embed_source(other, collection, encoder)
    assert embed_source(source, collection, encoder).embedded == 0


def test_a_newer_format_is_refused(collection, encoder, source):
    manifest = read_json(collection / "collection.json")
    write_json(collection / "collection.json", {**manifest, "format": 2}, checked=True)
    for use in (
        lambda: Collection(collection),
        lambda: embed_source(source, collection, encoder),
        lambda: verify_collection(collection),
    ):
        with pytest.raises(CollectionError, match="has format 2, this version of dinoscope reads 1: install the newer"):
            use()


def test_files_from_before_there_were_checksums(collection, undisturbed):
    import pyarrow.parquet as pq

    for file in [*collection.rglob("*.parquet"), collection / "images.parquet.bak"]:
        table = pq.read_table(file, partitioning=None)
        metadata = {key: value for key, value in (table.schema.metadata or {}).items() if key == b"dinoscope"}
        pq.write_table(table.replace_schema_metadata(metadata), file, compression="zstd")
    for file in collection.rglob("*.json"):
        write_json(file, read_json(file))
    found = verify_collection(collection)
    assert found.damage == ()
    assert {check.note for check in found.checks[:6]} == {"1 without a checksum", "2 without a checksum"}
    assert same(collection, undisturbed)


def rewrite(file, change):
    columns, meta = read_table(file)
    stored = {name: values for name, values in columns.items() if name not in QUALITY}  # nulls were read as NaN
    write_table(file, change(stored), meta)


@pytest.mark.parametrize(
    ("kind", "change", "told"),
    [
        ("vectors", lambda c: {n: np.concatenate([v, v[:3]]) for n, v in c.items()}, "3 rows are there twice"),
        ("vectors", lambda c: {**c, "vector": c["vector"] * np.float32(1.01)}, "40 vectors are not finite and of len"),
        ("vectors", lambda c: {**c, "vector": np.full_like(c["vector"], np.nan)}, "40 vectors are not finite and of"),
        (
            "vectors",
            lambda c: {**c, "vector": np.eye(7, dtype=np.float32)[np.arange(40) % 7]},
            "1 parts hold vectors of another",
        ),
        ("vectors", lambda c: {**c, "row": c["row"] + 10}, "10 rows are not in images.parquet"),
        ("details", lambda c: {n: v[:30] for n, v in c.items()}, "10 vectors belong to images that have no details"),
        ("images.parquet", lambda c: {**c, "row": c["row"][::-1]}, "its rows are not 0, 1, 2"),
    ],
)
def test_tables_that_contradict_each_other(collection, kind, change, told):
    rewrite(the_file(collection, kind), change)
    assert any(told in text for text in verify_collection(collection).damage)


def test_what_is_unfinished_and_stale_is_no_damage(collection, encoder):
    bigger = ArraySource(load_dataset("fashion-mnist-test").pixels[: N + 20])

    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_source(bigger, collection, encoder, on_progress=stop)
    found = verify_collection(collection)
    assert found.damage == ()
    notes = {check.name.split(" mini")[0]: check.note for check in found.checks if check.note}
    assert notes == {"results": "1 of an earlier state", "rows of vectors": "4 images not embedded yet"}


def test_two_processes_may_store_the_same_result(collection):
    """The second write replaces a whole file by a whole one."""
    first, second = Collection(collection), Collection(collection)
    shutil.rmtree(collection / "results")
    indices = first.neighbors(5).indices
    (found,) = (collection / "results" / "neighbors").iterdir()
    content = found.read_bytes()
    found.unlink()
    np.testing.assert_array_equal(second.neighbors(5).indices, indices)
    np.testing.assert_array_equal(first.neighbors(5).indices, indices)
    assert [p.name for p in (collection / "results" / "neighbors").iterdir()] == [found.name]
    assert len(content) > 0


def test_reading_while_another_process_adds_images(collection, encoder):
    """Rows that were added after the table of images was read are not yet there for this reader."""
    opened = Collection(collection)
    embed_source(ArraySource(load_dataset("fashion-mnist-test").pixels[: N + 20]), collection, encoder)
    assert opened.sizes.shape == (N, 2)
    assert len(opened.thumbnails(range(N))) == N
    assert opened.failures == ()


def test_info_verify(collection, run):
    code, out, _ = run("info", collection, "--verify")
    assert code == 0
    assert "rows of details" in out
    flip(the_file(collection, "vectors"), 999)
    code, out, err = run("info", collection, "--verify")
    assert code == 1
    assert "part-00000.parquet: the checksum of" in out
    assert "1 damaged: 'dinoscope embed SOURCE -o" in err
    code, out, _ = run("info", collection, "--verify", "--json")
    assert code == 1
    assert len(json.loads(out)["damage"]) == 1
    code, _, err = run("info", collection.parent, "--verify")
    assert code == 1
    assert f"is a folder but no collection: embed it with 'dinoscope embed {collection.parent} -o " in err


def test_a_damaged_file_of_every_kind_is_one_line(collection, run):
    for kind in KINDS:
        flip(the_file(collection, kind), 77)
    for command in (("info", collection), ("map", collection), ("receipt", collection)):
        code, _, err = run(*command)
        assert code == 1
        assert err.startswith("dinoscope: ")
        assert len(err.splitlines()) == 1
    with pytest.raises(DinoscopeError):
        Collection(collection)


def test_an_empty_folder_of_vectors_is_a_run_that_was_killed(tmp_path):
    path = make_collection(tmp_path / "c", images(20))
    (path / "vectors" / "mini-28px").mkdir()
    assert verify_collection(path).damage == ()
    (path / "vectors" / "mini-28px" / "part-00000.parquet").write_bytes(b"")
    assert any("model.json: is gone" in each for each in verify_collection(path).damage)


def test_measured_properties_that_lack_one_are_measured_again(tmp_path):
    path = make_collection(tmp_path / "c", images(20))
    expected = Collection(path).properties()
    (file,) = (path / "results" / "properties").glob("*.parquet")
    columns, meta = read_table(file)
    del columns["detail"]
    write_table(file, columns, meta)
    assert Collection(path).properties().keys() == expected.keys()
