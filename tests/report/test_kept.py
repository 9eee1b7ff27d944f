"""A report that would come out the same stays as it is; whatever it depends on makes it new."""

from __future__ import annotations

import shutil

import pytest

from dinoscope.collection import Collection
from dinoscope.errors import ModelError
from dinoscope.plots import fonts
from dinoscope.report import bundle as report_bundle
from dinoscope.report import facts, kept, write
from tests.report.test_report import LABELS, make, pictures

UP_TO_DATE = ["the report is up to date: nothing that it shows has changed"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_bundle, "_FOLDER", tmp_path_factory.mktemp("nothing"))
        path = tmp_path_factory.mktemp("kept") / "squares.dino"
        make(path, pictures(60), [LABELS[i % 3] for i in range(60)])
        Collection(path).report(k=3)
        yield path


@pytest.fixture
def folder(made, tmp_path):
    shutil.copytree(made, tmp_path / made.name)
    return tmp_path / made.name


def is_kept(path, opened=None, **options):
    """Write the report of a collection, by default with the options that it was written with; was it up to date?"""
    notes: list[str] = []
    report = path / "report.html"
    before = report.stat().st_mtime_ns if report.exists() else None
    (opened or Collection(path)).report(on_note=notes.append, **{"k": 3, **options})
    same = report.stat().st_mtime_ns == before
    assert same == (notes == UP_TO_DATE)
    return same


def test_the_same_report_is_not_written_again_and_nothing_is_read_for_it(folder, monkeypatch):
    def gather(*_, **__):
        raise AssertionError("computed")

    monkeypatch.setattr("dinoscope.report.write.gather", gather)
    assert is_kept(folder)


@pytest.mark.parametrize(
    "options", [{"k": 4}, {"title": "Squares"}, {"author": "Ada"}, {"max_mb": 20}, {"private_columns": True}]
)
def test_other_options_write_it_again(folder, options):
    assert not is_kept(folder, **options)
    assert is_kept(folder, **options)


def test_what_people_say_writes_it_again(folder):
    opened = Collection(folder)
    opened.annotate(opened.rows[:2].tolist(), label="mine")
    assert not is_kept(folder)
    assert is_kept(folder)
    assert not is_kept(folder, Collection(folder, labels="merged"))


def test_a_dismissed_finding_writes_it_again(folder):
    Collection(folder).dismiss("outliers-0123456789abcdef")
    assert not is_kept(folder)


def test_a_new_result_writes_it_again(folder):
    Collection(folder).map(method="pca")
    assert not is_kept(folder)
    assert is_kept(folder)


def test_a_part_of_the_images_is_another_report(folder):
    assert not is_kept(folder, Collection(folder, where="width > 1 and label = 'red things'"), k=None)
    assert not is_kept(folder)


def test_more_images_write_it_again(folder):
    make(folder, pictures(66), [LABELS[i % 3] for i in range(66)])
    assert not is_kept(folder)


def test_the_explorer_writes_it_again(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(report_bundle, "_FOLDER", tmp_path)
    (tmp_path / "report.js").write_text("1;", "utf-8")
    (tmp_path / "report.css").write_text("", "utf-8")
    assert not is_kept(folder)
    assert is_kept(folder)


def test_another_program_writes_it_again(folder, monkeypatch):
    monkeypatch.setattr(kept, "_program", lambda: "another")
    assert not is_kept(folder)


def test_a_font_that_may_come_writes_it_again(folder, monkeypatch):
    monkeypatch.setattr(fonts, "_found", {"\U0001f9ff": None})
    assert not is_kept(folder, title="\U0001f9ff")
    assert not is_kept(folder, title="\U0001f9ff")
    assert not is_kept(folder)
    assert is_kept(folder)  # it has no such letter


@pytest.mark.parametrize(
    "damage", [lambda page: page[:-1], lambda page: page.replace(b"squares", b"Squares"), lambda _: b""]
)
def test_a_report_that_was_changed_is_written_again(folder, damage):
    report = folder / "report.html"
    report.write_bytes(damage(report.read_bytes()))
    assert not is_kept(folder)
    assert is_kept(folder)
    report.unlink()
    assert not is_kept(folder)


def test_what_cannot_be_stored_is_computed_again(folder):
    opened = Collection(folder, read_only=True)
    opened.map(method="pca")
    assert opened.results.unstored
    assert not is_kept(folder, opened)


def test_what_another_program_computes_meanwhile_is_shown_next_time(folder, monkeypatch):
    def compose(*given):
        Collection(folder).map(method="pca")
        return composed(*given)

    composed = write._compose
    monkeypatch.setattr(write, "_compose", compose)
    assert not is_kept(folder, k=4)
    monkeypatch.undo()
    monkeypatch.setattr(report_bundle, "_FOLDER", folder / "nothing")
    assert not is_kept(folder, k=4)
    assert is_kept(folder, k=4)


def test_weights_that_may_come_back_write_it_again(folder, monkeypatch):
    def colours(*_):
        raise ModelError("no weights here")

    load = facts._load_pictures

    def without_small_pictures(told):
        load(told)
        told.small = None

    monkeypatch.setattr(facts, "colours_at", colours)
    monkeypatch.setattr(facts, "has_scheme", lambda _: True)
    monkeypatch.setattr(facts, "_load_pictures", without_small_pictures)
    assert not is_kept(folder, k=4)
    assert not is_kept(folder, k=4)


def test_columns_that_another_program_changed_are_read_again(folder):
    opened = Collection(folder)
    assert "price" not in opened.columns()
    Collection(folder).add_columns({"id": opened.ids, "price": opened.rows / 2})
    assert not is_kept(folder, opened)
    assert "price" in opened.columns()
