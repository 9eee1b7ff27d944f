import base64
import hashlib
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from dinoscope.base.digests import digest_json
from dinoscope.collection import Collection
from dinoscope.embedding.pipeline import embed_source
from dinoscope.errors import InputError
from dinoscope.models.encoder import Encoder
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.sources.opening import open_source
from dinoscope.stages.checking.receipt import make_receipt, read_receipt
from dinoscope.stages.checking.repeated import (
    COARSE_TOLERANCE,
    TOLERANCE,
    WHOLE_TOLERANCE,
    compare_collection,
    embed_again,
)

N = 80


@pytest.fixture(scope="module")
def encoder():
    return Encoder("mini-fashion", batch_size=16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("receipts") / "clothes"
    for index, pixels in enumerate(load_dataset("fashion-mnist-test").pixels[:N]):
        file = path / "ab"[index % 2] / f"{index:03d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    return path


@pytest.fixture(scope="module")
def collection(folder, encoder):
    embed_source(open_source(folder), folder.parent / "c", encoder)
    opened = Collection(folder.parent / "c")
    opened.map(method="pca")
    return opened


@pytest.fixture(scope="module")
def receipt(collection):
    return make_receipt(collection)


def test_what_a_receipt_states(receipt, collection, encoder):
    assert receipt["images"]["count"] == N
    assert receipt["vectors"] == {
        "shape": [N, 256],
        "digest": hashlib.sha256(collection.vectors.astype("<f4").tobytes()).hexdigest(),
    }
    assert receipt["model"]["weights_sha256"] == encoder.weights_sha256
    assert receipt["model"]["preprocessing"] == encoder.preprocessing.key
    (maker,) = receipt["made_by"]
    assert (maker["device"], maker["precision"]) == (encoder.device, encoder.precision)
    assert {"python", "numpy", "onnxruntime", "pillow"} <= set(maker["versions"])
    assert [each["stage"] for each in receipt["results"]] == ["map"]
    collection.scores(3)  # which has values alone
    results = make_receipt(collection)["results"]
    assert receipt["results"][0] in results
    (scores,) = (each for each in results if each["stage"] == "scores")
    assert scores["digest"] != hashlib.sha256().hexdigest()
    assert receipt["seeds"].keys() == {"order", "sample"}
    assert len({each["image"] for each in receipt["sample"]}) == 64
    first = receipt["sample"][0]
    position = [digest_json(each) for each in collection.ids].index(first["image"])
    vector = np.frombuffer(base64.b64decode(first["vector"]), "<f4")
    np.testing.assert_array_equal(vector, collection.vectors[position])


def test_a_receipt_names_no_path_and_no_file(receipt, folder, collection):
    text = json.dumps(receipt)
    assert str(folder.parent) not in text
    assert not any(each in text for each in collection.ids)
    assert not re.search(r'"[^"]*\.png', text)


def test_the_same_machine_makes_the_same_vectors(receipt, folder, encoder):
    found = embed_again(receipt, open_source(folder), encoder)
    assert (found.images, found.missing, found.same_pictures) == (64, 0, 64)
    assert found.largest <= 1e-6
    assert found.similarity == pytest.approx(1, abs=1e-6)
    assert found.tolerance == 1e-4
    assert found.within


def test_other_vectors_are_beyond_the_tolerance(receipt, folder, encoder):
    changed = json.loads(json.dumps(receipt))
    vector = np.frombuffer(base64.b64decode(changed["sample"][5]["vector"]), "<f4").copy()
    vector[3] += 0.01
    changed["sample"][5]["vector"] = base64.b64encode(vector.tobytes()).decode()
    found = embed_again(changed, open_source(folder), encoder)
    assert found.largest == pytest.approx(0.01, abs=1e-4)
    assert not found.within
    assert embed_again(changed, open_source(folder), encoder, tolerance=0.02).within
    changed["model"]["precision"] = "bf16"
    assert embed_again(changed, open_source(folder), encoder).tolerance == COARSE_TOLERANCE


def test_whole_numbers_are_the_same_again_and_have_a_tolerance_of_their_own(folder, tmp_path):
    whole = Encoder("mini-fashion", precision="int8", threads=1)
    embed_source(open_source(folder), tmp_path / "c", whole)
    stated = make_receipt(Collection(tmp_path / "c"))
    again = Encoder.from_description(stated["model"], threads=2)
    again.batch_size = 7
    found = embed_again(stated, open_source(folder), again)
    assert (found.largest, found.tolerance, found.within) == (0, WHOLE_TOLERANCE, True)
    exact = embed_again(stated, open_source(folder), Encoder("mini-fashion"))
    assert exact.tolerance == COARSE_TOLERANCE
    assert exact.largest > TOLERANCE


def test_changed_and_missing_images_are_told_apart(tmp_path, receipt, folder, encoder):
    copy = shutil.copytree(folder, tmp_path / "clothes")
    sampled = {each["image"] for each in receipt["sample"]}
    names = [item.id for item in open_source(copy).items if digest_json(item.id) in sampled]
    (copy / names[0]).unlink()
    (copy / names[1]).write_bytes(b"no picture")
    Image.fromarray(np.full((28, 28), 99, np.uint8)).save(copy / names[2])
    found = embed_again(receipt, open_source(copy), encoder)
    assert (found.images, found.missing, found.same_pictures) == (62, 2, 61)
    assert not found.within


def test_another_source_and_other_vectors_are_errors(receipt, folder, encoder):
    with pytest.raises(InputError, match=r"none of the 64 images of the receipt is in 'array'.*the source 'clothes'"):
        embed_again(receipt, open_source(np.zeros((3, 8, 8), np.uint8)), encoder)


def test_a_collection_is_compared_without_a_model(tmp_path, receipt, collection, folder, encoder):
    found = compare_collection(receipt, collection)
    assert (found.images, found.largest, found.differing, found.within) == (64, 0.0, (), True)
    copy = shutil.copytree(folder, tmp_path / "clothes")
    shutil.copy(copy / "a" / "000.png", copy / "a" / "new.png")
    embed_source(open_source(copy), tmp_path / "c", encoder)
    found = compare_collection(receipt, Collection(tmp_path / "c"))
    assert found.largest == 0.0
    assert found.differing[0].startswith("images: 81 with digest ")
    assert not found.within


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is not a receipt, or was changed"),
        ("[1]", "is not a receipt: expected what 'dinoscope receipt"),
        ('{"receipt": 1}', "is not a receipt: expected what 'dinoscope receipt"),
        ('{"receipt": 9}', "is a receipt of version 9, this dinoscope reads 1"),
    ],
)
def test_what_is_no_receipt(tmp_path, text, told):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(InputError, match=told):
        read_receipt(tmp_path / "r.json")
    with pytest.raises(InputError, match="there is no receipt"):
        read_receipt(tmp_path / "nothing.json")


def test_commands(tmp_path, run, collection, folder):
    file = tmp_path / "receipt.json"
    code, _, err = run("receipt", collection.path, "-o", file)
    assert (code, "receipt of 80 images in" in err) == (0, True)
    code, out, _ = run("receipt", collection.path)
    assert json.loads(out)["images"] == read_receipt(file)["images"]
    code, out, _ = run("verify", file, folder)
    assert code == 0
    assert "within the tolerance of 0.0001" in out
    code, out, _ = run("verify", file, collection.path, "--json")
    assert code == 0
    assert json.loads(out)["within"] is True
    changed = shutil.copytree(folder, tmp_path / "clothes")
    for item in open_source(changed).items[:40]:
        Image.fromarray(np.full((28, 28), 7, np.uint8)).save(changed / item.id)
    code, out, err = run("verify", file, changed)
    assert code == 1
    assert "BEYOND the tolerance" in out
    assert "the pictures themselves are not the same" in err
    file.write_text(file.read_text().replace('"seeds"', '"sedes"'))
    code, _, err = run("verify", file, folder)
    assert code == 1
    assert "was changed (its checksum does not fit)" in err
