from __future__ import annotations

import io
import os
import pickle
import random
import re
import tracemalloc
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dinoscope.base.digests import digest_bytes
from dinoscope.errors import ImageError, InputError, SourceError, UnreadableError
from dinoscope.sources.array import ArraySource
from dinoscope.sources.base import ImageSource
from dinoscope.sources.folder import FolderSource
from dinoscope.sources.items import Item, Items
from dinoscope.sources.names import describe_endings, ending_of, sort_naturally
from dinoscope.sources.opening import open_source
from dinoscope.sources.pixels.formats import READ
from tests.pictures import GREYS, corners, encoded, photo, repeated

# --- folders ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    def write(*names, data=None):
        data = encoded(corners(), "PNG") if data is None else data
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return tmp_path

    return write


def ids(source: ImageSource) -> list[str]:
    return [item.id for item in source.items]


def test_folder_lists_in_natural_order_and_ignores_junk(folder):
    root = folder("10.png", "2.PNG", "b/1.jpg", "a/x10.png", "a/x9.png", "a/X9b.png", "notes.txt", "a/data.csv")
    folder(".hidden.png", ".cache/1.png", "__MACOSX/1.png", "Thumbs.db", ".DS_Store", "a/._x9.png")
    folder("$RECYCLE.BIN/1.png", "a/@eaDir/1.png", "desktop.ini", "System Volume Information/1.png")
    source = FolderSource(root)
    assert ids(source) == ["2.PNG", "10.png", "a/x9.png", "a/X9b.png", "a/x10.png", "b/1.jpg"]
    assert [item.label for item in source.items] == [None, None, "a", "a", "a", "b"]
    assert {item.split for item in source.items} == {None}
    assert (source.ignored, source.ignored_endings) == (2, {".txt": 1, ".csv": 1})
    assert (source.name, source.kind) == (root.name, "folder")
    np.testing.assert_array_equal(source.load(0), np.asarray(corners()))
    assert ids(FolderSource(root)) == ids(source)


def test_flat_folder_has_no_labels(folder):
    assert [item.label for item in FolderSource(folder("1.png", "2.png")).items] == [None, None]


def test_split_folders(folder):
    source = FolderSource(folder("train/cat/1.png", "train/dog/big/2.png", "Test/cat/3.png", "val/4.png"))
    assert [(item.split, item.label) for item in source.items] == [
        ("test", "cat"),
        ("train", "cat"),
        ("train", "dog"),
        ("val", None),
    ]
    source = FolderSource(folder("other/1.png"))
    assert [(item.split, item.label) for item in source.items][:2] == [(None, None), ("test", "cat")]
    assert "beside the splits: other" in source.notes[0]


def test_bad_files_are_items_whose_load_tells(folder):
    root = folder("a/good.png")
    folder("a/empty.jpg", data=b"")
    folder("a/text.jpg", data=b"hello")
    folder("a/cut.jpg", data=encoded(photo(), "JPEG")[:1500])
    (root / "a/folder.png").mkdir()
    (root / "a/link.png").symlink_to("nowhere.png")
    source, reasons = FolderSource(root), {}
    for row, item in enumerate(source.items):
        try:
            source.load(row)
        except ImageError as error:
            reasons[item.id] = str(error)
    assert reasons.pop("a/cut.jpg").startswith("damaged: image file is truncated")
    assert reasons == {
        "a/empty.jpg": "is empty",
        "a/folder.png": "is a directory",
        "a/link.png": "cannot be read: No such file or directory",
        "a/text.jpg": f"is not a {READ} image",
    }


def test_keys_follow_the_content(folder):
    root = folder("a.png", "b.png")
    before = [item.key for item in FolderSource(root).items]
    assert len(set(before)) == 2
    assert all(len(bytes.fromhex(key)) == 8 for key in before)
    folder("b.png", data=encoded(corners(), "BMP"))
    os.utime(root / "a.png", ns=(1, 1))  # touched: may have changed
    after = [item.key for item in FolderSource(root).items]
    assert not set(before) & set(after)
    assert [item.key for item in FolderSource(root).items] == after


