"""Labels and splits from the names of folders, of archives and of tables."""

import json
import tarfile
import zipfile
from io import BytesIO
from unicodedata import normalize

import numpy as np
import pytest
from PIL import Image

from dinoscope.base.splits import held_out_split, split_role, training_split
from dinoscope.collection import Collection
from dinoscope.errors import InputError
from dinoscope.sources.folders import FolderRule, read_folders, splits_of_files
from dinoscope.sources.items import Item, Items
from dinoscope.sources.opening import open_source
from tests.pictures import encoded

CLASSES = ("cat", "dog")


def split_tree(*splits, pattern="{split}/{label}/1.png"):
    return [pattern.format(split=split, label=label) for split in splits for label in CLASSES]


def given(names, **rule):
    """Return label and split of each path, as "label/split"; "-" for none."""
    folders = read_folders(names, FolderRule(**rule))
    return ["/".join(part or "-" for part in folders[name]) for name in names]


PLAIN = ["cat/train", "dog/train", "cat/val", "dog/val", "cat/test", "dog/test"]


@pytest.mark.parametrize(
    ("splits", "pattern"),
    [
        (("train", "val", "test"), "{split}/{label}/1.png"),
        (("Train", "VAL", "Test"), "{split}/{label}/1.png"),
        (("training", "validation", "testing"), "{split}/{label}/1.png"),
        (("trn", "valid", "eval"), "{split}/{label}/1.png"),
        (("train", "dev", "test"), "{split}/{label}/1.png"),
        (("train2017", "val2017", "test2017"), "{split}/{label}/1.png"),
        (("train_images", "valid-set", "test_images"), "{split}/{label}/1.png"),
        (("seg_train", "seg_val", "seg_test"), "{split}/{split}/{label}/1.png"),
        (("train", "val", "test"), "archive/{split}/{label}/1.png"),
        (("train", "val", "test"), "images/{split}/{label}/1.png"),
        (("train", "val", "test"), "{split}/images/{label}/1.png"),
        (("train", "val", "test"), "{split}/{label}/images/1.png"),
        (("train", "val", "test"), "{label}/{split}/1.png"),
        (("1_train", "2_val", "3_test"), "{split}/{label}/1.png"),
        (("trainImages", "valImages", "testImages"), "{split}/{label}/1.png"),
        (("Training", "Validierung", "Test"), "{split}/{label}/1.png"),
        (("trainingsbilder", "validierungsbilder", "Testdaten"), "{split}/{label}/1.png"),
        (("entraînement", "validation", "test"), "{split}/{label}/1.png"),
        (("apprentissage", "validation", "évaluation"), "{label}/{split}/1.png"),
        (("entrenamiento", "validacion", "pruebas"), "datos/{split}/{label}/1.png"),
        (("treino", "validação", "teste"), "{split}/{label}/1.png"),
        (("训练集", "验证集", "测试集"), "{split}/{label}/1.png"),
        (("学習", "検証データ", "テスト"), "{split}/{label}/1.png"),
        (("train", "val", "test"), "a/b/{split}/photos/{label}/deep/1.png"),
    ],
)
def test_splits_in_the_shapes_that_people_have(splits, pattern):
    assert given(split_tree(*splits, pattern=pattern)) == PLAIN


def test_what_stands_around_everything_is_no_label():
    assert given(["pets/cat/1.png", "pets/dog/2.png"]) == ["cat/-", "dog/-"]
    assert given(["cover.png", "pets/cat/1.png", "pets/dog/2.png"]) == ["-/-", "cat/-", "dog/-"]
    assert given(["photos/1.png", "photos/2.png"]) == ["-/-", "-/-"]
    assert given(["1.png", "cat/2.png", "cat/indoors/3.png"]) == ["-/-", "cat/-", "cat/-"]  # not around everything
    assert given(["cat/2.png", "cat/indoors/3.png"]) == ["-/-", "indoors/-"]
    assert given(["a/b/c/1.png", "a/b/c/2.png"]) == ["-/-", "-/-"]
    assert given(["train/images/1.png", "valid/images/2.png"]) == ["-/train", "-/val"]


