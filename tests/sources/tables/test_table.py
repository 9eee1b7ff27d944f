from __future__ import annotations

import json
import ntpath
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dinoscope.collection import Collection
from dinoscope.embedding import pipeline as embedding
from dinoscope.embedding.columns import source_columns
from dinoscope.embedding.pipeline import embed_source
from dinoscope.errors import ImageError, InputError, SourceError
from dinoscope.models.encoder import Encoder
from dinoscope.sources.base import ImageSource
from dinoscope.sources.filesystems import LocalStorage
from dinoscope.sources.folders import FolderRule
from dinoscope.sources.opening import open_source
from dinoscope.sources.tables import files as table_files
from dinoscope.sources.tables import source as sources_table
from dinoscope.sources.tables.files import ParquetTable
from dinoscope.sources.tables.labels import texts
from dinoscope.sources.tables.places import find_files
from tests.pictures import encoded
from tests.sources.archives.test_archive import described, make_tar, picture, shade

DATA = Path("../shared/data")


def write(path: Path, columns: dict[str, Any], features: dict[str, Any] | None = None, **options: Any) -> Path:
    table = pa.table(columns)
    if features is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, **options)
    return path


def pictures(count: int, first: int = 0) -> list[bytes]:
    return [picture(number) for number in range(first, first + count)]


def notes(source: ImageSource) -> list[str]:
    found: list[str] = list(source.notes)
    return found


def test_bytes_and_a_label(tmp_path):
    source = open_source(write(tmp_path / "a.parquet", {"image": pictures(3), "label": [4, None, 6]}))
    assert described(source) == [("00000", "4", None, 0), ("00001", None, None, 1), ("00002", "6", None, 2)]
    assert (source.kind, source.name) == ("table", "a.parquet")
    assert notes(source) == ["image column: image; label column: label; split column: none"]
    assert source.random_access is False
    assert isinstance(source, ImageSource)


def test_the_layout_of_hugging_face(tmp_path):
    features = {
        "image": {"_type": "Image"},
        "kind": {"_type": "ClassLabel", "names": ["cat", "dog"]},
        "caption": {"_type": "Value", "dtype": "string"},
    }
    (tmp_path / "data").mkdir()
    for split, first in (("test", 0), ("train", 3)):
        held = [
            {"bytes": data, "path": path}
            for data, path in zip(pictures(3, first), ["a.png", "a.png", None], strict=True)
        ]
        columns = {"image": held, "kind": [0, 1, -1], "caption": ["x", "y", "z"]}
        write(tmp_path / "data" / f"{split}-00000-of-00001.parquet", columns, features, row_group_size=2)
    (tmp_path / "README.md").write_text("a data set")
    prefixes = [f"data/{split}-00000-of-00001" for split in ("test", "train")]
    assert described(open_source(tmp_path)) == [
        (f"{prefixes[0]}/a.png", "cat", "test", 0),
        (f"{prefixes[0]}/a.png#2", "dog", "test", 1),
        (f"{prefixes[0]}/00002", None, "test", 2),
        (f"{prefixes[1]}/a.png", "cat", "train", 3),
        (f"{prefixes[1]}/a.png#2", "dog", "train", 4),
        (f"{prefixes[1]}/00002", None, "train", 5),
    ]


