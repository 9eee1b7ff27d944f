"""Colours, foreground, parts and matches of patches, against scikit-learn or their definitions written out."""

import numpy as np
import pytest
from scipy.linalg import eigh
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from dinoscope.analysis.patches import (
    Foreground,
    find_foreground,
    find_parts,
    fit_basis,
    match_patches,
    nearest_part,
    patch_colours,
    unit_tokens,
)
from dinoscope.analysis.patches.foreground import border_ranking, component, normalised_cut, split
from dinoscope.analysis.patches.tokens import border, high_norm
from dinoscope.errors import InputError


@pytest.fixture
def random():
    return np.random.default_rng(0)


def unit(tokens):
    return (tokens / np.linalg.norm(tokens, axis=-1, keepdims=True)).astype(np.float32)


def grid(random, rows=7, columns=5, length=12):
    """Return tokens of ground, and of a thing in the middle, both with noise."""
    ground, thing = random.standard_normal((2, length))
    tokens = np.tile(ground, (rows, columns, 1))
    tokens[2:-2, 1:-1] = thing
    return unit(tokens + 0.3 * random.standard_normal(tokens.shape))


def the_same_up_to_sign(ours, theirs):
    sign = np.sign((ours * theirs).sum())
    np.testing.assert_allclose(sign * ours, theirs, atol=1e-5)


def test_components_are_those_of_scikit_learn(random):
    images = [grid(random, rows=rows) for rows in (5, 6, 9)]
    basis = fit_basis(images)
    rows = np.concatenate([each.reshape(-1, 12) for each in images]).astype(np.float64)
    theirs = PCA(3).fit(rows)
    for ours, axis in zip(basis.axes, theirs.components_, strict=True):
        the_same_up_to_sign(ours, axis)
    np.testing.assert_allclose(basis.mean, theirs.mean_, atol=1e-12)
    np.testing.assert_allclose(basis.variance, theirs.explained_variance_ratio_, atol=1e-5)
    assert (basis.axes[np.arange(3), np.abs(basis.axes).argmax(axis=1)] > 0).all()


def test_a_colour_means_the_same_in_every_picture(random):
    images = [grid(random) for _ in range(4)]
    basis = fit_basis(images)
    alone, again = patch_colours(images[2], basis), patch_colours(np.concatenate(images), basis)[14:21]
    np.testing.assert_array_equal(alone, again)
    assert basis.digest == fit_basis(images).digest != fit_basis(images[:3]).digest
    assert np.ptp(np.concatenate([patch_colours(each, basis) for each in images]), axis=(0, 1)).min() > 200


def test_colours_of_the_foreground_alone(random):
    image = grid(random)
    mask = np.zeros(image.shape[:2], bool)
    mask[2:-2, 1:-1] = True
    basis = fit_basis([image], [mask])
    np.testing.assert_allclose(basis.mean, image[mask].astype(np.float64).mean(axis=0), atol=1e-12)


@pytest.mark.parametrize("images", [[], [np.ones((1, 3, 8), np.float32)], [np.ones((4, 4, 2), np.float32)]])
def test_too_little_for_colours(images):
    with pytest.raises(InputError, match="more than 3 patches of 3 numbers"):
        fit_basis(images)


def test_colours_of_another_model_are_refused(random):
    with pytest.raises(InputError, match="tokens of length 12, got 8"):
        patch_colours(grid(random, length=8), fit_basis([grid(random)]))


def test_a_long_token_is_an_artefact_and_takes_the_direction_of_its_neighbours(random):
    tokens = 20 * grid(random)
    tokens[3, 2] *= -6
    assert np.argwhere(high_norm(tokens)).tolist() == [[3, 2]]
    found, artefacts = unit_tokens(tokens)
    assert artefacts == 1
    around = np.delete(unit(tokens)[2:5, 1:4].reshape(9, -1), 4, axis=0).mean(axis=0)
    np.testing.assert_allclose(found[3, 2], around / np.linalg.norm(around), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=2), 1, atol=1e-6)
    assert unit_tokens(20 * grid(random))[1] == 0


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (np.ones((4, 8), np.float32), r"shape \(H, W, D\), got float32 \(4, 8\)"),
        (np.ones((4, 4, 8), np.int64), "must be floats"),
        ([1.0], "got list"),
        (np.full((4, 4, 8), np.nan), "finite"),
    ],
)
def test_what_is_no_tokens(tokens, message):
    with pytest.raises(InputError, match=message):
        unit_tokens(tokens)


