"""What the model sees, as the page is told."""

import base64

import numpy as np
import pytest

from dinoscope.collection import Collection
from tests.served import client, images, make_collection


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_collection(tmp_path_factory.mktemp("served") / "c", images(12))


def test_the_patches_of_an_image_and_its_neighbours(folder):
    collection = Collection(folder)
    with client(folder) as server:
        told = server.get(f"/api/models/{collection.key}/images/3/patches")
        assert told.status_code == 200
        view = told.json()
        assert server.get(f"/api/models/{collection.key}/images/99999/patches").status_code == 404
    rows = [3, *(match.row for match in collection.search(3, 4))]
    assert [each["row"] for each in view["images"]] == rows
    looks = [collection.look(row) for row in rows]
    assert (view["bundled"], view["basis"]) == (True, looks[0].basis)
    for each, found in zip(view["images"], looks, strict=True):
        grid = (each["rows"], each["columns"])
        assert grid == found.tokens.shape[:2]
        np.testing.assert_array_equal(np.reshape(each["colours"], (*grid, 3)), found.colours)
        np.testing.assert_array_equal(
            np.reshape(each["foreground"], grid), np.rint(255 * found.foreground.shares(*grid))
        )
        np.testing.assert_array_equal(np.reshape(each["parts"], grid), found.parts)
        assert (each["sure"], each["attention"]) == (pytest.approx(found.foreground.sure), None)
        similar = np.frombuffer(base64.b64decode(each["similar"]), np.uint8).reshape(-1, grid[0] * grid[1])
        expected = looks[0].tokens.reshape(-1, 256) @ found.tokens.reshape(-1, 256).T
        np.testing.assert_allclose(similar / 255, np.clip(expected, 0, 1), atol=0.004)
    own = np.frombuffer(base64.b64decode(view["images"][0]["similar"]), np.uint8)
    assert (own.reshape(len(own) // looks[0].parts.size, -1).diagonal() == 255).all()
