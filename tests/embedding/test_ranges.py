"""Pictures of more than 8 bits: one range of values a collection."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.errors import CollectionError
from dinoscope.sources.array import ArraySource
from dinoscope.sources.folder import FolderSource
from dinoscope.sources.pixels.decode import read_image
from dinoscope.storage.files import write_json
from dinoscope.storage.manifest import read_manifest


def greys(seed: int = 0, count: int = 12) -> np.ndarray:
    """Pictures (N, 24, 24) of values from 0 to 1."""
    random = np.random.default_rng(seed)
    return np.stack([np.linspace(0, 1, 576)[random.permutation(576)].reshape(24, 24) ** 1.5 for _ in range(count)])


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    """The same pictures of 8 bits, embedded."""
    source = ArraySource(np.rint(greys() * 255).astype(np.uint8))
    return Collection.from_images(source, tmp_path_factory.mktemp("eight"))


def agreement(one: Collection, other: Collection) -> float:
    return float((one.vectors * other.vectors).sum(1).min())


@pytest.mark.parametrize(
    ("top", "form", "dtype"),
    [(4095, "png", np.uint16), (4095, "tif", np.uint16), (4095, "tif", np.int32), (1023, "tif", np.float32)],
)
def test_12_bits_in_a_file_of_16_are_as_bright_as_8_bits(tmp_path, eight, top, form, dtype):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for at, picture in enumerate(greys()):
        Image.fromarray((picture * top).astype(dtype)).save(folder / f"{at}.{form}")
    made = Collection.from_images(folder, tmp_path / "made")
    assert read_manifest(made.path)["range"] == [0, top]
    assert made.embedded is not None
    assert made.embedded.value_range == (0, top)
    assert agreement(made, eight) > 0.999
    vector = made.query_vector(str(folder / "3.") + form)
    np.testing.assert_allclose(vector, made.vectors[3], atol=1e-5)  # a query is scaled as the collection is


def test_int16_with_negative_values_keeps_its_order(tmp_path, eight):
    made = Collection.from_images((greys() * 3000 - 1000).astype(np.int16), tmp_path / "scans")
    assert read_manifest(made.path)["range"] == pytest.approx([-1000, 2000], abs=10)
    assert agreement(made, eight) > 0.99


def test_one_range_for_all_so_that_a_dark_picture_stays_dark(tmp_path):
    pictures = np.rint(greys() * 4095).astype(np.uint16)
    pictures[5] //= 8
    source = ArraySource(pictures)
    Collection.from_images(source, tmp_path / "made")
    assert source.load(5).max() == 32
    assert source.load(4).max() == 255


def test_later_images_and_models_have_the_range_of_the_first(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.fromarray(np.zeros((24, 24, 3), np.uint8)).save(folder / "a.jpg")
    Collection.from_images(folder, tmp_path / "made")
    assert read_manifest(tmp_path / "made")["range"] is None  # there was none to be seen
    for at, picture in enumerate(greys()):
        Image.fromarray((picture * 4095).astype(np.uint16)).save(folder / f"{at}.png")
    Collection.from_images(folder, tmp_path / "made")
    assert read_manifest(tmp_path / "made")["range"] == [0, 4095]
    Image.fromarray(np.full((24, 24), 65535, np.uint16)).save(folder / "z.png")
    source = FolderSource(folder)
    Collection.from_images(source, tmp_path / "made", model="mini-fashion")
    assert source.decoding.value_range == (0, 4095)


def test_a_collection_from_before_keeps_what_it_had(tmp_path, run):
    folder, path = tmp_path / "pictures", tmp_path / "made"
    folder.mkdir()
    for at, picture in enumerate(greys()):
        Image.fromarray((picture * 4095).astype(np.uint16)).save(folder / f"{at}.png")
    assert run("embed", folder, "-o", path, "--range", "0,65535")[0] == 0
    before = Collection(path).vectors
    write_json(path / "collection.json", {k: v for k, v in read_manifest(path).items() if k != "range"}, checked=True)
    Image.fromarray((greys(1)[0] * 4095).astype(np.uint16)).save(folder / "new.png")
    source = FolderSource(folder)
    again = Collection.from_images(source, path)
    assert "range" not in read_manifest(path)
    np.testing.assert_array_equal(again.vectors[:12], before)
    np.testing.assert_array_equal(source.load(0), read_image(folder / "0.png"))
    assert "none stored: pictures of more than 8 bits go from 0 to 65535" in " ".join(run("info", path)[1].split())
    with pytest.raises(CollectionError, match=r"has the range 0,65535 for whole numbers and .*, got 0,4095: name"):
        Collection.from_images(FolderSource(folder), path, value_range=(0, 4095))


def test_the_range_is_printed_asked_for_and_told(tmp_path, run):
    np.save(tmp_path / "scans.npy", (greys() * 3000).astype(np.int16))
    out = run("embed", tmp_path / "scans.npy", "-o", tmp_path / "made", "--range", "100,2000")
    assert "pictures of more than 8 bits: 100 is black, 2000 is white" in out[2]
    assert "100 is black, 2000 is white" in run("info", tmp_path / "made")[1]
    facts = json.loads(run("info", tmp_path / "made", "--json")[1])
    assert (facts["range"], facts["range_stored"]) == ([100, 2000], True)
    code, _, error = run("embed", tmp_path / "scans.npy", "-o", tmp_path / "made", "--range", "0,9")
    assert (code, "has the range 100,2000, got 0,9: name another folder with -o" in error) == (1, True)
    for wrong in ("7", "9,3", "a,b"):
        code, _, error = run("embed", tmp_path / "scans.npy", "-o", tmp_path / "other", "--range", wrong)
        assert (code, "must be two numbers, black before white, such as 0,4095; got" in error) == (1, True)


def test_a_manifest_that_was_damaged_gets_its_range_back(tmp_path):
    source = ArraySource((greys() * 4095).astype(np.uint16))
    path = Collection.from_images(source, tmp_path / "made").path
    (path / "collection.json").write_text("{")
    Collection.from_images(ArraySource((greys() * 4095).astype(np.uint16)), path)
    assert read_manifest(path)["range"] == [0, 4095]


def test_a_receipt_says_the_range_and_verify_uses_it(tmp_path, run):
    np.save(tmp_path / "scans.npy", (greys() * 3000 - 500).astype(np.int16))
    assert run("embed", tmp_path / "scans.npy", "-o", tmp_path / "made")[0] == 0
    assert run("receipt", tmp_path / "made", "-o", tmp_path / "receipt.json")[0] == 0
    code, out, _ = run("verify", tmp_path / "receipt.json", tmp_path / "scans.npy")
    assert (code, "within the tolerance" in out, "12 of 12" in out) == (0, True, True)
