"""Objects marked by COCO, YOLO or Pascal VOC: which pixels, labels, splits and names they get, and the way back."""

import json
import pickle

import numpy as np
import pytest
import yaml
from PIL import Image

from dinoscope import Collection
from dinoscope.errors import CollectionError, ImageError, InputError, SourceError
from dinoscope.sources.boxes import BoxSource
from dinoscope.sources.folder import FolderSource
from dinoscope.sources.folders import FolderRule
from dinoscope.sources.opening import open_source
from dinoscope.sources.pixels.decode import read_image

# Each picture: where it is, and its objects: class, left, top, width, height.
SCENES = {
    "train/street.png": [("car", 4, 6, 20, 10), ("dog", 30, 2, 8, 24)],
    "train/yard.png": [("dog", 0, 0, 16, 12)],
    "valid/street.png": [("car", 10, 10, 30, 20)],
}
WIDTH, HEIGHT = 48, 32
CLASSES = ["car", "dog"]
PLAIN = '{"id": 1, "image_id": 1, "bbox": [0, 0, 1, 1]}'
PICTURE = '"images": [{"id": 1, "file_name": "p.png"}]'


def draw(place, seed=0, size=(WIDTH, HEIGHT)):
    place.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(place)


def draw_all(folder):
    for seed, name in enumerate(SCENES):
        draw(folder / name, seed)


def write_coco(path, scenes=None, **more):
    scenes = SCENES if scenes is None else scenes
    images = [{"id": at, "file_name": name, "width": WIDTH, "height": HEIGHT} for at, name in enumerate(scenes)]
    annotations = [
        {"id": 100 * at + number, "image_id": at, "category_id": 5 + CLASSES.index(label), "bbox": box}
        for at, objects in enumerate(scenes.values())
        for number, (label, *box) in enumerate(objects)
    ]
    categories = [{"id": 5 + number, "name": name} for number, name in enumerate(CLASSES)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories, **more}))


def write_voc(folder):
    for name, objects in SCENES.items():
        marked = "".join(
            f"<object><name>{label}</name><bndbox><xmin>{x + 1}</xmin><ymin>{y + 1}</ymin><xmax>{x + wide}</xmax>"
            f"<ymax>{y + high}</ymax></bndbox></object>"
            for label, x, y, wide, high in objects
        )
        path = (folder / name).with_suffix(".xml")
        path.parent.mkdir(parents=True, exist_ok=True)
        size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height></size>"
        path.write_text(f"<annotation><filename>{path.stem}.png</filename>{size}{marked}</annotation>")


def write_yolo(folder):
    for name, objects in SCENES.items():
        path = (folder / name).with_suffix(".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            f"{CLASSES.index(label)} {(x + wide / 2) / WIDTH} {(y + high / 2) / HEIGHT} {wide / WIDTH} {high / HEIGHT}"
            for label, x, y, wide, high in objects
        ]
        path.write_text("\n".join(lines) + "\n")


def check_scenes(source, folder, prefix=""):
    """Compare every object with its cut from the picture, by NumPy."""
    told = [(name, each) for name, objects in SCENES.items() for each in objects]
    assert isinstance(source, BoxSource)
    assert len(source.items) == len(told)
    for at, (name, (label, x, y, wide, high)) in enumerate(told):
        item = source.items[at]
        assert item.id.startswith(f"{prefix}{name}#")
        assert item.label == label
        assert item.split == {"train": "train", "valid": "val"}[name.split("/")[0]]
        expected = read_image(folder / prefix / name)[y : y + high, x : x + wide]
        assert np.array_equal(source.load(at), expected)
    assert len({item.id for item in source.items}) == len({item.key for item in source.items}) == len(told)


def test_coco_beside_its_pictures(tmp_path):
    draw_all(tmp_path)
    write_coco(tmp_path / "objects.json")
    source = open_source(tmp_path / "objects.json")
    check_scenes(source, tmp_path)
    assert source.items[1].id == "train/street.png#1"
    assert source.items[2].id == "train/yard.png#100"  # COCO's own id
    assert source.name == "objects.json"
    assert source.notes == ["4 objects in 3 pictures; each is an image of its own"]