def test_links_neither_hang_nor_hide_the_real_path(folder):
    root = folder("z/1.png", "z/deep/2.png")
    (root / "a").symlink_to("z")
    (root / "z/loop").symlink_to("..")
    (root / "z/self").symlink_to("self")
    assert ids(FolderSource(root)) == ["z/1.png", "z/deep/2.png"]
    outside = root / ".outside"
    outside.mkdir()
    (root / ".outside/3.png").write_bytes(b"")
    (root / "linked").symlink_to(outside)
    assert ids(FolderSource(root)) == ["linked/3.png", "z/1.png", "z/deep/2.png"]


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_name_that_is_no_utf8(folder):
    root = folder("ok.png")
    os.rename(root / "ok.png", os.path.join(os.fsencode(root), b"caf\xe9.png"))
    source = FolderSource(root)
    assert ids(source) == ["caf\\xe9.png"]
    assert source.load(0).shape == (2, 3, 3)


def test_folders_without_images(folder):
    with pytest.raises(SourceError, match=r"no images in .* \(nor other files\); expected \.jpg, \.jpeg, \.jpe"):
        FolderSource(folder())
    with pytest.raises(SourceError, match=r"no images in .* \(2 \.nef, 1 \.txt\); expected \.jpg, \.jpeg, \.jpe"):
        FolderSource(folder("readme.txt", "1.nef", "a/2.NEF"))
    with pytest.raises(SourceError, match=r"cannot list the folder .*: No such file"):
        FolderSource(folder() / "missing")


def test_endings_of_what_is_left_out(folder):
    endings = {"1.HEIC": ".heic", "a.b/README": "", "scan.0042": "", "Mr. Fox": "", "x.tar.gz": ".gz", "a.\x1b": ""}
    assert [ending_of(name) for name in endings] == list(endings.values())
    assert describe_endings(Counter({".b": 2, "": 2, ".a": 2, ".nef": 1200})) == (
        "1,200 .nef, 2 without an ending, 2 .a, 2 .b"
    )
    assert describe_endings(Counter("abcdefg")) == "1 a, 1 b, 1 c, 1 d, 1 e, 2 with other endings"
    sample = open_source(folder("1.png", "2.png", "3.heic"), limit=1)
    assert sample.ignored_endings == {".heic": 1}


def test_folders_decode_large_jpegs_reduced(folder):
    large = encoded(Image.new("RGB", (1600, 800)), "JPEG")
    root = folder("1.jpg", "2.jpg", data=large)
    folder("3.png")
    for source in (FolderSource(root), open_source(root, limit=2, seed=1)):
        for index, item in enumerate(source.items):
            image = source.load_reduced(index, (10, 10))
            if item.id == "3.png":
                np.testing.assert_array_equal(image.pixels, np.asarray(corners()))
            else:
                assert (image.pixels.shape, image.size) == ((200, 400, 3), (1600, 800))
                assert source.load(index).shape == (800, 1600, 3)


def test_other_sources_give_whole_images():
    source = ArraySource(np.zeros((2, 600, 900), np.uint8))
    for each in (source, open_source(source, limit=1)):
        image = each.load_reduced(0, (10, 10))
        assert (image.pixels.shape, image.size) == ((600, 900, 3), (900, 600))


# --- arrays -----------------------------------------------------------------------------------------------------------


def stack(dtype: Any = np.uint8) -> NDArray[Any]:
    return np.stack([GREYS, GREYS.T, 255 - GREYS]).astype(dtype)