def test_a_struct_without_bytes_names_a_file(tmp_path):
    (tmp_path / "1.png").write_bytes(picture(1))
    paths = ["1.png", None, "../1.png", str(tmp_path.parent / "1.png")]
    held = [{"bytes": b"" if number % 2 else None, "path": path} for number, path in enumerate(paths)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    source = open_source(write(tmp_path / "a.parquet", {"image": pa.array(held, kind)}))
    assert source.load(0)[0, 0, 0] == 1
    with pytest.raises(ImageError, match="is empty"):
        source.load(1)
    for index in (2, 3):  # the reason is stored: it tells no path of this machine
        with pytest.raises(ImageError, match=r"^is missing: the table names a file outside its own folder$"):
            source.load(index)


def test_a_row_without_an_image(tmp_path):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    held = [{"bytes": picture(1), "path": "1.png"}, {"bytes": None, "path": None}]
    source = open_source(write(tmp_path / "a.parquet", {"image": pa.array(held, kind)}))
    with pytest.raises(ImageError, match="is missing: the table has none in this row"):
        source.load(1)


@pytest.mark.parametrize("form", ["csv", "tsv", "parquet"])
def test_paths_beside_the_table(tmp_path, form):
    names = ["a/1.png", 'odd "name", 2.png', "line\nbreak 3.png", "./a/1.png"]
    for number, name in enumerate(names[:3], start=1):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(picture(number))
    columns = {"file_name": names, "class": ["007", "NA", "", "x"], "split": ["train", "test", "train", ""]}
    path = tmp_path / f"table.{form}"
    if form == "parquet":
        write(path, columns)
    else:
        import csv

        with path.open("w", newline="", encoding="utf-8-sig") as file:
            csv.writer(file, delimiter="\t" if form == "tsv" else ",").writerows(
                [columns, *zip(*columns.values(), strict=True)]
            )
    source = open_source(path)
    assert described(source) == [
        ("a/1.png", "007", "train", 1),
        ('odd "name", 2.png', "NA", "test", 2),
        ("line\nbreak 3.png", None, "train", 3),
        ("a/1.png#2", "x", None, 1),
    ]
    assert notes(source) == ["image column: file_name; label column: class; split column: split"]


def test_a_path_that_is_gone_fails_alone(tmp_path):
    (tmp_path / "1.png").write_bytes(picture(1))
    (tmp_path / "t.csv").write_text("path\n1.png\n2.png\n\n")
    source = open_source(tmp_path / "t.csv")
    assert source.load(0)[0, 0, 0] == 1
    with pytest.raises(ImageError, match="cannot be read: No such file"):
        source.load(1)


@pytest.mark.parametrize("path", ["/etc/1.png", "../1.png", "a/../../1.png"])
def test_paths_outside_are_refused(tmp_path, path):
    (tmp_path / "t.csv").write_text(f"path\n{path}\n")
    with pytest.raises(
        SourceError, match=r"t\.csv names .*, which is not below the table's folder: .* --image-root DIR"
    ):
        open_source(tmp_path / "t.csv")


def photographs(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture(number))
    return folder


def test_whole_paths_below_the_table_are_taken(tmp_path):
    photographs(tmp_path / "set", "a/0.png", "a/1.png")
    (tmp_path / "link").symlink_to(tmp_path / "set")
    lines = [str(tmp_path / "set" / "a" / "0.png"), str(tmp_path / "link" / "a" / "1.png")]
    (tmp_path / "set" / "t.csv").write_text("path\n" + "\n".join(lines))
    for place in ("set", "link"):
        assert described(open_source(tmp_path / place / "t.csv")) == [
            ("a/0.png", None, None, 0),
            ("a/1.png", None, None, 1),
        ]


def test_the_folder_of_the_images_may_be_named(tmp_path, run):
    images = photographs(tmp_path / "images", "0.png", "b/1.png")
    (tmp_path / "tables").mkdir()
    table = tmp_path / "tables" / "t.csv"
    table.write_text(f"path,label\n0.png,x\n{images}/b/1.png,y\n")
    expected = [("0.png", "x", None, 0), ("b/1.png", "y", None, 1)]
    for root in (images, str(images), images.as_uri()):
        assert described(open_source(table, image_root=root)) == expected
    with pytest.raises(SourceError, match=r"names '.*1\.png', which is not below the folder of --image-root"):
        open_source(table, image_root=tmp_path / "tables")
    with pytest.raises(SourceError, match="--image-root expects a folder that is there, got 'nowhere'"):
        open_source(table, image_root="nowhere")
    with pytest.raises(InputError, match="columns are those of a table: images is of kind folder"):
        open_source(images, image_root=images)
    code, _, err = run("embed", table, "-o", tmp_path / "c", "--image-root", images)
    assert (code, "embedded 2 images" in err) == (0, True)


def test_files_that_are_not_there_are_told_with_the_place(tmp_path):
    table = photographs(tmp_path, "images/0.png", "images/1.png") / "t.csv"
    table.write_text("file_name\n0.png\n1.png\n")
    with pytest.raises(SourceError) as refused:
        open_source(table)
    assert str(refused.value) == (
        f"none of the 2 files that t.csv names is there: dinoscope looked for the first, '0.png', in {tmp_path}; "
        "name the folder that they are below with --image-root DIR"
    )
    table.write_text("file_name\nimages/0.png\n2.png\n")
    assert notes(open_source(table))[1:] == [
        f"1 of the 2 files that t.csv names are not there; dinoscope looked for the first, '2.png', in {tmp_path}"
    ]


@pytest.mark.parametrize(("name", "mark"), [("t.csv", ";"), ("t.csv", "\t"), ("t.tsv", ","), ("t.tsv", "\t")])
def test_what_stands_between_columns_is_found(tmp_path, name, mark):
    photographs(tmp_path, "0.png", "a;b, c.png")
    lines = [("file_name", "label"), ("0.png", "Katze, grau"), ('"a;b, c.png"', "Hund")]
    lines[1] = (lines[1][0], f'"{lines[1][1]}"')
    (tmp_path / name).write_text("\ufeff" + "\r\n".join(map(mark.join, lines)), encoding="utf-8")
    assert described(open_source(tmp_path / name)) == [
        ("0.png", "Katze, grau", None, 0),
        ("a;b, c.png", "Hund", None, 1),
    ]


def test_names_without_an_ending(tmp_path):
    images = photographs(tmp_path / "train", "0a.png", "1b.png")
    (tmp_path / "labels.csv").write_text("id,breed\n1b,fox\n0a,owl\n2c,fox\n")
    source = open_source(tmp_path / "labels.csv", image_column="id", label_column="breed", image_root=images)
    assert [(item.id, item.label) for item in source.items] == [("1b.png", "fox"), ("0a.png", "owl"), ("2c", "fox")]
    assert notes(source)[1].startswith(
        "1 of the 3 files that labels.csv names are not there; dinoscope looked for the first, '2c',"
    )


def test_one_column_needs_no_mark(tmp_path):
    photographs(tmp_path, "a;b.png")
    (tmp_path / "t.csv").write_text("path\na;b.png\n")
    assert described(open_source(tmp_path / "t.csv")) == [("a;b.png", None, None, 0)]


def test_accents_and_backslashes_are_found_however_they_are_written(tmp_path):
    composed, split = "Caf\u00e9", "Cafe\u0301"
    photographs(tmp_path, f"{split}/{composed}.png", f"{composed}.png", "b/2.png")
    lines = [f"{composed}/{composed}.png,{composed}", f"{split}.png,{split}", "b\\2.png,x"]
    (tmp_path / "t.csv").write_text("path,label\n" + "\n".join(lines), encoding="utf-8")
    source = open_source(tmp_path / "t.csv")
    assert described(source) == [
        (f"{split}/{composed}.png", composed, None, 0),
        (f"{composed}.png", composed, None, 1),  # and the two labels, which look alike, are one
        ("b/2.png", "x", None, 2),
    ]
    assert len(notes(source)) == 1


def test_lines_of_json(tmp_path):
    photographs(tmp_path, "0.png", "1.png", "2.png")
    rows: list[dict[str, Any]] = [
        {"file_name": "0.png", "label": 3, "box": [1, 2]},
        {"file_name": "1.png", "text": "2020-01-01"},
        {"file_name": "2.png", "label": "cat", "box": None},
    ]
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    assert described(open_source(path)) == [
        ("0.png", "3", None, 0),
        ("1.png", None, None, 1),
        ("2.png", "cat", None, 2),
    ]
    assert [item.label for item in open_source(path, label_column="text").items] == [None, "2020-01-01", None]
    for text in ("[1]\n", "{\n", '"a"\n'):
        path.write_text(text)
        with pytest.raises(SourceError, match=r"t\.jsonl cannot be read as lines of JSON objects"):
            open_source(path)


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_metadata_of_a_folder_gives_labels(tmp_path, form):
    folder = photographs(tmp_path / "set", "a/0.png", "a/1.png", "b/2.png")
    names, labels = ["a/1.png", "a/0.png"], ["dog", "cat"]
    path = folder / f"metadata.{form}"
    if form == "parquet":
        write(path, {"file_name": names, "label": labels})
    elif form == "csv":
        path.write_text("file_name,label\n" + "".join(map("{},{}\n".format, names, labels)))
    else:
        path.write_text(
            "".join(json.dumps({"file_name": n, "label": x}) + "\n" for n, x in zip(names, labels, strict=True))
        )
    source = open_source(folder)
    assert source.kind == "folder"
    assert described(source) == [
        ("a/0.png", "cat", None, 0),
        ("a/1.png", "dog", None, 1),
        ("b/2.png", None, None, 2),  # not listed: without a label
    ]
    assert notes(source) == [
        f"metadata.{form}: image column: file_name; label column: label; split column: none",
        f"1 image of 3 not in metadata.{form}",
    ]
    assert source.ignored == 0


def test_metadata_without_labels_leaves_those_of_the_folders(tmp_path):
    folder = photographs(tmp_path / "set", "a/0.png", "b/1.png")
    (folder / "metadata.csv").write_text("file_name,text,split\na/0.png,a caption,train\nb/1.png,another,test\n")
    assert described(open_source(folder)) == [("a/0.png", "a", "train", 0), ("b/1.png", "b", "test", 1)]
    assert [item.caption for item in open_source(folder).items] == ["a caption", "another"]
    assert [item.label for item in open_source(folder, label_column="text").items] == ["a caption", "another"]
    with pytest.raises(SourceError, match="no column 'kind' for --label-column"):
        open_source(folder, label_column="kind")


def test_metadata_with_captions_for_labels_leaves_those_of_the_folders(tmp_path):
    folder = photographs(tmp_path / "set", "a/0.png", "b/1.png")
    texts = ["a dog runs over a wide meadow", "two cats asleep on a grey sofa"]
    (folder / "metadata.csv").write_text(f"file_name,label\na/0.png,{texts[0]}\nb/1.png,{texts[1]}\n")
    assert [(item.label, item.caption) for item in open_source(folder).items] == list(zip("ab", texts, strict=True))


def test_metadata_gives_way_to_the_folders_that_were_chosen(tmp_path):
    folder = photographs(tmp_path / "set", "fit/a/0.png", "held/b/1.png")
    (folder / "metadata.csv").write_text("file_name,label,split\nfit/a/0.png,x,train\nheld/b/1.png,y,val\n")

    def labels(rule: FolderRule, label_column: str | None = None) -> list[tuple[str | None, str | None]]:
        return [(item.label, item.split) for item in open_source(folder, folders=rule, label_column=label_column).items]

    chosen = FolderRule(labels="parent", splits={"fit": "train", "held": "test"})
    assert labels(FolderRule()) == [("x", "train"), ("y", "val")]
    assert labels(chosen) == [("a", "train"), ("b", "test")]
    assert labels(chosen, label_column="label") == [("x", "train"), ("y", "test")]
    assert labels(FolderRule(labels="none", splits={})) == [(None, None)] * 2


def test_metadata_speaks_for_its_own_folder(tmp_path):
    folder = photographs(tmp_path / "set", "test/x/0.png", "train/x/1.png", "train/x/2.png")
    (folder / "train" / "metadata.csv").write_text("file_name,label\nx/1.png,cat\nx/2.png,dog\n")
    (folder / "metadata.csv").write_text("file_name,label\ntrain/x/1.png,bird\ntest/x/0.png,cow\n")
    assert described(open_source(folder)) == [
        ("test/x/0.png", "cow", "test", 0),
        ("train/x/1.png", "cat", "train", 1),
        ("train/x/2.png", "dog", "train", 2),
    ]


DEEP = "[" * 100_000 + "]" * 100_000


def test_what_is_nested_too_deep_is_refused_or_left_out(tmp_path):
    (tmp_path / "a.jsonl").write_text(f'{{"file_name": "1.png", "label": {DEEP}}}')
    with pytest.raises(SourceError, match=r"a\.jsonl cannot be read as lines of JSON objects: it is nested too deep"):
        open_source(tmp_path / "a.jsonl")
    table = pa.table({"image": pictures(2), "label": [1, 2]})
    path = tmp_path / "a.parquet"
    pq.write_table(table.replace_schema_metadata({"huggingface": '{"info": ' + DEEP + "}"}), path)
    assert [item.label for item in open_source(path).items] == ["1", "2"]


def test_half_letters_in_json_become_texts(tmp_path):
    """JSON can hold what no file can: half of a pair of surrogates."""
    for name in ("1.png", "2.png"):
        (tmp_path / name).write_bytes(picture(1))
    lines = ['{"file_name": "1.png", "label": "\\ud800", "\\udfff": 1}', '{"file_name": "2.png", "label": "\\udc80"}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    assert [item.label for item in open_source(tmp_path / "a.jsonl").items] == ["\\ud800", "\\x80"]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([{"bytes": b"x", "path": "y"}] * 2, pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        pa.array([[("a", 1)]] * 2, pa.map_(pa.string(), pa.int64())),
    ],
)
def test_a_column_that_can_be_no_label_is_left_alone(tmp_path, column):
    source = open_source(write(tmp_path / "a.parquet", {"image": pictures(2), "x": column, "y": column}))
    assert described(source) == [("00000", None, None, 0), ("00001", None, None, 1)]


