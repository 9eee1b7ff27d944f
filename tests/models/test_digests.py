import hashlib
import os

import pytest

from dinoscope.models import digests
from dinoscope.models.digests import digest_weights


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A file that counts as large and as settled, and an empty cache."""
    monkeypatch.setattr(digests, "_LARGE", 8)
    monkeypatch.setattr(digests, "user_cache_path", lambda _: tmp_path / "cache")
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"some weights")
    os.utime(path, (1000, 1000))
    return path


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_a_large_file_is_read_once(weights, monkeypatch):
    assert digest_weights(weights) == sha256(b"some weights")
    monkeypatch.setattr(digests, "sha256", None)
    assert digest_weights(weights) == sha256(b"some weights")
    moved = weights.rename(weights.with_name("other.safetensors"))
    assert digest_weights(moved) == sha256(b"some weights")


def test_a_file_that_changed_is_read_again(weights):
    digest_weights(weights)
    weights.write_bytes(b"same length!")
    assert digest_weights(weights) == sha256(b"same length!")  # written just now: nothing is remembered of it
    os.utime(weights, (2000, 2000))
    assert digest_weights(weights) == sha256(b"same length!")
    assert len(list(digests.digest_folder().iterdir())) == 2


def test_a_note_that_is_no_digest_is_not_believed(weights):
    digest_weights(weights)
    (note,) = digests.digest_folder().iterdir()
    for content in (b"", b"\xff", b"ab" * 31):
        note.write_bytes(content)
        assert digest_weights(weights) == sha256(b"some weights")


def test_a_cache_that_cannot_be_written_costs_time_alone(weights):
    (weights.parent / "cache").write_text("a file where the folder should be")
    assert digest_weights(weights) == sha256(b"some weights")


def test_a_graph_and_its_values_are_one_model(weights):
    graph = weights.with_name("model.onnx")
    graph.write_bytes(b"graph")
    both = sha256((sha256(b"graph") + sha256(b"some weights")).encode())
    assert digest_weights(graph, weights) == both
    assert digest_weights(weights, weights) == sha256(b"some weights")