@pytest.mark.parametrize(
    "images",
    [
        stack(),
        stack()[..., None],
        np.repeat(stack()[..., None], 3, axis=3),
        np.dstack([repeated(GREYS), np.full((16, 16), 255, np.uint8)])[None],
        stack(np.uint16) * np.uint16(257),
        stack(np.float32) / np.float32(255),
        stack(np.float64) / 255,
        (stack(np.float64) / 255).astype(np.float16),
    ],
    ids=["grey", "channel", "rgb", "rgba", "uint16", "float32", "float64", "float16"],
)
def test_every_grey_is_itself_in_arrays(images):
    source = ArraySource(images)
    np.testing.assert_array_equal(source.load(0), repeated(GREYS))
    assert source.load(0).dtype == np.uint8
    assert source.items[0].id == "00000"


def test_bool_arrays_and_alpha():
    np.testing.assert_array_equal(ArraySource(stack() > 127).load(0), repeated((GREYS > 127) * np.uint8(255)))
    clear = np.zeros((1, 2, 2, 4), np.uint8)
    np.testing.assert_array_equal(ArraySource(clear).load(0), np.full((2, 2, 3), 255))


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        (stack(np.float32) / 127.5 - 1, r"float pixels must lie in 0\.\.1, got -1\.\.1; scale them, or pass uint8"),
        (stack(np.float64), r"must lie in 0\.\.1, got 0\.\.255"),
        (np.full((1, 2, 2), np.nan), r"must lie in 0\.\.1, got nan"),
        (stack(np.int64), "pixels must be uint8, uint16, bool or floats in 0..1, got int64"),
    ],
)
def test_values_are_never_guessed_of_one_image(images, reason):
    with pytest.raises(ImageError, match=reason):
        ArraySource(images).load(0)


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        (stack(np.complex64), "pixels must be whole numbers, bool or floats, got complex64"),
        (np.zeros((2, 3, 8, 8), np.uint8), r"got \(2, 3, 8, 8\); move the channels last"),
        (np.zeros((8, 8), np.uint8), r"must have shape \(N, H, W\).*, got \(8, 8\)"),
        (np.zeros((8, 8, 3), np.uint8), r"one image \(8, 8, 3\)\? pass images\[None\]"),
        (np.zeros((0, 8, 8), np.uint8), r"must have pixels, got shape \(0, 8, 8\)"),
        (np.zeros((2, 0, 8), np.uint8), "must have pixels"),
    ],
)
def test_arrays_that_are_no_images_are_refused(images, reason):
    with pytest.raises(InputError, match=reason):
        ArraySource(images)


def test_a_class_made_from_an_array_source_may_load_otherwise():
    class Darker(ArraySource):
        def load(self, index):
            return super().load(index) // 2

    assert Darker(stack()).load_reduced(0, (1, 1)).pixels.max() == 127


def test_array_labels_and_keys():
    source = ArraySource(stack(), [4, None, "cat"])
    assert [item.label for item in source.items] == ["4", None, "cat"]
    assert [item.label for item in ArraySource(stack(), np.array([1, 2, 3])).items] == ["1", "2", "3"]
    assert [item.key for item in source.items] == [item.key for item in ArraySource(stack()).items]
    assert len({item.key for item in source.items}) == 3
    for missing in (np.array([1.5, np.nan, 2]), np.array(["nan", float("nan"), None], object)):
        labels = [item.label for item in ArraySource(stack(), missing).items]
        assert labels in (["1.5", None, "2.0"], ["nan", None, None])  # a class may be called so
    assert [item.label for item in ArraySource(stack(), np.array([b"a", b"b", b"\xff"])).items] == ["a", "b", "\\xff"]
    with pytest.raises(InputError, match=r"labels must have shape \(N,\), got \(3, 3\); of one-hot rows, pass argmax"):
        ArraySource(stack(), np.eye(3))
    with pytest.raises(InputError, match="labels must be as many as the images: expected 3, got 2"):
        ArraySource(stack(), ["a", "b"])


def test_digest_keeps_its_parts_apart():
    assert digest_bytes("ab", "c") != digest_bytes("a", "bc") != digest_bytes("abc")
    assert digest_bytes("ab", b"c") == digest_bytes(b"ab", "c")


