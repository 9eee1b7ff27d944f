"""Another model's map beside the one that is shown: matched by content, turned, and what moved most."""

import shutil

import numpy as np
import pytest

from dinoscope.collection import Collection
from dinoscope.embedding.pipeline import embed_source
from dinoscope.errors import InputError
from dinoscope.explorer.beside import partner_infos
from dinoscope.explorer.model_view import MapScale
from dinoscope.explorer.types import ModelInfo
from dinoscope.models.encoder import Encoder
from dinoscope.server.app import create_app
from dinoscope.sources.array import ArraySource
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.stages.opened import OpenedCollection
from dinoscope.stages.overlap import shared_images
from tests.served import client, images, make_collection

N = 60


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two collections of overlapping images in different orders, by two models."""
    place = tmp_path_factory.mktemp("beside")
    pixels = load_dataset("fashion-mnist-test").pixels
    first = make_collection(place / "first", images(N))
    second = make_collection(place / "second", ArraySource(pixels[10 : N + 10][::-1]), "mini")
    return first, second


@pytest.fixture(scope="module")
def server(folders):
    with client(folders[0], beside=folders[1]) as opened:
        yield opened


@pytest.fixture(scope="module")
def base(server):
    return f"/api/models/{server.get('/api/collection').json()['model']}"


@pytest.fixture(scope="module")
def other(server, base):
    return server.get(base).json()["partners"][0]


def test_the_model_names_its_partner_and_its_maps(other):
    assert other["id"].startswith("beside:mini-")
    assert other["maps"][0]["id"] == "umap"


def test_the_other_map_is_turned_onto_this_one_and_has_nothing_where_it_has_no_image(server, base, other, folders):
    answer = server.get(f"{base}/maps/pca/beside", params={"other": other["id"], "map": "pca"})
    got = np.frombuffer(answer.content, "<f4").reshape(N, 2)
    assert np.isnan(got[:10]).all()
    one, two = Collection(folders[0]).map(method="pca"), Collection(folders[1]).map(method="pca")
    fixed, moved = one[10:].astype(float), two[::-1][: N - 10].astype(float)
    best = min(
        (
            (np.linalg.norm(fixed - fixed.mean(0) - size * (moved - moved.mean(0)) @ turn), turn)
            for turn in turns()
            for size in [np.linalg.norm(fixed - fixed.mean(0)) / np.linalg.norm(moved - moved.mean(0))]
        ),
        key=lambda each: each[0],
    )[1]
    expected = moved @ best
    np.testing.assert_allclose(got[10:], MapScale.of(expected).apply(expected), atol=0.02)


def turns():
    """Every turn by half a degree, and its mirror image."""
    for angle in np.arange(0, 2 * np.pi, np.pi / 360):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        yield turn
        yield np.diag([1, -1]) @ turn


def test_what_moved_most_is_what_the_collections_say(server, base, other, folders):
    told = server.get(f"{base}/moved", params={"other": other["id"]}).json()
    assert (told["images"], told["onlyHere"], told["onlyThere"], told["k"]) == (N - 10, 10, 10, 10)
    one, two = Collection(folders[0]).vectors[10:], Collection(folders[1]).vectors[::-1][: N - 10]
    near = [np.argsort(-(each @ each.T - 9 * np.eye(N - 10)), axis=1, kind="stable")[:, :10] for each in (one, two)]
    kept = [len(set(a) & set(b)) for a, b in zip(*near, strict=True)]
    assert told["shared"] == pytest.approx(np.mean(kept))
    assert told["chance"] == pytest.approx(100 / (N - 11))
    assert [each["kept"] for each in told["moved"]] == sorted(kept)
    for each in told["moved"]:
        assert each["here"] == [10 + at for at in near[0][each["row"] - 10].tolist()]
        assert each["there"] == [10 + at for at in near[1][each["row"] - 10].tolist()]


def test_another_model_of_the_same_collection_is_a_partner_too(tmp_path):
    source = images(20)
    path = make_collection(tmp_path / "c", source)
    embed_source(source, path, Encoder("mini"))
    with client(path) as opened:
        models = [each["key"] for each in opened.get("/api/collection").json()["models"]]
        for key, other in (models, models[::-1]):
            view = opened.get(f"/api/models/{key}").json()
            assert [each["id"] for each in view["partners"]] == [other]
            told = opened.get(f"/api/models/{key}/moved", params={"other": other}).json()
            assert (told["images"], told["onlyHere"], len(told["moved"])) == (20, 0, 20)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/maps/umap/beside?other=nothing&map=umap", 404, "there is no model 'nothing'"),
        ("/maps/umap/beside?other={other}&map=umpa", 404, "there is no map 'umpa'; did you mean 'umap'?"),
        ("/maps/nothing/beside?other={other}&map=umap", 404, "there is no map 'nothing'"),
        ("/maps/umap/beside?other={own}&map=umap", 400, "both sides are the same vectors"),
        ("/moved?other={own}", 400, "both sides are the same vectors"),
        ("/moved?other=beside:nothing", 404, "there is no model 'nothing'"),
        ("/moved", 422, "other"),
    ],
)
def test_what_is_not_there_is_named(server, base, other, path, status, words, folders):
    answer = server.get(base + path.format(other=other["id"], own=base.rpartition("/")[2]))
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert str(folders[0].parent) not in answer.text


def test_a_second_collection_that_is_gone_leaves_the_first_one_s_page(folders, tmp_path):
    second = tmp_path / "second"
    shutil.copytree(folders[1], second)
    with client(folders[0], beside=second) as opened:
        at = f"/api/models/{opened.get('/api/collection').json()['model']}"
        [other] = opened.get(at).json()["partners"]
        assert other["title"] == "second: mini"
        second.rename(tmp_path / "moved")
        answer = opened.get(at)
        assert (answer.status_code, answer.json()["partners"]) == (200, [])
        told = opened.get(f"{at}/moved", params={"other": other["id"]})
        assert told.status_code == 409
        assert told.json()["error"] == "second is gone: it was deleted or moved since it was opened"


def test_partners_of_one_title_say_their_resolution():
    infos = [
        ModelInfo(
            key=f"k{side}", name="mini", dim=8, resolution=side, pooling="cls", focus="image", images=3, patches=True
        )
        for side in (128, 224)
    ]
    told = partner_infos([(each.key, each, "") for each in infos] + [("own", infos[0], "second")])
    assert [each.title for each in told] == ["mini, 128 px", "mini, 224 px", "second: mini"]


def test_of_a_partner_that_changes_the_last_state_alone_is_held(folders, tmp_path):
    second = tmp_path / "second"
    shutil.copytree(folders[1], second)
    one, states = OpenedCollection(folders[0]), []
    for count in (N + 10, N + 20):
        embed_source(
            ArraySource(load_dataset("fashion-mnist-test").pixels[10:count]), second, Encoder("mini"), replace=True
        )
        two = OpenedCollection(second)
        states.append((two.results.state, len(shared_images(one, two))))
        assert shared_images(one, two) is shared_images(one, two)
    assert states[0][0] != states[1][0]
    assert sum(isinstance(name, tuple) and name[0] == "shared" for name in one._held) == 1


def test_without_a_second_collection_there_is_none(folders, base):
    with client(folders[0]) as alone:
        assert alone.get(base).json()["partners"] == []
        answer = alone.get(f"{base}/moved", params={"other": "beside:mini"})
    assert answer.status_code == 404
    assert "--beside" in answer.json()["error"]


def test_a_server_that_only_shows_writes_into_neither(folders):
    def files():
        return {str(file): file.stat().st_mtime_ns for folder in folders for file in sorted(folder.rglob("*"))}

    before = files()
    with client(folders[0], beside=folders[1], read_only=True) as shown:
        base = f"/api/models/{shown.get('/api/collection').json()['model']}"
        other = shown.get(base).json()["partners"][0]["id"]
        assert shown.get(f"{base}/maps/umap/beside", params={"other": other, "map": "umap"}).status_code == 200
        assert shown.get(f"{base}/moved", params={"other": other}).status_code == 200
    assert files() == before


def test_what_cannot_stand_beside_is_refused_before_the_server_starts(folders, tmp_path):
    with pytest.raises(InputError, match="names the collection itself"):
        create_app(folders[0], beside=folders[0])
    pixels = load_dataset("fashion-mnist-test").pixels
    for name, chosen, count in (("none", pixels[100:110], "0 images"), ("one", pixels[59:62], "1 image:")):
        apart = make_collection(tmp_path / name, ArraySource(chosen))
        with pytest.raises(InputError, match=f"share two images or more, compared by content, got {count}"):
            create_app(folders[0], beside=apart)
