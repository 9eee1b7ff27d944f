"""docs/format.md says what is true: its examples run, its table of columns is what is written."""

import json
import re
import zlib
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from dinoscope.collection import Collection
from dinoscope.embedding.pipeline import embed_source
from dinoscope.models.encoder import Encoder
from dinoscope.sources.array import ArraySource
from dinoscope.sources.datasets.named import load_dataset
from tests import ROOT

TEXT = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^(\w+):\n\n```python\n(.*?)```", TEXT, re.MULTILINE | re.DOTALL))
N = 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A collection from which five images have gone."""
    path = tmp_path_factory.mktemp("format")
    pixels = load_dataset("fashion-mnist-test").pixels[:N]
    encoder = Encoder("mini-fashion", batch_size=8)
    embed_source(ArraySource(pixels), path / "photos.dino", encoder)
    embed_source(ArraySource(pixels[:25]), path / "photos.dino", encoder)
    opened = Collection(path / "photos.dino")
    opened.map(method="pca")
    opened.annotate([1], label="shirt", tags=["good"])
    return path


@pytest.mark.parametrize("name", ["pandas", "polars", "DuckDB"])
def test_other_programs_read_a_collection(folder, monkeypatch, name):
    pytest.importorskip(name.lower())
    assert len(EXAMPLES[name].splitlines()) == 3
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(compile(EXAMPLES[name], "format.md", "exec"), names)
    table = names["table"]
    if name == "DuckDB":
        columns = (table.read_all() if hasattr(table, "read_all") else table).to_pydict()
    else:
        columns = {each: table[each].to_list() for each in ("row", "id", "vector")}
    order = np.argsort(columns["row"])
    expected = Collection("photos.dino")
    assert np.asarray(columns["row"])[order].tolist() == expected.rows.tolist() == list(range(25))
    assert [columns["id"][index] for index in order] == expected.ids.tolist()
    np.testing.assert_array_equal(np.asarray(columns["vector"], np.float32)[order], expected.vectors)


def test_the_table_of_columns(folder):
    rows = re.findall(r"^\|\s*(\S*)\s*\| ([a-z_, ]+) \| ([^|]+) \|", TEXT.split("## Tables")[1], re.MULTILINE)
    stated: dict[str, dict[str, str]] = {}
    file = ""
    for first, names, kind in rows:
        file = first or file
        if file not in ("file", "---"):
            stated.setdefault(file, {}).update(dict.fromkeys(names.split(", "), kind.strip()))
    collection = folder / "photos.dino"
    files = {
        "images.parquet": collection / "images.parquet",
        "details/": collection / "details" / "part-00000.parquet",
        "vectors/KEY/": next(collection.glob("vectors/*/part-*.parquet")),
        "annotations.parquet": collection / "annotations.parquet",
        "columns.parquet": collection / "columns.parquet",
    }
    opened = Collection(collection)
    opened.add_columns({"id": opened.ids.tolist(), "stars": [5] * len(opened)})
    assert stated.keys() == files.keys()
    for name, path in files.items():
        types = {field.name: str(field.type) for field in pq.read_schema(path) if field.name != "stars"}
        for key, kind in types.items():
            if kind.startswith("fixed_size_list"):
                types[key] = "list of float32, fixed length"
            elif kind.startswith("list"):
                types[key] = f"list of {kind.split()[-1].rstrip('>')}"
        assert stated[name] == types, name


def test_every_file_is_described(folder):
    collection = folder / "photos.dino"
    for path in collection.rglob("*"):
        if path.is_file():
            parts = path.relative_to(collection).parts
            shown = {"vectors": ["vectors", "KEY", parts[-1]], "results": ["results", "STAGE", "KEY.parquet"]}
            assert "/".join(shown.get(parts[0], list(parts))).removesuffix(".bak") in TEXT


def test_the_checksums_are_what_is_described(folder):
    """Reckoned from the description alone."""
    collection = folder / "photos.dino"
    text = (collection / "collection.json").read_bytes()
    digits = json.loads(text)["dinoscope.crc32"].removeprefix("dinoscope.crc32=").encode()
    assert b"%08x" % zlib.crc32(text.replace(digits, b"00000000")) == digits
    path = collection / "details" / "part-00000.parquet"
    content, metadata = path.read_bytes(), pq.read_metadata(path)
    value = metadata.metadata[b"dinoscope.crc32"].removeprefix(b"dinoscope.crc32=")
    sums = [value[at : at + 8] for at in range(0, len(value), 8)]
    footer = content[len(content) - 8 - int.from_bytes(content[-8:-4], "little") :]
    at = footer.index(value)
    footer = footer[:at] + b"00000000" + footer[at + 8 :]
    assert b"%08x" % zlib.crc32(content[:4] + footer) == sums[0]
    chunks = [
        metadata.row_group(group).column(column)
        for group in range(metadata.num_row_groups)
        for column in range(metadata.num_columns)
    ]
    for chunk, expected in zip(chunks, sums[1:], strict=True):
        begin = chunk.data_page_offset
        assert b"%08x" % zlib.crc32(content[begin : begin + chunk.total_compressed_size]) == expected
