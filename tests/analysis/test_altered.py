import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from scipy.ndimage import gaussian_filter

from dinoscope.analysis.cleaning.altered import altered_pairs, has_colours, inside_frames, inside_share
from dinoscope.analysis.cleaning.duplicates import find_duplicates
from dinoscope.analysis.cleaning.fingerprints import fingerprints

COUNT = 40


def photos(seed: int = 0) -> list[Any]:
    """Smooth random colour pictures of 80 x 100 pixels, no two alike."""
    made = gaussian_filter(np.random.default_rng(seed).standard_normal((COUNT, 80, 100, 3)), (0, 5, 5, 0))
    return list(np.clip(128 + 900 * made, 0, 255).astype(np.uint8))


def vectors_of(count: int) -> Any:
    """Vectors that say nothing about the pictures."""
    return np.random.default_rng(1).standard_normal((count, 8))


def grey(picture: Any) -> Any:
    return np.asarray(Image.fromarray(picture).convert("L").convert("RGB"))


def framed(picture: Any, share: float = 0.1, colour: tuple[int, int, int] = (250, 250, 250)) -> Any:
    return np.asarray(ImageOps.expand(Image.fromarray(picture), round(80 * share), colour))


def saved(picture: Any) -> Any:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(file, "JPEG", quality=85)
    return np.asarray(Image.open(file))


def groups_of(pictures: list[Any]) -> Any:
    prints = fingerprints(pictures)
    aspects = [picture.shape[1] / picture.shape[0] for picture in pictures]
    found = find_duplicates(
        vectors_of(len(pictures)), prints=prints, inside=inside_frames(pictures, prints), aspects=aspects
    )
    return {tuple(sorted(group)) for group in found.groups}


ALTERED = {
    "turned by 90": lambda picture: np.rot90(picture),
    "turned by 180": lambda picture: np.rot90(picture, 2),
    "turned by 270": lambda picture: np.rot90(picture, 3),
    "mirrored": lambda picture: picture[:, ::-1],
    "upside down": lambda picture: picture[::-1],
    "mirrored and turned": lambda picture: np.rot90(picture[:, ::-1]),
    "grey": grey,
    "narrow white frame": lambda picture: framed(picture, 0.05),
    "wide black frame": lambda picture: framed(picture, 0.15, (0, 0, 0)),
    "grey, mirrored, framed": lambda picture: framed(grey(picture)[:, ::-1]),
}


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
def test_an_altered_copy_is_found_whatever_its_vector(alter):
    pictures = photos()
    assert groups_of([*pictures, saved(alter(pictures[7]))]) == {(7, COUNT)}


def test_different_pictures_are_no_pair():
    pictures = photos()
    assert groups_of(pictures) == set()
    assert groups_of([*pictures, np.rot90(photos(1)[3]), grey(photos(1)[4]), framed(photos(1)[5])]) == set()


def test_pictures_that_differ_in_colour_alone_are_no_pair():
    pictures = photos()
    other = pictures[3][..., [2, 0, 1]]
    assert groups_of([*pictures, other[:, ::-1]]) == set()


def test_a_turned_copy_has_the_other_shape():
    pictures = photos()
    prints = fingerprints([*pictures, np.rot90(pictures[5])])
    wide = np.full(COUNT + 1, np.log(2.0))
    assert len(altered_pairs(prints, shapes=wide, tolerance=0.2)[0]) == 0
    wide[-1] *= -1
    first, second, agreements = altered_pairs(prints, shapes=wide, tolerance=0.2)
    assert (first.tolist(), second.tolist()) == ([5], [COUNT])
    assert agreements[0] > 0.95


def test_flat_pictures_and_no_pictures_have_no_altered_copies():
    flat = [np.full((20, 20, 3), level, np.uint8) for level in (0, 80, 81, 255)]
    assert groups_of([*photos(), *flat]) == set()
    assert len(altered_pairs(fingerprints([]))[0]) == 0


def test_only_a_frame_on_all_four_sides_is_cut_away():
    picture = photos()[0]
    strip = np.full((12, 100, 3), 250, np.uint8)
    pictures = [picture, framed(picture), np.concatenate([strip, picture, strip]), framed(picture, 0.5)]
    positions, inside = inside_frames(pictures, prints := fingerprints(pictures))
    assert positions.tolist() == [1]
    assert np.abs(inside[0].astype(int) - prints[0]).max() <= 1


def test_a_frame_in_colour_around_a_grey_picture_leaves_grey_prints_grey():
    picture = grey(photos()[0])
    prints = fingerprints([framed(picture)])
    assert inside_frames([framed(picture, 0.1, (250, 244, 250))], prints)[1].shape == (1, 32, 32, 1)


def test_colours_and_frames_of_one_picture():
    rng = np.random.default_rng(3)
    picture = np.kron(rng.integers(0, 256, (10, 12, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    grey = np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    assert (has_colours(picture), has_colours(grey)) == (True, False)
    framed = np.full((100, 120, 3), 250, np.uint8)
    framed[10:90, 12:108] = picture
    assert inside_share(framed) == pytest.approx(0.64)
    assert inside_share(picture) == 1
    assert inside_share(np.zeros((9, 9, 3), np.uint8)) == 1
