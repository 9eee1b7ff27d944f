"""A collection that is deleted while it is open: one clear error, and it never comes back in pieces."""

import shutil

import pytest

from dinoscope.collection import Collection
from dinoscope.embedding.pipeline import embed_source
from dinoscope.errors import CollectionError, WriteError
from dinoscope.explorer.sheets import sheet
from dinoscope.models.encoder import Encoder
from dinoscope.stages.cleaning.answers import forget_answers
from dinoscope.stages.cleaning.findings import dismiss_finding, finding_key
from dinoscope.storage.files import make_folder, write_bytes
from dinoscope.storage.locks import is_held, locked
from dinoscope.storage.progress import ProgressRecord
from dinoscope.survey.survey import survey
from tests.served import client, images, make_collection


@pytest.fixture
def opened(tmp_path):
    path = make_collection(tmp_path / "c", images(60))
    collection = Collection(path)
    shutil.rmtree(path)
    return collection


def test_nothing_that_is_asked_of_it_makes_it_again(opened, caplog):
    path = opened.path
    assert opened.clusters(3).labels.shape == (60,)  # vectors are in memory
    assert f"{path} is gone; it was deleted or moved meanwhile, and is not made again" in caplog.text
    with pytest.raises(CollectionError, match="is gone: it was deleted or moved"):
        opened.thumbnails([0, 1])
    assert sheet(opened, 0, 32)[1] is False
    with pytest.raises(CollectionError, match="is gone"):
        dismiss_finding(opened, finding_key(opened, "outliers", [0]))
    with pytest.raises(CollectionError, match="is gone"):
        forget_answers(opened)
    with pytest.raises(CollectionError), locked(path):
        pass
    assert not is_held(path)
    ProgressRecord(path, "mini", 400, None).record(3)
    with pytest.raises(CollectionError):
        survey(path)
    with pytest.raises(CollectionError, match="is not a collection"):
        Collection(path)
    assert not path.exists()


def test_embed_makes_it_anew(opened):
    assert embed_source(images(60), opened.path, Encoder("mini-fashion")).embedded == 60
    assert len(Collection(opened.path)) == 60


def test_a_collection_that_is_deleted_while_it_is_made(tmp_path):
    path = tmp_path / "c"
    with pytest.raises(WriteError, match="c is gone; it was deleted or moved meanwhile"):
        embed_source(
            images(60), path, Encoder("mini-fashion", batch_size=32), on_progress=lambda _: shutil.rmtree(path, True)
        )
    assert not path.exists()


def test_the_explorer_of_it_says_so(tmp_path):
    path = make_collection(tmp_path / "c", images(60))
    with client(path) as server:
        model = server.get("/api/collection").json()["model"]
        shutil.rmtree(path)
        for name in ("", "/images/0", "/images/0/picture", "/maps/pca/points", "/findings", "/sheets/0"):
            answered = server.get(f"/api/models/{model}{name}")
            assert answered.status_code in (200, 404, 409), (name, answered.text)
            assert "immutable" not in answered.headers["cache-control"]
        answered = server.get("/api/collection")
        assert answered.status_code == 409
        assert answered.json() == {"error": "c is gone: it was deleted or moved since it was opened"}
    assert not path.exists()


def test_a_folder_of_a_collection_is_made_and_the_collection_is_not(tmp_path):
    make_folder(tmp_path / "results" / "map", tmp_path)
    write_bytes(tmp_path / "results" / "new" / "file", b"x", within=tmp_path)
    assert (tmp_path / "results" / "map").is_dir()
    gone = tmp_path / "gone"
    with pytest.raises(WriteError, match="gone is gone"):
        make_folder(gone / "results" / "map", gone)
    with pytest.raises(WriteError, match="gone is gone"):
        write_bytes(gone / "file", b"x", within=gone)
    assert not gone.exists()
    write_bytes(gone / "below" / "file", b"x")  # what a person names is made
    assert (gone / "below" / "file").read_bytes() == b"x"