def test_coco_in_the_folder_annotations_with_a_file_a_split(tmp_path):
    for seed, name in enumerate(["train2017/0.png", "val2017/0.png", "val2017/1.png"]):
        draw(tmp_path / name, seed)
    write_coco(tmp_path / "annotations" / "instances_train2017.json", {"0.png": SCENES["train/street.png"]})
    write_coco(tmp_path / "annotations" / "instances_val2017.json", {"1.png": SCENES["train/yard.png"]})
    with pytest.raises(SourceError, match=r"says '0.png', which may be any of train2017/0.png, val2017/0.png"):
        open_source(tmp_path / "annotations")
    one = open_source(tmp_path / "annotations" / "instances_val2017.json")
    assert [(item.id, item.split) for item in one.items] == [("val2017/1.png#0", "val")]
    assert one.notes[1] == "2 pictures without an object left out"


def test_coco_of_roboflow_lies_beside_the_pictures_of_each_split(tmp_path):
    draw_all(tmp_path)
    for split in ("train", "valid"):
        mine = {name.split("/")[1]: objects for name, objects in SCENES.items() if name.startswith(split)}
        write_coco(tmp_path / split / "_annotations.coco.json", mine)
    source = open_source(f"{tmp_path}/*/_annotations.coco.json")
    assert [item.id.split("#")[0] for item in source.items] == [name for name, each in SCENES.items() for _ in each]
    assert [item.split for item in source.items] == ["train", "train", "train", "val"]


def test_voc_in_a_folder_of_its_own(tmp_path):
    for seed, name in enumerate(SCENES):
        draw(tmp_path / "JPEGImages" / name, seed)
    write_voc(tmp_path / "Annotations")
    check_scenes(open_source(tmp_path / "Annotations"), tmp_path, "JPEGImages/")


def test_yolo_by_its_yaml_and_by_its_labels(tmp_path):
    for seed, name in enumerate(SCENES):
        draw(tmp_path / "images" / name, seed)
    write_yolo(tmp_path / "labels")
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"train": "../train/images", "nc": 2, "names": CLASSES}))
    check_scenes(open_source(tmp_path / "data.yaml"), tmp_path, "images/")
    (tmp_path / "labels" / "classes.txt").write_text("\n".join(CLASSES))
    check_scenes(open_source(tmp_path / "labels"), tmp_path, "images/")
    (tmp_path / "labels" / "classes.txt").unlink()
    unnamed = open_source(f"{tmp_path}/labels/train/*.txt", image_root=tmp_path / "images" / "train")
    assert [item.label for item in unnamed.items] == ["0", "1", "1"]


@pytest.mark.parametrize("apart", [True, False])
def test_other_texts_beside_yolo_are_left_alone(tmp_path, apart):
    """Roboflow writes a README, and Darknet a list of the pictures."""
    for seed, name in enumerate(SCENES):
        draw(tmp_path / ("images" if apart else "") / name, seed)
    write_yolo(tmp_path / "labels" if apart else tmp_path)
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"names": CLASSES}))
    (tmp_path / "README.roboflow.txt").write_text("Provided by a Roboflow user\n")
    (tmp_path / "train.txt").write_text("".join(f"images/{name}\n" for name in SCENES))
    (tmp_path / "train" / "notes.TXT").parent.mkdir(exist_ok=True)
    (tmp_path / "train" / "notes.TXT").write_text("from 2024")
    check_scenes(open_source(tmp_path / "data.yaml"), tmp_path, "images/" if apart else "")


def test_yolo_in_large_letters(tmp_path):
    draw(tmp_path / "P.PNG")
    (tmp_path / "P.TXT").write_text("1 0.5 0.5 1 1\n")
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"names": CLASSES}))
    assert [(item.id, item.label) for item in open_source(tmp_path / "data.yaml").items] == [("P.PNG#1", "dog")]


def test_yolo_polygons_and_predictions(tmp_path):
    draw(tmp_path / "a.b.png")
    (tmp_path / "data.yaml").write_text("names: {0: car, 1: dog}")
    (tmp_path / "a.b.txt").write_text("1 0.25 0.25 0.5 0.25 0.5 0.75 0.3 0.5\n0 0.5 0.5 1 1 0.93\n")
    source = open_source(tmp_path / "data.yaml")
    assert [(item.id, item.label) for item in source.items] == [("a.b.png#1", "dog"), ("a.b.png#2", "car")]
    whole = read_image(tmp_path / "a.b.png")
    assert np.array_equal(source.load(0), whole[8:24, 12:24])
    assert np.array_equal(source.load(1), whole)


