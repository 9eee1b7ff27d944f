"""What a Python program holds as a source: by its protocol, with the right images, labels and splits."""

from __future__ import annotations

import io
import json
import os
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

from dinoscope.collection import Collection
from dinoscope.embedding.columns import source_columns
from dinoscope.errors import ImageError, InputError, SourceError
from dinoscope.models.encoder import Encoder
from dinoscope.sources.opening import open_source
from tests.sources.archives.test_archive import described, picture

pd = pytest.importorskip("pandas")
ARRAYS = [np.full((6 + number, 8, 3), 40 * number, np.uint8) for number in range(4)]
SHADES = [0, 40, 80, 120]
NUMBERED = [f"{number:05d}" for number in range(4)]


@pytest.fixture
def folder(tmp_path):
    for number in range(4):
        path = tmp_path / "photos" / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(40 * number))
    return tmp_path / "photos"


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.png"), key=lambda path: path.name)


EXPECTED = [("cat/0.png", "x", None, 0), ("dog/1.png", "y", None, 40), ("cat/2.png", None, None, 80)]
EXPECTED.append(("dog/3.png", "y", None, 120))
LABELS = ["x", "y", None, "y"]


def test_paths(folder, monkeypatch):
    assert described(open_source(files(folder), labels=LABELS)) == EXPECTED
    source = open_source([str(path) for path in files(folder)])
    assert (source.kind, source.name, source.has_labels) == ("table", "photos", False)
    monkeypatch.chdir(folder.parent)
    relative = [os.path.relpath(path) for path in files(folder)]
    assert described(open_source(relative, labels=np.array(LABELS, object))) == EXPECTED
    assert [item.key for item in open_source(relative).items] == [item.key for item in source.items]
    one = open_source([relative[0]], splits=["train"])
    assert described(one) == [("0.png", None, "train", 0)]
    assert described(pickle.loads(pickle.dumps(source))) == described(source)


@pytest.mark.parametrize("form", ["pandas", "polars", "arrow", "numpy", "numpy of Path", "tuple"])
def test_columns_of_paths(folder, form):
    paths = files(folder)
    texts = list(map(str, paths))
    held: Any = {
        "pandas": pd.Series(texts, index=[9, 8, 7, 6]),
        "polars": pl.Series(texts),
        "arrow": pa.chunked_array([texts[:1], texts[1:]]),
        "numpy": np.array(texts),
        "numpy of Path": np.array(paths, object),
        "tuple": tuple(paths),
    }[form]
    assert described(open_source(held, labels=pd.Series(LABELS, index=[9, 8, 7, 6]))) == EXPECTED


def test_paths_that_cannot_work(folder):
    with pytest.raises(
        SourceError, match=r"none of the 1 files that photos names is there: dinoscope looked for the first, 'no\.png'"
    ):
        open_source([folder / "no.png"])
    with pytest.raises(InputError, match="a list that begins with a path must hold paths alone, got ndarray"):
        open_source([folder / "0.png", ARRAYS[0]])
    with pytest.raises(InputError, match=r"'s3://b/1\.png' is a URI: name the folder"):
        open_source(["s3://b/1.png"])
    with pytest.raises(SourceError, match="the list of images is empty"):
        open_source([])


