import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from dinoscope import Collection
from dinoscope.cli.improve.clean import clean
from dinoscope.errors import InputError, WriteError
from dinoscope.explorer.findings import findings
from dinoscope.plots.sheets import Block, Tile, draw_sheet
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.wording.findings import tell_labels

app = typer.Typer()
app.command("clean")(clean)


def run(*args: Any) -> Any:
    result = CliRunner().invoke(app, [str(each) for each in args])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of 240 images in two splits; ten of the test images are in train as well, one of them enlarged."""
    root = tmp_path_factory.mktemp("clean") / "photos"
    dataset = load_dataset("fashion-mnist-test")
    for index in range(240):
        label = (dataset.items[index].label or "").replace("/", "-")
        split = "train" if index % 3 else "test"
        path = root / split / label / f"{index:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(dataset.pixels[index])
        image.save(path)
        if split == "test" and index < 30:
            twin = root / "train" / label / f"twin-{index:03d}.png"
            twin.parent.mkdir(parents=True, exist_ok=True)
            (image.resize((56, 56)) if index == 0 else image).save(twin)
    moved = min((root / "train" / "Trouser").glob("*.png"))  # one label that is wrong
    moved.rename(root / "train" / "Bag" / "wrong.png")
    return root


@pytest.fixture(scope="module")
def collection(photos):
    target = photos.parent / "photos.dino"
    Collection.from_images(photos, target, model="mini-fashion")
    return target


def test_all_that_applies_is_printed_and_written(collection, tmp_path):
    result = run(collection, "-o", tmp_path / "out", "--write-plan", tmp_path / "plan.json", "--limit", 3)
    assert result.exit_code == 0
    for part in (
        "duplicates: 10 images of 10 groups could go",
        "leaks: 10 pictures",
        "outliers: ",
        "labels to check: ",
    ):
        assert part in result.stdout
    assert "and 7 more" in result.stdout
    for name in ("duplicates", "leaks", "label_errors"):
        with Image.open(tmp_path / "out" / f"{name}.png") as sheet:
            assert sheet.width > 800
        assert read_csv(tmp_path / "out" / f"{name}.csv")

    opened = Collection(collection)
    images = {opened.ids[at]: int(opened.rows[at]) for at in range(len(opened))}
    found = read_csv(tmp_path / "out" / "duplicates.csv")
    assert len(found) == 20
    kept = {each["group"]: each["id"] for each in found if each["action"] == "keep"}
    assert len(kept) == 10
    enlarged = next(each for each in found if each["width"] == "56")
    assert enlarged["action"] == "keep"
    assert sum(each["exact"] == "True" for each in found) == 9
    assert all(images[each["id"]] == int(each["row"]) for each in found)

    errors = read_csv(tmp_path / "out" / "label_errors.csv")
    wrong = next(each for each in errors if each["id"].endswith("wrong.png"))
    assert (wrong["label"], wrong["suggested"]) == ("Bag", "Trouser")
    assert "Trouser" in wrong["neighbor_labels"]
    assert all(read_csv(tmp_path / "out" / "leaks.csv")[at]["split"] in ("train", "test") for at in range(20))


def test_all_kinds_together_are_a_summary(collection):
    lines = run(collection).stdout.splitlines()
    assert len(lines) <= 24
    opened = Collection(collection)
    found = json.loads(run(collection, "--json").stdout)
    outliers = [f"  {each['factor']:.2f}  {each['id']} (row {each['row']})" for each in found["outliers"]["found"]]
    at = next(number for number, line in enumerate(lines) if line.startswith("outliers: "))
    assert lines[at + 1 : at + 3] == outliers[:2]
    assert lines[at + 3] == f"  all {len(outliers)}: dinoscope clean {collection} --outliers"
    pair = [each for each in found["duplicates"]["found"] if each["group"] == 1]
    first = lines[lines.index(next(line for line in lines if line.startswith("duplicates: "))) + 1]
    assert all(f"{each['id']} (row {each['row']})" in first for each in pair)
    assert f"keep {next(each['id'] for each in pair if each['action'] == 'keep')} (row" in first
    assert f"dinoscope clean {collection} --label-errors" in "\n".join(lines)
    whole = run(collection, "--all").stdout
    assert all(opened.ids[at] in whole for at in (Collection(collection).findings().outliers.positions))
    assert "more (--all)" not in whole
    with pytest.raises(InputError, match="--all prints every finding, and --limit some: leave out one"):
        run(collection, "--all", "--limit", 2)


def test_what_a_person_checked_is_in_the_summary(collection, tmp_path):
    own = shutil.copytree(collection, tmp_path / "own")
    opened = Collection(own)
    asked = opened.findings_to_check("outliers", 2)
    for key, _ in asked:
        opened.answer_finding(key, False)
    assert "  checked: of 2 outliers drawn at random, 0 are not where they belong; so of the other" in run(own).stdout


def test_the_plan_leaves_one_image_of_every_group(collection, tmp_path):
    run(collection, "--write-plan", tmp_path / "plan.json")
    plan = json.loads((tmp_path / "plan.json").read_text())
    removed = [move for move in plan["moves"] if move["action"] == "remove"]
    assert len(removed) == 10
    assert len({move["row"] for move in removed}) == 10
    assert not {move["row"] for move in removed} & {move["keeper"] for move in removed}
    assert all(move["id"].startswith("train/") for move in removed)  # the test images stay
    assert {move["action"] for move in plan["moves"]} <= {"remove", "relabel", "review"}
    assert {"action", "row", "id", "reason", "keeper"} <= set(plan["moves"][0])
    run(collection, "--duplicates", "--write-plan", tmp_path / "plan.json")
    moves = json.loads((tmp_path / "plan.json").read_text())["moves"]
    assert len(moves) == 10
    assert not {move["row"] for move in moves} & {move["keeper"] for move in moves}


def test_one_kind_alone_as_json(collection):
    result = json.loads(run(collection, "--duplicates", "--json").stdout)
    assert list(result) == ["duplicates"]
    assert len(result["duplicates"]["found"]) == 20
    assert result["duplicates"]["threshold"] == result["duplicates"]["suggested"]
    strict = json.loads(run(collection, "--leaks", "--threshold", 1, "--json").stdout)
    assert strict["leaks"]["groups"] == 9  # the enlarged one is no exact copy
    errors = json.loads(run(collection, "--label-errors", "--json").stdout)["label_errors"]
    scores = [each["score"] for each in errors["found"]]
    assert len(scores) > 1
    assert scores == sorted(scores, reverse=True)
    assert "The clearest come first" in run(collection, "--label-errors").stdout
    assert set(errors["self_test"]) == {"listed", "flipped", "found", "recovered"}
    lonely = json.loads(run(collection, "--outliers", "--json").stdout)["outliers"]["found"]
    assert [each["rank"] for each in lonely] == list(range(1, len(lonely) + 1))
    assert all(each["z_score"] >= 3.5 for each in lonely)
    assert run(collection, "--json").stdout == run(collection, "--json").stdout


def test_what_does_not_apply_is_left_out_with_a_remark(tmp_path):
    pixels = load_dataset("fashion-mnist-test").pixels
    Collection.from_images(pixels[:40], tmp_path / "plain", model="mini-fashion")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "leaks.csv").write_text("of an earlier run")
    out = run(tmp_path / "plain", "-o", tmp_path / "out").stdout
    assert "leaks: left out: the images are not in two splits or more" in out
    assert "labels to check: left out: fewer than two labels with images" in out
    assert "duplicates: none found" in out
    assert "This list has no crops of 15% or more, and no heavy edits. 'dinoscope clean --crops' finds crops." in out
    assert not (tmp_path / "out" / "leaks.csv").exists()


def test_of_splits_that_say_more_the_training_image_of_a_leak_goes(tmp_path):
    pixels = load_dataset("fashion-mnist-test").pixels[[*range(20), 0]]
    splits = ["train_x"] * 20 + ["test_x"]
    opened = Collection.from_images(pixels, tmp_path / "c", model="mini-fashion", splits=splits)
    run(tmp_path / "c", "--leaks", "--write-plan", tmp_path / "plan.json")
    (move,) = json.loads((tmp_path / "plan.json").read_text())["moves"]
    assert (move["row"], move["keeper"]) == (0, 20)
    (leak,) = [each for each in findings(opened).findings if each.kind == "leak"]
    assert (leak.rows, leak.suggestion) == ([20, 0], "00020")


@pytest.mark.parametrize("count", [1, 2, 5])
def test_tiny_collections(tmp_path, count):
    pixels = load_dataset("fashion-mnist-test").pixels[[0] * count]
    labels = ["a", None, "b", "b", "a"][:count]
    Collection.from_images(pixels, tmp_path / "c", model="mini-fashion", labels=labels)
    result = run(tmp_path / "c", "-o", tmp_path / "out", "--write-plan", tmp_path / "plan.json")
    assert result.exit_code == 0
    assert (
        "duplicates: none found"
        if count == 1
        else "s of 1 group could go"
        if count > 2
        else "duplicates: 1 image of 1 group"
    ) in result.stdout
    verdict = (
        "That is good: nothing to look at was found." if count == 1 else "Begin with the duplicates: these pictures"
    )
    assert verdict in result.stdout
    assert len(json.loads((tmp_path / "plan.json").read_text())["moves"]) >= count - 1


def test_bad_calls_are_refused(collection, tmp_path):
    assert run(collection, "--threshold", 2).exit_code == 2
    assert run(collection, "--limit", 0).exit_code == 2
    lost = shutil.copytree(collection, tmp_path / "lost")
    shutil.rmtree(lost / "details")
    shutil.rmtree(lost / "results", ignore_errors=True)  # or the stored findings would do
    with pytest.raises(Exception, match="has lost the details of 250 images: run 'dinoscope embed' again"):
        run(lost, "--duplicates")


def test_a_result_that_cannot_be_written_is_still_printed(collection, tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match=r"cannot make the folder .*file"):
        clean(collection, leaks=True, threshold=0.99, limit=20, output=tmp_path / "file", write_plan=None)
    assert capsys.readouterr().out.startswith("leaks: ")
    run(
        collection, "--leaks", "--dismiss", f"leaks-{0:016}", "-o", tmp_path / "new"
    )  # a folder, also where there is nothing
    assert (tmp_path / "new").is_dir()


# --- sheets ----------------------------------------------------------------------------------------------------------


def png(color: str, size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, "PNG")
    return file.getvalue()


def test_a_sheet_shows_every_picture_whole():
    pictures = {0: png("#ff0000", (10, 10)), 1: png("#00ff00", (300, 100)), 2: png("#0000ff", (20, 200))}
    blocks = [Block("one", (Tile(0, ("first", "10x10"), "keep"), Tile(1, ("second",)))), Block("two", (Tile(2, ()),))]
    sheet = draw_sheet("title", "note", blocks, lambda positions: [pictures[at] for at in positions])
    pixels = np.asarray(Image.open(io.BytesIO(sheet)).convert("RGB")).astype(int)
    for color, size in (((255, 0, 0), (110, 110)), ((0, 255, 0), (112, 37)), ((0, 0, 255), (11, 112))):
        ys, xs = np.nonzero((pixels == color).all(axis=2))
        assert (int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1) == size
        assert len(xs) == size[0] * size[1]
    assert sheet == draw_sheet("title", "note", blocks, lambda positions: [pictures[at] for at in positions])


def test_long_blocks_and_texts_stay_on_the_page():
    tile = Tile(0, ("a/very/long/path/of/an/image/with/日本語/" + "x" * 300 + ".png", "[bold]$x^2$"), "doubt")
    blocks = [Block("heading " * 60, (tile,) * 30)] * 3
    picture = png("#ff0000", (28, 28))
    sheet = Image.open(io.BytesIO(draw_sheet("t" * 500, "n" * 500, blocks, lambda at: [picture] * len(at))))
    assert sheet.width < 1200
    pixels = np.asarray(sheet.convert("RGB"))
    assert (pixels[:, -8:] == 255).all()  # nothing runs over the edge
    assert (pixels[-8:] == 255).all()
    with pytest.raises(InputError, match="'empty' has nothing to draw"):
        draw_sheet("empty", "", [], lambda _: [])


def test_crops_are_looked_for_when_asked(tmp_path):
    rng = np.random.default_rng(0)
    root = tmp_path / "photos"
    root.mkdir()
    for number in range(8):
        small = [Image.fromarray(rng.integers(0, 255, (n, n, 3), np.uint8)).resize((160, 160), 3) for n in (4, 9, 20)]
        picture = Image.blend(Image.blend(small[0], small[1], 0.4), small[2], 0.3)
        picture.save(root / f"{number}.png")
        if number < 3:
            picture.crop((10, 5, 140, 125)).save(root / f"part-{number}.png")
    Collection.from_images(root, tmp_path / "c", model="mini")
    assert "crops: " not in run(tmp_path / "c").stdout
    result = run(tmp_path / "c", "--crops", "-o", tmp_path / "out", "--write-plan", tmp_path / "plan.json")
    assert "looking inside 11 images: nine parts of each are embedded" in result.stderr
    assert "crops: 3 images may be a part of another one" in result.stdout
    found = json.loads(run(tmp_path / "c", "--crops", "--json").stdout)["crops"]["found"]
    assert {(each["id"], each["whole_id"]) for each in found} == {(f"part-{n}.png", f"{n}.png") for n in range(3)}
    assert all(abs(each["share"] - 130 * 120 / 160**2) < 0.1 for each in found)
    assert {move["action"] for move in json.loads((tmp_path / "plan.json").read_text())["moves"]} == {"review"}
    assert len(read_csv(tmp_path / "out" / "crops.csv")) == 3
    left = json.loads(run(tmp_path / "c", "--crops", "--json", "--dismiss", found[0]["key"]).stdout)["crops"]
    assert [each["key"] for each in left["found"]] == [each["key"] for each in found[1:]]
    one = Collection.from_images(np.zeros((1, 8, 8), np.uint8), tmp_path / "one", model="mini")
    assert len(one.crops().parts) == 0


def test_a_threshold_sorts_every_pair_under_duplicates_or_under_crops(tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    rng = np.random.default_rng(0)
    for number in range(4):
        small = [Image.fromarray(rng.integers(0, 255, (n, n, 3), np.uint8)).resize((160, 160), 3) for n in (4, 9, 20)]
        picture = Image.blend(Image.blend(small[0], small[1], 0.4), small[2], 0.3)
        picture.save(root / f"{number}.png")
        if number < 2:
            picture.crop((number + 1, number + 1, 159 - number, 159 - number)).save(root / f"part-{number}.png")
    Collection.from_images(root, tmp_path / "c", model="mini")
    narrow, wide = ("part-0.png", "0.png"), ("part-1.png", "1.png")

    def listed(*threshold):
        found = json.loads(run(tmp_path / "c", "--duplicates", "--crops", "--json", *threshold).stdout)
        crops = {(each["id"], each["whole_id"]) for each in found["crops"]["found"]}
        return crops, {each["id"] for each in found["duplicates"]["found"]}

    assert "no crops" not in run(tmp_path / "c", "--duplicates", "--crops").stdout
    assert "This list has no crops" in run(tmp_path / "c", "--duplicates").stdout
    assert listed() == ({wide}, {*narrow})
    assert listed("--threshold", 0.5) == (set(), {*narrow, *wide})
    assert listed("--threshold", 1) == ({narrow, wide}, set())
    with pytest.raises(InputError, match="threshold must be from 0 to 1, got 2"):
        Collection(tmp_path / "c").crops(threshold=2)


def test_what_was_dismissed_is_left_out_from_then_on(collection, tmp_path):
    own = shutil.copytree(collection, tmp_path / "own")
    found = json.loads(run(own, "--json").stdout)
    kinds = [kind for kind in ("duplicates", "outliers", "label_errors") if found[kind]["found"]]
    assert kinds
    for kind in kinds:
        before = [each["key"] for each in found[kind]["found"]]
        result = run(own, f"--{kind.replace('_', '-')}", "--dismiss", before[0], "--json")
        part = json.loads(result.stdout)[kind]
        assert [each["key"] for each in part["found"]] == [key for key in before if key != before[0]]
        assert "1 other dismissed" in part["remark"]
    with pytest.raises(Exception, match="'x' is not a key of a finding"):
        run(own, "--dismiss", "x")


def test_labels_with_one_or_two_images_are_no_label_errors(tmp_path):
    pixels = load_dataset("fashion-mnist-test").pixels[:60]
    labels = ["a"] * 25 + ["b"] * 25 + [f"single{number}" for number in range(6)] + ["pair", "pair"] + [None] * 2
    Collection.from_images(pixels, tmp_path / "c", model="mini-fashion", labels=labels)
    result = run(tmp_path / "c", "--label-errors", "--json")
    found = json.loads(result.stdout)["label_errors"]["found"]
    assert {each["label"] for each in found} | {each["suggested"] for each in found} <= {"a", "b"}
    told = run(tmp_path / "c", "--label-errors").stdout
    assert "7 labels with one or two images (8 images) have too few to judge by, and are left out." in told
    Collection.from_images(pixels, tmp_path / "d", model="mini-fashion", labels=[f"id{number}" for number in range(60)])
    told = run(tmp_path / "d", "--label-errors").stdout
    assert "left out: fewer than two labels with three images or more" in told
    assert "60 labels with one or two images (60 images)" in told


def test_a_picture_with_two_labels_leads(tmp_path):
    dataset = load_dataset("fashion-mnist-test")
    pixels = dataset.pixels[[*range(40), 1, 2]]
    labels = [str(dataset.items[at].label) for at in range(40)] + [str(dataset.items[1].label), "odd"]
    opened = Collection.from_images(pixels, tmp_path / "c", model="mini-fashion", labels=labels)
    told = f"Same picture, two labels: {labels[2]}, odd"
    assert [set(group) for group in opened.findings().duplicates.groups[:2]] == [{2, 41}, {1, 40}]
    out = " ".join(run(opened.path, "--duplicates").stdout.split())
    assert "1 group with two labels or more: check these first" in out
    assert out.count(told) == 1
    first = [each for each in findings(opened).findings if each.kind == "duplicate"][:2]
    assert [set(each.rows) for each in first] == [{2, 41}, {1, 40}]
    assert first[0].text.startswith(f"labelled {labels[2]} and odd; 2 images show the same picture")
    assert first[1].text.startswith("2 images")
    assert tell_labels(["a", "b", "c"]) == "Same picture, 3 labels: a, b, c"


def test_poor_pictures_are_listed_and_reviewed(tmp_path):
    dataset = load_dataset("fashion-mnist-test")
    pixels = [np.kron(each, np.ones((6, 6), np.uint8)) for each in dataset.pixels[:60]]
    pixels[7] = pixels[7] // 10
    pixels[12] = np.full_like(pixels[12], 120)
    pixels[30] = np.kron(pixels[30], np.ones((4, 4), np.uint8))
    root = tmp_path / "photos"
    root.mkdir()
    for index, each in enumerate(pixels):
        Image.fromarray(each).save(root / f"{index:02d}.png")
    Collection.from_images(root, tmp_path / "c", model="mini-fashion")
    out = run(tmp_path / "c", "--pictures", "-o", tmp_path / "out", "--write-plan", tmp_path / "plan.json").stdout
    assert "poor pictures: " in out
    found = {(line["kind"], line["id"]) for line in read_csv(tmp_path / "out" / "pictures.csv")}
    assert {("dark", "07.png"), ("empty", "12.png"), ("odd size", "30.png")} <= found
    moves = json.loads((tmp_path / "plan.json").read_text())["moves"]
    assert {move["action"] for move in moves} == {"review"}
    assert "99% of it is darker than" in next(move["reason"] for move in moves if move["id"] == "07.png")
    told = json.loads(run(tmp_path / "c", "--pictures", "--json").stdout)["pictures"]["found"]
    key = next(each["key"] for each in told if each["id"] == "07.png")
    left = json.loads(run(tmp_path / "c", "--pictures", "--json", "--dismiss", key).stdout)["pictures"]
    assert "07.png" not in {each["id"] for each in left["found"]}
    assert "dismissed" in left["remark"]


def test_pictures_without_files_are_measured_on_their_small_copies(tmp_path):
    pixels = np.kron(load_dataset("fashion-mnist-test").pixels[:40], np.ones((1, 5, 5), np.uint8))
    pixels[3] = pixels[3] // 12
    Collection.from_images(pixels, tmp_path / "c", model="mini-fashion")
    out = run(tmp_path / "c", "--pictures").stdout
    assert "dark" in out
    assert "measured on small copies" in out