def test_metadata_that_is_something_else_is_told_and_left_out(tmp_path):
    folder = photographs(tmp_path / "set", "a/0.png", "b/1.png")
    (folder / "metadata.csv").write_text("camera,date\nX100,2024\n")
    source = open_source(folder)
    assert described(source) == [("a/0.png", "a", None, 0), ("b/1.png", "b", None, 1)]
    assert "metadata.csv is left out: no column of metadata.csv holds images" in notes(source)[0]
    assert source.ignored_endings == {".csv": 1}


def hub_folder(root: Path) -> Path:
    (root / "data").mkdir(parents=True)
    for split in ("test", "train"):
        write(root / "data" / f"{split}-00000-of-00001.parquet", {"image": pictures(4), "label": [0, 1, 0, 1]})
    return photographs(root, "assets/banner.png")


def test_a_cloned_data_set_is_one_in_spite_of_its_banner(tmp_path):
    root = hub_folder(tmp_path / "set")
    source = open_source(root)
    assert (source.kind, len(source.items)) == ("table", 8)
    assert notes(source)[-1] == (
        "set is a data set: 8 images in 2 files; left out: 1 picture beside them, such as assets/banner.png"
    )
    photographs(root, *(f"photos/{number}.png" for number in range(8)))
    assert (open_source(root).kind, open_source(root).ignored_endings) == ("folder", {".parquet": 2})