@pytest.mark.parametrize("form", ["arrays", "pictures", "files", "tensors", "pairs", "dictionaries", "torch"])
def test_pictures(form):
    class Tensor:
        """What is asked of a tensor: its channels come first."""

        ndim, shape = 3, (3, 8, 8)

        def __init__(self, array: Any) -> None:
            self._array = np.moveaxis(array, -1, 0)
            self.shape = self._array.shape

        def detach(self) -> Tensor:
            return self

        def cpu(self) -> Any:
            return self._array

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return self._array

    class Torch:
        """What torch asks of a data set."""

        classes = ("x", "y")

        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> Any:
            return Tensor(ARRAYS[index] / np.float32(255)), SimpleNamespace(ndim=0, item=lambda: index % 2)

    held: Any = {
        "arrays": ARRAYS,
        "pictures": list(map(Image.fromarray, ARRAYS)),
        "files": [picture(shade) for shade in SHADES],
        "tensors": list(map(Tensor, ARRAYS)),
        "pairs": list(zip(ARRAYS, "xyxy", strict=True)),
        "dictionaries": [{"image": each, "label": label} for each, label in zip(ARRAYS, "xyxy", strict=True)],
        "torch": Torch(),
    }[form]
    source = open_source(held)
    labels = list("xyxy") if form in ("pairs", "dictionaries", "torch") else [None] * 4
    assert described(source) == list(zip(NUMBERED, labels, [None] * 4, SHADES, strict=True))
    assert (source.kind, source.has_labels, source.has_splits) == ("array", labels[0] is not None, False)
    assert source.name == ("Torch" if form == "torch" else "array")
    assert len({item.key for item in source.items}) == 4
    if form in ("arrays", "pictures"):
        assert described(pickle.loads(pickle.dumps(source))) == described(source)
    given = open_source(held, labels=["a", "b", None, float("nan")], splits=["train", "test", "test", None])
    assert [(item.label, item.split) for item in given.items] == [
        ("a", "train"),
        ("b", "test"),
        (None, "test"),
        (None, None),
    ]


def test_a_list_of_arrays_is_the_array(tmp_path):
    """The same pictures stacked are the same images: none is embedded again."""
    pictures = [array[:6] for array in ARRAYS]
    encoder = Encoder("mini")
    first = Collection.from_images(pictures, tmp_path / "c", model=encoder, labels=list("xyxy"))
    again = Collection.from_images(np.stack(pictures), tmp_path / "c", model=encoder)
    assert again.embedded is not None
    assert (again.embedded.embedded, again.embedded.reused) == (0, 4)
    assert again.labels.tolist() == list("xyxy")
    np.testing.assert_array_equal(first.vectors, again.vectors)
    same = encoder.encode(pictures)
    np.testing.assert_allclose(first.vectors, same, atol=1e-6)


def test_pictures_that_cannot_work():
    with pytest.raises(InputError, match=r"image 1: pixels must be whole numbers, bool or floats, got complex128"):
        open_source([ARRAYS[0], np.full((4, 4), 1j)])
    with pytest.raises(InputError, match=r"image 0: expected an array, a Pillow image, .*, got int in place 0"):
        open_source([1, 2, 3])
    with pytest.raises(InputError, match="labels must be as many as the images: expected 4, got \\(3,\\)"):
        open_source(ARRAYS, labels=["a", "b", "c"])
    with pytest.raises(InputError, match="got 'kind'; a column of a table is named by label_column"):
        open_source(ARRAYS, labels="kind")
    stream = SimpleNamespace(
        column_names=["image"], features={}, with_format=str, to_list=ARRAYS.copy
    )  # without an end
    for strange in (iter(ARRAYS), {"a": ARRAYS[0]}, 3, None, stream):
        with pytest.raises(InputError, match=r"expected a path, .*, a list of paths or pictures, .*, got "):
            open_source(strange)  # type: ignore[arg-type]


def test_arrays_of_more_than_8_bits_in_a_list_share_a_range_as_in_an_array(tmp_path):
    scans = [np.linspace(-1000, 1000 * number, 48).reshape(6, 8).astype(np.int16) for number in range(1, 4)]
    listed, stacked = (
        Collection.from_images(source, tmp_path / name, model="mini")
        for name, source in (("list", scans), ("array", np.stack(scans)))
    )
    assert listed.decoding.value_range is not None
    assert listed.decoding == stacked.decoding
    np.testing.assert_array_equal(listed.vectors, stacked.vectors)


def test_classes_of_a_subset_and_of_features():
    class Data:
        """A data set whose rows are decoded when they are asked for."""

        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> Any:
            return {"img": Image.fromarray(ARRAYS[index]), "label": np.int64(1 - index)}

    plain, subset, described_ = Data(), Data(), Data()
    subset.dataset = SimpleNamespace(classes=["cat", "dog"])  # type: ignore[attr-defined]
    described_.features = {"label": SimpleNamespace(names=["cat", "dog"])}  # type: ignore[attr-defined]
    for held, names in ((plain, ["1", "0"]), (subset, ["dog", "cat"]), (described_, ["dog", "cat"])):
        assert [item.label for item in open_source(held).items] == names


