"""Letters that matplotlib's own font lacks: found in other fonts, or said to be missing."""

import shutil
import warnings

import pytest
from matplotlib.figure import Figure
from PIL import Image

from dinoscope.plots import fonts
from dinoscope.plots.canvas import printable, render
from dinoscope.plots.sheets import Block, Tile, draw_sheet
from tests.pictures import encoded

NOWHERE = "\U0010fffd"  # for private use: no font has it


@pytest.fixture
def gap(monkeypatch):
    """The default font as if it had no Cyrillic letters, which others of matplotlib's have."""
    whole = fonts._default_letters()
    monkeypatch.setattr(fonts, "_default_letters", lambda: {k: v for k, v in whole.items() if not 0x400 <= k < 0x500})
    monkeypatch.setattr(fonts, "_found", {})


def test_another_family_that_has_the_letters_is_chosen(gap, caplog):
    assert fonts.choose_families("plain Ä\nin two lines") == []
    (family,) = fonts.choose_families("Кошка")
    assert printable("Кошка, cat") == "Кошка, cat"
    figure = Figure()
    plain, dressed = figure.text(0, 0, "cat"), figure.text(0, 0.5, "Кошка, cat")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a glyph that is missing is one
        render(figure, "png")
    assert plain.get_fontfamily() != dressed.get_fontfamily()
    assert dressed.get_fontfamily()[-1] == family
    pieces = fonts.font_files("cat Кошка")
    assert [piece for piece, _ in pieces] in (["cat ", "Кошка"], ["cat Кошка"])  # of one file where that is the default
    assert caplog.records == []


def test_a_letter_that_no_font_has_is_a_box_and_said_once(gap, caplog):
    assert printable(f"a{NOWHERE}b") == "a▯b"
    assert printable(f"{NOWHERE}{NOWHERE}") == "▯▯"
    (record,) = caplog.records
    assert record.message == f"no installed font has the letter {NOWHERE}: a box stands for it; install " + (
        "Noto Sans (package fonts-noto-core)"
    )


def test_each_font_that_would_help_is_said_once(gap, caplog, monkeypatch):
    monkeypatch.setattr(fonts, "_installed", lambda: iter(()))
    for text in ("ไ", "猫 dog 고", "🐈ไ", "と🐶ท"):
        fonts.drawable(text)
    assert [record.message.partition("; install ")[2] for record in caplog.records] == [
        "Noto Sans (package fonts-noto-core)",
        "Noto Sans CJK (package fonts-noto-cjk)",
        "Noto Emoji or Symbola (package fonts-symbola)",
    ]


def test_what_only_changes_a_letter_is_no_box(gap, monkeypatch):
    monkeypatch.setattr(fonts, "_installed", lambda: iter(()))
    assert fonts.drawable("❤\N{VARIATION SELECTOR-16}") in ("❤", "❤\N{VARIATION SELECTOR-16}")


@pytest.mark.parametrize(
    ("letter", "package"),
    [("猫", "fonts-noto-cjk"), ("고", "fonts-noto-cjk"), ("と", "fonts-noto-cjk"), ("🐈", "fonts-symbola")],
)
def test_what_to_install_depends_on_the_letter(letter, package):
    assert package in fonts._advice(letter)


def test_sheets_take_further_fonts_too(gap):
    picture = encoded(Image.new("RGB", (8, 8)), "PNG")
    tile = Tile(0, ("Кошка", NOWHERE))
    page = draw_sheet("title", "note", [Block("heading", (tile,))], lambda positions: [picture] * len(positions))
    assert page.startswith(b"\x89PNG")


def test_fonts_that_were_installed_later_are_found(gap, monkeypatch, tmp_path):
    """Matplotlib lists fonts once and keeps the list."""
    import matplotlib.font_manager as manager

    regular = [each for each in manager.fontManager.ttflist if each.style == "normal" and each.weight == 400]
    file = next(entry.fname for entry in regular if entry.name == "DejaVu Sans")
    later = tmp_path / "later.ttf"
    shutil.copyfile(file, later)
    monkeypatch.setattr(manager.fontManager, "ttflist", [])
    monkeypatch.setattr(manager, "findSystemFonts", lambda: [str(later), str(tmp_path / "none.ttf")])
    assert fonts.choose_families("Кошка") == ["DejaVu Sans"]