def test_a_table_beside_the_pictures_that_it_lists_is_no_data_set(tmp_path):
    folder = photographs(tmp_path / "set", "0.png")
    write(folder / "t.parquet", {"path": ["0.png", "0.png"]})
    assert (open_source(folder).kind, notes(open_source(folder))) == ("folder", [])
    photographs(folder, "1.png")
    write(folder / "features.parquet", {"x": [1.0]})
    (folder / "t.parquet").unlink()
    assert "1 table beside the pictures left out: no column of features.parquet" in notes(open_source(folder))[0]


def test_a_clone_without_its_files_says_how_to_get_them(tmp_path):
    root = hub_folder(tmp_path / "set")
    for path in root.rglob("*.parquet"):
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 99\n")
    with pytest.raises(SourceError, match=r"is a pointer of Git LFS, not the table: 'git lfs pull'"):
        open_source(root)


def test_shards_of_a_clone_are_taken_and_a_packed_copy_beside_photographs_is_not(tmp_path):
    root = photographs(tmp_path / "set", "banner.png")
    make_tar(root / "train-0.tar", [(f"{number}.png", picture(number)) for number in range(3)])
    assert open_source(root).kind == "folder"
    (root / ".gitattributes").write_text("*.tar filter=lfs\n")
    assert (open_source(root).kind, len(open_source(root).items)) == ("archive", 3)


@pytest.mark.parametrize("path", ["C:\\photos\\1.png", "..\\1.png", "a\\..\\..\\1.png", "\\\\server\\photos\\1.png"])
def test_paths_outside_are_refused_on_windows(monkeypatch, path):
    monkeypatch.setattr(sources_table, "os", SimpleNamespace(sep="\\", path=ntpath))
    with pytest.raises(SourceError, match="not below the table's folder"):
        sources_table._beside("t.csv", path)
    with pytest.raises(SourceError, match="not below the table's folder"):
        sources_table._beside("data/t.csv", path.replace("..", "..\\.."))
    assert sources_table._beside("data/t.csv", "cats\\1.png") == "data/cats/1.png"


def test_labels_that_are_floats(tmp_path):
    assert texts(pa.chunked_array([[1234567.0, 1234568.0, None, float("nan"), -1.0, 0.1, float("inf")]])) == [
        "1234567",
        "1234568",
        None,
        None,
        "-1",
        "0.1",
        "inf",
    ]
    assert texts(pa.chunked_array([pa.array([0.1, 16777217.0, 2.0], pa.float32())])) == ["0.1", "16777216", "2"]
    assert texts(pa.chunked_array([[1.0, 0.0, None, -1.0, 0.5]]), ["cat", "dog"]) == ["dog", "cat", None, None, "0.5"]
    assert texts(pa.chunked_array([[True, False]])) == ["True", "False"]


