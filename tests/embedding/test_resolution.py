import numpy as np
import pytest
from PIL import Image

from dinoscope.collection import Collection
from dinoscope.embedding.resolution import usual_resolution
from dinoscope.errors import InputError
from dinoscope.models.catalogue import get_model
from dinoscope.models.encoder import Encoder
from dinoscope.sources.array import ArraySource
from dinoscope.sources.opening import open_source
from dinoscope.storage.manifest import list_models

MINI = get_model("mini")


def drawn(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def folder_of(path, sizes):
    path.mkdir(exist_ok=True)
    for number, (height, width) in enumerate(sizes):
        Image.fromarray(drawn(height, width, number)).save(path / f"{number:03d}.png")
    return path


@pytest.mark.parametrize(
    ("sizes", "side"),
    [
        ([(28, 28)] * 5, 32),
        ([(39, 200)] * 5, 32),
        ([(40, 40)] * 5, 40),
        ([(480, 640)] * 5, 40),
        ([(28, 28)] * 5 + [(100, 90)] * 4, 32),
        ([(28, 28)] * 4 + [(100, 90)] * 5, 40),
    ],
)
def test_mini_sees_larger_images_at_more_pixels(tmp_path, sizes, side):
    assert usual_resolution(MINI, open_source(folder_of(tmp_path / "images", sizes))) == side


@pytest.mark.parametrize("name", ["mini-fashion", "dinov2-small"])
def test_every_other_model_sees_all_images_alike(name):
    assert usual_resolution(get_model(name), ArraySource(drawn(64, 64)[None])) is None


def test_images_that_cannot_be_read_do_not_count(tmp_path):
    images = folder_of(tmp_path / "images", [(64, 64)] * 2)
    for number in range(5):
        (images / f"bad{number}.png").write_bytes(b"no picture")
    assert usual_resolution(MINI, open_source(images)) == 40
    for file in images.glob("0*.png"):
        file.unlink()
    assert usual_resolution(MINI, open_source(images)) == 32


def test_a_collection_keeps_the_side_of_its_vectors(tmp_path):
    """One that was begun with thumbnails, and grows by photographs, embeds only what is new."""
    images = folder_of(tmp_path / "images", [(28, 28)] * 3)
    collection = Collection.from_images(images, tmp_path / "c.dino")
    assert (collection.model["resolution"], len(collection)) == (32, 3)
    folder_of(images, [(28, 28)] * 3 + [(90, 90)] * 9)
    grown = Collection.from_images(images, tmp_path / "c.dino")
    assert grown.embedded is not None
    assert (grown.model["resolution"], grown.embedded.embedded, grown.embedded.reused) == (32, 9, 3)
    assert len(list_models(tmp_path / "c.dino")) == 1


def test_where_a_collection_has_two_sides_its_images_decide(tmp_path):
    images = folder_of(tmp_path / "images", [(64, 64)] * 3)
    for side in (64, 40):
        Collection.from_images(images, tmp_path / "c.dino", model=Encoder("mini", resolution=side))
    assert usual_resolution(MINI, open_source(images), tmp_path / "c.dino") == 40


def test_vectors_of_other_weights_do_not_count(tmp_path):
    images = folder_of(tmp_path / "images", [(64, 64)] * 3)
    Collection.from_images(images, tmp_path / "c.dino", model=Encoder("mini", resolution=32))
    described = next((tmp_path / "c.dino").glob("vectors/*/model.json"))
    assert usual_resolution(MINI, open_source(images), tmp_path / "c.dino") == 32
    digest = Encoder("mini").weights_sha256
    described.write_text(described.read_text().replace(digest, "0" * 64))
    assert usual_resolution(MINI, open_source(images), tmp_path / "c.dino") == 40


def test_a_collection_of_larger_images_has_the_vectors_of_its_side(tmp_path):
    images = [drawn(64, 80, seed) for seed in range(4)]
    collection = Collection.from_images(images, tmp_path / "c.dino")
    seen = Encoder("mini", resolution=40)
    assert collection.key == seen.key
    np.testing.assert_allclose(np.asarray(collection.vectors), seen.encode(images), atol=1e-6)
    np.testing.assert_allclose(collection.query_vector(images[2]), collection.vectors[2], atol=1e-6)
    assert np.abs(seen.encode(images) - Encoder("mini").encode(images)).max() > 0.01


def test_mini_takes_any_multiple_of_8():
    assert Encoder("mini", resolution=64).encode(drawn(64, 64)).shape == (1, 256)
    with pytest.raises(InputError, match=r"multiple of 8 from 24 to 1024, got 36: try 32"):
        Encoder("mini", resolution=36)
