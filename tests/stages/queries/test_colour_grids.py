"""The patch colours of all images, kept to be drawn in place of thumbnails."""

import re
import shutil

import numpy as np
import pytest

from dinoscope import Collection
from dinoscope.errors import InputError
from dinoscope.stages.checking.integrity import verify_collection
from dinoscope.stages.queries import tokens
from dinoscope.stages.queries.colour_grids import colour_grids, colours_at, keep_colours, plan_colours
from dinoscope.stages.queries.patches import find_scheme, has_scheme
from dinoscope.storage import result_files
from dinoscope.storage.tables import read_table, write_table
from tests.stages.queries.conftest import COUNT

pytestmark = pytest.mark.usefixtures("small_parts")


@pytest.fixture(scope="module")
def looked_at(embedded, tmp_path_factory):
    path = shutil.copytree(embedded, tmp_path_factory.mktemp("looked") / "clothes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "_PART", 8)
        keep_colours(made := Collection(path), made.encoder)
    return path


@pytest.fixture
def coloured(looked_at, tmp_path):
    """Clothes whose colours are kept."""
    return Collection(shutil.copytree(looked_at, tmp_path / "clothes"))


def files(collection):
    return sorted((collection.path / "results" / "patch_colours").glob("*.parquet"))


def never():
    raise AssertionError("no image had to be looked at")


def grids(collection, first=0, last=COUNT):
    return colour_grids(collection, range(first, last), collection.encoder)


def test_they_are_those_that_the_panel_shows(clothes):
    assert grids(clothes) is None
    done: list[tuple[int, int]] = []
    keep_colours(clothes, clothes.encoder, on_progress=lambda *each: done.append(each))
    assert done[-1] == (COUNT, COUNT)
    assert done == sorted(done)
    assert len(files(clothes)) == 3
    found = grids(Collection(clothes.path), 3, 17)  # across three parts
    assert len(found) == 14
    for position in (3, 5, 10, 16):
        expected = clothes.look(int(clothes.rows[position])).colours
        assert np.abs(found[position - 3].astype(int) - expected).max() <= 2  # of tokens in 16 bits
    assert found[2].shape == (11, 23, 3)
    assert verify_collection(clothes.path).damage == ()


def test_what_it_takes_is_told_before(clothes):
    plan = plan_colours(clothes, clothes.encoder)
    assert (plan.images, plan.missing) == (COUNT, COUNT)
    assert plan.seconds > 0
    keep_colours(clothes, clothes.encoder)
    kept = sum(grid.size for grid in grids(clothes))
    assert plan.size == pytest.approx(kept, rel=0.1)
    assert plan_colours(clothes, never) == tokens.TokenPlan(COUNT, 0, 0, 0.0)


def test_kept_tokens_need_no_model(coloured):
    before = grids(coloured)
    for file in files(coloured):
        file.unlink()
    for file in (coloured.path / "results" / "patches").iterdir():
        file.unlink()  # the colours that all images share are found in the tokens, too
    coloured.keep_tokens()
    again = Collection(coloured.path)
    told = plan_colours(again, never)
    assert told.missing == COUNT
    assert told.size == pytest.approx(sum(grid.size for grid in before), rel=0.6)  # told by the first image
    keep_colours(again, never)
    for one, other in zip(grids(again), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_stopped_run_continues(clothes):
    def stop(done, _):
        if done > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keep_colours(clothes, clothes.encoder, on_progress=stop)
    assert len(files(clothes)) == 1
    again = Collection(clothes.path)
    assert grids(again, 0, 8) is not None
    assert grids(again, 0, 9) is None
    assert plan_colours(again, again.encoder).missing == COUNT - 8
    keep_colours(again, again.encoder)
    assert len(files(clothes)) == 3


def test_a_damaged_part_is_made_again(coloured):
    whole = grids(coloured)
    damaged = files(coloured)[0]
    images = len(read_table(damaged)[0]["colours"])
    damaged.write_bytes(damaged.read_bytes()[:-200])
    again = Collection(coloured.path)
    assert plan_colours(again, again.encoder).missing == images
    for one, other in zip(grids(again), whole, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "change",
    [
        lambda columns, meta: columns.update(colours=[each[:-3] for each in columns["colours"]]),
        lambda columns, meta: columns.update(colours=columns["colours"][:-1]),
        lambda columns, meta: columns.update(colours=[1.0] * len(columns["colours"])),
        lambda columns, meta: meta.update(grids=[[0, 16]] * len(meta["grids"])),
        lambda columns, meta: meta.update(grids="none"),
    ],
)
def test_a_strangers_colours_are_made_again(coloured, change):
    right = grids(coloured)
    columns, meta = read_table(files(coloured)[0])
    change(columns, meta)
    write_table(files(coloured)[0], columns, meta)
    for one, other in zip(grids(Collection(coloured.path)), right, strict=True):
        np.testing.assert_array_equal(one, other)


def test_more_images_than_allowed_are_refused_unless_their_tokens_are_kept(clothes):
    command = re.escape(f"run dinoscope look {clothes.path} --keep-tokens --at-most {COUNT} on the machine")
    with pytest.raises(InputError, match=rf"of 20 images have to be computed, and no more than 19 .*: {command}"):
        keep_colours(clothes, clothes.encoder, at_most=19)
    assert files(clothes) == []

    def stop(done, _):
        if done > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clothes.keep_tokens(on_progress=stop)
    keep_colours(clothes, clothes.encoder, at_most=12)  # the other 8 have tokens
    assert len(files(clothes)) == 3


def test_the_looks_for_the_shared_colours_are_told(clothes):
    assert not has_scheme(clothes)
    before = plan_colours(clothes, clothes.encoder).seconds
    find_scheme(clothes)
    assert has_scheme(clothes)
    assert plan_colours(clothes, clothes.encoder).seconds < before  # half as many looks: 20 of 40


def test_colours_do_not_outlive_the_basis_that_made_them(coloured, monkeypatch):
    monkeypatch.setitem(result_files._VERSIONS, "patches", result_files._VERSIONS["patches"] + 1)
    assert grids(Collection(coloured.path)) is None


def test_a_few_images_are_looked_at_alone_unless_all_are_kept(clothes):
    few = [17, 3, 5]
    first = colours_at(clothes, few)
    assert len(files(clothes)) == 1
    assert grids(clothes) is None
    assert verify_collection(clothes.path).damage == ()
    keep_colours(clothes, clothes.encoder)
    for at, found in zip(few, first, strict=True):
        np.testing.assert_array_equal(found, grids(clothes)[at])
    for file in files(clothes):
        if "positions" in read_table(file)[1]["settings"]:
            file.unlink()
    again = Collection(clothes.path)
    for one, other in zip(colours_at(again, few), first, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(files(clothes)) == 3  # taken from there


def test_a_sheet_asks_for_its_own_parts_alone(coloured, monkeypatch):
    opened = Collection(coloured.path)
    monkeypatch.setattr(opened.results, "stored", never)  # which reads the settings of every part
    assert len(grids(opened, 3, 9)) == 6


def test_a_collection_for_reading_alone_holds_them(clothes):
    opened = Collection(clothes.path, read_only=True)
    keep_colours(opened, opened.encoder)
    assert len(grids(opened)) == COUNT
    assert files(clothes) == []
