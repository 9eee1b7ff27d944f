import csv
import errno
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dinoscope.base.digests import digest_json
from dinoscope.errors import CollectionError, DamagedError, WriteError
from dinoscope.storage.files import (
    csv_text,
    read_json,
    remove_leftover_folders,
    remove_leftovers,
    write_bytes,
    write_csv,
    write_json,
)
from dinoscope.storage.parts import read_rows
from dinoscope.storage.tables import check_table, read_table, write_table
from tests import ROOT


def test_table_comes_back_as_it_was(tmp_path):
    columns = {
        "row": np.array([3, 1, 2], np.int64),
        "vector": np.arange(12, dtype=np.float32).reshape(3, 4),
        "id": ["a", None, "c"],
    }
    write_table(tmp_path / "t.parquet", columns, {"seconds": 1.5})
    read, meta = read_table(tmp_path / "t.parquet")
    np.testing.assert_array_equal(read["row"], columns["row"])
    np.testing.assert_array_equal(read["vector"], columns["vector"])
    assert read["id"] == ["a", None, "c"]
    assert meta == {"seconds": 1.5}


def test_table_opens_with_plain_parquet(tmp_path):
    import pyarrow.parquet as pq

    write_table(tmp_path / "t.parquet", {"row": np.array([1, 2])})
    assert pq.read_table(tmp_path / "t.parquet").to_pydict() == {"row": [1, 2]}


@pytest.mark.parametrize("kind", ["int8", "int64", "uint16", "float", "double", "bool"])
@pytest.mark.parametrize("known", [[True] * 9, [False, True, True] * 3, [False] * 9, []])
def test_numbers_are_read_as_arrow_reads_them(tmp_path, kind, known):
    one = {"bool": bool, "float": float, "double": float}.get(kind, int)
    values = [one(at % 5) if there else None for at, there in enumerate(known)]
    column = pa.array(values, kind)
    write_table(tmp_path / "t.parquet", {"numbers": column})
    found = read_table(tmp_path / "t.parquet")[0]["numbers"]
    expected = column.to_numpy(zero_copy_only=False)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("shape", [(5, 3), (1, 1), (0, 4)])
def test_rows_of_16_bit_floats_are_bytes(tmp_path, shape):
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float16)
    write_table(tmp_path / "table", {"values": np.asfortranarray(values)})
    found = read_table(tmp_path / "table")[0]["values"]
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, values)
    lines = pq.read_table(tmp_path / "table")["values"].to_pylist()
    assert [np.frombuffer(line, "<f2").tolist() for line in lines] == values.tolist()


@pytest.mark.parametrize(("lines", "width"), [([b"abc", b"def"], 3), ([b"ab", None], 2)])
def test_bytes_that_are_no_such_rows_are_damage(tmp_path, lines, width):
    pq.write_table(pa.table({"values": pa.array(lines, pa.binary(width))}), tmp_path / "table")
    with pytest.raises(DamagedError, match="not whole 16-bit numbers"):
        read_table(tmp_path / "table")


