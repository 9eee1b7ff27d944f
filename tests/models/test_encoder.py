import numpy as np
import onnxruntime as ort
import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.errors import ImageError, InputError, ModelError
from dinoscope.models.catalogue import MODELS, get_model, read_weights
from dinoscope.models.encoder import Encoder
from dinoscope.sources.datasets.named import load_dataset

BUNDLED = [name for name, row in MODELS.items() if row.family == "bundled"]


@pytest.fixture(scope="module", params=BUNDLED)
def encoder(request):
    return Encoder(request.param)


@pytest.fixture(scope="module")
def images():
    source = load_dataset("fashion-mnist-test")
    return [source.load(index) for index in range(40)]


def test_vectors_have_length_one_and_the_shape_of_the_table(encoder, images):
    vectors = encoder.encode(images)
    assert vectors.shape == (40, MODELS[encoder.model.name].dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_a_vector_does_not_depend_on_its_batch(encoder, images):
    together = encoder.encode(images)
    for size in (1, 7, 64):
        apart = Encoder(encoder.model.name, batch_size=size).encode(images)
        assert np.abs(apart - together).max() <= 1e-4


def test_every_grey_level_reaches_the_model_as_itself(encoder):
    """What the model's first operation receives is 0..255 exactly, for arrays of all three usual shapes."""
    from dinoscope.sources.array import ArraySource

    side = encoder.resolution
    grey = np.arange(256, dtype=np.uint8)
    stack = np.broadcast_to(grey[:, None, None], (256, side, side))
    fed = []
    runtime = encoder._runtime

    class Recorder:
        def run(self, outputs, pixels):
            fed.append(pixels.copy())
            return runtime.run(outputs, pixels)

    encoder._runtime = Recorder()
    try:
        for array in (stack, stack[..., None], np.repeat(stack[..., None], 3, 3)):
            source = ArraySource(np.ascontiguousarray(array))
            encoder.encode([source.load(index) for index in range(256)])
    finally:
        encoder._runtime = runtime
    pixels = np.concatenate(fed)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(
        pixels, np.tile(np.broadcast_to(grey[:, None, None, None], (256, side, side, 3)), (3, 1, 1, 1))
    )


def test_grey_levels_stay_apart_in_the_vectors(encoder):
    """No two neighbouring pairs of levels fold onto each other, as wrapped pixels would."""
    side = encoder.resolution
    ramp = np.linspace(0, 1, side)[None, :, None]
    levels = np.stack([np.broadcast_to(ramp * level, (side, side, 3)) for level in (60, 127, 128, 200)]).astype(
        np.uint8
    )
    vectors = encoder.encode(levels)
    similarity = vectors @ vectors.T
    assert similarity[1, 2] > similarity[1, 3]
    assert similarity[1, 2] > similarity[0, 2]


def test_middle_of_a_wide_picture_is_seen(encoder):
    wide = np.zeros((50, 150, 3), np.uint8)
    wide[:, 40:110] = 255  # a little wider than the middle square: the filter reads past its edge
    assert encoder.preprocess(wide).min() == 255
    assert encoder.preprocess(wide).shape == (encoder.resolution, encoder.resolution, 3)


def test_preprocessing_equals_resize_then_centre_crop(encoder):
    side = encoder.resolution
    image = np.random.default_rng(0).integers(0, 255, (4 * side, 4 * side, 3), dtype=np.uint8)
    expected = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
    assert np.abs(encoder.preprocess(image).astype(int) - np.asarray(expected, dtype=int)).max() <= 3


def test_preprocessing_leaves_an_image_of_the_right_size_alone(encoder):
    image = np.random.default_rng(0).integers(0, 255, (encoder.resolution, encoder.resolution, 3), dtype=np.uint8)
    assert encoder.preprocess(image) is image


def test_cls_is_what_the_file_gives(encoder, images):
    """The same pixels through a plain onnxruntime session give the same directions."""
    session = ort.InferenceSession(read_weights(encoder.model), providers=["CPUExecutionProvider"])
    pixels = np.stack([encoder.preprocess(image) for image in images[:5]])
    (features,) = session.run(["cls"], {"pixels": pixels})
    expected = features / np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(encoder.encode(images[:5]), expected, atol=1e-5)


def test_patches_are_there_and_differ_over_the_image(encoder, images):
    patches = encoder.patches(images[:3])
    assert patches.shape[0] == 3
    assert patches.shape[1] > 4
    assert patches.std(axis=1).mean() > 1e-3


@pytest.mark.parametrize(
    ("shape", "dtype"), [((28,), np.uint8), ((28, 28, 3), np.int64), ((0, 28, 3), np.uint8), ((3, 28, 28), np.uint8)]
)
def test_what_is_no_image_is_refused(encoder, shape, dtype):
    with pytest.raises(ImageError, match=r"must (have|be)"):
        encoder.encode([np.zeros(shape, dtype)])
    with pytest.raises(InputError, match=r"an image must be uint8 of shape \(H, W, 3\), got"):
        encoder.preprocess(np.zeros(shape, dtype))


def test_a_path_bytes_a_picture_and_an_array_have_one_vector(encoder, tmp_path):
    """What is searched for, uploaded, verified or piped through scikit-learn goes the way of what is embedded."""
    pixels = np.random.default_rng(3).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    path = tmp_path / "photos" / "photo.jpg"
    path.parent.mkdir()
    Image.fromarray(pixels).save(path)
    collection = Collection.from_images(path.parent, tmp_path / "c", model=encoder)
    expected = encoder.encode(path)
    assert expected.shape == (1, encoder.dim)
    np.testing.assert_allclose(expected, collection.vectors, atol=1e-6)
    np.testing.assert_allclose(encoder.encode([str(path), path.read_bytes()]), expected.repeat(2, axis=0), atol=1e-6)
    np.testing.assert_allclose(collection.query_vector(path), expected[0], atol=1e-6)
    small = pixels[:32, :32]
    np.testing.assert_allclose(encoder.encode([Image.fromarray(small)]), encoder.encode(small), atol=1e-6)


def test_many_come_a_batch_at_a_time(encoder):
    read = []

    def images():
        for number in range(5 * encoder.batch_size):
            read.append(number)
            yield np.full((8, 8), number % 256, np.uint8)

    batches = encoder.stream(images())
    assert next(batches).shape == (encoder.batch_size, encoder.dim)
    assert len(read) <= 4 * encoder.batch_size  # no further ahead than said
    assert sum(map(len, batches)) == 4 * encoder.batch_size
    assert encoder.encode([]).shape == (0, encoder.dim)
    assert encoder.encode(np.zeros((4, 9, 9), np.uint8)).shape == (4, encoder.dim)  # grey ones


def test_what_is_no_image_by_type_is_refused(encoder):
    with pytest.raises(InputError, match="expected a path, bytes, a Pillow image or an array, got int"):
        encoder.encode([7])


def test_unknown_model_names_the_nearest():
    with pytest.raises(ModelError, match=r"unknown model 'mini-fasion'; did you mean 'mini-fashion'"):
        Encoder("mini-fasion")


def test_missing_and_broken_weights_are_one_clear_error(monkeypatch):
    monkeypatch.setattr("dinoscope.models.loading.read_weights", lambda _row: b"nothing")
    with pytest.raises(ModelError, match=r"the weights of 'mini-fashion' do not load .*reinstall"):
        Encoder("mini-fashion")
    from dataclasses import replace

    with pytest.raises(ModelError, match="are missing from this installation"):
        read_weights(replace(get_model("mini-fashion"), file="gone.onnx"))


def test_an_error_without_words_is_named(monkeypatch):
    def fail(*_args):
        raise MemoryError

    monkeypatch.setattr(Encoder, "run", fail)
    with pytest.raises(ModelError, match=r"mini does not run at 32 pixels \(MemoryError\)"):
        Encoder("mini")


@pytest.mark.parametrize("setting", [{"batch_size": 0}, {"threads": 0}, {"resolution": 0}])
def test_settings_that_cannot_work(setting):
    with pytest.raises(InputError, match="must be at least 1"):
        Encoder("mini-fashion", **setting)


def test_bundled_weights_are_within_12_megabytes():
    assert sum(len(read_weights(MODELS[name])) for name in BUNDLED) <= 12e6
