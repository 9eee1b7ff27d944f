"""What stands in a terminal of 80 columns: no cell is cut off, no word is broken, and pipes get whole lines."""

import io
from types import SimpleNamespace

import pytest

from dinoscope.cli.terminal import advise, counting, print_table, say, suggest, tell, working
from dinoscope.wording.in_short import Point


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setenv("TERM", "dumb")  # no bold letters
    streams = SimpleNamespace(stdout=Terminal(), stderr=Terminal())
    monkeypatch.setattr("dinoscope.cli.terminal.sys", streams)
    return streams


def lines_of(stream):
    found = stream.getvalue().splitlines()
    assert max(map(len, found)) <= 80
    return [line.rstrip() for line in found if line.strip()]


def test_what_fits_is_a_table(narrow):
    print_table(("row", "id"), [("1", "a"), ("20", "b")], right=(0,))
    assert lines_of(narrow.stdout) == [" row   id", " ────────", "   1   a", "  20   b"]


def test_sentences_are_broken_between_words(narrow):
    meaning = "share of the true nearest neighbours that are among the nearest on the map, of all of them"
    print_table(("score", "value", "meaning"), [("map: neighbours kept", "0.620", meaning)], right=(1,))
    found = lines_of(narrow.stdout)
    assert found[2].startswith(" map: neighbours kept   0.620   share of the true")
    assert " ".join(" ".join(line.split()) for line in found[2:]) == f"map: neighbours kept 0.620 {meaning}"


def test_keys_are_never_cut_off(narrow):
    """As wide as a path and many figures are: each row becomes lines of its own."""
    path = "train/hat/5e944547-0000-1111-2222-333344445555.jpg"
    heads = ("model", *(f"figure {number}" for number in range(9)), "")
    print_table(heads, [(path, *"123456789", "rises to the left")])
    found = lines_of(narrow.stdout)
    assert found[0] == f" model     {path}"
    assert found[1] == " figure 0  1"
    assert found[-1].strip() == "rises to the left"
    assert len(found) == len(heads)


def test_columns_move_together_before_rows_are_taken_apart(narrow):
    print_table(("n_neighbors", "x" * 33, "y" * 30), [("5", "0.1", "0.2")], right=(0, 1, 2))
    found = lines_of(narrow.stdout)
    assert found[0] == f" n_neighbors {'x' * 33} {'y' * 30}"
    assert found[2] == f"{5:>12}{0.1:>34}{0.2:>31}"


def test_a_pipe_gets_whole_lines(capsys):
    say("word " * 40)
    tell("word " * 40)
    print_table(("a", "b"), [("x" * 90, "y" * 90)])
    out, err = capsys.readouterr()
    assert err == "word " * 40 + "\n"
    assert out.splitlines()[0] == "word " * 40
    assert "x" * 90 + "   " + "y" * 90 in out


def test_remarks_are_broken_between_words(narrow):
    text = "the centre crop leaves out 25% of every image on average in 3,781 of 3,781 images (worst: 55%); --pad"
    say(text)
    tell(f"  {text}\nshort")
    assert " ".join(lines_of(narrow.stderr)) == text
    first, second, last = lines_of(narrow.stdout)
    assert (first[:5], second[:3], last) == ("  the", "  i", "short")


def test_the_next_command_is_for_people_and_quoted_where_a_shell_needs_it(narrow):
    suggest("explore", "my photos.dino")
    assert lines_of(narrow.stderr) == ["next: dinoscope explore 'my photos.dino'"]


def test_no_program_is_told_the_next_command(capsys):
    suggest("explore", "photos.dino")
    assert capsys.readouterr() == ("", "")


def test_what_goes_on_is_shown_and_nothing_of_it_stays(narrow, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    with working("laying out the map"):
        with working("finding the nearest images"):
            pass
        say("a remark")
    shown = narrow.stderr.getvalue()
    assert "laying out the map" in shown
    assert shown.endswith("\x1b[2K")  # the line is wiped away


def test_beside_a_bar_no_second_line_is_shown(narrow, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    with counting("maps") as show, working("finding the nearest images"):
        show(1, 2)
    assert "finding" not in narrow.stderr.getvalue()


def test_no_program_is_told_what_goes_on(capsys):
    with working("laying out the map"):
        pass
    assert capsys.readouterr() == ("", "")


def test_a_path_without_room_beside_its_name_is_below_it(narrow):
    path = f"{'x' * 70}.jpg"
    print_table(("labels of its nearest", "image", "more"), [("a", path, "word " * 30)])
    found = lines_of(narrow.stdout)
    assert found[0] == " labels of its nearest  a"
    assert found[1:3] == [" image", f"   {path}"]


def test_advice_has_its_command_on_a_line_of_its_own(capsys):
    advise(Point("Too small.", "It sees little.", command="dinoscope embed photos --model dinov2-small"))
    advise(None)
    assert capsys.readouterr().err == "Too small. It sees little.\ndinoscope embed photos --model dinov2-small\n"
