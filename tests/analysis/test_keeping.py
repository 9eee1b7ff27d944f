from __future__ import annotations

from dataclasses import replace

import pytest

from dinoscope.analysis.cleaning.keeping import LOSSLESS, FileFacts, choose_keeper

GOOD = FileFacts(1000, quality=95, noise=2, detail=28, reduced=1, bytes=900, modified=5)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (replace(GOOD, pixels=999, quality=LOSSLESS, modified=1), "the largest"),
        (replace(GOOD, quality=60, noise=0.7, detail=22), "the least compressed (quality 95 against 60)"),
        (replace(GOOD, quality=LOSSLESS, noise=6, detail=24), "less noise (2.0 grey levels against 6.0)"),
        (replace(GOOD, noise=0.6, detail=4, bytes=2000), "the most detail against noise"),
        (replace(GOOD, noise=3.5, bytes=2000), "the most detail against noise"),
        (replace(GOOD, quality=94, bytes=800), "the most bytes for as many pixels"),
        (replace(GOOD, modified=6), "the oldest file"),
    ],
)
def test_the_better_copy_is_kept_and_why(other, reason):
    assert choose_keeper([GOOD, other]) == (0, reason)
    assert choose_keeper([other, GOOD]) == (1, reason)


def test_a_file_without_loss_is_better_than_a_jpeg_of_it():
    whole = replace(GOOD, quality=LOSSLESS, bytes=5000)
    kept = choose_keeper([GOOD, replace(GOOD, quality=80), whole])
    assert kept == (2, "the least compressed (without loss against 95)")


def test_noise_that_compression_took_away_is_no_merit():
    grainy = replace(GOOD, quality=LOSSLESS, noise=8, detail=20)
    assert choose_keeper([replace(GOOD, quality=75, noise=2, detail=18), grainy])[0] == 1


def test_what_was_measured_at_other_sizes_is_not_compared():
    blurred = replace(GOOD, noise=0.6, detail=4, reduced=8)
    assert choose_keeper([replace(blurred, modified=4), GOOD])[1] == "the oldest file"


def test_equals_and_what_nothing_is_known_of():
    assert choose_keeper([GOOD, GOOD]) == (0, "the first of equals")
    assert choose_keeper([FileFacts(10), FileFacts(10), GOOD]) == (2, "the largest")
    assert choose_keeper([FileFacts(10), FileFacts(10)]) == (0, "the first of equals")


GRAINY = FileFacts(1000, quality=95, noise=6, detail=20, grain=6.0, reduced=1)


@pytest.mark.parametrize(
    ("other", "kept"),
    [
        (FileFacts(1000, quality=85, noise=2, detail=20, grain=2.0, reduced=1), 1),  # grain was added to it
        (FileFacts(1000, quality=85, noise=2, detail=20, grain=5.9, reduced=1), 0),  # it was compressed from the other
        (FileFacts(1000, quality=50, noise=0.5, detail=20, grain=0.5, reduced=1), 0),  # compression takes so much away
        (FileFacts(1000, quality=85, noise=0.5, detail=5, grain=2.0, reduced=1), 0),  # it is blurred
        (FileFacts(1000, quality=85, noise=2, detail=20, reduced=1), 0),  # of an earlier version
    ],
)
def test_grain_is_a_fault_unless_compression_or_blur_took_it_from_the_other(other, kept):
    assert choose_keeper([GRAINY, other])[0] == kept
    assert choose_keeper([other, GRAINY])[0] == 1 - kept


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (replace(GOOD, colour=False, quality=99), "in colour"),
        (replace(GOOD, colour=True, pixels=1300, inside=0.75, quality=99), "without the frame"),
        (replace(GOOD, colour=True, quality=99, noise=0.2, detail=5), "the most detail against noise"),
        (replace(GOOD, colour=False, pixels=500), "the largest"),
    ],
)
def test_a_copy_that_lost_something_is_not_kept_for_its_quality(other, reason):
    good = replace(GOOD, colour=True)
    assert choose_keeper([good, other]) == (0, reason)
    assert choose_keeper([other, good]) == (1, reason)


def test_a_frame_is_kept_where_more_is_inside():
    assert choose_keeper([GOOD, replace(GOOD, pixels=4000, inside=0.7)]) == (1, "the largest")
    assert choose_keeper([replace(GOOD, inside=0.7, modified=9), replace(GOOD, inside=0.7)]) == (1, "the oldest file")


def test_of_framed_copies_the_widest_frame_is_no_merit():
    wide, narrow = (
        replace(GOOD, pixels=1100**2, inside=(780 / 1100) ** 2),
        replace(GOOD, pixels=1000**2, inside=0.94**2),
    )
    assert choose_keeper([wide, narrow]) == (1, "the largest inside its frame")
    small = replace(GOOD, pixels=400**2, quality=99)
    assert choose_keeper([small, wide, narrow]) == (2, "the largest inside its frame")
    assert choose_keeper([wide, replace(narrow, pixels=1200**2)]) == (1, "the largest")
    assert choose_keeper([wide, narrow, replace(GOOD, pixels=900**2)]) == (2, "without the frame")


def test_compression_that_says_nothing_of_itself_may_have_smoothed_grain():
    smooth = replace(GOOD, quality=75, noise=1.0, grain=1.0)
    assert choose_keeper([replace(GOOD, grain=20.0), replace(smooth, unknown_loss=True)])[0] == 0
    assert choose_keeper([replace(GOOD, grain=20.0), smooth])[0] == 1


@pytest.mark.parametrize(
    ("other", "kept"),
    [
        (FileFacts(1000, quality=85, noise=3.4, detail=14.0, grain=4.3, reduced=1), 0),  # noise
        (FileFacts(1000, quality=50, noise=0.5, detail=5.0, grain=4.5, reduced=1), 0),
        (FileFacts(1000, quality=30, noise=0.3, detail=3.3, grain=0.2, reduced=1), 0),  # blocks
        (FileFacts(1000, quality=85, noise=2.0, detail=12.0, grain=0.9, reduced=1), 1),  # the smooth one is blurred
        (FileFacts(1000, quality=85, noise=2.0, detail=12.0, reduced=1), 1),  # of an earlier version
        (FileFacts(1000, quality=LOSSLESS, noise=2.0, detail=12.0, grain=4.3, reduced=1), 1),
    ],
)
def test_noise_and_blocks_of_compression_are_no_detail(other, kept):
    smooth = FileFacts(1000, quality=LOSSLESS, noise=0.1, detail=0.6, grain=0.3, reduced=1)
    assert choose_keeper([smooth, other])[0] == kept
    assert choose_keeper([other, smooth])[0] == 1 - kept


def test_noise_does_not_hide_a_blurred_copy_from_a_sharp_one():
    sharp = FileFacts(1000, quality=92, noise=1, detail=12, grain=0.5, reduced=1)
    blurred, noisy = replace(sharp, quality=95, detail=0.6), replace(sharp, quality=85, detail=14, grain=4)
    assert choose_keeper([blurred, noisy, sharp])[0] == 2