def test_what_stands_beside_splits_is_no_label():
    names = [*split_tree("train", "test"), "unlabeled/1.png", "extra/cat/1.png"]
    assert given(names)[-2:] == ["-/-", "cat/-"]
    assert "beside the splits: extra, unlabeled; the images there have no split" in read_folders(names).notes[0]
    assert read_folders(split_tree("train", "test")).notes == []


def test_one_name_of_a_split_among_others_is_a_label():
    assert given(["train/1.png", "bus/2.png", "car/3.png"]) == ["train/-", "bus/-", "car/-"]
    assert given(["images/1.png", "drawings/2.png"]) == ["images/-", "drawings/-"]
    assert given(["train-ride/1.png", "test-drive/2.png"]) == ["train-ride/-", "test-drive/-"]
    assert given(["train/cat/1.png", "train/dog/2.png"]) == ["cat/train", "dog/train"]  # nothing stands beside it
    assert given(["train/cat/1.png", "train/dog/1.png", "unlabeled/1.png"]) == ["cat/train", "dog/train", "-/-"]
    names = [f"{split}/{label}/1.png" for split in ("train", "test") for label in ("train", "bus")]
    assert given(names) == ["train/train", "bus/train", "train/test", "bus/test"]


def test_splits_that_say_more_than_their_role():
    names = [f"{split}_{label}s/1.png" for split in ("train", "test") for label in CLASSES]
    assert given(names) == ["cats/train", "dogs/train", "cats/test", "dogs/test"]
    assert given(["trainA/1.png", "trainB/1.png", "testA/1.png"]) == ["A/train", "B/train", "A/test"]
    assert given(split_tree("train", "test_seen", "test_unseen"))[2:] == ["cat/test", "dog/test"] * 2
    assert given(["train/1.png", "PublicTest/1.png", "PrivateTest/1.png"]) == ["-/train", "-/test", "-/test"]
    assert given(split_tree("trainval", "test"))[0] == "cat/train"
    assert given([*names, "sample/1.png"])[-1] == "-/-"
    assert given(["train_class1/1.png", "train_class2/1.png", "test_class1/1.png"])[:2] == [
        "class1/train",
        "class2/train",
    ]


def test_two_names_of_one_part_stay_two():
    assert given([*split_tree("train", "test", "eval")])[-1] == "dog/eval"
    assert given([*split_tree("train", "val", "dev")])[-1] == "dog/dev"


def test_a_rule_overrules():
    names = split_tree("train", "test", pattern="a/{split}/{label}/big/1.png")
    assert given(names, labels="parent")[0] == "big/train"
    assert given(names, labels="none")[0] == "-/train"
    assert given(names, splits={})[0] == "train/-"
    assert given(names, splits={"CAT": "x"})[:2] == ["train/x", "train/-"]
    assert given([*names, "b/1.png"], root="a/test") == ["-/-", "-/-", "cat/-", "dog/-", "-/-"]
    assert given(["cat/1.png"], root=".") == ["cat/-"]
    with pytest.raises(InputError, match=r"no image is below 'c', expected a folder inside the source: a"):
        given(names, root="c")
    with pytest.raises(InputError, match=r"no folder is called 'tset'.*did you mean 'test'"):
        given(names, splits={"tset": "test"})
    with pytest.raises(InputError, match=r"labels must be one of auto, folder, parent, none, got 'folders'"):
        FolderRule(labels="folders")


def test_splits_in_the_names_of_files():
    for name in ("train-ride.zip", "model-train-photos.zip", "holiday_test_shots.zip", "pets.tar"):
        assert splits_of_files([name]) == [None]
    assert splits_of_files(["test.zip"]) == ["test"]
    assert splits_of_files(["data/train-00000-of-00002.parquet"]) == ["train"]
    assert splits_of_files(["pets-train-000001.tar"]) == ["train"]
    assert splits_of_files(["pets-train.csv", "pets-validation.csv"]) == ["train", "val"]
    assert splits_of_files(["default/train/0000.parquet", "default/test/0000.parquet"]) == ["train", "test"]