# --- opening ----------------------------------------------------------------------------------------------------------


def test_open_source_knows_every_kind(folder, tmp_path):
    root = folder("pictures/1.png")
    for path in (root, str(root)):
        assert ids(open_source(path)) == ["pictures/1.png"]
    source = open_source(stack(), labels="abc")
    assert [item.label for item in source.items] == ["a", "b", "c"]
    assert open_source(source) is source
    assert isinstance(source, ImageSource)
    with pytest.raises(InputError, match="got int"):
        open_source(3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="labels go with an array"):
        open_source(root, labels=["a"])


def test_open_source_array_files(tmp_path):
    np.save(tmp_path / "greys.npy", stack())
    np.savez(tmp_path / "pair.npz", images=stack(), labels=np.array([7, 8, 9]))
    np.savez(tmp_path / "other.npz", x=stack())
    (tmp_path / "bad.npy").write_bytes(b"hello")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 hello")
    source = open_source(tmp_path / "greys.npy", labels="xyz")
    assert (source.name, source.kind, source.items[2].label) == ("greys", "array", "z")
    np.testing.assert_array_equal(source.load(0), repeated(GREYS))
    assert [item.label for item in open_source(str(tmp_path / "pair.npz")).items] == ["7", "8", "9"]
    assert open_source(tmp_path / "pair.npz", labels="xyz").items[0].label == "x"
    with pytest.raises(SourceError, match=r"other\.npz must hold an array called 'images', got x"):
        open_source(tmp_path / "other.npz")
    for name in ("bad.npy", "bad.npz"):
        with pytest.raises(SourceError, match=f"{name} is not a readable NumPy file"):
            open_source(tmp_path / name)


