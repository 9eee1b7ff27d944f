import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from dinoscope import store
from dinoscope.errors import CollectionError


def test_table_comes_back_as_it_was(tmp_path):
    columns = {
        "row": np.array([3, 1, 2], np.int64),
        "vector": np.arange(12, dtype=np.float32).reshape(3, 4),
        "id": ["a", None, "c"],
    }
    store.write_table(tmp_path / "t.parquet", columns, {"seconds": 1.5})
    read, meta = store.read_table(tmp_path / "t.parquet")
    np.testing.assert_array_equal(read["row"], columns["row"])
    np.testing.assert_array_equal(read["vector"], columns["vector"])
    assert read["id"] == ["a", None, "c"]
    assert meta == {"seconds": 1.5}


def test_table_opens_with_plain_parquet(tmp_path):
    import pyarrow.parquet as pq

    store.write_table(tmp_path / "t.parquet", {"row": np.array([1, 2])})
    assert pq.read_table(tmp_path / "t.parquet").to_pydict() == {"row": [1, 2]}


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "value.json"
    store.write_json(path, {"old": 1})

    def no_space(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dinoscope.store.os.replace", no_space)
    with pytest.raises(OSError, match="No space left"):
        store.write_json(path, {"new": 2})
    assert store.read_json(path) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["value.json"]


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    leftover = tmp_path / "vectors" / "key" / ".part-00000.parquet.part-123"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"half")
    whole = leftover.with_name("part-00000.parquet")
    whole.write_bytes(b"whole")
    store.remove_leftovers(tmp_path)
    assert not leftover.exists()
    assert whole.exists()


@pytest.mark.parametrize("name", ["t.parquet", "t.json"])
def test_damaged_files_are_named(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"PAR1 this is nothing")
    read = store.read_json if name.endswith("json") else store.read_table
    with pytest.raises(CollectionError, match=r"t\.(parquet|json) is damaged .*delete it and run the command"):
        read(path)


def test_digest_depends_on_the_values_and_not_on_their_order_in_a_dict():
    assert store.digest({"a": 1, "b": 2}) == store.digest({"b": 2, "a": 1})
    assert store.digest({"a": 1}) != store.digest({"a": 2})
    assert len(store.digest("x")) == 16


def _hold(folder: str, held: "multiprocessing.synchronize.Event", free: "multiprocessing.synchronize.Event") -> None:
    with store.locked(Path(folder)):
        held.set()
        free.wait(30)


def test_lock_keeps_a_second_process_out_and_is_freed_with_its_holder(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, free = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(str(tmp_path), held, free))
    holder.start()
    assert held.wait(30)
    with pytest.raises(CollectionError, match="in use by another dinoscope process"), store.locked(tmp_path):
        pass
    holder.kill()
    holder.join()
    with store.locked(tmp_path):
        assert json.loads("1") == 1
