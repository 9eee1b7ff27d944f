import dataclasses
import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image

from dinoscope import Collection
from dinoscope._version import __version__
from dinoscope.base.loading import _Hidden as Hidden
from dinoscope.cli import main as cli
from dinoscope.cli.collect.embed import embed
from dinoscope.cli.terminal import embedding_progress, print_table, say
from dinoscope.errors import ModelError
from dinoscope.models.catalogue import AUTO, DEFAULT_MODEL, MODELS
from dinoscope.models.encoder import Encoder
from dinoscope.sources.datasets import download
from dinoscope.sources.datasets import named as datasets
from dinoscope.sources.datasets.named import DATASETS, load_dataset
from dinoscope.storage.progress import Progress


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of 90 images in three sub-folders, and one bad file."""
    root = tmp_path_factory.mktemp("cli")
    dataset = load_dataset("fashion-mnist-test")
    for index in range(90):
        label = (dataset.items[index].label or "").replace("/", "-")
        path = root / "photos" / label / f"{index:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(dataset.pixels[index]).save(path)
    (root / "photos" / "bad.jpg").write_text("not a picture")
    return root / "photos"


@pytest.fixture(scope="module")
def collection(photos):
    target = photos.parent / "photos.dino"
    subprocess.run(
        [sys.executable, "-m", "dinoscope", "embed", str(photos), "-o", str(target), "--model", "mini-fashion"],
        check=True,
        capture_output=True,
    )
    return target


def test_the_command_line_chooses_a_model_and_the_library_has_one():
    assert inspect.signature(embed).parameters["model"].default == AUTO
    assert inspect.signature(Collection.from_images).parameters["model"].default == DEFAULT_MODEL
    assert DEFAULT_MODEL in MODELS


COMMANDS = (
    "demo",
    "embed",
    "map",
    "tune",
    "cluster",
    "score",
    "search",
    "report",
    "classify",
    "evaluate",
    "clean",
    "compare",
    "models",
    "info",
)


def test_version_and_help(run):
    assert run("--version") == (0, f"dinoscope {__version__}\n", "")
    code, out, _ = run("--help")
    assert code == 0
    for name in COMMANDS:
        assert f" {name} " in out
    assert "─ Commands ─" not in out  # each has a panel


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example(run, name):
    code, out, _ = run(name, "--help")
    assert code == 0
    assert f"dinoscope {name}" in out.split("Example")[1]


def test_help_loads_nothing_heavy():
    code = (
        "import sys; sys.argv = ['dinoscope', '--help']\n"
        "from dinoscope.cli.main import main\n"
        "try:\n main()\nexcept SystemExit: pass\n"
        "print([m for m in ('numpy', 'onnxruntime', 'pyarrow', 'sklearn', 'matplotlib', 'PIL') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


@pytest.mark.parametrize("words", ["embed {photos} -o {new}", "info {kept}", "score {kept}", "clean {kept}"])
def test_no_command_waits_for_pandas(photos, tmp_path, words):
    """Arrow and scikit-learn load it where it is installed."""
    pytest.importorskip("pandas")
    kept = tmp_path / "kept"
    Collection.from_images(photos, kept, model="mini")
    command = words.format(photos=photos, new=tmp_path / "new", kept=kept).split()
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "dinoscope", *command], capture_output=True, text=True, check=True
    )
    loaded = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert "pyarrow" in loaded
    assert "pandas.core" not in loaded


@pytest.mark.parametrize(
    ("words", "is_there"),
    [
        (["info", "published"], False),
        (["publish", "c", "--to", "a.db"], True),
        (["embed", "array/", "--on", "10.0.0.1:6379"], True),
        (["survey", "c", "--on=ray"], True),
    ],
)
def test_pandas_is_there_for_those_who_take_it(monkeypatch, words, is_there):
    found: list[bool] = []
    monkeypatch.setattr(sys, "argv", ["dinoscope", *words])
    monkeypatch.setattr(cli, "app", lambda *_, **__: found.append(not isinstance(sys.meta_path[0], Hidden)))
    with pytest.raises(SystemExit):
        cli.main()
    assert found == [is_there]
    assert not isinstance(sys.meta_path[0], Hidden)


def test_demo_on_a_folder_takes_its_labels(run, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("demo", "--dataset", photos, "--json")
    assert code == 0
    result = json.loads(out)
    report = Path("dinoscope-demo-photos/report.html")
    assert Path(result["report"]) == report
    assert report.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert "labels: k-NN accuracy" in result["scores"]
    facts = json.loads(run("info", report.parent, "--json")[1])
    assert (facts["images"], facts["model"]) == (90, "mini")
    run("cluster", report.parent, "-k", len(facts["labels"]))
    again = json.loads(run("info", report.parent, "--json")[1])
    assert again["results"] == facts["results"]  # so these clusters were there


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((), ("fashion-mnist-test", "dinoscope-demo", "mini-fashion")),
        (("--dataset", "fashion-mnist"), ("fashion-mnist", "dinoscope-demo-fashion-mnist", "mini-fashion")),
        (("--dataset", "cifar10-test"), ("cifar10-test", "dinoscope-demo-cifar10-test", "mini")),
        (("--dataset", "some/photos/"), ("some/photos/", "dinoscope-demo-photos", "mini")),
        (("--model", "dinov2-small", "-o", "here"), ("fashion-mnist-test", "here", "dinov2-small")),
    ],
)
def test_demo_takes_the_model_that_fits(run, monkeypatch, args, expected):
    seen = []

    def record(source, output, request):
        seen.append((source, str(output), request.model))
        raise SystemExit(0)

    monkeypatch.setattr("dinoscope.cli.collect.start.embed_images", record)
    run("demo", *args)
    assert seen == [expected]


def test_demo_on_a_set_that_cannot_be_fetched_is_one_line(run, tmp_path, monkeypatch):
    row = dataclasses.replace(DATASETS["cifar10-test"], mirrors=("http://127.0.0.1:9",))
    monkeypatch.setitem(DATASETS, "cifar10-test", row)
    for module in (datasets, download):
        monkeypatch.setattr(module, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(datasets, "_SYSTEM", tmp_path)
    monkeypatch.delenv("DINOSCOPE_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    code, out, err = run("demo", "--dataset", "cifar10-test")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("dinoscope: could not fetch cifar-10-python.tar.gz (127.0.0.1: ")
    assert err.endswith("fashion-mnist-test ships with dinoscope\n")
    assert not (tmp_path / "dinoscope-demo-cifar10-test").exists()


def test_embed_tells_what_it_did_and_does_nothing_twice(run, photos, tmp_path):
    code, out, err = run("embed", photos, "-o", tmp_path / "c", "--model", "mini-fashion")
    assert (code, out) == (0, "")
    assert "embedded 90 images with mini-fashion" in err
    assert "1 image could not be read:" in err
    assert "bad.jpg: " in err
    code, out, _ = run("embed", photos, "-o", tmp_path / "c", "--model", "mini-fashion", "--json")
    result = json.loads(out)
    assert code == 0
    assert (result["embedded"], result["reused"], result["images"]) == (0, 90, 90)
    assert [f["id"] for f in result["failures"]] == ["bad.jpg"]


def test_map_as_picture_table_and_json(run, collection, tmp_path):
    code, out, _ = run("map", collection)
    assert (code, out.strip()) == (0, str(collection / "map.png"))
    with Image.open(collection / "map.png") as picture:
        assert min(picture.size) > 500
    assert run("map", collection, "--images", "-o", tmp_path / "images.png")[0] == 0
    assert (tmp_path / "images.png").read_bytes() != (collection / "map.png").read_bytes()
    assert run("map", collection, "-o", tmp_path / "map.csv")[0] == 0
    lines = (tmp_path / "map.csv").read_text().splitlines()
    assert lines[0] == "row,id,label,x,y"
    assert len(lines) == 91
    points = json.loads(run("map", collection, "--json")[1])
    assert len(points) == 90
    assert float(lines[1].split(",")[-1]) == pytest.approx(points[0]["y"], abs=1e-5)
    code, out, err = run("map", collection, "-o", tmp_path / "map.docx")
    assert (code, out) == (1, "")
    assert err == "dinoscope: cannot write 'map.docx': expected a name that ends with .png, .csv or .npz\n"


def test_score(run, collection):
    scores = json.loads(run("score", collection, "--json")[1])
    assert {"name", "value", "meaning"} == set(scores[0])
    assert any(each["name"] == "map: trustworthiness" for each in scores)
    assert "trustworthiness" in run("score", collection)[1]


def test_search_by_row_and_by_file(run, photos, collection):
    matches = json.loads(run("search", collection, 5, "-k", 3, "--json")[1])
    assert len(matches) == 3
    assert 5 not in [m["row"] for m in matches]
    file = next(iter(sorted(photos.rglob("*.png"))))
    best = json.loads(run("search", collection, file, "-k", 1, "--json")[1])[0]
    assert best["id"] == file.relative_to(photos).as_posix()
    assert best["similarity"] == pytest.approx(1, abs=1e-5)
    assert best["id"] in run("search", collection, file, "-k", 1)[1]


def test_report_and_info(run, collection, tmp_path):
    code, out, _ = run("report", collection, "-o", tmp_path / "r.html")
    assert (code, out.strip()) == (0, str(tmp_path / "r.html"))
    assert "<html" in (tmp_path / "r.html").read_text(encoding="utf-8")
    facts = json.loads(run("info", collection, "--json")[1])
    assert facts["images"] == 90
    assert facts["failures"][0]["id"] == "bad.jpg"
    assert "mini-fashion" in run("info", collection)[1]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("embed", "no-such-folder", "-o", "x"), "no-such-folder"),
        (("embed", "fashion-mnist-tset", "-o", "x"), "did you mean 'fashion-mnist-test'"),
        (("embed", "fashion-mnist-test", "-o", "x", "--model", "dinov9"), "unknown model 'dinov9'"),
        (("info", "nowhere"), "nowhere is not a collection"),
        (("search", "nowhere", "1"), "nowhere is not a collection"),
    ],
)
def test_expected_errors_are_one_line(run, tmp_path, monkeypatch, args, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*args)
    assert (code, out) == (1, "")
    assert err.startswith("dinoscope: ")
    assert err.count("\n") == 1
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_line(run, collection, tmp_path):
    (tmp_path / "file").write_text("in the way")
    code, out, err = run("report", collection, "-o", tmp_path / "file" / "r.html")
    assert (code, out) == (1, "")
    assert err.startswith("dinoscope: ")
    assert err.count("\n") == 1
    assert "file" in err


def test_search_for_what_is_not_there(run, collection, tmp_path):
    code, _, err = run("search", collection, "500")
    assert code == 1
    assert err.startswith("dinoscope: row 500 is not in this collection: rows go from 0 to ")
    (tmp_path / "bad.png").write_text("no")
    code, _, err = run("search", collection, tmp_path / "bad.png")
    assert code == 1
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("sort", "c", "sorted/"), "to write there type -o sorted/"),
        (("export", "c", "out"), "to write there type -o out"),
        (("apply", "plan.json", "place&co"), "to write there type -o 'place&co'"),
        (("map", "c", "map.png"), "to write there type -o map.png"),
        (("embed", "photos", "c"), "to write there type -o c"),
        (("label", "c", "photos"), "for the images type --images photos"),
        (("sort", "c", "photos"), "for the images type --images photos"),
        (("compare", "photos", "mini"), "for the model type --models mini"),
        (("map", "c", "mini"), "for the model type --model mini"),
        (("pick", "c", "100"), "for a number type -n 100"),
        (("cluster", "c", "12"), "for a number type -k 12"),
        (("explore", "c", "."), "for the images type --images ."),
        (("pick", "c", "--to", "x"), "here it is -o"),
        (("label", "c", "-o", "x"), "here it is --export"),
    ],
)
def test_what_a_person_meant_is_told(run, args, message, tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*args)
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("args", [("clean", "c", "photos"), ("map", "c", "map.png")])
def test_no_place_is_proposed_where_something_stands(run, args, tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    (tmp_path / "map.png").write_bytes(b"a picture")
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*args)
    assert code == 2
    assert f"({args[-1]}); see 'dinoscope {args[0]} --help'" in err


@pytest.mark.parametrize("query", ["²", "--5", "x\x1b[2J.png"])
def test_what_is_no_row_is_a_file(run, collection, query):
    code, _, err = run("search", collection, "--", query)
    assert code == 1
    assert err.startswith(f"dinoscope: {query}: cannot be read".replace("\x1b", "\\x1b"))


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """A collection whose label and broken file have names that not every terminal can show."""
    folder = tmp_path_factory.mktemp("named") / "[old]"
    (folder / "жук").mkdir(parents=True)
    for index, pixels in enumerate(load_dataset("fashion-mnist-test").pixels[:3]):
        Image.fromarray(pixels).save(folder / "жук" / f"{index}.png")
    (folder / "bad.png").write_bytes(b"")
    Collection.from_images(folder, folder.parent / "c", model="mini-fashion")
    return folder.parent / "c"


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_pipe_that_lacks_a_letter_ends_no_command(named, options):
    command = [sys.executable, "-m", "dinoscope", "info", str(named), *options]
    done = subprocess.run(command, env={**os.environ, "PYTHONIOENCODING": "cp1252"}, capture_output=True, check=True)
    assert b"\\u0436\\u0443\\u043a" in done.stdout
    if options:
        assert json.loads(done.stdout)["labels"] == {"жук": 3}


def test_names_are_no_orders_to_a_terminal(monkeypatch, capsys):
    say("a\x1b[2J\x9b\nb")
    print_table(("", ""), [("x", "a\x1b[2J")])
    printed = capsys.readouterr()
    assert printed.err == "a\\x1b[2J\\x9b\nb\n"
    assert "a\\x1b[2J" in printed.out
    monkeypatch.setenv("FORCE_COLOR", "1")
    with embedding_progress("photos [old]\x1b") as show:
        show(Progress(1, 2, 1.0, 1.0))
    assert "photos [old]\\x1b " in capsys.readouterr().err


def test_stopping_an_embedding_is_calm(run, photos, tmp_path, monkeypatch):
    def stop(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("dinoscope.collection.embed_source", stop)
    code, out, err = run("embed", photos, "-o", tmp_path / "c", "--model", "mini-fashion")
    assert (code, out) == (130, "")
    assert "stopped; what is done is kept" in err


def test_array_file(run, tmp_path):
    np.save(tmp_path / "images.npy", load_dataset("fashion-mnist-test").pixels[:20])
    code, _, err = run("embed", tmp_path / "images.npy", "-o", tmp_path / "c", "--model", "mini-fashion")
    assert code == 0
    assert "embedded 20 images" in err
    assert Path(tmp_path / "c" / "collection.json").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("map", "photos"), "photos is a folder but no collection: embed it with 'dinoscope embed photos -o photos.di"),
        (("info", "photos", "--verify"), "embed it with 'dinoscope embed photos -o photos.dino'"),
        (("survey", "photos"), "embed it with 'dinoscope embed photos -o photos.dino'"),
        (("map", "empty"), "empty is not a collection: make one with 'dinoscope embed SOURCE -o empty'"),
        (
            ("map", "file.zip"),
            "file.zip is not a collection: expected the folder that 'dinoscope embed SOURCE -o' made",
        ),
        (
            ("report", "c", "-o", "photos"),
            "cannot write 'photos', which is a folder: expected a file that ends with .h",
        ),
        (("survey", "c", "-o", "photos"), "cannot write 'photos', which is a folder"),
        (("receipt", "c", "-o", "photos"), "cannot write 'photos', which is a folder"),
        (("report", "c", "-o", "x.pdf"), "cannot write 'x.pdf': expected a name that ends with .html or .htm"),
        (("receipt", "c", "-o", "x.txt"), "cannot write 'x.txt': expected a name that ends with .json"),
        (("verify", "c", "photos"), "c is a folder, expected a receipt: make one with 'dinoscope receipt COLLECTION"),
        (("embed", "photos", "-o", "d", "--data-dir", "nothere"), "--data-dir is for data sets (fashion-mnist, "),
        (("embed", "photos", "-o", "d", "--on", "foo"), "--on expects ray, HOST:PORT or ray://HOST:PORT, got 'foo'"),
        (("survey", "c", "--on", "foo"), "--on expects ray, HOST:PORT or ray://HOST:PORT, got 'foo'"),
        (("search", "c", "1", "--weights", "nothere"), "--weights is for an image file, and 1 is a row"),
        (("search", "c", "1", "--on", "foo"), "expected http(s)://HOST:PORT or the name of a file that ends with .db"),
        (("search", "c", "x.png"), "x.png: cannot be read: No such file or directory (a query is a row number or an i"),
    ],
)
def test_advice_is_right_and_comes_before_any_work(run, photos, collection, tmp_path, monkeypatch, args, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Collection, "scores", lambda *_: pytest.fail("it was begun"))
    (tmp_path / "photos").symlink_to(photos)
    (tmp_path / "c").symlink_to(collection)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.zip").touch()
    code, out, err = run(*args)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("dinoscope: ")
    assert message in err
    assert sorted(each.name for each in tmp_path.iterdir()) == ["c", "empty", "file.zip", "photos"]


def test_options_without_effect_are_told(run, collection, photos):
    code, _, err = run(
        "embed", photos, "-o", collection, "--model", "mini-fashion", "--upstream", "--on", "127.0.0.1:9"
    )
    assert code == 0
    assert "--upstream has no effect on mini-fashion" in err
    assert "--on 127.0.0.1:9 had no effect: there was nothing to embed" in err


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("search", "c", "1", "-k", "0"), ("'-k'", "0")),
        (("search", "c", "1", "-k", "many"), ("'-k'", "'many'")),
        (("embed",), ("'SOURCE'",)),
        (("embed", "x", "--outptu", "y"), ("--outptu",)),
        (("mop",), ("'mop'",)),
    ],
)
def test_a_command_line_that_makes_no_sense_is_one_line(run, args, told):
    code, out, err = run(*args)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("dinoscope: ")
    assert all(text in err for text in told)
    assert err.endswith(f"see 'dinoscope{'' if args == ('mop',) else ' ' + args[0]} --help'\n")


def test_ctrl_c_ends_every_command_with_a_word(run, collection, monkeypatch):
    def stop(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Collection, "scores", stop)
    assert run("score", collection) == (130, "", "\nstopped; what was computed before is kept\n")


def test_brackets_in_a_help_text_are_no_markup():
    from rich.text import Text

    group: Any = typer.main.get_command(cli.app)
    commands = [each for one in group.commands.values() for each in (one, *getattr(one, "commands", {}).values())]
    helps = [text for one in commands for text in (one.help, one.epilog, *(p.help for p in one.params)) if text]
    assert any("dinoscope\\[ray]" in text for text in helps)
    for text in helps:
        assert Text.from_markup(text).plain == text.replace("\\[", "[")


def test_one_image_has_no_look_alike(run, photos, tmp_path):
    (tmp_path / "one").mkdir()
    shutil.copy(next(iter(sorted(photos.rglob("*.png")))), tmp_path / "one")
    Collection.from_images(tmp_path / "one", tmp_path / "c", model="mini-fashion")
    assert run("search", tmp_path / "c", 0) == (0, "", "there is no other image in this collection\n")
    assert json.loads(run("search", tmp_path / "c", 0, "--json")[1]) == []


@pytest.mark.parametrize("place", ["~/c", "--output=~/c", "-o~/c"])
def test_a_quoted_tilde_is_the_home_folder(run, tmp_path, monkeypatch, place):
    home, work = tmp_path / "home", tmp_path / "work"
    work.mkdir()
    _made(home / "photos")
    for name in "abc":
        Image.new("L", (20, 20), ord(name)).save(home / "photos" / f"{name}.png")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.chdir(work)
    code, _, err = run("embed", "~/photos", *(["-o", place] if place.startswith("~") else [place]))
    assert (code, (home / "c" / "collection.json").is_file()) == (0, True), err
    assert run("info", "~/c", "--json")[0] == 0
    assert run("search", "~/c", "~/photos/a.png")[0] == 0
    assert run("map", "~/c", "--json", "-o", "~/map.csv")[0] == 0
    assert (home / "map.csv").is_file()
    assert list(work.iterdir()) == []


def test_a_tilde_is_the_home_folder_in_python(tmp_path, monkeypatch):
    home, work = tmp_path / "home", tmp_path / "work"
    work.mkdir()
    np.save(_made(home) / "images.npy", np.zeros((3, 20, 20), np.uint8))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.chdir(work)
    Collection.from_images("~/images.npy", "~/c", model="mini-fashion")
    opened = Collection("~/c")
    assert opened.report("~/r.html") == home / "r.html"
    Image.new("RGB", (20, 20)).save(home / "a.png")
    assert len(opened.search("~/a.png", 2)) == 2
    with pytest.raises(ModelError, match="no weights"):
        Encoder("~/weights.onnx")
    assert list(work.iterdir()) == []


def _made(folder):
    folder.mkdir(parents=True)
    return folder


def test_a_path_that_is_mistyped_is_found_beside(run, collection, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(collection, tmp_path / "photos.dino")
    (tmp_path / "photos").mkdir()
    assert "; did you mean 'photos'" in run("embed", "photo")[2]
    assert f"; did you mean '{tmp_path / 'photos'}'" in run("embed", tmp_path / "phtos")[2]
    assert "'dinoscope embed SOURCE -o photo.dino'; did you mean 'photos.dino'" in run("info", "photo.dino")[2]
    assert "did you mean" not in run("embed", "elsewhere/nothing")[2]
    for name in ("zzz", "abc.dino", tmp_path / "holiday.dino", tmp_path / "zzz"):  # their folder is no likeness
        assert "did you mean" not in run("info", name)[2]


def test_a_path_in_place_of_a_command_is_told(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my photos").mkdir()
    code, _, err = run("my photos")
    assert (code, err) == (2, "dinoscope: my photos is not a command; to see it, run: dinoscope open 'my photos'\n")


def test_a_choice_that_is_none_is_told_once(run, collection):
    err = run("sort", collection, "--by", "folder")[2]
    assert "Value error" not in err
    assert "'folder' is not one of 'label', 'cluster', 'split'; see 'dinoscope sort --help'" in err