def test_usual_names():
    assert [split_role(name) for name in ("Validation", "TESTING", "trn", "dev", "fold1", None)] == [
        *("val", "test", "train", "dev", None, None)
    ]
    assert held_out_split(["train", "validation", None]) == "validation"
    assert held_out_split(["Train", "val", "Test"]) == "Test"
    assert held_out_split(["train", None]) is None
    assert held_out_split(["Training", "PublicTest"]) == "PublicTest"
    assert [split_role(name) for name in ("Testdaten", "prueba", "évaluation", "trainval", "Zugtest")] == [
        *("test", "test", "eval", "train", None)
    ]
    assert (training_split(["Training", "val"]), training_split(["val"])) == ("Training", None)


def test_a_name_in_two_forms_of_unicode_is_one_label(tmp_path):
    forms = [normalize(form, "Café") for form in ("NFC", "NFD")]
    for number, form in enumerate(forms):
        path = tmp_path / ("train", "test")[number] / form / "1.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(_picture(0))
        (path.parent.parent / "Tee").mkdir()
        (path.parent.parent / "Tee" / "1.png").write_bytes(path.read_bytes())
    assert {item.label for item in open_source(tmp_path).items} == {forms[0], "Tee"}
    assert {item.label for item in Items(Item(str(n), "0" * 16, form) for n, form in enumerate(forms))} == {forms[0]}


def _picture(seed):
    return encoded(Image.fromarray(np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)), "PNG")


def _fill(folder, names):
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_picture(number))


def test_archives_give_what_folders_give(tmp_path):
    names = split_tree("Training", "Testing", pattern="pets/{split}/{label}/1.png")
    _fill(tmp_path / "folder", names)
    with tarfile.open(tmp_path / "a.tar", "w") as tar, zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for name in names:
            content = (tmp_path / "folder" / name).read_bytes()
            packed.writestr(name, content)
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, BytesIO(content))
    expected = {(label, split) for label in CLASSES for split in ("train", "test")}
    for source in ("folder", "a.tar", "a.zip"):
        assert {(item.label, item.split) for item in open_source(tmp_path / source).items} == expected
        chosen = open_source(tmp_path / source, folders=FolderRule(root="pets/Testing", labels="none"))
        assert {(item.label, item.split) for item in chosen.items} == {(None, None)}
        assert chosen.folder_rule is not None


def test_a_rule_needs_folders(tmp_path):
    (tmp_path / "a.csv").write_text("path,label\n1.png,a\n")
    _fill(tmp_path, ["1.png"])
    with pytest.raises(InputError, match=r"a\.csv is a table; name its columns with --label-column"):
        open_source(tmp_path / "a.csv", folders=FolderRule())
    with pytest.raises(InputError, match="are for folders and archives"):
        open_source(np.zeros((2, 4, 4), np.uint8), folders=FolderRule())


def test_embed_says_what_it_took_and_repeats_the_choice(tmp_path, run):
    _fill(tmp_path / "pets", split_tree("train", "test"))
    target = tmp_path / "pets.dino"
    code, _, err = run("embed", tmp_path / "pets", "-o", target)
    assert code == 0
    assert "2 labels: cat 2, dog 2; 2 splits: test 2, train 2; to choose others: --root, --labels, --splits" in err
    options = ("--labels", "parent", "--splits", "train=fit,test=held")
    code, out, err = run("embed", tmp_path / "pets", "-o", target, *options, "--json")
    assert json.loads(out)["relabelled"] == 4
    assert "2 splits: held 2, fit 2; as chosen: --labels parent --splits train=fit,test=held" in err
    assert json.loads(out)["embedded"] == 0
    _, out, err = run("embed", tmp_path / "pets", "-o", target, "--json")  # a later run repeats it
    assert (json.loads(out)["relabelled"], "as chosen: --labels parent" in err) == (0, True)
    assert "--labels parent --splits train=fit,test=held" in run("info", target)[1]
    Collection.from_images(tmp_path / "pets", target)
    assert set(Collection(target).splits) == {"fit", "held"}
    code, _, err = run("embed", tmp_path / "pets", "-o", target, "--labels", "auto")
    assert "4 images have another label or split than before; their vectors are kept" in err
    assert "folders" not in json.loads((target / "collection.json").read_text())
    code, _, err = run("embed", tmp_path / "pets", "-o", target, "--splits", "a,=b")
    assert (code, "--splits expects names of folders" in err) == (1, True)
