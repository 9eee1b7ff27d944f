"""Every public function, given what it cannot use: one clear error, never a raw one of Python or NumPy."""

import inspect
from typing import Any

import numpy as np
import pytest

import dinoscope
from dinoscope import Collection, Encoder
from dinoscope.errors import DinoscopeError
from dinoscope.sources.datasets.named import load_dataset

N = 24
ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 2.5, float("nan"), float("inf"), 10**30, "", "x", b"", b"x", [], [99], [None], [[1], [1, 2]]),
    *({}, {"x": 1}, object(), np.array([]), np.array(3), np.full((3, 4), np.nan), np.array(["a"]), np.zeros((2, 3))),
)
VECTORS = np.random.default_rng(0).standard_normal((N, 8)).astype(np.float32)
GRAPH = dinoscope.neighbors(VECTORS, 10)
IMAGE = np.zeros((8, 8, 3), np.uint8)
# What a call needs besides the argument that is odd.
GIVEN: dict[str, dict[str, Any]] = {
    "answer_finding": {"key": "outliers-0123456789abcdef", "right": None},
    "add_columns": {"table": {"id": ["0"], "x": [1]}},
    "annotate": {"rows": [0]},
    "answer_question": {"rows": (0, 1), "yes": True},
    "classify": {"queries": [0]},
    "crop_vector": {"query": 0, "box": (0, 0, 8, 8)},
    "overlap": {"other": None},
    "difference": {"other": None},
    "dismiss": {"key": "outliers-0123456789abcdef"},
    "findings_checked": {"kind": "outliers"},
    "findings_to_check": {"kind": "outliers"},
    "query_vector": {"query": IMAGE},
    "reasons": {"query": 0, "rows": [1]},
    "search": {"query": 0},
    "search_inside": {"query": 0},
    "export": {"to": "there", "form": "csv"},
    "look": {"query": 0},
    "matching": {"where": "width > 3"},
    "pick": {"count": 3, "by": "coverage"},
    "position": {"row": 0},
    "search_patch": {"query": 0, "place": (0.5, 0.5)},
    "thumbnails": {"positions": [0]},
    "transform": {"vectors": VECTORS},
}
FUNCTIONS: dict[str, dict[str, Any]] = {
    "kmeans": {"vectors": VECTORS, "k": 3},
    "neighbors": {"vectors": VECTORS},
    "read_image": {"source": IMAGE},
    "silhouette": {"vectors": VECTORS, "labels": np.arange(N) % 3},
    "trustworthiness": {"vectors": VECTORS, "coordinates": VECTORS[:, :2]},
    "umap": {"vectors": VECTORS},
    "open_source": {"source": np.zeros((3, 8, 8), np.uint8)},
}
ENCODER: dict[str, dict[str, Any]] = {
    "encode": {"images": IMAGE},
    "patches": {"images": [IMAGE]},
    "preprocess": {"image": IMAGE},
    "square": {"image": IMAGE},
}
SLOW = {"tuning", "window_vectors", "search_inside", "reasons", "report", "from_images", "from_vectors", "encoder"}
SLOW |= {"held", "holds", "narrow", "keep_tokens"}
HANDED_ON = {"on_progress", "on_plan", "on_note", "encoder", "weights", "batches", "settings"}


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    dataset = load_dataset("fashion-mnist-test")
    labels = [item.label for item in dataset.items[:N]]
    path = tmp_path_factory.mktemp("arguments") / "c"
    made = Collection.from_images(dataset.pixels[:N], path, model="mini-fashion", labels=labels)
    GIVEN["difference"]["other"] = made
    second = path.with_name("second")
    GIVEN["overlap"]["other"] = Collection.from_images(dataset.pixels[:N], second, model="mini-fashion", labels=labels)
    return made


@pytest.fixture(scope="module")
def encoder():
    return Encoder("mini-fashion")


def odd_calls(call, given):
    """Yield what was wrong in a call with each argument odd in turn."""
    for name, parameter in inspect.signature(call).parameters.items():
        if name in HANDED_ON or parameter.kind is parameter.VAR_KEYWORD:
            continue
        for value in ODD:
            try:
                call(**{**given, name: value})
            except DinoscopeError as error:
                if "\n" in str(error):
                    yield f"{name}={value!r}: {error}"
            except Exception as error:
                yield f"{name}={value!r}: {type(error).__name__}: {error}"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A name that is odd but possible becomes a folder: it must not stand in the checkout."""
    monkeypatch.chdir(tmp_path)


METHODS = [name for name in dir(Collection) if not name.startswith("_") and callable(getattr(Collection, name))]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(set(METHODS) - SLOW))
def test_methods_of_a_collection(collection, name):
    assert list(odd_calls(getattr(collection, name), GIVEN.get(name, {}))) == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    assert list(odd_calls(getattr(dinoscope, name), FUNCTIONS[name])) == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ENCODER)
def test_methods_of_an_encoder(encoder, name):
    assert list(odd_calls(getattr(encoder, name), ENCODER[name])) == []
