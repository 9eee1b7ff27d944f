import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import SkipTestWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from dinoscope.analysis.labels.voting import knn_predict
from dinoscope.analysis.neighbors import query_neighbors
from dinoscope.errors import ImageError, InputError
from dinoscope.estimators import Embedder, KNNClassifier
from dinoscope.models.encoder import Encoder
from dinoscope.sources.datasets.named import load_dataset

EXPECTED_FAILURES = {
    "check_estimators_dtypes": "cuts its numbers to integers, and a row becomes zero: that has no direction, no cosine"
}


@pytest.fixture(scope="module")
def fashion():
    dataset = load_dataset("fashion-mnist-test")
    return dataset.pixels[:120], [item.label for item in dataset.items[:120]]


@parametrize_with_checks([KNNClassifier()], expected_failed_checks=lambda _: EXPECTED_FAILURES)
def test_scikit_learn_accepts_the_classifier(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)  # pandas is not a dependency
        check(estimator)


def test_scikit_learn_accepts_the_embedder():
    with pytest.warns(SkipTestWarning, match="Can't test estimator Embedder"):
        results = check_estimator(Embedder("mini-fashion"), on_skip=None)
    assert results
    assert all(each["status"] == "passed" for each in results)


def test_the_classifier_is_that_of_the_array_functions():
    draw = np.random.default_rng(0)
    vectors, labels = draw.standard_normal((300, 8)), np.array(list("xyz"))[draw.integers(0, 3, 300)]
    model = KNNClassifier(k=7).fit(vectors[:200], labels[:200])
    graph = query_neighbors(vectors[:200], vectors[200:], 7)
    np.testing.assert_array_equal(model.predict(vectors[200:]), knn_predict(graph, labels[:200], k=7).labels)
    alike = KNNClassifier(k=7, temperature=float("inf")).fit(vectors[:200], labels[:200])
    plain = KNeighborsClassifier(7, metric="cosine").fit(vectors[:200], labels[:200])
    np.testing.assert_allclose(alike.predict_proba(vectors[200:]), plain.predict_proba(vectors[200:]), atol=1e-6)


def test_a_vector_does_not_depend_on_its_company():
    draw = np.random.default_rng(1)
    vectors = draw.standard_normal((500, 33)).astype(np.float32)
    model = KNNClassifier(temperature=0.01).fit(vectors[:300], draw.integers(0, 4, 300))
    together = model.predict_proba(vectors[300:])
    alone = np.concatenate([model.predict_proba(vectors[row : row + 1]) for row in range(300, 500)])
    np.testing.assert_allclose(alone, together, atol=1e-7)


def test_odd_classifiers():
    model = KNNClassifier(k=50).fit([[1.0, 0.0]], ["only"])
    assert model.predict([[0.5, 0.5]]).tolist() == ["only"]
    assert model.predict_proba([[0.5, 0.5]]).tolist() == [[1]]
    with pytest.raises(InputError, match="must not be zero"):
        model.predict([[0.0, 0.0]])
    with pytest.raises(InputError, match="k must be a whole number"):
        KNNClassifier(k=0).fit([[1.0, 0.0]], ["only"]).predict([[1.0, 0.0]])
    with pytest.raises(InputError, match="temperature must be above 0"):
        KNNClassifier(temperature=-1).fit([[1.0, 0.0]], ["only"]).predict([[1.0, 0.0]])


def test_the_embedder_gives_the_vectors_of_the_encoder(fashion, tmp_path):
    pixels, _ = fashion
    expected = Encoder("mini-fashion").encode([np.repeat(image[:, :, None], 3, 2) for image in pixels[:5]])
    embedder = Embedder("mini-fashion")
    np.testing.assert_allclose(embedder.transform(pixels[:5]), expected, atol=1e-6)
    paths = [tmp_path / f"{index}.png" for index in range(5)]
    for path, image in zip(paths, pixels, strict=False):
        Image.fromarray(image).save(path)
    np.testing.assert_allclose(embedder.fit_transform(paths), expected, atol=1e-6)
    np.testing.assert_allclose(embedder.transform([str(path) for path in paths]), expected, atol=1e-6)
    assert embedder.get_feature_names_out().tolist()[:2] == ["dino0", "dino1"]
    assert len(embedder.get_feature_names_out()) == expected.shape[1]


def test_a_pipeline_from_images_to_labels(fashion):
    pixels, labels = fashion
    pipeline = make_pipeline(Embedder("mini-fashion"), KNNClassifier(k=5))
    assert pipeline.fit(pixels[:100], labels[:100]).score(pixels[100:], labels[100:]) > 0.5
    assert set(pipeline.get_params()) >= {"embedder__model", "knnclassifier__k", "knnclassifier__temperature"}
    search = GridSearchCV(pipeline, {"knnclassifier__k": [1, 5]}, cv=2).fit(pixels[:60], labels[:60])
    assert search.best_params_["knnclassifier__k"] in (1, 5)


def test_a_copy_holds_no_model_and_gives_the_same(fashion):
    embedder = Embedder("mini-fashion")
    first = embedder.transform(fashion[0][:2])
    for copy in (clone(embedder), pickle.loads(pickle.dumps(embedder))):
        assert copy.get_params() == embedder.get_params()
        assert not hasattr(copy, "_loaded")
        np.testing.assert_array_equal(copy.transform(fashion[0][:2]), first)
    assert embedder.set_params(pooling="cls+mean").transform(fashion[0][:2]).shape == (2, 2 * first.shape[1])


def test_images_that_cannot_be_embedded(tmp_path):
    (tmp_path / "bad.png").write_text("no")
    embedder = Embedder("mini-fashion")
    nothings: tuple[Any, ...] = ([], "one.png", None, {"one.png"}, {"one.png": 1})
    for nothing in nothings:
        with pytest.raises(InputError, match="X must be a sequence of paths or images"):
            embedder.transform(nothing)
    with pytest.raises(ImageError, match=r"bad\.png: "):
        embedder.transform([tmp_path / "bad.png"])
    with pytest.raises(ImageError, match=r"image 1 of X: an image must have shape"):
        embedder.transform([np.zeros((9, 9), np.uint8), np.zeros(9, np.uint8)])