def test_boxes_of_polygons_at_the_edge_and_on_resized_pictures(tmp_path):
    draw(tmp_path / "p.png", size=(24, 16))  # half of what the annotations say
    annotations = [
        {"id": 1, "image_id": 0, "category_id": 5, "segmentation": [[4, 4, 20, 4, 12, 16]]},
        {"id": 2, "image_id": 0, "category_id": 99, "bbox": [-6, -8, 16, 20]},
        {"id": 3, "image_id": 0, "category_id": 5, "bbox": [60, 4, 10, 10]},
        {"id": 4, "image_id": 0, "category_id": 5, "bbox": [0, 0, 48, 32], "iscrowd": 1},
    ]
    write_coco(tmp_path / "objects.json", {"p.png": []}, annotations=annotations)
    source = open_source(tmp_path / "objects.json")
    whole = read_image(tmp_path / "p.png")
    assert [item.label for item in source.items] == ["car", None, "car"]
    assert np.array_equal(source.load(0), whole[2:8, 2:10])
    assert np.array_equal(source.load(1), whole[0:6, 0:5])
    with pytest.raises(ImageError, match="its box is empty, or lies outside the picture"):
        source.load(2)


def test_a_picture_turned_since_is_refused(tmp_path):
    draw(tmp_path / "p.png", size=(HEIGHT, WIDTH))
    write_coco(tmp_path / "objects.json", {"p.png": [("car", 0, 0, 8, 8)]})
    with pytest.raises(ImageError, match="drawn on a picture of 48 x 32 pixels, and this one has 32 x 48, upright"):
        open_source(tmp_path / "objects.json").load(0)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.json", "{", "a.json is not JSON"),
        ("a.json", "[" * 100_000, "a.json is not JSON"),
        ("a.json", '{"rows": 1}', "a.json holds no annotations: expected COCO's form"),
        ("a.json", '{"annotations": [{"id": 1, "image_id": 7, "bbox": [0,0,1,1]}]}', "annotation 1 is of image 7"),
        ("a.json", '{"annotations": [3]}', "expected objects in 'annotations', got 3"),
        ("a.json", '{"images": [{"id": {}}], "annotations": []}', "expected objects in 'images'"),
        (
            "a.json",
            f'{{{PICTURE}, "annotations": [{{"id": 1, "image_id": 1, "bbox": [0, "x"]}}]}}',
            "annotation 1 has no box: expected 'bbox' of 4 numbers",
        ),
        (
            "a.json",
            f'{{{PICTURE}, "annotations": [{{"id": 1, "image_id": 1, "bbox": [0, 0, 1, NaN]}}]}}',
            "object 1: expected a box of 4 numbers",
        ),
        ("a.json", '{"annotations": []}', "marks no object"),
        ("a.json", '{"images": 5, "annotations": []}', "expected a list in 'images', got 5"),
        ("a.json", '{"annotations": [{"id": 1, "image_id": [1]}]}', "expected objects in 'annotations'"),
        (
            "a.json",
            f'{{{PICTURE}, "annotations": [{{"id": 1, "image_id": 1, "category_id": [1], "bbox": [0, 0, 1, 1]}}]}}',
            "expected objects in 'annotations'",
        ),
        (
            "a.json",
            f'{{{PICTURE}, "annotations": [{{"image_id": 1, "bbox": [0, 0, 1, 1]}}]}}',
            "a.json: expected an id of its own for each annotation, got one without",
        ),
        (
            "a.json",
            f'{{{PICTURE}, "annotations": [{", ".join(2 * [PLAIN])}]}}',
            "a.json: expected an id of its own for each annotation, got 1 twice",
        ),
        ("a.xml", "<html/>", "not an annotation of Pascal VOC"),
        ("a.xml", '<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "not an annotation of Pascal VOC"),
        ("a.xml", "<annotation", "not an annotation of Pascal VOC"),
        ("a.xml", "<annotation><object><name>x</name></object></annotation>", "expected a box of 4 numbers"),
        ("a.yaml", "names: 3", "a.yaml has no names of classes"),
        ("a.yaml", "{", "a.yaml has no names of classes"),
    ],
)
def test_what_is_no_annotation(tmp_path, name, text, reason):
    draw(tmp_path / "p.png")
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=reason) as raised:
        open_source(tmp_path / name)
    assert "\n" not in str(raised.value)
    assert str(tmp_path) not in str(raised.value)


def test_a_file_in_utf_16_is_no_way_round_the_ban_on_entities(tmp_path):
    draw(tmp_path / "p.png")
    marked = (
        "<object><name>&b;</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
    )
    text = f'<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY b "c">]><annotation>{marked}</annotation>'
    (tmp_path / "p.xml").write_text(text, "utf-16")
    with pytest.raises(SourceError, match=r"p.xml is not an annotation of Pascal VOC"):
        open_source(tmp_path / "p.xml")


