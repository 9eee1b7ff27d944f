"""Tables inside archives give the images beside them labels, splits and captions, as in a folder."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dinoscope.errors import InputError, SourceError
from dinoscope.sources.base import ImageSource
from dinoscope.sources.folders import FolderRule
from dinoscope.sources.items import Item
from dinoscope.sources.opening import open_source
from dinoscope.sources.pixels import memory
from tests.sources.archives.test_archive import make_tar, make_zip, picture

ROWS = [
    {"file_name": "b/1.png", "label": "dog", "split": "train", "text": "a dog in the rain"},
    {"file_name": "a/0.png", "label": "cat", "split": "test", "text": "a cat on a wall"},
]
IMAGES = [(f"{folder}/{number}.png", picture(number)) for number, folder in enumerate("abc")]
MAKE = {"tar": make_tar, "zip": make_zip}


def table(form: str) -> bytes:
    if form == "csv":
        return "\n".join([",".join(ROWS[0]), *(",".join(row.values()) for row in ROWS)]).encode()
    if form == "jsonl":
        return "\n".join(map(json.dumps, ROWS)).encode()
    out = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(ROWS), out)
    return bytes(out.getvalue())


def told(source: ImageSource) -> list[tuple[str, str | None, str | None, str | None, tuple[str, ...]]]:
    def of(item: Item) -> tuple[str, str | None, str | None, str | None, tuple[str, ...]]:
        return item.id, item.label, item.split, item.caption, item.labels

    return [of(item) for item in source.items]


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_an_archive_says_what_the_folder_says(tmp_path, kind, form):
    members = [*IMAGES, (f"metadata.{form}", table(form))]
    for name, content in members:
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(content)
    folder = open_source(tmp_path / "set")
    archive = open_source(MAKE[kind](tmp_path / f"set.{kind}", members))
    assert archive.kind == "archive"
    assert told(archive) == told(folder)
    assert told(archive) == [
        ("a/0.png", "cat", "test", "a cat on a wall", ()),
        ("b/1.png", "dog", "train", "a dog in the rain", ()),
        ("c/2.png", None, None, None, ()),
    ]
    assert list(archive.notes) == list(folder.notes)
    assert archive.notes[-1] == f"1 image of 3 not in metadata.{form}"
    assert (archive.ignored, archive.ignored_endings) == (0, {})
    assert [int(archive.load(number)[0, 0, 0]) for number in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_each_folder_has_its_own_table_and_several_labels_are_sets(tmp_path, kind):
    members = [
        ("set/train/0.png", picture(0)),
        ("set/train/metadata.jsonl", b'{"file_name": "0.png", "labels": ["wet", "cat"]}'),
        ("set/test/1.png", picture(1)),
        ("set/test/metadata.csv", b"file_name,label\n1.png,old"),
        ("set/test/metadata.csv", b"file_name,label\n1.png,dog"),  # the last one counts, as if unpacked
    ]
    with pytest.warns(UserWarning, match="Duplicate name") if kind == "zip" else nullcontext():
        path = MAKE[kind](tmp_path / f"set.{kind}", members)
    assert told(open_source(path)) == [
        ("set/train/0.png", None, "train", None, ("cat", "wet")),
        ("set/test/1.png", "dog", "test", None, ()),
    ]


def test_shards_have_tables_of_their_own(tmp_path):
    for number, label in enumerate(("cat", "dog")):
        content = f"file_name,label\n{number}.png,{label}\n".encode()
        members = [(f"{number}.png", picture(number)), ("metadata.csv", content)]
        make_tar(tmp_path / f"train-{number:04}.tar", members)
    assert [item[:3] for item in told(open_source(str(tmp_path / "*.tar")))] == [
        ("train-0000.tar/0.png", "cat", "train"),
        ("train-0001.tar/1.png", "dog", "train"),
    ]


def test_columns_and_folders_may_be_chosen(tmp_path):
    path = make_zip(tmp_path / "a.zip", [*IMAGES, ("metadata.csv", table("csv"))])

    def labels(**options: object) -> list[str | None]:
        return [item.label for item in open_source(path, **options).items]  # type: ignore[arg-type]

    assert labels(label_column="text") == ["a cat on a wall", "a dog in the rain", None]
    assert labels(folders=FolderRule(labels="parent")) == ["a", "b", "c"]
    with pytest.raises(SourceError, match="no column 'kind' for --label-column"):
        labels(label_column="kind")
    without = make_zip(tmp_path / "b.zip", IMAGES)
    with pytest.raises(InputError, match=r"b\.zip is of kind archive, which has none"):
        open_source(without, label_column="label")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"camera,date\nX100,2024\n", "no column of metadata.csv holds images"),
        (b"file_name,label\nz/9.png,cat\n", "none of the 1 files that a.zip names is there"),
        (b"file_name,label\n../../etc/9.png,cat\n", "which is not below the table's folder"),
        (bytes(1 << 20), "metadata.csv unpacks to 1 MB from 1 kB, expected at most 100 times as much"),
    ],
)
def test_a_table_that_is_something_else_is_told_and_left_out(tmp_path, monkeypatch, content, reason):
    monkeypatch.setattr(memory, "_SUSPECT", 1 << 16)
    source = open_source(make_zip(tmp_path / "a.zip", [*IMAGES, ("metadata.csv", content)]))
    assert [item.label for item in source.items] == ["a", "b", "c"]
    (note,) = source.notes
    assert note.startswith("metadata.csv is left out: ")
    assert reason in note
    assert source.ignored_endings == {".csv": 1}


def test_a_table_names_no_file_of_this_machine(tmp_path):
    """Also where it holds a file's whole path: an archive has its own files alone."""
    outside = tmp_path / "9.png"
    outside.write_bytes(picture(9))
    content = f"file_name,label\n{Path(outside).as_posix()},cat\n".encode()
    source = open_source(make_tar(tmp_path / "a.tar", [*IMAGES, ("metadata.csv", content)]))
    assert [item.id for item in source.items] == [name for name, _ in IMAGES]
    assert "which is not below the table's folder" in source.notes[0]
