"""Data sets that Hugging Face's `save_to_disk` wrote: Arrow streams with JSON files beside them."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dinoscope.errors import ImageError, SourceError
from dinoscope.sources.base import ImageSource
from dinoscope.sources.opening import open_source
from dinoscope.sources.tables import streams
from dinoscope.sources.tables.streams import ArrowTable
from tests.sources.archives.test_archive import described, picture, shade

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
FEATURES = {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}


def rows(numbers: Sequence[int], *, paths: bool = True) -> pa.Table:
    images = [{"bytes": picture(each), "path": f"{each}.png" if paths else None} for each in numbers]
    return pa.table({"image": pa.array(images, IMAGE), "label": pa.array([each % 2 for each in numbers], pa.int64())})


def save(folder: Path, parts: Sequence[pa.Table], *, batch: int = 4, state: bool = True, **info: Any) -> Path:
    """Write a folder as `Dataset.save_to_disk` does."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"data-{number:05d}-of-{len(parts):05d}.arrow" for number in range(len(parts))]
    for name, table in zip(names, parts, strict=True):
        with pa.OSFile(str(folder / name), "wb") as out, pa.ipc.new_stream(out, table.schema) as stream:
            stream.write_table(table, max_chunksize=batch)
    (folder / "dataset_info.json").write_text(json.dumps({"features": FEATURES, **info}))
    if state:
        held = {"_data_files": [{"filename": name} for name in names], "_fingerprint": "1", "_split": "train"}
        (folder / "state.json").write_text(json.dumps(held))
    return folder


def notes(source: ImageSource) -> list[str]:
    return list(source.notes)


def test_a_saved_data_set_is_a_table(tmp_path):
    source = open_source(save(tmp_path / "pets", [rows(range(10)), rows(range(10, 13))]))
    assert (source.kind, source.name, source.random_access) == ("table", "pets", False)
    assert notes(source) == ["image column: image; label column: label; split column: none"]
    first, second = "data-00000-of-00002", "data-00001-of-00002"
    names = [f"{first}/{each}.png" for each in range(10)] + [f"{second}/{each}.png" for each in range(10, 13)]
    assert described(source) == [(name, ("cat", "dog")[at % 2], "train", at) for at, name in enumerate(names)]


def test_the_split_of_a_saved_set_is_one_that_has_a_usual_name(tmp_path):
    folder = save(tmp_path / "pets", [rows([1, 2])])
    held = json.loads((folder / "state.json").read_text())
    for split, expected in (("test[:50%]", "test"), ("all", None), (None, None), (3, None), ("train+test", None)):
        (folder / "state.json").write_text(json.dumps({**held, "_split": split}))
        source = open_source(folder)
        assert ({item.split for item in source.items}, source.has_splits) == ({expected}, expected is not None)


def test_splits_of_a_saved_dictionary_are_its_folders(tmp_path):
    save(tmp_path / "pets" / "train", [rows([1, 2], paths=False)])
    save(tmp_path / "pets" / "test", [rows([3], paths=False)])
    (tmp_path / "pets" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert described(open_source(tmp_path / "pets")) == [
        ("test/data-00000-of-00001/00000", "dog", "test", 3),
        ("train/data-00000-of-00001/00000", "dog", "train", 1),
        ("train/data-00000-of-00001/00001", "cat", "train", 2),
    ]


def test_files_of_before_and_of_a_cache_do_not_count(tmp_path):
    folder = save(tmp_path / "pets", [rows([1]), rows([2])])
    save(folder, [rows([3, 4])])
    (folder / "cache-0123.arrow").write_bytes(b"of map()")
    assert [each[-1] for each in described(open_source(folder))] == [3, 4]
    (folder / "state.json").unlink()  # as in the cache, where all count
    assert [each[-1] for each in described(open_source(folder))] == [3, 4, 1, 2]
    (folder / "state.json").write_text('{"_data_files": [{"filename": "data-00007-of-00008.arrow"}]}')
    with pytest.raises(SourceError, match=r"state.json names 'data-00007-of-00008.arrow', which is not there"):
        open_source(folder)


def test_one_file_and_arrow_s_file_format(tmp_path):
    table = rows([1, 2, 3]).append_column("kind", pa.array(["a", "b", "a"]).dictionary_encode())
    path = tmp_path / "some.arrow"
    with pa.OSFile(str(path), "wb") as out, pa.ipc.new_file(out, table.schema) as file:
        file.write_table(table, max_chunksize=2)
    expected = [("1.png", "a", None, 1), ("2.png", "b", None, 2), ("3.png", "a", None, 3)]
    assert described(open_source(path, label_column="kind")) == expected
    stream = save(tmp_path / "pets", [table], batch=2)
    assert [each[1] for each in described(open_source(stream, label_column="kind"))] == ["a", "b", "a"]


def test_names_in_the_file_itself_win(tmp_path):
    table = rows([0, 1])
    info = {"info": {"features": {"label": {"names": ["owl", "fox"], "_type": "ClassLabel"}}}}
    source = open_source(save(tmp_path / "pets", [table.replace_schema_metadata({"huggingface": json.dumps(info)})]))
    assert [item.label for item in source.items] == ["owl", "fox"]


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000, '{"features": {"label": 7}}', '{"features": 3}'])
def test_a_damaged_description_costs_the_names_alone(tmp_path, content):
    folder = save(tmp_path / "pets", [rows([0, 1])])
    (folder / "dataset_info.json").write_text(content)
    assert [item.label for item in open_source(folder, label_column="label").items] == ["0", "1"]