def test_columns_of_one_name(tmp_path):
    held = [pa.array(pictures(2)), pa.array(["a", "b"]), pa.array(["c", "d"])]
    pq.write_table(pa.Table.from_arrays(held, ["image", "label", "label"]), tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("path,label,label\n1.png,a,b\n")
    for name in ("a.parquet", "a.csv"):
        with pytest.raises(SourceError, match=rf"^{name} has several columns called 'label': give each its own name"):
            open_source(tmp_path / name)
    (tmp_path / "both").mkdir()
    write(tmp_path / "both" / "0.parquet", {"image": pictures(2), "label": ["a", "b"]})
    (tmp_path / "a.parquet").rename(tmp_path / "both" / "1.parquet")
    with pytest.raises(SourceError, match=r"^1\.parquet has several columns called 'label'"):
        open_source(tmp_path / "both")


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
@pytest.mark.parametrize("name", [b"label", b"bytes"])
def test_a_column_s_name_that_is_no_text_is_refused(tmp_path, kind, name):
    path = tmp_path / f"a.{kind}"
    image = pa.array([{"bytes": data, "path": "a.png"} for data in pictures(2)])
    table = pa.table({"image": image, "label": [1, 2]})
    if kind == "parquet":
        pq.write_table(table, path, store_schema=False)
    else:
        with pa.OSFile(str(path), "wb") as out, pa.ipc.new_stream(out, table.schema) as stream:
            stream.write_table(table)
    path.write_bytes(path.read_bytes().replace(name, b"\xff" + name[1:]))
    with pytest.raises(SourceError, match=rf"a\.{kind} cannot be read as .*can't decode"):
        open_source(path)


def test_names_of_columns_with_dots(tmp_path, monkeypatch):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = pa.array([{"bytes": data, "path": f"{n}.png"} for n, data in enumerate(pictures(50))], kind)
    path = write(tmp_path / "a.parquet", {"data.image": images, "annotation.label": ["a", "b"] * 25})
    source = open_source(path, label_column="annotation.label")
    assert described(source)[:2] == [("0.png", "a", None, 0), ("1.png", "b", None, 1)]
    monkeypatch.setattr(table_files, "BATCH_BYTES", 1000)  # fewer rows are read at once where images are large
    table = table_files.open_table(LocalStorage(tmp_path).open("a.parquet"), "a.parquet")
    assert isinstance(table, table_files.ParquetTable)
    assert table._batch_rows("data.image", 0) < 50


def test_a_copy_in_another_process_opens_the_tables_itself(tmp_path):
    for number in range(2):
        write(tmp_path / f"{number}.parquet", {"image": pictures(20, 20 * number)}, row_group_size=7)
        (tmp_path / f"{number}.png").write_bytes(picture(number))
    (tmp_path / "t.csv").write_text("path\n0.png\n1.png\n")
    for path in (tmp_path / "*.parquet", tmp_path / "1.parquet", tmp_path / "t.csv"):
        source = open_source(path)
        copied = pickle.dumps(source)
        assert described(pickle.loads(copied)) == described(source)
    source = open_source(tmp_path / "1.parquet")
    copied = pickle.dumps(source)
    (tmp_path / "1.parquet").unlink()  # as where a machine does not reach it
    with pytest.raises(ImageError, match=r"^cannot be read: '1\.parquet' is not a regular file$"):
        pickle.loads(copied).load(0)


def test_columns_can_be_named(tmp_path):
    columns = {
        "front": pictures(2),
        "back": pictures(2, 5),
        "coarse_label": [1, 2],
        "fine_label": ["x", "y"],
        "fold": [0, 1],
    }
    path = write(tmp_path / "a.parquet", columns)
    with pytest.raises(SourceError, match=r"several columns of a\.parquet hold images \(front, back\).*--image-column"):
        open_source(path)
    with pytest.raises(SourceError, match=r"may hold the labels \(coarse_label, fine_label\).*--label-column none"):
        open_source(path, image_column="back")
    source = open_source(path, image_column="back", label_column="fine_label", split_column="fold")
    assert described(source) == [("00000", "x", "0", 5), ("00001", "y", "1", 6)]
    assert described(open_source(path, image_column="front", label_column="none"))[0] == ("00000", None, None, 0)
    with pytest.raises(
        SourceError, match=r"no column 'fine_labels' for --label-column; it has front \(binary\), .*; did you mean"
    ):
        open_source(path, label_column="fine_labels")
    with pytest.raises(SourceError, match=r"column 'fold' of a\.parquet holds int64, expected bytes or paths"):
        open_source(path, image_column="fold", label_column="none")


def test_tables_without_images(tmp_path):
    with pytest.raises(SourceError, match=r"no column of a\.parquet holds images .*; it has x \(int64\)"):
        open_source(write(tmp_path / "a.parquet", {"x": [1, 2]}))
    with pytest.raises(SourceError, match="has no rows"):
        open_source(write(tmp_path / "b.parquet", {"image": pa.array([], pa.binary())}))
    with pytest.raises(SourceError, match="several columns"):
        open_source(write(tmp_path / "d.parquet", {"a": pictures(1), "b": pictures(1)}))
    for name, expected in (("c.parquet", "Parquet"), ("c.csv", "CSV in UTF-8")):
        (tmp_path / name).write_bytes(b"\xff\xfe\0hello" if name == "c.parquet" else b"")
        with pytest.raises(SourceError, match=f"{name} cannot be read as {expected}"):
            open_source(tmp_path / name)
    (tmp_path / "odd.csv").write_bytes(b"path,label\ncaf\x81.png,x\n")  # which Windows-1252 has no letter for
    with pytest.raises(SourceError, match=r"odd\.csv cannot be read as CSV in UTF-8 .*; save it again as UTF-8"):
        open_source(tmp_path / "odd.csv")


def test_a_damaged_table_costs_the_images_in_the_damaged_place(tmp_path):
    path = write(
        tmp_path / "a.parquet", {"image": pictures(30)}, row_group_size=10, compression="gzip", use_dictionary=False
    )
    content = bytearray(path.read_bytes())
    start = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    content[start : start + 200] = bytes(200)
    path.write_bytes(content)
    source = open_source(path)
    assert [source.load(index)[0, 0, 0] for index in (0, 9, 20, 29)] == [0, 9, 20, 29]
    with pytest.raises(ImageError, match=r"cannot be read|damaged"):
        source.load(12)
    assert source.load(25)[0, 0, 0] == 25


def test_rows_in_any_order_and_from_many_threads(tmp_path):
    path = write(tmp_path / "a.parquet", {"image": pictures(200)}, row_group_size=37)
    source = open_source(path)
    places = [*range(200), 0, 199, 5, 100, 3]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda place: int(source.load(place)[0, 0, 0]), places)) == places


def test_a_table_into_a_collection_in_its_own_order(tmp_path, monkeypatch):
    """Bytes in a table are read from front to back, also where another source would be sampled."""
    monkeypatch.setattr(embedding, "_SAMPLE_FROM", 10)
    path = write(tmp_path / "a.parquet", {"image": pictures(40), "label": list("abcd") * 10})
    source = open_source(path)
    seen: list[int] = []
    load = source.load_reduced

    def watched(index: int, least: tuple[int, int]) -> Any:
        seen.append(index)
        return load(index, least)

    monkeypatch.setattr(source, "load_reduced", watched)
    monkeypatch.setattr("dinoscope.base.parallel.cores", lambda: 1)
    encoder = Encoder("mini", batch_size=8)
    assert embed_source(source, tmp_path / "c", encoder).embedded == 40
    assert seen == list(range(40))
    os.utime(path, ns=(1, 1))  # the file is touched, its pictures are the same
    summary = embed_source(open_source(path), tmp_path / "c", encoder)
    assert (summary.embedded, summary.reused) == (0, 40)


def test_the_command_says_what_it_chose(tmp_path, run):
    path = write(tmp_path / "a.parquet", {"image": pictures(3), "label": ["a", "b", "a"], "other": [1, 2, 3]})
    code, _, err = run("embed", path, "-o", tmp_path / "c", "--label-column", "other")
    assert code == 0
    assert "image column: image; label column: other; split column: none" in err
    code, _, err = run("embed", path, "-o", tmp_path / "d", "--label-column", "othr")
    assert code == 1
    assert "no column 'othr'" in err
    assert not (tmp_path / "d").exists()


@pytest.mark.skipif(not DATA.is_dir(), reason="needs tables that are not part of the project")
def test_real_tables():
    source = open_source(DATA / "cifar10-train.parquet", limit=30)
    assert len({item.label for item in source.items}) > 5
    assert {source.load(index).shape for index in range(30)} == {(32, 32, 3)}


def test_encoded_pictures_of_every_kind(tmp_path):
    images = [
        encoded(Image.new("RGB", (9, 9), (1, 2, 3)), form) for form in ("PNG", "BMP", "WEBP", "GIF", "TIFF", "JPEG")
    ]
    source = open_source(write(tmp_path / "a.parquet", {"picture": images}))
    assert {source.load(index).shape for index in range(6)} == {(9, 9, 3)}


