"""Every form is read back by a reader that is written out here, by what its tool documents."""

import csv
import io
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.errors import CollectionError, InputError, WriteError
from dinoscope.sources.datasets.named import load_dataset

FORMS = ("imagefolder", "coco", "yolo-cls", "huggingface", "fiftyone", "webdataset", "csv", "parquet")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Pictures of 90 pixels a side as JPEG files, in two splits, one of them without a label."""
    root = tmp_path_factory.mktemp("exports") / "photos"
    dataset = load_dataset("fashion-mnist-test")
    for index in range(30):
        label = str(dataset.items[index].label).replace("/", "-")
        path = root / ("train" if index % 3 else "test") / label / f"{index:02d}.v1.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(dataset.pixels[index]).resize((90, 70)).save(path)
    return root


@pytest.fixture(scope="module")
def collection(photos):
    return Collection.from_images(photos, photos.parent / "photos.dino", model="mini-fashion")


@pytest.fixture(scope="module")
def expected(photos, collection):
    """Label, split and bytes of each file, in the order of the collection."""
    found = []
    for name in collection.ids:
        split, label, _ = name.split("/")
        found.append((label, split, (photos / name).read_bytes()))
    return found


def exported(collection, photos, folder, form, **more):
    collection.export(folder, form, images=str(photos), **more)
    return folder


def read_imagefolder(folder):
    return [(path.parts[-2], path.parts[-3], path.read_bytes()) for path in folder.rglob("*.jpg")]


def read_yolo(folder):
    assert {path.name for path in folder.iterdir()} <= {"train", "val", "test"}
    return read_imagefolder(folder)


def read_coco(folder):
    found = []
    for file in (folder / "annotations").glob("*.json"):
        held = json.loads(file.read_text())
        names = {each["id"]: each["name"] for each in held["categories"]}
        images = {each["id"]: each for each in held["images"]}
        assert len(images) == len(held["images"])
        for each in held["annotations"]:
            image = images[each["image_id"]]
            assert each["bbox"] == [0, 0, image["width"], image["height"]]
            assert each["area"] == 90 * 70
            content = (folder / "images" / image["file_name"]).read_bytes()
            found.append((names[each["category_id"]], file.stem, content))
    return found


def read_fiftyone(folder):
    found = []
    for place in folder.iterdir():
        held = json.loads((place / "labels.json").read_text())
        names = {stem: held["classes"][code] for stem, code in held["labels"].items()}
        found += [(names[file.stem], place.name, file.read_bytes()) for file in (place / "data").iterdir()]
    return found


def read_webdataset(folder):
    """Group the members of a shard by what stands before the first dot, as webdataset does."""
    found, names = [], (folder / "classes.txt").read_text().splitlines()
    for shard in folder.glob("*.tar"):
        samples: dict[str, dict[str, bytes]] = {}
        with tarfile.open(shard) as archive:
            for member in archive:
                key, _, ending = member.name.partition(".")
                held = archive.extractfile(member)
                assert held is not None
                samples.setdefault(key, {})[ending] = held.read()
        for sample in samples.values():
            told = json.loads(sample["json"])
            assert names[int(sample["cls"])] == told["label"]
            found.append((told["label"], shard.name.rpartition("-")[0], sample["jpg"]))
    return found


def read_huggingface(folder):
    found = []
    for file in (folder / "data").glob("*.parquet"):
        table = pq.read_table(file)
        features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
        assert features["image"] == {"_type": "Image"}
        assert set(features) == set(table.column_names)
        for line in table.to_pylist():
            label = features["label"]["names"][line["label"]]
            found.append((label, file.name.partition("-")[0], line["image"]["bytes"]))
    return found


READERS = {
    "imagefolder": read_imagefolder,
    "yolo-cls": read_yolo,
    "coco": read_coco,
    "fiftyone": read_fiftyone,
    "webdataset": read_webdataset,
    "huggingface": read_huggingface,
}


@pytest.mark.parametrize("form", READERS)
def test_labels_splits_and_files_are_read_back(collection, photos, expected, tmp_path, form):
    found = READERS[form](exported(collection, photos, tmp_path / "out", form))
    assert sorted(found) == sorted(expected)


def test_tables_hold_what_is_known_of_each_image(collection, photos, expected, tmp_path):
    more = {"clusters": True, "predictions": True, "vectors": True}
    pandas = pytest.importorskip("pandas")
    table = pandas.read_parquet(exported(collection, photos, tmp_path / "p", "parquet", **more) / "table.parquet")
    with (exported(collection, photos, tmp_path / "c", "csv", **more) / "images.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    for found in (table.to_dict("records"), lines):
        assert [(each["label"], each["split"]) for each in found] == [each[:2] for each in expected]
        assert [each["id"] for each in found] == collection.ids.tolist()
        assert [int(each["cluster"]) for each in found] == collection.clusters().labels.tolist()
        assert [each["predicted"] for each in found] == collection.predictions().labels.tolist()
        assert {(int(each["width"]), int(each["height"])) for each in found} == {(90, 70)}
    np.testing.assert_array_equal(np.stack(table["vector"]), collection.vectors)
    np.testing.assert_array_equal(np.load(tmp_path / "c/vectors.npy"), collection.vectors)


def test_vectors_go_with_their_images(collection, photos, tmp_path):
    folder = exported(collection, photos, tmp_path / "w", "webdataset", vectors=True)
    found = {}
    for shard in folder.glob("*.tar"):
        with tarfile.open(shard) as archive:
            members = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
        for name, content in members.items():
            if name.endswith(".npy"):
                row = json.loads(members[name.replace(".npy", ".json")])["row"]
                found[row] = np.load(io.BytesIO(content))
    np.testing.assert_array_equal(np.stack([found[row] for row in collection.rows.tolist()]), collection.vectors)
    table = pq.read_table(exported(collection, photos, tmp_path / "h", "huggingface", vectors=True) / "data")
    for line in table.to_pylist():
        assert line["vector"] == collection.vectors[collection.position(line["row"])].tolist()


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Small pictures in memory, of labels that are no names of folders; one has none, and some have no split."""
    path = tmp_path_factory.mktemp("odd") / "odd.dino"
    labels = ["a/b", "a-b", "A-B", None, "日本", ".."] * 4
    splits = ["train", None, "my split", "my-split"] * 6
    pixels = load_dataset("fashion-mnist-test").pixels[:24]
    return Collection.from_images(pixels, path, model="mini-fashion", labels=labels, splits=splits)


