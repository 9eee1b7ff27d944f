import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.cluster import AgglomerativeClustering

from dinoscope.analysis.cleaning import candidates
from dinoscope.analysis.cleaning.candidates import score_pairs
from dinoscope.analysis.cleaning.duplicates import complete_linkage, find_duplicates
from dinoscope.analysis.cleaning.fingerprints import fingerprints, picture_agreement
from dinoscope.analysis.cleaning.pairs import Pairs
from dinoscope.analysis.neighbors import NeighborGraph, neighbors, query_neighbors
from dinoscope.errors import InputError
from dinoscope.sources.datasets.named import load_dataset


def pairs_of(scores: Any) -> Pairs:
    """Every pair of a symmetric matrix of scores."""
    first, second = np.triu_indices(len(scores), 1)
    order = np.argsort(-scores[first, second], kind="stable")
    first, second = first[order].astype(np.int64), second[order].astype(np.int64)
    values = scores[first, second]
    return Pairs(first, second, values, values, values)


def above(pairs: Pairs, threshold: float) -> Pairs:
    kept = pairs.scores >= threshold
    return Pairs(*(getattr(pairs, name)[kept] for name in ("first", "second", "similarities", "agreements", "scores")))


def photos(count: int, seed: int = 0) -> list[Any]:
    """Smooth random colour pictures of 40 x 50 pixels, no two alike."""
    draw = np.random.default_rng(seed)
    made = gaussian_filter(draw.standard_normal((count, 40, 50, 3)), (0, 2, 2, 0))
    return list(np.clip(128 + 350 * made, 0, 255).astype(np.uint8))