def test_captions_in_a_table(tmp_path, run):
    captions = [f"a photo of thing number {number} on a table" for number in range(3)]
    path = write(tmp_path / "a.parquet", {"image": pictures(3), "label": captions})
    source = open_source(path)
    assert [(item.label, item.caption) for item in source.items] == [(None, text) for text in captions]
    assert "the texts of column label are captions (3 different ones for 3 images" in notes(source)[1]
    assert [item.label for item in open_source(path, label_column="label").items] == captions  # as it was asked for
    path = write(tmp_path / "b.parquet", {"image": pictures(3), "label": ["a", "b", "a"], "caption": captions})
    source = open_source(path)
    assert [(item.label, item.caption) for item in source.items] == list(zip("aba", captions, strict=True))
    assert notes(source) == ["image column: image; label column: label; split column: none; caption column: caption"]
    _, _, err = run("embed", path, "-o", tmp_path / "b.dino")
    assert "2 labels: a 2, b 1; no splits; 3 captions" in err
    collection = Collection(tmp_path / "b.dino")
    assert collection.captions.tolist() == captions
    write(path, {"image": pictures(3), "label": ["a", "b", "a"]})  # they go where the source has none any more
    Collection.from_images(path, tmp_path / "b.dino")
    assert Collection(tmp_path / "b.dino").captions.tolist() == [None] * 3


def test_a_preview_reads_no_column_that_is_no_image(tmp_path, monkeypatch):
    huge = pa.array([bytes(30_000_000)] * 10, pa.large_binary())
    listed = pa.array([[bytes(3_000_000)]] * 10, pa.list_(pa.large_binary()))
    path = write(
        tmp_path / "a.parquet",
        {"image": pictures(10), "notes": huge, "more": listed},
        compression="zstd",
        use_dictionary=False,
    )
    asked: list[str] = []
    read = pq.ParquetFile.iter_batches

    def watched(file: pq.ParquetFile, *arguments: Any, columns: list[str], **options: Any) -> Any:
        asked.extend(columns)
        return read(file, *arguments, columns=columns, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", watched)
    assert len(open_source(path).items) == 10
    assert asked == ["image"]


def test_a_column_that_is_packed_as_no_picture_is_is_refused(tmp_path):
    huge = pa.array([pictures(1)[0] + bytes(30_000_000)] * 10, pa.large_binary())
    path = write(tmp_path / "a.parquet", {"image": huge}, compression="zstd", use_dictionary=False)
    source = open_source(path, image_column="image")
    with pytest.raises(
        ImageError, match=r"column 'image' of a\.parquet unpacks to 286 MB from .* kB, expected at most"
    ):
        source.load(0)


def test_values_that_many_rows_share_are_read_row_by_row(tmp_path):
    value = pictures(1)[0] + np.random.default_rng(0).bytes(20_000_000)
    path = write(tmp_path / "a.parquet", {"image": pa.array([value] * 12, pa.large_binary())})
    table = ParquetTable(pa.OSFile(str(path)), "a.parquet")
    assert table.bytes_read("image", 3) >= 20_000_000
    for row in range(12):
        assert len(table.value("image", row)) == len(value)  # type: ignore[arg-type]
    assert table._kept.size < 8 * 2**24


def changed_footer(path: Path, *changes: tuple[int, int, int]) -> None:
    """Write other numbers into a Parquet file's footer: for each the value, which of its places, and the new value."""

    def number(value: int) -> bytes:
        rest, found = (value << 1) ^ (value >> 63), bytearray()
        while rest > 127:
            found.append(rest & 127 | 128)
            rest >>= 7
        return bytes([*found, rest])

    content = path.read_bytes()
    length = int.from_bytes(content[-8:-4], "little")
    body, footer = content[: -8 - length], content[-8 - length : -8]
    for old, place, new in changes:
        marks = [at for at in range(len(footer)) if footer[at] & 15 == 6 and footer[at + 1 :].startswith(number(old))]
        at = marks[place] + 1  # behind the mark of a field that is a number of 64 bits
        footer = footer[:at] + number(new) + footer[at + len(number(old)) :]
    path.write_bytes(body + footer + len(footer).to_bytes(4, "little") + b"PAR1")


_VAST = 10**12


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        ("packed", "column 'image' lies beyond them"),
        ("place", "column 'image' lies beyond them"),
        ("below zero", "column 'image' lies beyond them"),
        ("rows of the file", "its footer says that it has 1,000,000,000,000 rows"),
        ("rows of the group", "its footer says that it has 7 rows"),
        ("all rows", "its footer says that it has 1,000,000,000,000 rows"),
    ],
)
def test_a_footer_that_lies_is_refused_before_anything_is_read(tmp_path, lie, message):
    path = write(tmp_path / "a.parquet", {"image": pictures(7)}, compression="none", use_dictionary=False)
    part = pq.ParquetFile(path).metadata.row_group(0).column(0)
    size, place = part.total_compressed_size, part.data_page_offset
    changes = {
        "packed": [(size, 1, _VAST)],
        "place": [(place, 0, _VAST)],
        "below zero": [(size, 1, -1)],
        "rows of the file": [(7, 0, _VAST)],
        "rows of the group": [(7, -1, _VAST)],
        "all rows": [(7, 0, _VAST), (7, -1, _VAST)],
    }
    changed_footer(path, *changes[lie])
    with pytest.raises(SourceError, match=message):
        open_source(path)


def test_a_footer_that_says_too_much_of_the_unpacked_is_refused_when_it_is_read(tmp_path):
    path = write(tmp_path / "a.parquet", {"image": pictures(7)}, compression="zstd", use_dictionary=False)
    size = pq.ParquetFile(path).metadata.row_group(0).column(0).total_uncompressed_size
    changed_footer(path, (size, 0, _VAST))
    source = open_source(path, image_column="image")
    with pytest.raises(ImageError, match="unpacks to 953,674 MB from"):
        source.load(0)