def test_files_that_share_ids_lose_no_object(tmp_path):
    """COCO's instances and person_keypoints have the ids of their annotations in common."""
    data = tmp_path / "data"
    draw_all(data)
    write_coco(data / "instances.json")
    write_coco(data / "person_keypoints.json")
    source = open_source(f"{data}/*.json")
    assert [item.id for item in source.items][:4] == [
        "train/street.png#0",
        "train/street.png#1",
        "train/street.png#0#2",
        "train/street.png#1#2",
    ]
    assert len({item.id for item in source.items}) == len({item.key for item in source.items}) == 8
    first = Collection.from_images(f"{data}/*.json", tmp_path / "c", model="mini")
    assert len(first) == 8
    again = Collection.from_images(f"{data}/*.json", tmp_path / "c", model="mini")
    assert again.embedded is not None
    assert (len(again), again.embedded.embedded, again.embedded.removed) == (8, 0, 0)


def test_two_objects_with_the_same_box_have_a_label_each(tmp_path):
    data = tmp_path / "data"
    draw(data / "p.png")
    write_coco(data / "objects.json", {"p.png": [("car", 0, 0, 30, 30), ("dog", 0, 0, 30, 30), ("dog", 1, 1, 9, 9)]})
    collection = Collection.from_images(data / "objects.json", tmp_path / "c", model="mini")
    collection.annotate([0], label="bird")
    merged = Collection(tmp_path / "c", labels="merged")
    assert merged.labels.tolist() == ["bird", "dog", "dog"]
    merged.export(tmp_path / "out", "annotations", images=data / "objects.json")
    again = open_source(tmp_path / "out" / "objects.json", image_root=data)
    assert [item.label for item in again.items] == ["bird", "dog", "dog"]


def test_a_picture_is_digested_once_for_all_of_its_objects(tmp_path, monkeypatch):
    draw_all(tmp_path)
    write_coco(tmp_path / "objects.json")
    source = open_source(tmp_path / "objects.json")
    asked = []
    digest = FolderSource.content

    def count(self, at):
        asked.append(at)
        return digest(self, at)

    monkeypatch.setattr(FolderSource, "content", count)
    found = [source.content(at) for at in range(4)]
    assert len(asked) == 3
    assert found == [source.load_reduced(at, (1, 1)).content for at in range(4)]
    assert len(set(found)) == 4


@pytest.mark.parametrize("line", ["0 .5 .5 1", "x .5 .5 1 1", "0 .5 nan 1 1", "0.5 .5 .5 1 1", "0 1 1 1 1 1 1 1"])
def test_what_is_no_yolo(tmp_path, line):
    draw(tmp_path / "p.png")
    (tmp_path / "p.txt").write_text(line)
    with pytest.raises(SourceError, match=r"p.txt, object 1: expected YOLO's 'class x y width height'"):
        open_source(f"{tmp_path}/*.txt")


def test_pictures_that_are_elsewhere(tmp_path):
    draw_all(tmp_path / "pictures")
    write_coco(tmp_path / "marked" / "objects.json")
    with pytest.raises(SourceError, match="no images in 'marked'"):
        open_source(tmp_path / "marked" / "objects.json")
    check_scenes(
        open_source(tmp_path / "marked" / "objects.json", image_root=tmp_path / "pictures"), tmp_path / "pictures"
    )
    draw(tmp_path / "marked" / "other.png")
    with pytest.raises(SourceError, match=r"such as 'train/street.png', and marked has none.*--image-root"):
        open_source(tmp_path / "marked" / "objects.json")
    with pytest.raises(InputError, match=r"are for folders and archives: objects.json is of annotations"):
        open_source(tmp_path / "marked" / "objects.json", image_root=tmp_path / "pictures", folders=FolderRule())
    with pytest.raises(InputError, match="columns are those of a table"):
        open_source(tmp_path / "marked" / "objects.json", image_root=tmp_path / "pictures", label_column="x")


def test_a_source_goes_to_other_processes(tmp_path):
    draw_all(tmp_path)
    write_coco(tmp_path / "objects.json")
    source = open_source(tmp_path / "objects.json")
    source.load(0)
    check_scenes(pickle.loads(pickle.dumps(source)), tmp_path)