def test_an_array_that_is_packed_as_no_picture_is_is_not_unpacked(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", images=np.zeros((300, 1000, 1000), np.uint8))
    tracemalloc.start()
    with pytest.raises(SourceError, match=r"images\.npy in a\.npz unpacks to 286 MB from .* kB, expected at most 100"):
        open_source(tmp_path / "a.npz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000


def test_an_array_that_says_it_is_larger_than_any_memory(tmp_path):
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (2**40, 8, 6)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", head.getvalue() + bytes(100))
    with pytest.raises(SourceError, match=r"a\.npz says that it holds more than there is memory for"):
        open_source(tmp_path / "a.npz")


@pytest.mark.parametrize("dtype", ["uint8", ">u2", "float32", "bool"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_file_gives_what_the_array_gives(tmp_path, dtype, order):
    """Keys as well, or its images would be embedded again."""
    images = np.random.default_rng(0).random((5, 12, 9, 3))
    images = (images if dtype == "float32" else images * 2 if dtype == "bool" else images * 255).astype(dtype)
    np.save(tmp_path / "a.npy", np.asarray(images, order=order))
    one, other = open_source(tmp_path / "a.npy"), ArraySource(images)
    copy = pickle.loads(pickle.dumps(one))  # as a worker gets it
    assert [item.key for item in one.items] == [item.key for item in other.items]
    (tmp_path / "a.npy").unlink()
    for index in range(5):
        np.testing.assert_array_equal(copy.load(index), other.load(index))


def test_an_array_file_that_shrinks_or_goes_while_it_is_open(tmp_path):
    """A map of it would end the process with a signal."""
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((40, 64, 64), np.uint8))
    source = open_source(path)
    with path.open("r+b") as file:
        file.truncate(20_000)
    assert source.load(2).shape == (64, 64, 3)
    with pytest.raises(UnreadableError, match=r"a\.npy has become shorter"):
        source.load(39)
    path.unlink()
    with pytest.raises(UnreadableError, match="No such file"):
        source.load(2)


def test_a_data_set_name_wins_over_a_folder_of_that_name(folder, monkeypatch):
    root = folder("fashion-mnist-test/bags/1.png")
    monkeypatch.chdir(root)
    assert open_source("fashion-mnist-test").kind == "dataset"
    assert ids(open_source("./fashion-mnist-test")) == ["bags/1.png"]
    assert ids(open_source(Path("fashion-mnist-test"))) == ["bags/1.png"]


def test_unknown_names_and_single_files(folder):
    with pytest.raises(SourceError, match=r"nothing is called 'Fashion_MNIST'; .*; did you mean 'fashion-mnist'"):
        open_source("Fashion_MNIST")
    with pytest.raises(
        SourceError, match=r"expected a folder of images, a \.npy or \.npz file, a tar or .*, or a data set \(fash"
    ):
        open_source("/nowhere/at/all")
    with pytest.raises(SourceError, match=r"1\.png' is a single file; expected a folder"):
        open_source(folder("1.png") / "1.png")


def test_limit_is_seeded_ordered_nested_and_stable():
    images = np.arange(500, dtype=np.uint16).reshape(500, 1, 1)
    few, more = open_source(images, limit=20, seed=3), open_source(images, limit=50, seed=3)
    assert len(few.items) == 20
    assert ids(few) == sorted(ids(few)) == ids(open_source(images, limit=20, seed=3))
    assert set(ids(few)) < set(ids(more))
    assert ids(few) != ids(open_source(images, limit=20, seed=4))
    assert (few.name, few.kind) == ("array", "array")
    row = int(few.items[7].id)
    np.testing.assert_array_equal(few.load(7), ArraySource(images).load(row))
    assert len(open_source(images, limit=9999).items) == 500
    longer = open_source(np.concatenate([images, images[:50] + np.uint16(900)]), limit=20, seed=3)
    assert len(set(ids(few)) & set(ids(longer))) >= 15
    with pytest.raises(InputError, match="limit must be at least 1, got 0"):
        open_source(images, limit=0)


# --- many, odd and moved files ----------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="such names are not allowed there")
def test_odd_names(folder):
    names = [
        "line\nbreak.png",
        "quo'te\".png",
        "x" * 251 + ".png",
        "\u05e9\u05dc\u05d5\u05dd.png",
        "a" * 250 + "/1.png",
    ]
    source = FolderSource(folder(*names))
    assert sorted(ids(source)) == sorted(names)
    for index in range(len(names)):
        np.testing.assert_array_equal(source.load(index), np.asarray(corners()))


def test_the_order_is_that_of_pieces_by_value():
    """Against the definition: components in turn, digits as numbers, letters of either case beside each other."""

    def slow(path: str) -> Any:
        pieces = [re.split(r"([0-9]+)", part) for part in path.casefold().split("/")]
        return [[int(each) if odd % 2 else each for odd, each in enumerate(part)] for part in pieces], path

    chance = random.Random(0)
    paths = ["".join(chance.choices("aB01 29/./é-", k=chance.randrange(1, 10))) for _ in range(3000)]
    expected = sorted(paths, key=slow)
    sort_naturally(paths)
    assert paths == expected


def test_items_hold_what_was_put_in():
    made = [Item(f"שלום {n}\n", f"{n * 7919:016x}", None if n % 5 == 0 else f"l{n % 3}", "train") for n in range(50)]
    items = Items(made)
    assert list(items) == made
    assert (items[-1], items[3:7], len(items)) == (made[-1], made[3:7], 50)
    with pytest.raises(IndexError):
        items[50]
    assert Items([*made, made[3], made[40]]).doubled().tolist() == [3, 40, 50, 51]
    assert Items(made).doubled().tolist() == []


def test_a_hundred_thousand_items_take_little_memory():
    tracemalloc.start()
    items = Items(Item(f"class_{n % 100}/image_{n:07}.jpg", f"{n:016x}", f"class_{n % 100}") for n in range(100_000))
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(items) == 100_000
    assert held < 7_000_000
    assert peak < 12_000_000