def test_pages_that_unpack_to_more_than_the_footer_says_are_refused(tmp_path):
    huge = pa.array([pictures(1)[0] + bytes(30_000_000)] * 10, pa.large_binary())
    path = write(tmp_path / "a.parquet", {"image": huge}, compression="zstd", use_dictionary=False)
    size = pq.ParquetFile(path).metadata.row_group(0).column(0).total_uncompressed_size
    changed_footer(path, (size, 0, 1_000))
    with pytest.raises(ImageError, match=r"column 'image' of a\.parquet unpacks to 286 MB from"):
        open_source(path, image_column="image").load(0)


def test_a_column_of_countless_pages_is_refused(tmp_path, monkeypatch):
    path = write(
        tmp_path / "a.parquet", {"image": pictures(50)}, compression="zstd", data_page_size=1, write_batch_size=1
    )
    assert shade(open_source(path), 40) == 40
    monkeypatch.setattr("dinoscope.sources.tables.pages._MOST_PAGES", 20)
    with pytest.raises(ImageError, match="more than 20 pages"):
        open_source(path, image_column="image").load(0)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["zstd", "gzip", "brotli", "lz4"])
@pytest.mark.parametrize("use_dictionary", [False, True])
def test_what_pages_unpack_to_is_what_an_honest_footer_says(tmp_path, version, compression, use_dictionary):
    columns = {"image": pictures(50), "number": list(range(50)), "none": [None, True] * 25, "few": ["a", "b"] * 25}
    path = write(
        tmp_path / "a.parquet",
        columns,
        compression=compression,
        use_dictionary=use_dictionary,
        data_page_version=version,
        data_page_size=100,
        write_batch_size=5,
        write_page_checksum=True,
    )
    table = ParquetTable(pa.OSFile(str(path)), "a.parquet")
    group = pq.ParquetFile(path).metadata.row_group(0)
    for part in map(group.column, range(4)):
        total = part.total_uncompressed_size  # with the headers, of 100 bytes at most
        assert 0.2 * total - 100 <= table._unpacked(part) <= total
        assert table._unpacked(part) > 0
    assert len(open_source(path).items) == 50


def said(tmp_path, content, names=("0.png", "1.png", "2.png", "3.png"), file="t.csv"):
    """Return labels, splits and notes of a table beside photographs."""
    photographs(tmp_path, *names)
    (tmp_path / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    source = open_source(tmp_path / file)
    return [item.labels or item.label for item in source.items], [item.split for item in source.items], source.notes


CATS = "0.png,Größe\n1.png,cat\n2.png,cat\n3.png,cat\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"])
def test_tables_in_the_encodings_of_programs(tmp_path, encoding):
    labels, _, told = said(tmp_path, ("file_name,label\n" + CATS).encode(encoding))
    assert labels == ["Größe", "cat", "cat", "cat"]
    assert any("read as Windows-1252" in note for note in told) == (encoding in ("latin-1", "cp1252"))


@pytest.mark.parametrize(
    "content",
    [
        "file_name , label\n0.png, a\n1.png,b \n2.png, \n3.png,a\n",  # spaces
        "sep=;\nfile_name;label\n0.png;a\n1.png;b\n2.png;\n3.png;a\n",  # as Excel is told
        "file_name|label\n0.png|a\n1.png|b\n2.png|nan\n3.png|a\n",
        "file_name,label\n0.png,a\n1.png,b\n2.png\n3.png,a\n",  # a short row
        "0.png,a\n1.png,b\n2.png,\n3.png,a\n",  # no names of columns
        "FILE_NAME,Label\n0.PNG,a\n1.PNG,b\n2.PNG,NaN\n3.PNG,a\n",
        '"file_name","label"\r\n"0.png","a"\r\n\r\n"1.png","b"\r\n"2.png",""\r\n"3.png","a"\r\n',
    ],
)
def test_tables_as_people_write_them(tmp_path, content):
    assert said(tmp_path, content)[0] == ["a", "b", None, "a"]


def test_a_long_row_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"row 2 has 3 values, expected 2: \['1.png', 'b', 'c'\]"):
        said(tmp_path, "file_name,label\n0.png,a\n1.png,b,c\n")


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("labels", ("cat|dog", "dog", "", "cat")),
        ("label", ("cat;dog", "dog", "", "cat")),
        ("tags", ("cat, dog", "dog", "", "cat")),
        ("label", ("cat,dog", "dog", "", "cat")),
        ("label", ('["cat", "dog"]', '["dog"]', "[]", '["cat"]')),
        ("label", ("['cat', 'dog']", "['dog']", "[]", "['cat']")),
        ("label", ("['cat' 'dog']", "['dog']", "[]", "['cat']")),
        ("label", ("{'dog', 'cat'}", "{'dog'}", "", "{'cat'}")),
    ],
)
def test_texts_that_hold_several_labels(tmp_path, column, values):
    rows = "".join('{}.png,"{}"\n'.format(n, value.replace('"', '""')) for n, value in enumerate(values))
    labels, _, told = said(tmp_path, f"file_name,{column}\n{rows}")
    assert labels == [("cat", "dog"), ("dog",), None, ("cat",)]
    assert f"column {column} holds several labels per image" in told[-1]


@pytest.mark.parametrize(
    "values",
    [
        ("animal|cat", "animal|dog", "thing|car", "animal|cat"),  # a path of classes
        ("Paris, France", "Rome", "Paris, Texas", "Rome"),
        ("a", "b", "a", "b"),
    ],
)
def test_texts_that_hold_one_label(tmp_path, values):
    rows = "".join(f'{n}.png,"{value}"\n' for n, value in enumerate(values))
    assert said(tmp_path, f"file_name,label\n{rows}")[0] == list(values)


@pytest.mark.parametrize(("yes", "no"), [("1", "0"), ("1", "-1"), ("True", "False"), ("true", ""), ("1.0", "0.0")])
def test_columns_that_say_yes_or_no(tmp_path, yes, no):
    content = f"image,cat,dog\n0.png,{yes},{yes}\n1.png,{yes},{no}\n2.png,{no},{no}\n3.png,{no},{yes}\n"
    assert said(tmp_path, content)[0] == [("cat", "dog"), ("cat",), None, ("dog",)]


