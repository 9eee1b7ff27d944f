from typing import Any

import numpy as np
import pytest

from dinoscope.analysis.cleaning.pictures import FAINTEST, SUGGESTED, find_poor_pictures, list_pictures, score_pictures
from dinoscope.base.types import PICTURE_KINDS
from dinoscope.errors import InputError


def usual(count=200):
    """Pictures that nothing is wrong with, and their sizes."""
    generator = np.random.default_rng(0)
    looks = {
        "darkest": generator.uniform(0, 60, count),
        "lightest": generator.uniform(180, 255, count),
        "contrast": generator.uniform(30, 80, count),
        "sharpness": np.exp2(generator.normal(2, 0.3, count)),
        "frame": np.zeros(count),
        "ruled": np.zeros(count),
    }
    return looks, np.stack([generator.uniform(600, 900, count), generator.uniform(400, 650, count)], axis=1)


PLANTED: dict[str, dict[str, Any]] = {
    "blurred": {"sharpness": 0.3},
    "dark": {"lightest": 40.0, "darkest": 1.0},
    "blown out": {"darkest": 200.0, "lightest": 255.0},
    "empty": {"contrast": 1.0, "sharpness": 0.1, "lightest": 30.0, "frame": 1.0},
    "framed": {"frame": 0.1},
    "screenshot": {"ruled": 1.0},
    "odd size": {"size": (80, 60)},
    "odd shape": {"size": (2000, 200)},
}


@pytest.mark.parametrize("kind", PICTURE_KINDS)
def test_what_is_wrong_with_one_picture_is_found_and_nothing_else(kind):
    looks, sizes = usual()
    for name, value in PLANTED[kind].items():
        if name == "size":
            sizes[17] = value
        else:
            looks[name][17] = value
    found = find_poor_pictures(looks, sizes)
    assert [PICTURE_KINDS[each] for each in found.kinds] == [kind]
    assert found.positions.tolist() == [17]
    assert found.of(kind)[0][0] == 17


def test_nothing_is_wrong_with_the_usual():
    found = find_poor_pictures(*usual())
    assert not len(found.positions)
    assert found.common == ()


def test_the_worst_comes_first_and_says_what_was_measured():
    looks, sizes = usual()
    looks["lightest"][[3, 9, 4]] = [50, 10, 30]
    sizes[7] = sizes[7] * 10
    found = find_poor_pictures(looks, sizes)
    assert found.of("dark") == [(9, 10.0), (4, 30.0), (3, 50.0)]
    ((at, value),) = found.of("odd size")
    assert at == 7
    middle = np.median(np.sqrt(np.delete(sizes, 7, axis=0).prod(axis=1)))
    assert value == pytest.approx(np.sqrt(sizes[7].prod()) / middle, rel=0.02)


@pytest.mark.parametrize(("name", "value", "kind"), [("lightest", 40.0, "dark"), ("frame", 0.2, "framed")])
def test_what_many_pictures_have_is_their_style(name, value, kind):
    looks, sizes = usual()
    looks[name][:100] = value
    found = find_poor_pictures(looks, sizes)
    assert found.common == (kind,)
    assert found.of(kind) == []


def test_sharpness_is_beside_that_of_the_collection():
    looks, sizes = usual()
    looks["sharpness"] /= 20  # all are soft: of one camera
    assert find_poor_pictures(looks, sizes).of("blurred") == []
    looks["sharpness"] = np.full(200, 4.0)
    looks["sharpness"][5] = 3.0  # not as sharp, but no blur, though all others are the same
    assert find_poor_pictures(looks, sizes).of("blurred") == []


def test_a_frame_is_more_than_a_line_of_a_small_picture():
    looks, sizes = usual()
    looks["frame"][0], sizes[:] = 1 / 28, (28, 28)
    assert find_poor_pictures(looks, sizes).of("framed") == []
    looks["frame"][0] = 2 / 28
    assert [at for at, _ in find_poor_pictures(looks, sizes).of("framed")] == [0]


def test_scores_say_how_far_beyond_the_limit_a_picture_is():
    looks, sizes = usual()
    looks["lightest"][:3] = [60, 30, 120]  # at the limit, at half the light, at twice
    scores = score_pictures(looks, sizes).scores
    assert scores.shape == (200, len(PICTURE_KINDS))
    assert scores[:3, PICTURE_KINDS.index("dark")] == pytest.approx([0.65, 0.812, 0.488], abs=0.001)
    assert (scores[3:] < SUGGESTED).all()
    looks["lightest"][:2] = [239, 241]  # two octaves short: beyond it nobody is asked
    faint = score_pictures(looks, sizes).scores[:2, PICTURE_KINDS.index("dark")]
    assert faint[0] > FAINTEST > faint[1]


def test_the_threshold_is_what_a_person_makes_of_it_and_their_word_counts_for_each_picture():
    looks, sizes = usual()
    looks["lightest"][:6] = [10, 20, 30, 40, 50, 100]
    scored = score_pictures(looks, sizes)
    number = PICTURE_KINDS.index("dark")
    assert [at for at, _ in list_pictures(scored).of("dark")] == [0, 1, 2, 3, 4]
    at = float(scored.scores[2, number])
    assert [at for at, _ in list_pictures(scored, {"dark": at}).of("dark")] == [0, 1, 2]
    said = np.full(scored.scores.shape, np.nan)
    said[[1, 5], number] = 0, 1
    said[3, number] = 0.5  # nobody could tell: the threshold decides
    assert [at for at, _ in list_pictures(scored, {"dark": at}, said).of("dark")] == [0, 2, 5]
    assert list_pictures(scored, None, said).of("dark") == [(0, 10), (2, 30), (3, 40), (4, 50), (5, 100)]


def test_what_many_pictures_have_is_listed_where_a_person_set_the_threshold():
    looks, sizes = usual()
    looks["frame"][:100] = 0.2
    scored = score_pictures(looks, sizes)
    assert list_pictures(scored).common == ("framed",)
    told = list_pictures(scored, {"framed": SUGGESTED})
    assert told.common == ()
    assert len(told.of("framed")) == 100


def test_what_a_person_called_so_is_listed_even_where_it_is_the_style_of_the_collection():
    looks, sizes = usual()
    looks["frame"][:100] = 0.2
    scored = score_pictures(looks, sizes)
    said = np.full(scored.scores.shape, np.nan)
    said[[4, 150], PICTURE_KINDS.index("framed")] = 1
    said[5, PICTURE_KINDS.index("framed")] = 0
    found = list_pictures(scored, None, said)
    assert found.common == ("framed",)
    assert [at for at, _ in found.of("framed")] == [4, 150]


def test_pictures_of_an_earlier_version_are_no_screenshots():
    looks, sizes = usual()
    looks["ruled"] = np.full(200, np.nan)
    assert find_poor_pictures(looks, sizes).of("screenshot") == []


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_pictures(count):
    looks, sizes = usual(count)
    assert len(find_poor_pictures(looks, sizes).positions) == 0


def test_arrays_that_do_not_fit_are_refused():
    looks, sizes = usual()
    with pytest.raises(InputError, match="one number per picture, expected 199"):
        find_poor_pictures(looks, sizes[1:])
    with pytest.raises(InputError, match=r"one answer per picture and kind, \(200, 8\), got \(8, 200\)"):
        list_pictures(score_pictures(looks, sizes), None, np.zeros((8, 200)))
    with pytest.raises(InputError, match="sizes must be positive"):
        find_poor_pictures(looks, sizes * 0)
