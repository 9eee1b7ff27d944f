"""What the model sees, as the page is told."""

import base64

import numpy as np
import pytest

from dinoscope.analysis.patches import match_patches
from dinoscope.collection import Collection
from dinoscope.explorer.sheets import part_of_tile
from dinoscope.server import app as server_app
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


def test_patches_that_match_between_two_images(folder):
    collection = Collection(folder)
    other = collection.search(3, 1)[0].row
    with client(folder) as server:
        told = server.get(f"/api/models/{collection.key}/images/3/patches/{other}").json()
        assert server.get(f"/api/models/{collection.key}/images/3/patches/99999").status_code == 404
    first, second = (collection.look(row).tokens for row in (3, other))
    found = match_patches(first, second)
    assert told["patches"] == first.shape[0] * first.shape[1]
    assert len(told["pairs"]) == len(found.first) > 0
    for each, place, there, similarity in zip(told["pairs"], found.first, found.second, found.similarity, strict=True):
        rows, columns = first.shape[:2]
        assert each["first"] == pytest.approx([(place[1] + 0.5) / columns, (place[0] + 0.5) / rows])
        assert each["second"] == pytest.approx([(there[1] + 0.5) / columns, (there[0] + 0.5) / rows])
        assert each["similarity"] == pytest.approx(min(1, similarity), abs=1e-6)


def test_a_patch_is_searched_once_all_are_kept(tmp_path):
    path = make_collection(tmp_path / "c", images(12))
    collection = Collection(path)
    base = f"/api/models/{collection.key}"
    with client(path) as server:
        ask = lambda: server.get(f"{base}/images/3/patches/search", params={"x": 0.4, "y": 0.6, "k": 5})  # noqa: E731
        tile = server.get(base).json()["sheets"]["tile"]
        before = server.get(f"{base}/tokens").json()
        assert (before["kept"], before["images"], before["resumes"], before["obstacle"]) == (False, 12, False, None)
        assert before["seconds"] > 0
        refused = ask()
        assert (refused.status_code, "keep them first" in refused.json()["error"]) == (400, True)
        assert server.put(f"{base}/tokens").status_code == 204
        assert server.get(f"{base}/tokens/progress").json() is None
        kept = sum(file.stat().st_size for file in (path / "results" / "tokens").iterdir())
        assert before["megabytes"] == pytest.approx(kept / 1e6, rel=0.1)
        assert server.get(f"{base}/tokens").json()["kept"] is True
        answer = ask().json()
        assert server.get(f"{base}/tokens/reading").json() is None  # it has been read
        assert server.get(f"{base}/images/3/patches/search", params={"x": 1.1, "y": 0}).status_code == 422
        assert server.get(f"{base}/images/99999/patches/search", params={"x": 0, "y": 0}).status_code == 404
    expected = collection.search_patch(3, (0.4, 0.6), 5)
    assert [each["row"] for each in answer["matches"]] == [each.row for each in expected]
    assert [each["similarity"] for each in answer["matches"]] == pytest.approx([each.similarity for each in expected])
    for part, spot in zip(answer["parts"], expected, strict=True):
        assert spot.box is not None
        assert part == pytest.approx(part_of_tile(spot.box, (28, 28), tile))
    assert (answer["here"], answer["verdict"], answer["place"]) == (None, None, None)


def test_what_keeps_them_from_being_kept_is_told(folder, monkeypatch):
    address = f"/api/models/{Collection(folder).key}/tokens"
    with client(folder, read_only=True) as server:
        assert "write nothing" in server.get(address).json()["obstacle"]
        assert server.put(address).status_code == 403
    monkeypatch.setattr(server_app, "TOKEN_IMAGES", 11)
    with client(folder) as server:
        assert "run dinoscope look c --keep-tokens --at-most 12 on" in server.get(address).json()["obstacle"]
