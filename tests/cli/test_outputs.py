"""No output takes the place of a collection's own files; nothing that is printed gives a terminal orders."""

import json

import pytest
import typer

from dinoscope.cli import main as cli
from dinoscope.cli.terminal import print_json
from tests.served import images, make_collection


def commands_with_outputs():
    """Every command that has -o for something else than the collection that it makes."""

    def walk(group, before):
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from walk(command, (*before, name))
            elif any("-o" in parameter.opts for parameter in command.params) and name not in ("embed", "demo"):
                yield (*before, name), sum(parameter.param_type_name == "argument" for parameter in command.params)

    return list(walk(typer.main.get_command(cli.app), ()))


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return make_collection(tmp_path_factory.mktemp("outputs") / "c", images(20))


def content_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_there_are_such_commands():
    names = {command[-1] for command, _ in commands_with_outputs()}
    assert {"map", "cluster", "search", "clean", "report", "diff", "receipt", "survey", "pack", "evaluate"} <= names


@pytest.mark.parametrize(("command", "arguments"), commands_with_outputs(), ids=lambda value: str(value))
def test_no_output_takes_the_place_of_a_collections_own_file(run, collection, tmp_path, command, arguments):
    before = content_of(collection)
    link = tmp_path / "link"
    link.symlink_to(collection, target_is_directory=True)
    places = (collection / "images.parquet", collection / "results" / "map" / "x.png", link / "dismissed.json")
    for place in places:
        code, out, err = run(*command, *[collection] * arguments, "-o", place)
        assert (code, out) == (1, "")
        assert f"cannot write {place}: it belongs to the collection" in err
        assert err.count("\n") == 1
    assert content_of(collection) == before


def test_a_plan_is_an_output_too(run, collection):
    code, _, err = run("clean", collection, "--write-plan", collection / "answers.json")
    assert code == 1
    assert "belongs to the collection" in err
    assert not (collection / "answers.json").exists()


def test_what_merely_lies_in_a_collection_is_written(run, collection, tmp_path):
    for path in (collection / "map.png", collection / "below" / "images.parquet.csv", tmp_path / "results" / "map.png"):
        code, out, err = run("map", collection, "--method", "pca", "-o", path)
        assert (code, out.strip()) == (0, str(path)), err
        assert path.exists()
    (tmp_path / "collection.json").write_text("[]")  # anybody's
    code, _, err = run("receipt", collection, "-o", tmp_path / "collection.json")
    assert code == 0, err


def test_json_holds_nothing_that_a_terminal_obeys(capsys):
    value = {"id": "a\x1b[2J\x9b31m\x7f\x85é\u4e2d\n", "\x9d": [1.5, None]}
    print_json(value)
    out = capsys.readouterr().out
    assert json.loads(out) == value
    assert not [letter for letter in out if letter != "\n" and (ord(letter) < 32 or 127 <= ord(letter) < 160)]
    assert "é\u4e2d" in out