def test_what_torch_normalised_is_told():
    class Data:
        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int) -> Any:
            return np.full((4, 4, 3), -2, np.float32), 0

    with pytest.raises(InputError, match=r"image 0: float pixels must lie in 0\.\.1, .*; leave Normalize out of its"):
        open_source(Data())


def test_one_that_cannot_be_read_fails_alone():
    class Torn:
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> Any:
            if index:
                raise OSError("the disk is gone")
            return ARRAYS[1]

    source = open_source(Torn())
    assert source.load(0)[0, 0, 0] == 40
    for held in (source, open_source([picture(40), b"no picture"])):
        with pytest.raises(ImageError, match=r"the disk is gone|is not a JPEG"):
            held.load(1)


def test_folders_of_torchvision_are_their_files(folder):
    paths = files(folder)

    class Folder:
        classes, samples = ["cat", "dog"], [(str(path), number % 2) for number, path in enumerate(paths)]

        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> Any:
            raise AssertionError("its transform is for training")

    source = open_source(Folder())
    assert [(item.id, item.label) for item in source.items] == [
        ("cat/0.png", "cat"),
        ("dog/1.png", "dog"),
        ("cat/2.png", "cat"),
        ("dog/3.png", "dog"),
    ]


def frames(paths: list[Path]) -> dict[str, Any]:
    texts = list(map(str, paths))
    return {
        "pandas": pd.DataFrame({"path": texts, "label": ["x", "y", np.nan, "y"]}, index=[7, 8, 9, 3]),
        "pandas of Path": pd.DataFrame({"path": paths, "label": pd.Categorical(["x", "y", None, "y"])}),
        "polars": pl.DataFrame({"path": texts, "label": pl.Series(LABELS, dtype=pl.Categorical)}),
        "polars texts": pl.DataFrame({"n": [1, 2, 3, 4], "path": texts, "label": LABELS}),
        "arrow": pa.table({"path": texts, "label": LABELS}),
    }


@pytest.mark.parametrize("form", ["pandas", "pandas of Path", "polars", "polars texts", "arrow"])
def test_tables(folder, form):
    table = frames(files(folder))[form]
    source = open_source(table)
    assert described(source) == EXPECTED
    assert (source.kind, source.name) == ("table", "photos")
    assert [item.label for item in open_source(table, label_column="none").items] == [None] * 4
    assert [item.split for item in open_source(table, splits=list("abcd")).items] == list("abcd")
    assert [item.label for item in open_source(table, labels=list("abcd")).items] == list("abcd")


def test_a_table_with_a_folder_of_images_and_named_columns(folder):
    table = pd.DataFrame({"file": ["cat/0.png", "dog/1.png"], "species": ["fox", "owl"], "fold": ["train", "test"]})
    source = open_source(table, image_root=folder, label_column="species", split_column="fold")
    assert described(source) == [("cat/0.png", "fox", "train", 0), ("dog/1.png", "owl", "test", 40)]
    with pytest.raises(SourceError, match=r"table has no column 'kind' for --label-column; it has file"):
        open_source(table, image_root=folder, label_column="kind")
    with pytest.raises(SourceError, match="no column of table holds images"):
        open_source(table[["species"]])