@pytest.mark.parametrize("form", FORMS)
def test_labels_that_are_no_names_of_folders_stay_apart(odd, tmp_path, form):
    remarks = odd.export(tmp_path / "out", form)
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    if form in ("imagefolder", "yolo-cls"):
        assert remarks[0] == "4 without a label left out"
        assert len(files) == 20
        assert len({path.parent.name for path in files}) == 5
        assert any(remark.startswith("'a/b' is the folder") for remark in remarks)
    if form == "imagefolder":
        assert {path.name for path in (tmp_path / "out").iterdir()} == {"train", "no split", "my split", "my-split"}
    if form == "huggingface":
        assert len(files) == 3 + 0  # images without a split are train
        assert sum(pq.read_metadata(file).num_rows for file in files) == 24
    if form == "webdataset":
        assert len([path for path in files if path.suffix == ".tar"]) == 4
    for path in files:
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert image.size == (28, 28)


def test_several_labels_an_image(tmp_path):
    sets = [["red", "shoe"], ["shoe"], [], ["bag", "red"]] * 3
    pixels = load_dataset("fashion-mnist-test").pixels[:12]
    opened = Collection.from_images(pixels, tmp_path / "c", model="mini-fashion", labels=sets)
    opened.export(tmp_path / "coco", "coco")
    held = json.loads((tmp_path / "coco/annotations/all.json").read_text())
    names = {each["id"]: each["name"] for each in held["categories"]}
    found: dict[int, list[str]] = {each["id"]: [] for each in held["images"]}
    for each in held["annotations"]:
        found[each["image_id"]].append(names[each["category_id"]])
    assert list(found.values()) == sets
    opened.export(tmp_path / "hf", "huggingface")
    table = pq.read_table(tmp_path / "hf/data")
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    names = features["label"]["feature"]["names"]
    assert [[names[code] for code in line] for line in table.column("label").to_pylist()] == sets
    for form in ("imagefolder", "yolo-cls", "fiftyone"):
        with pytest.raises(InputError, match="images have several labels each"):
            opened.export(tmp_path / form, form)
        assert not (tmp_path / form).exists()


def test_yolo_knows_splits_that_say_more(tmp_path):
    pixels, splits = load_dataset("fashion-mnist-test").pixels[:9], ["train", "test_seen", "test_unseen"] * 3
    opened = Collection.from_images(pixels, tmp_path / "c", model="mini-fashion", labels=["a"] * 9, splits=splits)
    opened.export(tmp_path / "out", "yolo-cls")
    counts = {path.name: len(list(path.rglob("*.png"))) for path in (tmp_path / "out").iterdir()}
    assert counts == {"train": 3, "test": 6}


