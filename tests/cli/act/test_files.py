import json
import os

import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.sources.datasets.named import load_dataset

posix = pytest.mark.skipif(os.name == "nt", reason="symbolic links need rights there")


@pytest.fixture
def photos(tmp_path):
    dataset = load_dataset("fashion-mnist-test")
    for index in range(24):
        label = str(dataset.items[index].label).replace("/", "-")
        path = tmp_path / "photos" / ("train" if index % 2 else "test") / label / f"{index:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(dataset.pixels[index])
        image.save(path)
        if index < 3:
            image.save(path.with_name(f"twin-{index}.png"))
    return tmp_path / "photos"


@pytest.fixture
def collection(photos):
    return Collection.from_images(photos, photos.parent / "c.dino", model="mini-fashion").path


def files(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_plan_is_shown_then_done_then_undone(photos, collection, run, tmp_path):
    before, plan, into = files(photos), tmp_path / "plan.json", tmp_path / "quarantine"
    assert run("clean", collection, "--duplicates", "--write-plan", plan)[0] == 0
    code, out, _ = run("apply", plan, "--images", photos, "--to", into)
    assert code == 0
    assert "nothing was touched; add --do to move 3 files" in out
    assert files(photos) == before
    code, out, err = run("apply", plan, "--images", photos, "--to", into, "--do")
    assert code == 0
    assert "moved 3 files" in out
    gone = {name: held for name, held in before.items() if "twin" in name}
    assert files(into) == gone
    assert files(photos) == {name: held for name, held in before.items() if name not in gone}
    journal = into.with_name("quarantine.journal-1.json")
    assert str(journal) in err
    code, out, _ = run("apply", "--undo", journal)
    assert code == 0
    assert "3 files are where they were" in out
    assert files(photos) == before
    assert not into.exists()


def test_what_the_plan_did_not_see_stays_and_the_command_says_so(photos, collection, run, tmp_path):
    plan, into = tmp_path / "plan.json", tmp_path / "quarantine"
    run("clean", collection, "--duplicates", "--write-plan", plan)
    moves = json.loads(plan.read_text())["moves"]
    (photos / moves[0]["id"]).write_bytes(b"another picture")
    (photos / moves[1]["keeper_id"]).unlink()
    code, out, err = run("apply", plan, "--images", photos, "--to", into, "--do")
    assert code == 1
    assert "moved 1 file" in out
    assert f"{moves[0]['id']}: is not what it was" in err
    assert f"{moves[1]['keeper_id']}, which should stay instead of it, is not there" in err
    assert (photos / moves[0]["id"]).read_bytes() == b"another picture"
    assert list(files(into)) == [moves[2]["id"]]


def test_lines_to_review_move_only_when_asked_for(photos, collection, run, tmp_path):
    plan, into = tmp_path / "plan.json", tmp_path / "quarantine"
    name = "test/" + next(path.parent.name for path in (photos / "test").rglob("*.png")) + "/"
    opened = Collection(collection)
    at = next(at for at, each in enumerate(opened.ids) if each.startswith(name))
    move = {"action": "review", "row": 0, "id": opened.ids[at], "content": opened.contents[at], "reason": "odd"}
    plan.write_text(json.dumps({"moves": [move, {**move, "action": "relabel"}]}))
    assert json.loads(run("apply", plan, "--images", photos, "--to", into, "--json")[1])["steps"] == []
    found = json.loads(run("apply", plan, "--images", photos, "--to", into, "--action", "review", "--json", "--do")[1])
    assert found["done"] == 1
    assert list(files(into)) == [opened.ids[at]]


@pytest.mark.parametrize("how", ["--copy", "--move", pytest.param("--link", marks=posix)])
def test_files_are_sorted_by_label_and_back(photos, collection, run, tmp_path, how):
    before, into = files(photos), tmp_path / "sorted"
    args = ("sort", collection, "--images", photos, "--by", "label", "--into", into, how)
    assert "nothing was touched" in run(*args)[1]
    assert not into.exists()
    assert run(*args, "--do")[0] == 0
    opened = Collection(collection)
    expected = {f"{label}/{name}": before[name] for name, label in zip(opened.ids, opened.labels, strict=True)}
    assert files(into) == expected
    assert files(photos) == ({} if how == "--move" else before)
    if how == "--copy":
        assert "27 files of the same content are there already" in run(*args)[1]
    assert run("sort", "--undo", into.with_name("sorted.journal-1.json"))[0] == 0
    assert files(photos) == before
    assert not into.exists()


@pytest.mark.parametrize(("by", "names"), [("split", {"train", "test"}), ("cluster", None)])
def test_files_are_sorted_by_split_and_cluster(photos, collection, run, tmp_path, by, names):
    into = tmp_path / "sorted"
    assert run("sort", collection, "--images", photos, "--by", by, "--into", into, "--do")[0] == 0
    made = {path.name for path in into.iterdir()}
    clusters = len(Collection(collection).clusters().medoids)
    assert made == (names or {f"cluster {number}" for number in range(clusters)})


def test_pictures_that_are_no_files_cannot_be_sorted(photos, run, tmp_path):
    Collection.from_images(load_dataset("fashion-mnist-test").pixels[:5], tmp_path / "a", model="mini-fashion")
    code, _, err = run("sort", tmp_path / "a", "--images", photos, "--into", tmp_path / "q")
    assert code == 1
    assert "'dinoscope export' writes them as files" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["apply", "plan.json"], "apply needs --images and -o, such as: dinoscope apply plan.json"),
        (["apply", "nothing.json", "--images", "photos", "--to", "q"], "is not there: write a plan with"),
        (["apply", "odd.json", "--images", "photos", "--to", "q"], "is not a plan from"),
        (["apply", "old.json", "--images", "photos", "--to", "q"], "as an earlier version wrote it"),
        (["apply", "new.json", "--images", "nowhere", "--to", "q"], "name the one with the images by --images"),
        (["apply", "new.json", "--images", "photos", "--to", "photos/q"], "choose another"),
        (["apply", "new.json", "--images", "photos", "--to", "q", "--action", "relabel"], "--action takes"),
        (["apply", "--undo", "new.json"], "is not a journal"),
        (["apply", "new.json", "--images", "nowhere", "--into", "q"], "name the one with the images by --images"),
        (["sort", "c.dino"], "sort needs --images and -o, such as: dinoscope sort c.dino --images photos/ -o sorted/"),
        (
            ["sort", "c.dino", "-o", "my q"],
            "sort needs --images, such as: dinoscope sort c.dino --images photos/ -o 'my q'",
        ),
        (["sort", "c.dino", "--images", "photos", "--to", "photos/q"], "choose another"),
        (["export", "c.dino", "-o", "q"], "export needs --as, such as: dinoscope export c.dino -o q --as coco"),
        (["export", "c.dino", "--as", "csv"], "export needs -o, such as: dinoscope export c.dino -o exported --as csv"),
        (["sort", "c.dino", "--images", "photos", "--into", "q", "--copy", "--move"], "choose one of"),
        (["sort", "c.dino", "--images", "photos", "--into", "c.dino/results"], "belongs to the collection"),
    ],
)
def test_what_cannot_work_is_one_line(photos, collection, run, monkeypatch, arguments, said):
    monkeypatch.chdir(photos.parent)
    with open("odd.json", "w") as file:
        file.write("[]")
    with open("old.json", "w") as file:
        json.dump({"moves": [{"action": "remove", "row": 1, "id": "a.png", "reason": "", "keeper": None}]}, file)
    with open("new.json", "w") as file:
        json.dump({"moves": []}, file)
    before = files(photos)
    code, _, err = run(*arguments)
    assert code == 1
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert files(photos) == before
