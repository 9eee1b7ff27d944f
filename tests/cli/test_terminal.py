"""What stands in a terminal of 80 columns: no cell is cut off, no word is broken, and pipes get whole lines."""

import io
from types import SimpleNamespace

import pytest
from rich.cells import cell_len

from dinoscope.cli import terminal
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
    for module in ("terminal", "tables"):
        monkeypatch.setattr(f"dinoscope.cli.{module}.sys", streams)
    return streams


def cells_of(stream):
    found = stream.getvalue().splitlines()
    assert max(map(cell_len, found)) <= 80
    return [line.rstrip() for line in found if line.strip()]


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


def test_spaces_in_a_path_are_kept(narrow):
    path = f"my  photos/{'a' * 50}/one   of many.jpg"
    print_table(("file", "why"), [(path, "m" * 40)])
    assert f" {path}" in lines_of(narrow.stdout)


def test_wide_letters_take_two_cells(narrow):
    words = ["\u4e2d" * 11] * 8
    print_table(("file", "x" * 20, "y" * 40), [(" ".join(words), "1", "z" * 30)])
    found = cells_of(narrow.stdout)
    assert sum(line.count(words[0]) for line in found) == 8
    print_table(("\u4e2d" * 5, "y"), [("x" * 60, "z" * 60)])
    assert [line for line in cells_of(narrow.stdout) if line.endswith("z" * 60)]


def test_heads_without_rows_stay_heads(narrow):
    heads = [f"a_long_head_{number}" for number in range(9)]
    print_table(heads, [])
    assert " ".join(" ".join(line.split()) for line in lines_of(narrow.stdout)) == " ".join(heads)


def test_keys_are_never_cut_off(narrow):
    """As wide as many long words are: each row becomes lines of its own."""
    heads = ("model", *(f"figure {number}" for number in range(9)), "")
    rows = [("m" * 20, *(f"{number}" * 15 for number in range(9)), "rises to the left")] * 6
    print_table(heads, rows)
    found = lines_of(narrow.stdout)
    assert found[0] == f" model     {'m' * 20}"
    assert found[1] == f" figure 0  {'0' * 15}"
    assert found[len(heads) - 1].strip() == "rises to the left"
    assert len(found) == len(heads) * len(rows)


def test_a_path_without_room_in_its_column_is_below_its_row(narrow):
    path = "validation/longsleeve/5e944547-0000-1111-2222-333344445555.jpg"
    print_table(
        ("score", "image", "labels"), [("0.97", path, "hat, shoes, longsleeve"), ("1", "a.jpg", "")], right=(0,)
    )
    found = lines_of(narrow.stdout)
    assert found[:2] == [" score   labels", "   image"]
    assert found[3:] == ["  0.97   hat, shoes, longsleeve", f"   {path}", "     1", "   a.jpg"]


def test_a_path_that_names_its_row_is_above_it(narrow):
    path = f"{'x' * 60}.jpg"
    print_table(("file", "moved to", "why"), [(path, f"new/{path}", "as you said")])
    assert lines_of(narrow.stdout)[4:] == [f" {path}", " as you said", f"   new/{path}"]


def test_paths_alone_are_pairs_of_lines(narrow):
    print_table(("file", "moved to"), [("x" * 60, "y" * 60)])
    found = lines_of(narrow.stdout)
    assert (found[:2], found[3:]) == ([" file", "   moved to"], [f" {'x' * 60}", f"   {'y' * 60}"])


def test_many_figures_of_a_few_models_are_a_table_of_figures(narrow):
    heads = ("model", *(f"measured{number}" for number in range(13)))
    print_table(heads, [("mini", *map(str, range(13))), ("pixels", *"0" * 13)], right=range(1, 14))
    found = lines_of(narrow.stdout)
    assert found[0] == " model        mini   pixels"
    assert found[2:4] == [" measured0       0        0", " measured1       1        0"]
    assert len(found) == 2 + 13


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


def test_what_began_first_may_end_first(narrow, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    with working("writing the report"):
        map_, copies = working("laying out the map"), working("looking for duplicates")
        map_.__enter__()
        copies.__enter__()
        map_.__exit__(None, None, None)
        assert terminal._doing == ["writing the report", "looking for duplicates"]
        copies.__exit__(None, None, None)
    assert terminal._doing == []


def test_no_program_is_told_what_goes_on(capsys):
    with working("laying out the map"):
        pass
    assert capsys.readouterr() == ("", "")


def test_a_path_without_room_beside_its_name_is_below_it(narrow):
    path = f"{'x' * 70}.jpg"
    heads = ("labels of its nearest", "image", *("what more is known" for _ in range(4)))
    print_table(heads, [("a", path, *("m" * 20 for _ in range(4)))] * 6)
    found = lines_of(narrow.stdout)
    assert found[0] == " labels of its nearest  a"
    assert found[1:3] == [" image", f"   {path}"]


def test_advice_has_its_command_on_a_line_of_its_own(capsys):
    advise(Point("Too small.", "It sees little.", command="dinoscope embed photos --model dinov2-small"))
    advise(None)
    assert capsys.readouterr().err == "Too small. It sees little.\ndinoscope embed photos --model dinov2-small\n"