def test_columns_of_labels_and_splits_by_other_names(tmp_path):
    rows = "0.png,happy,Training\n1.png,sad,PublicTest\n2.png,happy,Training\n3.png,sad,PrivateTest\n"
    labels, splits, _ = said(tmp_path, f"image,emotion,Usage\n{rows}")
    assert (labels, splits) == (["happy", "sad"] * 2, ["Training", "PublicTest", "Training", "PrivateTest"])
    labels, splits, told = said(tmp_path, "image,mood,set\n" + rows.replace("Test", "Box"))
    assert (labels, splits) == ([None] * 4, [None] * 4)  # a set of other things
    assert "label column: none (mood could be: --label-column)" in told[0]


@pytest.mark.parametrize("last", ["3.png,Größe\n0.png,cat\n", "1.png,cat\n0.png,\u00e9t\u00e9"])
def test_letters_of_windows_far_down_in_a_table_with_a_short_row(tmp_path, last):
    rows = "".join(f"{number % 3}.png,cat,{'x' * 90}\n" for number in range(900))
    labels, _, told = said(tmp_path, f"image,label,note\n{rows}{last}".encode("cp1252"))
    assert labels[-2:] in (["Größe", "cat"], ["cat", "\u00e9t\u00e9"])
    assert sum("read as Windows-1252" in note for note in told) == 1


def test_whole_numbers_that_pandas_made_floats(tmp_path):
    assert said(tmp_path, "image,label\n0.png,1.0\n1.png,2.0\n2.png,\n")[0] == ["1", "2", None]
    assert said(tmp_path, "image,version\n0.png,1.0\n1.png,2.0\n")[0] == [None, None]


def test_whole_paths_of_another_machine(tmp_path):
    names = ("images/a/0.png", "images/b/0.png", "images/b/1.png")
    for before in ("/home/nobody/data/", "C:\\data\\"):
        content = "path,label\n" + "".join(f"{before}{name},x\n" for name in names)
        said(tmp_path, content.replace("/", "\\") if before.startswith("C") else content, names)
        source = open_source(tmp_path / "t.csv")
        assert [item.id for item in source.items] == list(names)
        assert "3 files of t.csv found by how their paths end" in notes(source)[-1]
    (tmp_path / "t.csv").write_text("path,label\n/home/nobody/0.png,x\n")  # it might be either
    with pytest.raises(SourceError, match=r"names '/home/nobody/0.png', which is not below the table's folder: name"):
        open_source(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("path,label\nhttps://example.org/0.png,x\n")
    with pytest.raises(SourceError, match=r"names 'https://example.org/0.png': a table names files; fetch them first"):
        open_source(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text(f"path,label\n{(tmp_path / names[0]).as_uri()},x\n")
    assert [item.id for item in open_source(tmp_path / "t.csv").items] == [names[0]]


def test_a_text_that_is_a_set_of_lists_is_one_label(tmp_path):
    assert said(tmp_path, "path,label\n0.png,{[1]}\n1.png,{[1]}\n2.png,b\n3.png,b\n")[0] == ["{[1]}"] * 2 + ["b"] * 2


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_tables_whose_texts_and_bytes_are_views(tmp_path, ending):
    """As polars writes them."""
    photographs(tmp_path, "0.png", "1.png")
    texts = {"path": ["0.png", "1.png"], "label": ["a", "b"], "note": ["x", "x"]}
    files = pa.array(pictures(2), pa.binary_view())
    for table, image in ((texts, "path"), (texts | {"image": files}, "image")):
        held = pa.table(
            {name: each if name == "image" else pa.array(each, pa.string_view()) for name, each in table.items()}
        )
        if ending == "parquet":
            pq.write_table(held, tmp_path / "t.parquet")
        else:
            with pa.ipc.new_file(tmp_path / "t.arrow", held.schema) as out:
                out.write_table(held)
        source = open_source(tmp_path / f"t.{ending}", image_column=image)
        assert [item.label for item in source.items] == ["a", "b"]
        assert source_columns(source)["note"].values.tolist() == ["x", "x"]
        assert source.load(1).shape[2] == 3


def test_a_missing_file_is_not_given_the_picture_of_another(tmp_path):
    rows = ["C:/x/train/7.jpg,cat", "C:/x/val/7.jpg,dog", "C:/x/val/7.jpg,dog"]
    labels, _, told = said(tmp_path, "\n".join(["path,label", *rows]), ["val/7.jpg"])
    source = open_source(tmp_path / "t.csv")
    assert labels == ["cat", "dog", "dog"]
    assert [item.id for item in source.items] == ["C:/x/train/7.jpg", "val/7.jpg", "val/7.jpg#2"]
    assert any("1 of the 3 files that t.csv names are not there" in note for note in told)
    assert "2 files of t.csv found by how their paths end: 'val/7.jpg' is taken for 'C:/x/val/7.jpg'" in told


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["C:/x/a/7.jpg", "b/7.jpg"], ["C:/x/a/7.jpg", "b/7.jpg"]),  # another name found the file itself
        (["C:/x/a/7.jpg", "B/7.JPG"], ["C:/x/a/7.jpg", "b/7.jpg"]),
        (["C:/x/a/7.jpg", "C:/x/c/7.jpg"], ["C:/x/a/7.jpg", "C:/x/c/7.jpg"]),  # it may be either
        (["C:/x/b/7.jpg", "D:/y/b/7.jpg"], ["C:/x/b/7.jpg", "D:/y/b/7.jpg"]),
        (["C:/x/a/7.jpg"], ["b/7.jpg"]),
    ],
)
def test_a_file_is_found_for_one_name_alone(names, expected):
    missing = [index for index, name in enumerate(names) if name != "b/7.jpg"]
    assert find_files(names, missing, ["b/7.jpg"])[0] == expected


def test_a_line_holds_a_list_or_a_text(tmp_path):
    lines = [{"image": "0.png", "labels": ["a", "b"]}, {"image": "1.png", "labels": "b"}, {"image": "2.png"}]
    for ending in ("jsonl", "ndjson"):
        content = "\ufeff" + "\n".join(map(json.dumps, lines))
        assert said(tmp_path, content, file=f"t.{ending}")[0] == [("a", "b"), ("b",), None]