def test_a_struct_without_bytes_names_a_file_beside_it(tmp_path):
    folder = save(tmp_path / "pets", [pa.table({"image": pa.array([{"bytes": None, "path": "9.bin"}, None], IMAGE)})])
    (folder / "9.bin").write_bytes(picture(9))
    source = open_source(folder)
    assert shade(source, 0) == 9
    with pytest.raises(ImageError, match="the table has none in this row"):
        source.load(1)


def test_in_any_order_from_threads_and_in_another_process(tmp_path, monkeypatch):
    monkeypatch.setattr("dinoscope.sources.tables.kept._BATCHES", 2)
    source = open_source(save(tmp_path / "pets", [rows(range(60)), rows(range(60, 100))], batch=7))
    order = np.random.default_rng(0).permutation(100).tolist()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda at: shade(source, at), order)) == order
    again = pickle.loads(pickle.dumps(source))
    assert shade(again, 77) == 77


def test_the_values_of_the_images_are_not_kept_while_it_is_listed(tmp_path):
    folder = save(tmp_path / "pets", [rows([1] * 200)], batch=10)
    table = ArrowTable(pa.OSFile(str(folder / "data-00000-of-00001.arrow")), "a")
    before = pa.total_allocated_bytes()
    held = table.columns(["image.path", "label"])
    assert pa.total_allocated_bytes() - before < 200 * 40
    assert held.column("label").to_pylist() == [1] * 200
    assert held.column("image").to_pylist() == [{"path": "1.png"}] * 200
    size = (folder / "data-00000-of-00001.arrow").stat().st_size
    assert 10 * len(picture(1)) < table.bytes_read("image", 150) < size / 15


def test_a_batch_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    source = open_source(save(tmp_path / "pets", [rows(range(9))]))
    monkeypatch.setattr(streams, "_MOST_BATCH", 100)
    with pytest.raises(ImageError, match="has a batch of 0 MB, which would be read at once, expected at most"):
        source.load(0)


@pytest.mark.parametrize("kept", [0, 5, 100, -40, -2_000])
def test_a_file_that_was_cut_is_refused(tmp_path, kept):
    folder = save(tmp_path / "pets", [rows(range(9))])
    path = folder / "data-00000-of-00001.arrow"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(SourceError, match=r"data-00000-of-00001\.arrow cannot be read as a file of Arrow batches"):
        open_source(folder)


def test_compressed_batches_are_refused(tmp_path):
    table, path = rows([1, 2]), tmp_path / "a.arrow"
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(path), "wb") as out, pa.ipc.new_stream(out, table.schema, options=options) as stream:
        stream.write_table(table)
    with pytest.raises(SourceError, match="its batches are compressed; save it again without"):
        open_source(path)


def test_a_flipped_byte_never_ends_the_process(tmp_path):
    folder = save(tmp_path / "pets", [rows(range(6))], batch=3)
    path = folder / "data-00000-of-00001.arrow"
    whole, random = path.read_bytes(), np.random.default_rng(0)
    outcomes = set()
    for at in random.integers(0, len(whole), 400).tolist():
        path.write_bytes(bytes([*whole[:at], whole[at] ^ int(random.integers(1, 256)), *whole[at + 1 :]]))
        try:
            source = open_source(folder, image_column="image")
            for index in range(len(source.items)):
                source.load(index)
            outcomes.add("read")
        except (SourceError, ImageError) as error:
            outcomes.add(type(error).__name__)
    assert {"read", "SourceError", "ImageError"} >= outcomes > {"read"}