def cloud(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal((count, 8))


# --- groups ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_groups_are_those_of_complete_linkage(seed, threshold):
    draw = np.random.default_rng(seed)
    points = draw.standard_normal((60, 2))
    scores = 1 - np.linalg.norm(points[:, None] - points, axis=2) / 3
    found = complete_linkage(60, above(pairs_of(scores), threshold))
    reference = AgglomerativeClustering(
        None, metric="precomputed", linkage="complete", distance_threshold=1 - threshold
    ).fit(1 - scores)
    expected = {tuple(np.flatnonzero(reference.labels_ == label)) for label in np.unique(reference.labels_)}
    assert {group for group, _ in found} == {group for group in expected if len(group) > 1}
    for group, lowest in found:
        assert lowest == min(scores[a, b] for a in group for b in group if a != b)


def test_a_chain_is_no_group():
    scores = np.eye(4)
    scores[0, 1] = scores[1, 0] = 0.95
    scores[1, 2] = scores[2, 1] = 0.9  # 0 and 2 are no pair
    scores[2, 3] = scores[3, 2] = 0.85
    assert complete_linkage(4, above(pairs_of(scores), 0.8)) == [((0, 1), 0.95), ((2, 3), 0.85)]


# --- scores ----------------------------------------------------------------------------------------------------------


def test_a_score_is_the_contrast_to_the_tenth_look_alike():
    vectors = cloud(80)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    distances = 1 - unit @ unit.T
    np.fill_diagonal(distances, np.inf)
    tenth = np.sort(distances, axis=1)[:, 9]
    expected = 1 - distances / np.minimum(tenth[:, None], tenth)
    found = find_duplicates(vectors, threshold=0.2).pairs
    assert len(found.first) > 10
    np.testing.assert_allclose(found.scores, expected[found.first, found.second], atol=1e-4)
    np.testing.assert_allclose(found.similarities, 1 - distances[found.first, found.second], atol=1e-6)
    assert (found.first < found.second).all()
    assert len(found.first) == (np.triu(expected) >= 0.2).sum()
    assert np.isnan(found.agreements).all()


def test_what_stands_out_is_found_and_the_suggestion_does_not_follow_it():
    vectors = cloud(400)
    copies = vectors[:20] + 0.01 * cloud(20, seed=1)
    found = find_duplicates(np.concatenate([vectors, copies]))
    planted = {(at, 400 + at) for at in range(20)}
    assert planted <= set(found.groups)
    assert len(found.groups) <= len(planted) + 1  # half a chance pair is what the suggestion allows
    assert found.threshold == found.suggested
    assert 0.7 <= found.suggested <= 0.95
    given = find_duplicates(np.concatenate([vectors, copies]), graph=neighbors(np.concatenate([vectors, copies])))
    assert given.groups == found.groups


def test_hardly_a_pair_is_found_where_there_are_no_copies():
    found = [len(find_duplicates(cloud(400, seed)).groups) for seed in range(6)]
    assert np.mean(found) <= 1  # the suggestion allows half a chance pair


def test_exact_copies_are_one_image_to_the_rest():
    """Forty copies fill every neighbour list, and still the one near-duplicate is found."""
    vectors = cloud(100)
    near = vectors[:1] + 0.001
    found = find_duplicates(np.concatenate([vectors, np.repeat(vectors[:1], 40, axis=0), near]))
    assert found.groups == ((0, *range(100, 141)),)
    assert found.copy_of[100:].tolist() == [0] * 40 + [140]
    assert found.scores[0] < 1
    found = find_duplicates(np.concatenate([vectors, vectors[:3]]))
    assert found.groups == ((0, 100), (1, 101), (2, 102))
    assert found.scores == (1, 1, 1)


def test_an_approximate_graph_is_searched_again_only_where_it_held_copies(monkeypatch):
    vectors = np.concatenate([cloud(200), cloud(200)[:30] + 0.01 * cloud(30, seed=1), cloud(200)[:2], cloud(200)[:2]])
    expected = find_duplicates(vectors)
    graph = neighbors(vectors)
    graph = NeighborGraph(graph.indices, graph.similarities, recall=0.99)
    monkeypatch.setattr("dinoscope.analysis.cleaning.candidates.neighbors", None)
    found = find_duplicates(vectors, graph=graph)
    assert found.groups == expected.groups
    assert (0, 200, 230, 232) in found.groups
    np.testing.assert_allclose(found.pairs.scores, expected.pairs.scores, atol=1e-5)
    same = NeighborGraph(graph.indices[:40] % 40, graph.similarities[:40], recall=0.9)
    assert find_duplicates(np.ones((40, 3)), graph=same).groups == (tuple(range(40)),)


def test_keys_say_what_is_a_copy():
    vectors = cloud(50)
    found = find_duplicates(vectors, keys=["same" if at in (3, 30) else str(at) for at in range(50)])
    assert found.groups == ((3, 30),)


def test_the_preferred_image_comes_first():
    vectors = np.eye(3)[[0, 0, 0, 1, 1, 2]]
    sizes = [[10, 5], [20, 5], [20, 7], [4, 4], [4, 4], [9, 9]]
    assert find_duplicates(vectors, preference=sizes).groups == ((2, 0, 1), (3, 4))
    assert find_duplicates(vectors).groups == ((0, 1, 2), (3, 4))


@pytest.mark.parametrize(("count", "groups"), [(1, ()), (2, ((0, 1),)), (50, (tuple(range(50)),))])
def test_equal_vectors_are_one_group(count, groups):
    found = find_duplicates(np.ones((count, 3)))
    assert found.groups == groups
    assert found.copy_of.tolist() == [0] * count


def test_bad_arguments_are_named():
    vectors = cloud(20)
    for bad in (-0.1, 1.5, float("nan")):
        with pytest.raises(InputError, match="threshold must be from 0 to 1, got"):
            find_duplicates(vectors, threshold=bad)
    with pytest.raises(InputError, match="graph must have one row per vector, expected 20, got 19"):
        find_duplicates(vectors, graph=neighbors(vectors[1:]))
    with pytest.raises(InputError, match="keys must have one entry per item, expected 20, got 2"):
        find_duplicates(vectors, keys=["a", "b"])
    with pytest.raises(InputError, match="prints must have one entry per image, expected 20, got 3"):
        find_duplicates(vectors, prints=fingerprints(photos(3)))
    with pytest.raises(InputError, match="aspects must have one entry per image, expected 20, got 2"):
        find_duplicates(vectors, aspects=[1.0, 1.5])
    with pytest.raises(InputError, match="preference must have one entry per image, expected 20, got 1"):
        find_duplicates(vectors, preference=[1])
    with pytest.raises(InputError, match="vectors must have at least 1 rows, got 0"):
        find_duplicates(np.empty((0, 3)))
    vectors[4] = np.nan
    with pytest.raises(InputError, match="NaN or infinity in 1 of 20 rows"):
        find_duplicates(vectors)


# --- pictures --------------------------------------------------------------------------------------------------------


def test_fingerprints_are_grey_where_all_pictures_are():
    grey = np.arange(28 * 28, dtype=np.uint16).reshape(28, 28).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    prints = fingerprints([grey, file.getvalue(), np.repeat(grey[:, :, None], 3, axis=2)])
    assert prints.shape == (3, 32, 32, 1)
    assert (prints == prints[0]).all()
    assert fingerprints([grey, *photos(1)]).shape == (2, 32, 32, 3)


def test_agreement_is_that_of_the_definition():
    prints = fingerprints(photos(6))
    found = picture_agreement(prints, np.array([[1, 2], [0, 3], [5, 4], [0, 1], [3, 2], [2, 0]]))

    def correlation(a: Any, b: Any) -> float:
        noise = 4 * a.size
        a, b = a - a.mean(), b - b.mean()
        return float(((a * b).sum() + noise) / np.sqrt(((a * a).sum() + noise) * ((b * b).sum() + noise)))

    a, b = prints[[0, 1]].astype(np.float64)
    expected = 1.0
    details = [gaussian_filter(each, (1, 1, 0)) - gaussian_filter(each, (3, 3, 0)) for each in (a, b)]
    for one, other in ((a, b), details):
        middle = one[1:-1, 1:-1]
        expected *= max(0, *(correlation(middle, other[y : y + 30, x : x + 30]) for y in range(3) for x in range(3)))
    assert found[0, 0] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a,
        lambda a: np.roll(a, 1, axis=1),
        lambda a: np.clip(a * 0.8 + 20, 0, 255).astype(np.uint8),
        lambda a: np.asarray(Image.fromarray(a).resize((90, 70), Image.Resampling.BICUBIC)),
    ],
    ids=["same", "shifted", "dimmed", "resized"],
)
def test_pictures_saved_again_agree_and_others_do_not(change):
    pictures = photos(12)
    prints = fingerprints([*pictures, *(change(picture) for picture in pictures)])
    found = picture_agreement(prints, np.stack([(np.arange(24) + 12) % 24, (np.arange(24) + 1) % 24], axis=1))
    assert found[:, 0].min() > 0.9
    assert found[:, 1].max() < 0.5