@pytest.mark.parametrize("form", ["coco", "voc", "yolo"])
def test_labels_given_by_hand_go_back_into_the_same_files(tmp_path, form):
    """Embed the objects, call one by another class and one by a new one, write, and read what was written."""
    data = tmp_path / "data"
    for seed, name in enumerate(SCENES):
        draw(data / "images" / name, seed)
    {"coco": lambda at: write_coco(at / "objects.json", info={"year": 2026}), "voc": write_voc, "yolo": write_yolo}[
        form
    ](data / "labels")
    if form == "yolo":
        (data / "labels" / "classes.txt").write_text("car\ndog\n")
    collection = Collection.from_images(data / "labels", tmp_path / "c", model="mini")
    assert collection.kind == "boxes"
    assert collection.labels.tolist() == ["car", "dog", "dog", "car"]
    assert [each.split("/")[-1] for each in collection.columns()["picture"].values] == [
        *("street.png", "street.png", "yard.png", "street.png")
    ]
    assert collection.sizes.tolist() == [[20, 10], [8, 24], [16, 12], [30, 20]]
    collection.annotate([0], label="dog")
    collection.annotate([3], label="bus")
    merged = Collection(tmp_path / "c", labels="merged")
    remarks = merged.export(tmp_path / "out", "annotations", images=data / "labels")
    assert remarks == ["2 objects with another label than before"]
    again = open_source(tmp_path / "out", image_root=data / "images") if form != "yolo" else None
    if again is None:
        assert (tmp_path / "out" / "classes.txt").read_text() == "car\ndog\nbus\n"
        again = open_source(f"{tmp_path}/out/*/*.txt", image_root=data / "images")
    before = open_source(data / "labels")
    assert [item.label for item in again.items] == ["dog", "dog", "dog", "bus"]
    assert [item.id.split("#")[1] for item in again.items] == [item.id.split("#")[1] for item in before.items]
    assert isinstance(again, BoxSource)
    assert isinstance(before, BoxSource)
    assert [box.corners for box in again.boxes] == [box.corners for box in before.boxes]
    if form == "coco":
        held = json.loads((tmp_path / "out" / "objects.json").read_text())
        assert held["info"] == {"year": 2026}
        assert held["categories"][-1] == {"id": 7, "name": "bus"}


def test_renamed_pictures_keep_their_vectors_and_moved_boxes_do_not(tmp_path):
    data = tmp_path / "data"
    draw_all(data)
    write_coco(data / "objects.json")
    Collection.from_images(data / "objects.json", tmp_path / "c", model="mini")
    (data / "train" / "yard.png").rename(data / "train" / "garden.png")
    changed = {name.replace("yard", "garden"): objects for name, objects in SCENES.items()}
    changed["valid/street.png"] = [("car", 11, 10, 30, 20)]
    write_coco(data / "objects.json", changed)
    again = Collection.from_images(data / "objects.json", tmp_path / "c", model="mini")
    assert again.embedded is not None
    assert (again.embedded.embedded, again.embedded.removed) == (1, 1)


def test_annotations_need_a_collection_of_objects(tmp_path):
    draw_all(tmp_path / "data")
    write_coco(tmp_path / "data" / "objects.json")
    whole = Collection.from_images(tmp_path / "data", tmp_path / "whole", model="mini")
    with pytest.raises(InputError, match="of a collection of objects: name the COCO"):
        whole.export(tmp_path / "out", "annotations", images=tmp_path / "data")
    objects = Collection.from_images(tmp_path / "data" / "objects.json", tmp_path / "c", model="mini")
    write_coco(tmp_path / "data" / "objects.json", {"train/street.png": [("car", 1, 1, 8, 8)]})
    with pytest.raises(CollectionError, match=r"street.png#0 is not in the annotations of --images as it was embedded"):
        objects.export(tmp_path / "out", "annotations", images=tmp_path / "data" / "objects.json")
    assert not (tmp_path / "out").exists()


def test_a_plain_folder_says_that_objects_are_marked(tmp_path):
    draw_all(tmp_path)
    write_coco(tmp_path / "train" / "_annotations.coco.json")
    (tmp_path / "other.json").write_text("{}")
    source = open_source(tmp_path)
    assert source.kind == "folder"
    assert any("train/_annotations.coco.json marks objects in the pictures" in note for note in source.notes)
    (tmp_path / "train" / "_annotations.coco.json").unlink()
    assert not any("marks objects" in note for note in open_source(tmp_path).notes)


def test_the_command_line_embeds_objects_beside_the_annotations(tmp_path, run):
    draw_all(tmp_path)
    write_coco(tmp_path / "objects.json")
    code, out, err = run("embed", str(tmp_path / "objects.json"), "--model", "mini")
    told = out + err
    assert code == 0
    assert "2 labels: car 2, dog 2" in told
    assert "4 objects in 3 pictures" in told
    assert (tmp_path / "objects.dino" / "collection.json").exists()
