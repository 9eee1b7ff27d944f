from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from dinoscope.errors import InputError
from dinoscope.models.preprocess import CropLoss, Preprocessing, kept_fraction, lost_to_crop, prepare, preprocessing_of
from dinoscope.sources.pixels.decode import read_image, read_reduced
from tests.pictures import encoded
from tests.reference.preprocess import DATA, PANORAMAS, RESOLUTION, SIZES, picture, sampled

BUNDLED, DINO, DINOV2, DINOV3 = (preprocessing_of(family) for family in ("bundled", "dino", "dinov2", "dinov3"))
PAD = preprocessing_of("dinov2", pad=True)


@pytest.fixture(scope="module")
def reference():
    """What the image processors of transformers 5 made of the pictures, with Pillow 13: family -> a square a size."""
    with np.load(DATA) as archive:
        return {family: dict(zip((*SIZES, *PANORAMAS), archive[family], strict=True)) for family in archive}


# --- like the published image processors ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [*SIZES, *PANORAMAS])
def test_dino_gets_its_image_processors_bytes(reference, size):
    got = prepare(picture(*size), DINO, RESOLUTION)
    np.testing.assert_array_equal(sampled(got), reference["dino"][size])


@pytest.mark.parametrize("size", SIZES)
def test_dinov2_gets_its_image_processors_bytes(reference, size):
    got = prepare(picture(*size), DINOV2, RESOLUTION)
    np.testing.assert_array_equal(sampled(got), reference["dinov2"][size])


@pytest.mark.parametrize("size", PANORAMAS)
def test_dinov2_panoramas_are_within_one_level(reference, size):
    """Only their middle is scaled, from a place that Pillow rounds."""
    got = prepare(picture(*size), DINOV2, RESOLUTION)
    apart = np.abs(sampled(got).astype(int) - reference["dinov2"][size])
    assert apart.max() <= 1
    assert apart.mean() < 0.01


@pytest.mark.parametrize("size", [*SIZES, *PANORAMAS])
def test_dinov3_is_its_image_processors_floats_rounded(reference, size):
    """Half a level is the rounding; its floats are single precision, and stored to 1/512 of a level."""
    got = prepare(picture(*size), DINOV3, RESOLUTION)
    apart = np.abs(sampled(got) - reference["dinov3"][size] / 256)
    assert apart.max() <= 0.5 + 1 / 256


def test_dinov3_differs_from_scaling_bytes():
    image = picture(640, 480)
    assert (prepare(image, DINOV3, RESOLUTION) != prepare(image, DINO, RESOLUTION)).any()


def test_a_panorama_of_any_length_is_cheap():
    """Scaled as a whole, the second would have 256 x 13 million pixels."""
    for shape in ((50_000, 1, 3), (1, 50_000, 3)):
        strip = np.zeros(shape, np.uint8)
        strip[24_900:25_100] = 255
        strip[:, 24_900:25_100] = 255
        square = prepare(strip, DINOV2, RESOLUTION)
        assert square.shape == (RESOLUTION, RESOLUTION, 3)
        assert square.min() == 255


# --- the bundled models' own ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(640, 480), (333, 500), (40, 31), (28, 28), (1, 1), (900, 3)])
def test_the_bundled_models_see_the_middle_square(width, height):
    """Byte by byte what their weights were measured with."""
    image, short = picture(width, height), min(width, height)
    left, top = (width - short) / 2, (height - short) / 2
    expected = Image.fromarray(image).resize(
        (32, 32), Image.Resampling.BICUBIC, box=(left, top, left + short, top + short), reducing_gap=3.0
    )
    np.testing.assert_array_equal(prepare(image, BUNDLED, 32), np.asarray(expected))


@pytest.mark.parametrize("how", [BUNDLED, DINO, DINOV3, PAD])
def test_an_image_of_the_right_size_is_itself(how):
    image = picture(32, 32)
    assert prepare(image, how, 32) is image


def test_dinov2_cuts_an_image_of_the_right_size_too():
    assert (prepare(picture(224, 224), DINOV2, 224) != picture(224, 224)).any()


# --- padding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(80, 40), (40, 80), (81, 40), (28, 28), (1, 1), (1000, 3), (3, 1000), (20, 10)])
def test_padding_shows_the_whole_picture_on_the_mean_colour(size):
    shown = np.ones((size[1], size[0], 3), np.uint8) * np.array([255, 0, 255], np.uint8)
    square = prepare(shown, PAD, 32)
    height, width = (max(1, round(32 * side / max(size))) for side in size[::-1])
    top, left = (32 - height) // 2, (32 - width) // 2
    expected = np.full((32, 32, 3), (124, 116, 104), np.uint8)
    expected[top : top + height, left : left + width] = (255, 0, 255)
    np.testing.assert_array_equal(square, expected)