def test_columns_of_a_persons_own_keep_their_values_beside_those_of_a_form(photos, tmp_path):
    """Each name below is also that of a column which an export writes itself."""
    names = ["image", "width", "width (column)", "labels", "vector", "predicted", "cluster", "height", "error"]
    told = ["image (column)", "width (column)", "width (column) (column)", "labels (column)", "vector (column)"]
    told += ["predicted", "cluster (table)", "height (column)", "error"]
    files = sorted(photos.rglob("*.jpg"))[:8]
    lines = [",".join(["path", *names])]
    for at, file in enumerate(files):
        shutil.copy(file, tmp_path / f"{at}.jpg")
        lines.append(",".join([f"{at}.jpg", *(str(1000 * place + at) for place in range(len(names)))]))
    (tmp_path / "t.csv").write_text("\n".join(lines))
    opened = Collection.from_images(
        tmp_path / "t.csv", tmp_path / "c", model="mini-fashion", image_column="path", label_column="none"
    )
    opened.export(tmp_path / "csv", "csv", clusters=True)
    with (tmp_path / "csv/images.csv").open(newline="") as opened_file:
        table = list(csv.DictReader(opened_file))
    for place, name in enumerate(told):
        assert [float(each[name]) for each in table] == [1000.0 * place + at for at in range(8)], name
    assert {each["width"] for each in table} == {"90"}
    opened.export(tmp_path / "hf", "huggingface", images=tmp_path / "t.csv", vectors=True)
    held = pq.read_table(tmp_path / "hf/data")
    assert [each["bytes"] for each in held.column("image").to_pylist()] == [file.read_bytes() for file in files]
    assert held.column("vector").to_pylist() == opened.vectors.tolist()
    assert held.column("vector (column)").to_pylist() == [4000 + at for at in range(8)]


def test_nothing_is_overwritten_and_a_failed_export_leaves_nothing(collection, photos, tmp_path, monkeypatch):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        exported(collection, photos, tmp_path / "full", "csv")
    with pytest.raises(InputError, match="by --images"):
        collection.export(tmp_path / "out", "coco")
    with pytest.raises(InputError, match="did you mean 'coco'"):
        collection.export(tmp_path / "out", "cocoa")

    def full(*_args, **_more):
        raise WriteError(28, "No space left on device")

    monkeypatch.setattr("dinoscope.exporting.write._put", full)
    with pytest.raises(WriteError):
        exported(collection, photos, tmp_path / "out", "coco")
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_a_picture_that_changed_is_not_exported(collection, photos, tmp_path):
    shutil.copytree(photos, tmp_path / "photos")
    Image.new("RGB", (90, 70)).save(tmp_path / "photos" / collection.ids[3])
    with pytest.raises(CollectionError, match="as it was embedded"):
        collection.export(tmp_path / "out", "imagefolder", images=str(tmp_path / "photos"))
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_was_left_out(odd, run, tmp_path):
    code, _, err = run("export", odd.path, "--as", "yolo-cls", "--to", tmp_path / "out")
    assert code == 0
    assert "4 without a label left out" in err
    assert Path(tmp_path / "out/train").is_dir()
    code, _, err = run("export", odd.path, "--as", "csv", "--to", odd.path / "results")
    assert code == 1
    assert "belongs to the collection" in err


def test_datasets_reads_both_of_its_forms(collection, photos, expected, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    for form, kind in (("imagefolder", "imagefolder"), ("huggingface", "parquet")):
        folder = exported(collection, photos, tmp_path / form, form)
        files = {"parquet": {s: str(folder / f"data/{s}-*.parquet") for s in ("train", "test")}}.get(kind)
        more = {"data_files": files} if files else {"data_dir": str(folder)}
        held = datasets.load_dataset(kind, cache_dir=str(tmp_path / "cache"), **more)
        found = []
        for split, part in held.items():
            names = part.features["label"].names
            found += [(names[line["label"]], split, np.asarray(line["image"]).shape[:2]) for line in part]
        assert sorted(found) == sorted((label, split, (70, 90)) for label, split, _ in expected)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves shards open
def test_webdataset_reads_its_shards(collection, photos, expected, tmp_path):
    webdataset = pytest.importorskip("webdataset")
    folder = exported(collection, photos, tmp_path / "out", "webdataset")
    names, found = (folder / "classes.txt").read_text().splitlines(), []
    for split in ("train", "test"):
        shards = sorted(map(str, folder.glob(f"{split}-*.tar")))
        samples = webdataset.WebDataset(shards, shardshuffle=False)
        found += [(names[int(sample["cls"])], split, sample["jpg"]) for sample in samples]
    assert sorted(found) == sorted(expected)


def test_pycocotools_reads_coco(collection, photos, expected, tmp_path):
    coco = pytest.importorskip("pycocotools.coco")
    folder, found = exported(collection, photos, tmp_path / "out", "coco"), []
    for split in ("train", "test"):
        held = coco.COCO(str(folder / f"annotations/{split}.json"))
        for each in held.loadAnns(held.getAnnIds()):
            (image,) = held.loadImgs(each["image_id"])
            (category,) = held.loadCats(each["category_id"])
            found.append((category["name"], split, (folder / "images" / image["file_name"]).read_bytes()))
    assert sorted(found) == sorted(expected)