class HuggingFace:
    """What is asked of a `datasets.Dataset`."""

    def __init__(self, shades: list[int], split: str | None = None, paths: list[str] | None = None) -> None:
        features = {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
        images = [{"bytes": None if paths else picture(shade), "path": f"{shade}.png"} for shade in shades]
        for held, path in zip(images, paths or (), strict=False):
            held["path"] = path
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        table = pa.table({"image": pa.array(images, kind), "label": [shade // 40 % 2 for shade in shades]})
        meta = {"huggingface": json.dumps({"info": {"features": features}})}
        self._table: Any = table.replace_schema_metadata(meta)
        self._arrow = False
        self.features, self.column_names, self.split = features, table.column_names, split
        self.info = SimpleNamespace(dataset_name="pets")

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __getitem__(self, key: Any) -> Any:
        assert self._arrow, "else every image is decoded"
        return self._table.slice(key.start or 0)

    def with_format(self, form: str) -> HuggingFace:
        assert form == "arrow"
        self._arrow = True
        return self


def test_a_data_set_of_hugging_face():
    source = open_source(HuggingFace([0, 40, 80], "train"))
    assert described(source) == [
        ("0.png", "cat", "train", 0),
        ("40.png", "dog", "train", 40),
        ("80.png", "cat", "train", 80),
    ]
    assert (source.kind, source.name) == ("table", "pets")
    other = open_source(HuggingFace([80, 40], "train"))  # shuffled: the keys are those of the pictures
    assert other.items[0].key == source.items[2].key
    both = open_source({"train": HuggingFace([0, 40], "train"), "test": HuggingFace([80], "test")})
    assert described(both) == [
        ("train/0.png", "cat", "train", 0),
        ("train/40.png", "dog", "train", 40),
        ("test/80.png", "cat", "test", 80),
    ]


def test_a_data_set_of_hugging_face_may_name_files(folder):
    paths = [str(path) for path in files(folder)]
    source = open_source(HuggingFace([0, 40, 80, 120], paths=paths))
    assert described(source) == [
        ("0.png", "cat", None, 0),
        ("1.png", "dog", None, 40),
        ("2.png", "cat", None, 80),
        ("3.png", "dog", None, 120),
    ]
    assert str(folder) not in str(list(source.items))


def test_from_images_takes_them(tmp_path, folder):
    table = pl.DataFrame({"path": [str(path) for path in files(folder)], "species": LABELS})
    collection = Collection.from_images(
        table, tmp_path / "c", model="mini", label_column="species", splits=["train", "test", "test", None]
    )
    assert collection.labels.tolist() == LABELS
    assert collection.splits.tolist() == ["train", "test", "test", None]
    assert collection.ids.tolist() == [each[0] for each in EXPECTED]


def listed(source, **given):
    return [item.labels or item.label for item in open_source(source, **given).items]


def test_tables_of_pictures_and_of_lists(folder):
    held = [Image.open(path) for path in files(folder)]
    assert listed(pd.DataFrame({"image": held, "label": LABELS})) == LABELS
    source = open_source(pd.DataFrame({"label": LABELS, "picture": ARRAYS}))
    assert described(source) == [(id, label, None, s) for id, label, s in zip(NUMBERED, LABELS, SHADES, strict=True)]
    with pytest.raises(SourceError, match=r"several columns of table hold images \(a, b\): name one, --image-column"):
        open_source(pd.DataFrame({"a": held, "b": held}))
    sets = [("x", "y"), ("x",), None, None]
    for form in (np.array, list, tuple, set):
        frame = pd.DataFrame({"path": files(folder), "label": [form(["x", "y"]), form(["x"]), form([]), None]})
        assert [each and tuple(sorted(each)) for each in listed(frame)] == sets
    view = pa.array([["x", "y"], ["x"], [], None], pa.list_view(pa.string()))
    assert listed(pa.table({"path": list(map(str, files(folder))), "label": view})) == sets
    columns = {"path": files(folder), "label": LABELS}
    assert described(open_source(columns)) == EXPECTED
    rows = [{"path": path, "label": label} for path, label in zip(files(folder), LABELS, strict=True)]
    assert described(open_source(rows)) == EXPECTED
    lazy: Any = pl.DataFrame({**columns, "path": list(map(str, files(folder)))}).lazy()
    assert described(open_source(lazy)) == EXPECTED
    bytes_of = [path.read_bytes() for path in files(folder)]
    assert listed(pl.DataFrame({"image": bytes_of, "label": LABELS})) == LABELS
    with pytest.raises(InputError, match=r"the columns of a table must be of one length, got {'path': 4, 'label': 1}"):
        open_source({"path": files(folder), "label": ["x"]})


def test_a_frame_of_pictures_keeps_its_other_columns(tmp_path):
    columns = {"image": ARRAYS, "kind": LABELS, "part": ["train", "test", None, "test"], "price": [1.5, None, 3, 4]}
    columns |= {"when": pd.to_datetime(["2024-01-01", None, None, None]), "what": [{"a": 1}, object(), None, None]}
    frame = pd.DataFrame(columns, index=[7, 3, 3, 1])
    source = open_source(frame, label_column="kind", split_column="part")
    assert [item.label for item in source.items] == LABELS
    assert [item.split for item in source.items] == ["train", "test", None, "test"]
    assert source.has_splits
    found = source_columns(source)
    assert found.keys() == {"price", "when"}
    assert found["price"].texts == ["1.5", None, "3", "4"]
    assert found["when"].texts == ["2024-01-01", None, None, None]
    collection = Collection.from_images(frame, tmp_path / "c", model="mini", label_column="none")
    assert collection.labels.tolist() == [None] * 4
    assert collection.columns()["kind"].values.tolist() == LABELS
    with pytest.raises(SourceError, match=r"table has no column 'kidn' for --label-column; .*; did you mean 'kind'"):
        open_source(frame, label_column="kidn")
    hot = pd.DataFrame({"image": ARRAYS, "a": [1, 0, 0, 1], "b": [1, 1, 0, 0]})
    assert listed(hot, label_column="a,b") == [("a", "b"), ("b",), None, ("a",)]


def test_labels_of_0_and_1(folder):
    hot = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 1]])
    numbers = [("0", "2"), ("1",), None, ("0", "1", "2")]
    assert listed(files(folder), labels=pd.DataFrame(hot, columns=list("abc"))) == [
        *(("a", "c"), ("b",), None, ("a", "b", "c"))
    ]
    assert listed(files(folder), labels=hot) == numbers
    assert listed(np.stack([ARRAYS[0]] * 4), labels=hot.astype(bool)) == numbers
    assert listed(list(zip(ARRAYS, hot, strict=True))) == numbers
    with pytest.raises(InputError, match="labels of several columns must be 0 or 1 in each, got an array"):
        open_source(files(folder), labels=hot * 3)
    with pytest.raises(InputError, match=r"labels must be as many as the images: expected 4, got \{"):
        open_source(files(folder), labels=dict.fromkeys(files(folder), "x"))  # type: ignore[arg-type]


class _Numbered:
    """A data set as torch has it, or a part of one, or several."""

    def __init__(self, **known: object) -> None:
        self.__dict__.update(known)

    def __len__(self) -> int:
        return len(ARRAYS)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return ARRAYS[index], index % 2


def test_parts_of_data_sets_know_the_names_of_classes():
    whole = _Numbered(classes=["cat", "dog"])
    for source in (whole, _Numbered(dataset=_Numbered(dataset=whole)), _Numbered(datasets=[whole, whole])):
        assert listed(source) == ["cat", "dog"] * 2
    other = _Numbered(classes=["dog", "cat"])
    assert listed(_Numbered(datasets=[whole, other])) == ["0", "1"] * 2  # numbers mean different things


def test_whole_numbers_that_became_floats_and_what_has_no_order(folder):
    assert listed(files(folder), labels=pd.Series([1, 2, None, 1])) == ["1", "2", None, "1"]
    assert listed(files(folder), labels=[1.0, 2.0, 1.5, None]) == ["1.0", "2.0", "1.5", None]
    assert listed(files(folder), labels=["a", pd.NA, float("nan"), None]) == ["a", None, None, None]
    assert listed(files(folder), labels=[1.0, pd.NA, pd.NaT, 2.0]) == ["1", None, None, "2"]
    assert listed([io.BytesIO(path.read_bytes()) for path in files(folder)]) == [None] * 4
    with pytest.raises(InputError, match=r"got set; list\(...\) makes a list of what it yields"):
        open_source(set(files(folder)))  # type: ignore[arg-type]