@pytest.mark.parametrize(
    "numbers",
    [pa.array([1, 2], pa.timestamp("us")), pa.array([1, 2], pa.date32()), pa.array([b"abcd"] * 2, pa.binary(4))],
)
def test_rows_of_anything_but_numbers_are_damage(tmp_path, numbers):
    pq.write_table(pa.table({"values": pa.FixedSizeListArray.from_arrays(numbers, 1)}), tmp_path / "table")
    with pytest.raises(DamagedError, match=r"it holds (timestamp|date32|fixed_size_binary)\S* where numbers belong"):
        read_table(tmp_path / "table")


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "value.json"
    write_json(path, {"old": 1})

    def no_space(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dinoscope.storage.files.os.replace", no_space)
    with pytest.raises(OSError, match="No space left"):
        write_json(path, {"new": 2})
    assert read_json(path) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["value.json"]


def test_a_folder_in_the_way_asks_for_another_name(tmp_path):
    with pytest.raises(OSError, match="Is a directory; name another one"):
        write_json(tmp_path, {})


def test_a_link_in_the_place_of_a_temporary_file_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setattr("dinoscope.storage.files.secrets.token_hex", lambda _: "guessed")
    victim, path = tmp_path / "victim", tmp_path / "value.json"
    victim.write_text("mine")
    part = tmp_path / f".value.json.part-{os.getpid()}-guessed@{socket.gethostname()}"
    part.symlink_to(victim)
    for write in (lambda: write_json(path, {}), lambda: write_table(tmp_path / "value.json", {"row": [1]})):
        with pytest.raises(WriteError, match="cannot write"):
            write()
        assert victim.read_text() == "mine"
        assert part.is_symlink()


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    """And those that a living process, or one of another machine, is writing are not."""
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    folder = tmp_path / "vectors" / "key"
    folder.mkdir(parents=True)
    names = {
        "ended": f".part-00000.parquet.part-{int(ended.stdout)}-0@{socket.gethostname()}",
        "living": f".part-00000.parquet.part-{os.getpid()}-7@{socket.gethostname()}",
        "elsewhere": ".part-00000.parquet.part-123-0@another.machine",
        "long ago": ".part-00000.parquet.part-124-0@another.machine",
        "whole": "part-00000.parquet",
    }
    for name in names.values():
        (folder / name).write_bytes(b"half")
    os.utime(folder / names["long ago"], (0, 0))
    remove_leftovers(tmp_path)
    assert {p.name for p in folder.iterdir()} == {names[each] for each in ("living", "elsewhere", "whole")}


@pytest.mark.parametrize("name", ["t.parquet", "t.json"])
def test_damaged_files_are_named(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"PAR1 this is nothing")
    read = read_json if name.endswith("json") else read_table
    with pytest.raises(CollectionError, match=r"t\.(parquet|json) is damaged .*run 'dinoscope embed' again"):
        read(path)


@pytest.mark.parametrize("name", ["t.parquet", "t.json"])
def test_every_flipped_bit_is_found(tmp_path, name):
    path = tmp_path / name
    check: Callable[[Path], Any]
    if name == "t.json":
        write_json(path, {"name": "größe", "rows": [1, 2]}, checked=True)
        assert read_json(path) == {"name": "größe", "rows": [1, 2]}
        check = read_json
    else:
        columns = {"row": np.arange(5), "vector": np.eye(5, 3, dtype=np.float32), "id": [*"abcd", None]}
        write_table(path, columns, {"seconds": 1.5}, group=2)
        assert check_table(path)
        check = check_table
    content = path.read_bytes()
    for at in range(len(content)):
        for bit in (0, 4, 7):
            path.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
            with pytest.raises(DamagedError):
                check(path)
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(DamagedError):
            check(path)


def test_trouble_of_the_system_is_no_damage(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    write_table(path, {"row": np.arange(3)})

    def refuse(self, *_mode, **_options):
        raise OSError(errno.EMFILE, "Too many open files", str(self))

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(OSError, match="Errno 24") as found:
        check_table(path)
    assert not isinstance(found.value, DamagedError)


def test_a_column_is_read_without_the_others_being_checked(tmp_path):
    path = tmp_path / "t.parquet"
    write_table(path, {"row": np.arange(100), "text": [f"{n:0100d}" for n in range(100)]})
    content = bytearray(path.read_bytes())
    content[content.rindex(b"\x28\xb5\x2f\xfd")] ^= 1  # the second column's first page: zstd's magic number
    path.write_bytes(content)
    assert read_table(path, ["row"])[0]["row"].tolist() == list(range(100))
    for columns in (None, ["text"]):
        with pytest.raises(DamagedError, match="the checksum of its column 'text' does not fit"):
            read_table(path, columns)


_OVERWRITE = """
import sys
from pathlib import Path
from dinoscope.errors import DamagedError
from dinoscope.storage import checksums
from dinoscope.storage.tables import check_table, read_table

path = Path(sys.argv[1])
whole, read = path.read_bytes(), checksums.footer_checks

def shortened(content):
    found = read(content)
    with path.open("r+b") as file:
        file.truncate(0)
    return found

for action in (read_table, check_table):
    path.write_bytes(whole)
    checksums.footer_checks = shortened
    try:
        action(path)
    except DamagedError as error:
        print(error.reason)
"""


def test_a_table_that_is_overwritten_in_place_while_it_is_read(tmp_path):
    """A map of a file that shrinks ends the process with a signal."""
    path = tmp_path / "t.parquet"
    write_table(path, {"row": np.arange(200_000), "noise": np.random.default_rng(0).random(200_000)})
    command = [sys.executable, "-c", _OVERWRITE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["it became shorter while it was read"] * 2


def test_tables_from_before_checksums_are_read(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "t.parquet"
    table = pa.table({"row": [1, 2]}).replace_schema_metadata({"dinoscope": '{"seconds": 2}'})
    pq.write_table(table, path, compression="zstd")
    columns, meta = read_table(path)
    assert (columns["row"].tolist(), meta) == ([1, 2], {"seconds": 2})
    assert not check_table(path)


def test_some_rows_of_a_part(tmp_path):
    path = tmp_path / "part-00000.parquet"
    order = np.random.default_rng(0).permutation(1000)
    texts = [None if row % 10 == 3 else f"text {row}" for row in order]
    write_table(path, {"row": order, "text": texts}, group=64)
    images = {"removed": np.zeros(1000, bool)}
    assert read_rows(path, np.array([5, 13, 998, 2000]), "text", images) == {5: "text 5", 998: "text 998"}
    assert read_rows(path, np.array([5, 998]), "text", {"removed": np.zeros(900, bool)}) == {5: "text 5"}
    assert read_rows(tmp_path / "gone.parquet", np.array([5]), "text", images) == {}


def test_digest_depends_on_the_values_and_not_on_their_order_in_a_dict():
    assert digest_json({"a": 1, "b": 2}) == digest_json({"b": 2, "a": 1})
    assert digest_json({"a": 1}) != digest_json({"a": 2})
    assert len(digest_json("x")) == 16


def test_no_cell_of_a_csv_is_a_formula(tmp_path):
    """Names of files and folders come from anybody; a spreadsheet would run what begins like a formula."""
    rows = [("=cmd|'/c calc'!A0", -1.5, "-1.5"), ("@x", "+2e3", "\tq"), ("-rf", None, "a=b"), ("plain", 7, "")]
    write_csv(tmp_path / "a.csv", ("id", "=label", "x"), rows)
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        header, *found = csv.reader(file)
    assert header == ["id", "'=label", "x"]
    assert found == [
        ["'=cmd|'/c calc'!A0", "-1.5", "-1.5"],
        ["'@x", "+2e3", "'\tq"],
        ["'-rf", "", "a=b"],
        ["plain", "7", ""],
    ]


def test_tables_are_those_that_a_report_writes_itself():
    shared = json.loads((ROOT / "tests" / "data" / "export.json").read_text("utf-8"))
    assert csv_text(shared["columns"], shared["rows"]) == "\r\n".join(shared["text"])
    assert [f"{value:.4f}" for value, _ in shared["digits"]] == [text for _, text in shared["digits"]]


def test_folders_that_killed_processes_left(tmp_path):
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    names = {
        "ended": f".best.part-{int(ended.stdout)}-0@{socket.gethostname()}",
        "living": f".best.part-{os.getpid()}-7@{socket.gethostname()}",
        "elsewhere": ".best.part-123-0@another.machine",
        "theirs": ".best.part-of-a-book",
    }
    for name in names.values():
        (tmp_path / name / "details").mkdir(parents=True)
        (tmp_path / name / "details" / "file").write_bytes(b"x")
    remove_leftover_folders(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {names[name] for name in ("living", "elsewhere", "theirs")}


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot flush a folder")
def test_names_reach_the_disk_as_files_do(tmp_path, monkeypatch):
    flushed, flush = [], os.fsync

    def record(number):
        flushed.append(Path(os.readlink(f"/proc/self/fd/{number}")).name)
        flush(number)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc")
    monkeypatch.setattr(os, "fsync", record)
    write_bytes(tmp_path / "vectors" / "key" / "file", b"x", within=tmp_path)
    part = next(name for name in flushed if name.startswith(".file.part-"))
    assert flushed == [tmp_path.name, "vectors", part, "key"]  # new folders, the file, its new name
    flushed.clear()
    write_bytes(tmp_path / "vectors" / "key" / "file", b"y", durable=False, within=tmp_path)
    assert flushed == []