def test_flat_pictures_agree_with_flat_ones_alone():
    flat = [np.full((30, 30, 3), level, np.uint8) for level in (9, 10)]
    found = picture_agreement(fingerprints([*flat, *photos(1)]), np.array([[1, 2], [0, 2], [0, 1]]))
    assert found[0].tolist() == pytest.approx([1, 0], abs=0.1)


def test_a_hue_in_common_is_no_evidence():
    flat = np.full((40, 40, 3), (60, 250, 220), np.uint8)
    faint = flat.copy()
    faint[::6, 8:20] -= 20  # as thin writing
    other = np.full((40, 40, 3), (110, 220, 210), np.uint8)
    found = picture_agreement(fingerprints([flat, faint, other, flat - 1]), np.array([[1, 2, 3]] * 4))
    assert found[0, :2].max() < 0.5
    assert found[0, 2] > 0.99


def test_one_picture_is_never_squeezed():
    vectors = np.repeat(cloud(20), 2, axis=0)
    vectors[1::2] += 1e-7
    aspects = np.ones(40)
    assert len(find_duplicates(vectors, keys=range(40), aspects=aspects).groups) == 20
    aspects[1::2] = 1.3
    assert not find_duplicates(vectors, keys=range(40), aspects=aspects).groups


def test_another_colour_is_another_picture():
    red = np.zeros((40, 40, 3), np.uint8)
    red[10:30, 10:30, 0] = 200
    found = picture_agreement(fingerprints([red, red[:, :, ::-1]]), np.array([[1], [0]]))
    assert found.max() < 0.5


def test_one_copy_does_not_search_the_whole_graph_again(monkeypatch):
    """Only lists that held the copy are: the result is that of a graph made without it."""
    vectors = cloud(200)
    vectors[150] = vectors[3]
    vectors[151] = vectors[90] + 1e-3
    graph = neighbors(vectors, 10)
    asked = []

    def count(known, queries, k):
        asked.append(len(queries))
        return query_neighbors(known, queries, k)

    monkeypatch.setattr(candidates, "query_neighbors", count)
    monkeypatch.setattr(candidates, "neighbors", None)
    found = score_pairs(vectors, graph=graph, least=0.0)
    assert asked == [int((graph.indices == 150).any(axis=1).sum() - (graph.indices[150] == 150).any())]
    assert 0 < asked[0] < 60
    own = np.delete(np.arange(200), 150)
    expected = score_pairs(vectors[own], graph=neighbors(vectors[own], 10), least=0.0)
    np.testing.assert_array_equal(found.pairs.first, own[expected.pairs.first])
    np.testing.assert_array_equal(found.pairs.second, own[expected.pairs.second])
    np.testing.assert_allclose(found.pairs.scores, expected.pairs.scores, atol=1e-5)
    assert found.suggested == expected.suggested


def test_planted_copies_are_found_among_real_pictures():
    """Raw pixels as vectors, which take trousers for each other: the pictures decide."""
    images = load_dataset("fashion-mnist-test").pixels[:800]
    copies = [np.roll(image, 1, axis=1) for image in images[:15]]
    copies += [np.asarray(Image.fromarray(image).resize((42, 42))) for image in images[15:30]]
    vectors = np.concatenate([images, images[:30]]).reshape(830, -1) + 0.0
    vectors[800:] *= 1 + 0.05 * np.random.default_rng(0).standard_normal((30, 784))
    found = find_duplicates(vectors, prints=fingerprints([*images, *copies]))
    planted = {(at, 800 + at) for at in range(30)}
    assert len(planted & set(found.groups)) >= 28
    assert len(set(found.groups) - planted) <= 2
    again = find_duplicates(vectors, prints=fingerprints([*images, *copies]))
    assert (again.groups, again.scores) == (found.groups, found.scores)


@pytest.mark.parametrize("odd", [0, -1, np.nan, np.inf])
def test_an_aspect_that_no_picture_has_is_refused(odd):
    vectors = np.random.default_rng(0).standard_normal((6, 4))
    with pytest.raises(InputError, match=f"aspects must be finite and above 0, got {float(odd)} for image 2"):
        find_duplicates(vectors, aspects=[1, 1, odd, 1, 1, 1])