def test_padded_pixels_are_the_scaled_picture():
    image = picture(80, 40)
    expected = Image.fromarray(image).resize((32, 16), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(prepare(image, PAD, 32)[8:24], np.asarray(expected))


def test_the_mean_colour_is_what_the_graph_centres_to_zero():
    mean = prepare(np.zeros((1, 2, 3), np.uint8), PAD, 4)[0, 0] / 255
    np.testing.assert_allclose(mean, (0.485, 0.456, 0.406), atol=0.5 / 255)


# --- decoded smaller --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [BUNDLED, DINO, DINOV2, DINOV3, PAD], ids=lambda how: how.key)
@pytest.mark.parametrize("size", [(1600, 1200), (1201, 1603), (1255, 1131)])
def test_a_reduced_jpeg_gives_nearly_the_same_square(how, size):
    waves = picture(size[0] // 10, size[1] // 10)
    photo = Image.fromarray(waves).resize(size, Image.Resampling.BICUBIC)
    data = encoded(photo, "JPEG", quality=92)
    reduced = read_reduced(data, how.least(48))
    assert reduced.size == size
    assert 2 * max(reduced.pixels.shape) <= max(size) + 1
    whole = prepare(read_image(data), how, 48).astype(int)
    apart = np.abs(prepare(reduced.pixels, how, 48, reduced.size) - whole)
    assert apart.mean() < 1


def test_the_place_of_a_reduced_picture_is_that_of_the_whole():
    """1,001 pixels at 1/8 are 126, the last of which stands for one: taken as 1,008 wide, an edge would move."""
    image = np.zeros((1001, 1001, 3), np.uint8)
    image[:, 520:] = 255
    data = encoded(Image.fromarray(image), "JPEG", quality=100)
    with Image.open(io.BytesIO(data)) as picture:
        picture.draft(None, (125, 125))
        eighth = np.asarray(picture)
    assert eighth.shape == (126, 126, 3)
    whole, edge = (prepare(image, how, 40).astype(int) for how in (BUNDLED, DINO))
    for how, expected in ((BUNDLED, whole), (DINO, edge)):
        right = np.abs(prepare(eighth, how, 40, (1001, 1001)) - expected).max()
        wrong = np.abs(prepare(eighth, how, 40) - expected).max()
        assert right < wrong


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (BUNDLED, (560, 560)),
        (DINO, (560, 560)),
        (DINOV2, (640, 640)),
        (DINOV3, (560, 560)),
        (PAD, (0, 560)),
        (preprocessing_of("dino", upstream=True), (640, 640)),
    ],
)
def test_what_must_be_left_is_two_and_a_half_times_the_scaled_image(how, expected):
    assert how.least(224) == expected


# --- rows -------------------------------------------------------------------------------------------------------------


def test_every_family_has_its_row():
    assert Preprocessing("crop", 1.0, "bicubic") == BUNDLED
    assert Preprocessing("squash", 1.0, "bilinear") == DINO
    assert Preprocessing("crop", 256 / 224, "bicubic") == DINOV2 == preprocessing_of("")
    assert Preprocessing("squash", 1.0, "bilinear", floats=True) == DINOV3
    for family in ("dino", "dinov2", "dinov3", ""):
        assert preprocessing_of(family, upstream=True) == DINOV2
    assert preprocessing_of("bundled", upstream=True) == BUNDLED
    assert preprocessing_of("dinov3", pad=True) == Preprocessing("pad", 1.0, "bilinear", floats=True)
    assert PAD == preprocessing_of("dino", upstream=True, pad=True) == Preprocessing("pad", 1.0, "bicubic")
    with pytest.raises(InputError, match=r"family must be one of bundled, .* or empty, got 'dinov4'; did you mean"):
        preprocessing_of("dinov4")


def test_keys_name_the_settings():
    assert [how.key for how in (BUNDLED, DINO, DINOV2, DINOV3, PAD)] == [
        "crop-bicubic",
        "squash-bilinear",
        "crop1.14-bicubic",
        "squash-bilinear-float",
        "pad-bicubic",
    ]


# --- what a crop leaves out -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [BUNDLED, DINOV2])
@pytest.mark.parametrize("size", [(700, 700), (933, 700), (700, 2100), (1200, 233)])
def test_the_kept_fraction_is_the_area_that_reaches_the_square(how, size):
    """A spot, wherever it is, is seen or not seen; the share of spots that are seen is the fraction."""
    step = 7
    seen = []
    for y in range(step // 2, size[1], max(size) // 30):
        for x in range(step // 2, size[0], max(size) // 30):
            image = np.zeros((size[1] // step, size[0] // step, 3), np.uint8)
            image[min(y // step, image.shape[0] - 1), min(x // step, image.shape[1] - 1)] = 255
            seen.append(prepare(image, how, 112).max() > 128)
    assert np.mean(seen) == pytest.approx(kept_fraction(size[0], size[1], how), abs=0.06)


def test_squashing_and_padding_keep_everything():
    assert kept_fraction(3000, 200, DINO) == kept_fraction(3000, 200, PAD) == 1
    assert kept_fraction(300, 300, BUNDLED) == 1
    assert kept_fraction(400, 300, BUNDLED) == pytest.approx(0.75)
    assert kept_fraction(300, 400, DINOV2) == pytest.approx(0.75 * (224 / 256) ** 2)


def test_what_a_collection_loses():
    sizes = [(100, 100), (100, 50), (75, 100), (0, 0), (1000, 995), (100, 100)]
    loss = lost_to_crop(sizes, BUNDLED)
    assert loss == CropLoss(5, 2, pytest.approx((0.5 + 0.25) / 2), pytest.approx(0.5))  # type: ignore[arg-type]
    assert lost_to_crop(sizes, DINO) == CropLoss(5, 0, 0.0, 0.0)
    assert lost_to_crop([], BUNDLED) == CropLoss(0, 0, 0.0, 0.0)
    assert lost_to_crop(sizes, DINOV2).cropped == 5
