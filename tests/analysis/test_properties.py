"""What is measured of a picture, against definitions written out here."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dinoscope.analysis.explain.properties import PROPERTIES, image_properties, in_words
from dinoscope.errors import InputError


def measured(picture: Any, size: tuple[int, int] = (32, 32)) -> dict[str, float]:
    return {name: float(values[0]) for name, values in image_properties([picture], [size]).items()}


def plain(*colour: int) -> Any:
    return np.broadcast_to(np.asarray(colour, np.uint8), (32, 32, 3)).copy()


def photo(seed: int = 0) -> Any:
    """Coarse and fine structure in colour, 32 x 32: what is measured without scaling."""
    draw = np.random.default_rng(seed)
    coarse = np.kron(draw.uniform(0, 200, (8, 8, 3)), np.ones((4, 4, 1)))
    return (coarse + draw.uniform(0, 55, (32, 32, 3))).astype(np.uint8)


def test_each_property_of_one_picture_by_its_definition():
    pixels = photo().astype(np.float64) / 255
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    light = 0.299 * red + 0.587 * green + 0.114 * blue
    rg, yb = red - green, 0.5 * (red + green) - blue
    colourfulness = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    padded = np.pad(light, 1, mode="edge")
    blurred = np.asarray([[padded[y : y + 3, x : x + 3].mean() for x in range(32)] for y in range(32)])
    edge = np.ones((32, 32), bool)
    edge[2:30, 2:30] = False
    floor = (2 / 255) ** 2
    mirrored = ((light - light.mean()) * (light - light.mean())[:, ::-1]).mean()
    expected = {
        "brightness": light.mean(),
        "contrast": light.std(),
        "colourfulness": colourfulness,
        "warmth": (red - blue).mean(),
        "greenness": (green - (red + blue) / 2).mean(),
        "detail": np.square(light - blurred).mean() / (light.var() + floor),
        "symmetry": mirrored / (light.var() + floor),
        "border brightness": light[edge].mean(),
        "border contrast": light[edge].std(),
        "aspect": 1.5,
        "size": 600,
        "order": 0,
    }
    found = measured(photo(), (30, 20))
    assert found.keys() == PROPERTIES.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=0.00006), name


@pytest.mark.parametrize(
    ("name", "less", "more"),
    [
        ("brightness", plain(40, 40, 40), plain(90, 90, 90)),
        ("warmth", plain(60, 90, 120), plain(120, 90, 60)),
        ("greenness", plain(90, 90, 90), plain(60, 120, 60)),
        ("colourfulness", plain(90, 90, 90), plain(200, 60, 30)),
        ("contrast", photo() // 2, photo()),
        ("detail", np.asarray(Image.fromarray(photo()).resize((8, 8)).resize((32, 32))), photo()),
        ("symmetry", photo(), np.concatenate([photo()[:, :16], photo()[:, 15::-1]], axis=1)),
    ],
)
def test_more_of_it_is_a_larger_number(name, less, more):
    assert measured(less)[name] < measured(more)[name]


def test_a_picture_without_structure_is_smooth_and_not_symmetric():
    found = measured(plain(200, 200, 200))
    assert (found["contrast"], found["detail"], found["symmetry"]) == (0, 0, 0)


def test_files_arrays_and_grey_ones_are_the_same_pictures():
    grey = photo()[..., 0]
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    ways = [grey, np.repeat(grey[..., None], 3, axis=2), file.getvalue()]
    found = image_properties(ways, [(32, 32)] * 3)
    for name in set(PROPERTIES) - {"order"}:
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], found[name][0], atol=1e-6, err_msg=name)
    assert found["colourfulness"][0] == found["warmth"][0] == 0


def test_the_size_of_the_thumbnail_hardly_matters():
    large = np.asarray(Image.fromarray(photo()).resize((256, 192), Image.Resampling.BICUBIC))
    small = np.asarray(Image.fromarray(large).resize((96, 72), Image.Resampling.BOX))
    one, two = measured(large), measured(small)
    for name in ("brightness", "contrast", "colourfulness", "warmth", "border brightness"):
        assert one[name] == pytest.approx(two[name], abs=0.02), name


def test_order_is_as_given():
    found = image_properties([photo(), photo(1)], [(8, 8), (8, 16)], [7, 3])
    assert found["order"].tolist() == [7, 3]
    assert found["aspect"].tolist() == [1, 0.5]


def test_bad_input_is_refused():
    with pytest.raises(InputError, match=r"sizes must be positive, of shape \(1, 2\), width and height, got shape"):
        image_properties([photo()], [(0, 8)])
    with pytest.raises(InputError, match=r"sizes must be positive, of shape \(2, 2\)"):
        image_properties([photo(), photo()], [(8, 8)])
    with pytest.raises(InputError, match=r"order must have shape \(1,\), one for each picture, got \(2,\)"):
        image_properties([photo()], [(8, 8)], [1, 2])


def test_words():
    assert in_words("brightness", 0.934) == "brighter than 93%"
    assert in_words("border brightness", 0.02) == "darker at the border than 98%"