def test_the_normalised_cut_is_the_generalised_eigenvector(random):
    tokens = grid(random)
    rows = tokens.reshape(-1, 12).astype(np.float64)
    rows = unit_rows(rows - rows.mean(axis=0))
    ties = np.where(rows @ rows.T > 0.2, 1, 1e-5)
    sums = np.diag(ties.sum(axis=1))
    expected = eigh(sums - ties, sums)[1][:, 1]
    ours = normalised_cut(tokens).ravel()
    scale = np.sqrt((ours**2 * np.diag(sums)).sum())
    the_same_up_to_sign(ours / scale, expected / np.sqrt((expected**2 * np.diag(sums)).sum()))


def unit_rows(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_component_is_that_of_scikit_learn(random):
    tokens = grid(random)
    the_same_up_to_sign(
        component(tokens).ravel(), PCA(1).fit_transform(tokens.reshape(-1, 12).astype(np.float64))[:, 0]
    )


@pytest.mark.parametrize("shape", [(7, 5), (3, 3), (4, 9)])
def test_the_ranking_from_the_border_is_its_definition(random, shape):
    tokens = grid(random, *shape) if min(shape) > 4 else unit(random.standard_normal((*shape, 12)))
    rows = tokens.reshape(-1, 12).astype(np.float64)
    place = np.stack(np.divmod(np.arange(len(rows)), shape[1]), axis=1)
    edge = border(*shape).ravel()
    tied = (np.abs(place[:, None] - place).max(axis=2) <= 1) | np.outer(edge, edge)
    np.fill_diagonal(tied, False)
    ties = np.where(tied, np.exp(-(1 - rows @ rows.T) / 0.15), 0)
    inverse = np.linalg.inv(np.diag(ties.sum(axis=1)) - 0.999 * ties)
    unreached = np.ones(len(rows))
    for axis, end in ((0, 0), (0, shape[0] - 1), (1, 0), (1, shape[1] - 1)):
        reached = inverse @ (place[:, axis] == end)
        unreached *= 1 - reached / reached.max()
    expected = inverse @ (unreached > split(unreached)[0])
    np.testing.assert_allclose(border_ranking(tokens).ravel(), expected, rtol=1e-5)


@pytest.mark.parametrize("method", ["border", "cut", "component"])
def test_a_thing_on_a_ground_is_the_foreground(random, method):
    found = find_foreground(grid(random), method)
    expected = np.zeros((7, 5), bool)
    expected[2:-2, 1:-1] = True
    np.testing.assert_array_equal(found.mask, expected)
    assert found.sure > 0.8
    np.testing.assert_array_equal(found.mask, found.strength > found.strength[~expected].max())


def test_a_finer_map_decides_where_there_is_one(random):
    """The thing stands elsewhere on the finer map, and 0.05 is its reach."""
    tokens, finer = grid(random), 30 * grid(random, 14, 10)
    found = find_foreground(tokens, finer=finer)
    expected = np.zeros((14, 10), bool)
    expected[2:-2, 1:-1] = True
    np.testing.assert_array_equal(found.mask, expected)
    np.testing.assert_allclose(found.strength, border_ranking(unit(finer), 0.05), rtol=1e-4)
    assert found.shares(7, 5)[[0, 1, 3], [2, 1, 0]].tolist() == [0, 1, 0.5]


def test_a_map_that_is_too_fine_is_brought_to_the_patches(random):
    finer = np.repeat(np.repeat(grid(random, 33, 9), 2, axis=0), 2, axis=1)
    found = find_foreground(grid(random, 33, 9), finer=finer)
    assert found.mask.shape == (33, 9)
    assert found.mask[10, 4]
    assert not found.mask[0].any()


@pytest.mark.parametrize(
    ("covered", "sure", "clear"), [(10, 0.9, True), (10, 0.7, False), (1, 0.9, False), (90, 0.9, False)]
)
def test_a_mask_is_relied_on_where_it_is_sure_and_of_a_usual_size(covered, sure, clear):
    mask = np.arange(100).reshape(10, 10) < covered
    assert Foreground(mask.astype(np.float32), mask, sure).clear is clear


def test_an_even_image_is_not_sure():
    found = find_foreground(np.full((5, 5, 4), 0.5, np.float32), "component")
    assert found.sure == 0
    assert not found.mask.any()


def test_a_foreground_needs_an_inside(random):
    with pytest.raises(InputError, match="3 x 3 patches or more, got 2 x 9"):
        find_foreground(unit(random.standard_normal((2, 9, 4))))
    with pytest.raises(InputError, match="border, cut, component"):
        find_foreground(grid(random), "magic")  # type: ignore[arg-type]


def test_the_split_is_the_best_of_all(random):
    values = np.concatenate([random.normal(0, 1, 30), random.normal(4, 1, 12)])
    threshold, share = split(values)

    def between(cut):
        low, high = values[values <= cut], values[values > cut]
        return len(low) * len(high) * (low.mean() - high.mean()) ** 2 / len(values) ** 2 / values.var()

    best = max(between(cut) for cut in np.sort(values)[:-1])
    assert share == pytest.approx(best, rel=1e-9)
    assert between(threshold) == pytest.approx(best, rel=1e-9)


def test_parts_are_the_groups_of_scikit_learn(random):
    images = [grid(random), grid(random, rows=9)]
    rows = np.concatenate([each.reshape(-1, 12) for each in images])
    theirs = KMeans(4, n_init=3, random_state=0).fit(rows)
    parts = find_parts(images, 4)
    sizes = np.bincount(theirs.labels_)
    np.testing.assert_allclose(parts.coverage, np.sort(sizes)[::-1] / len(rows), atol=1e-5)
    numbers = np.concatenate([nearest_part(each, parts).ravel() for each in images])
    order = np.argsort(-sizes, kind="stable")
    np.testing.assert_array_equal(order[numbers], theirs.predict(rows))
    np.testing.assert_allclose(parts.centres, theirs.cluster_centers_[order], atol=1e-5)
    shown = [[(nearest_part(each, parts) == part).any() for part in range(4)] for each in images]
    np.testing.assert_allclose(parts.images, np.mean(shown, axis=0))


def test_more_parts_than_patches():
    with pytest.raises(InputError, match="number of different patches, got 2"):
        find_parts([np.ones((4, 4, 8), np.float32)], 2)
    with pytest.raises(InputError, match="got 1"):
        find_parts([], 1)


def test_a_moved_image_matches_itself_moved(random):
    scene = unit(random.standard_normal((9, 9, 16)))
    found = match_patches(scene[:7, :7], scene[1:8, 2:9])
    both = 6 * 5  # patches that both show; what only one shows has no equal, and comes behind
    np.testing.assert_array_equal((found.first - found.second)[:both], np.tile([1, 2], (both, 1)))
    np.testing.assert_allclose(found.similarity[:both], 1, atol=1e-5)
    assert (found.similarity[both:] < 0.95).all()


def test_a_pattern_that_repeats_has_no_clear_match(random):
    tile = unit(random.standard_normal((3, 3, 16)))
    repeated, other = (unit(np.tile(tile, (3, 3, 1)) + random.normal(0, 1e-2, (9, 9, 16))) for _ in range(2))
    assert len(match_patches(repeated, repeated).first) == 81  # each is exactly itself
    assert len(match_patches(repeated, other, ratio=0.5).first) == 0
    assert len(match_patches(repeated, other, ratio=1).first) > 0


def test_the_way_back_decides(random):
    one, other = (unit(random.standard_normal((6, 6, 4))) for _ in range(2))
    strict, loose = match_patches(one, other, ratio=1), match_patches(one, other, ratio=1, cycle=5)
    assert len(strict.first) < len(loose.first) == 36
    similarity = one.reshape(36, 4) @ other.reshape(36, 4).T
    there = similarity.argmax(axis=1)
    mutual = np.flatnonzero(similarity.argmax(axis=0)[there] == np.arange(36))
    assert sorted((6 * strict.first[:, 0] + strict.first[:, 1]).tolist()) == mutual.tolist()
    assert (np.diff(strict.similarity) <= 0).all()


@pytest.mark.parametrize("settings", [{"ratio": 0}, {"ratio": 1.5}, {"cycle": -1}])
def test_settings_of_matches(random, settings):
    with pytest.raises(InputError, match="ratio must be above 0"):
        match_patches(grid(random), grid(random), **settings)
    with pytest.raises(InputError, match="of one model, got lengths 12 and 8"):
        match_patches(grid(random), grid(random, length=8))
