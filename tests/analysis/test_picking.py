import numpy as np
import pytest

from dinoscope.analysis.labels.voting import knn_accuracy_split
from dinoscope.analysis.neighbors import neighbors
from dinoscope.analysis.picking import pick_balanced, pick_farthest, pick_typical, pick_uncertain, picking_curve
from dinoscope.errors import InputError
from dinoscope.sources.datasets.named import load_dataset


@pytest.fixture(scope="module")
def vectors():
    """Five heaps of different sizes, on a sphere."""
    generator = np.random.default_rng(3)
    middles = generator.normal(size=(5, 8))
    found = np.concatenate(
        [middle + 0.3 * generator.normal(size=(20 * at + 12, 8)) for at, middle in enumerate(middles)]
    )
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def heaps():
    return np.repeat(np.arange(5), [12, 32, 52, 72, 92])


def written_out_farthest(vectors, count, beside):
    similar, picked = vectors @ vectors.T, list(beside)
    if not picked:
        picked.append(int((vectors @ vectors.mean(axis=0)).argmax()))
    while len(picked) < count + len(beside):
        left = [at for at in range(len(vectors)) if at not in picked]
        picked.append(min(left, key=lambda at: (similar[at, picked].max(), at)))
    return picked[len(beside) :]


def written_out_typical(graph, count, beside):
    liking = np.zeros((len(graph), len(graph)))
    for at in range(len(graph)):
        liking[at, graph.indices[at]] = np.maximum(graph.similarities[at], 0)
        liking[at, at] = 1
    picked = list(beside)
    while len(picked) < count + len(beside):
        left = [at for at in range(len(graph)) if at not in picked]
        picked.append(max(left, key=lambda at: (round(liking[:, [*picked, at]].max(axis=1).sum(), 9), -at)))
    return picked[len(beside) :]


@pytest.mark.parametrize("beside", [[], [5, 100, 200]])
def test_greedy_choices_are_those_that_are_written_out(vectors, beside):
    graph = neighbors(vectors, 12)
    assert pick_farthest(vectors, 25, beside=beside).tolist() == written_out_farthest(vectors, 25, beside)
    assert pick_typical(graph, 25, beside=beside).tolist() == written_out_typical(graph, 25, beside)


def test_a_shorter_choice_is_the_beginning_of_a_longer_one(vectors, heaps):
    graph, sure = neighbors(vectors, 12), np.random.default_rng(0).random(len(vectors))
    for pick in (
        lambda n: pick_farthest(vectors, n),
        lambda n: pick_typical(graph, n),
        lambda n: pick_uncertain(graph, sure, n),
    ):
        assert pick(30)[:11].tolist() == pick(11).tolist()
    counts = np.bincount(heaps[pick_balanced(graph, heaps.tolist(), 31)])
    assert sorted(counts) == [6, 6, 6, 6, 7]


@pytest.mark.parametrize("rule", ["farthest", "typical", "uncertain"])
def test_all_that_is_left_is_picked_once_and_nothing_twice(vectors, rule):
    graph, beside = neighbors(vectors, 12), np.arange(0, 260, 2)
    picked = {
        "farthest": lambda: pick_farthest(vectors, 999, beside=beside),
        "typical": lambda: pick_typical(graph, 999, beside=beside),
        "uncertain": lambda: pick_uncertain(graph, np.linspace(0, 1, 260), 999, beside=beside),
    }[rule]()
    assert sorted(picked.tolist()) == list(range(1, 260, 2))


def test_equal_images_are_picked_all_the_same():
    graph = neighbors(np.ones((6, 3)), 3)
    assert sorted(pick_typical(graph, 6).tolist()) == sorted(pick_farthest(np.ones((6, 3)), 6).tolist()) == [*range(6)]


def test_balance_counts_what_is_there_and_passes_on_what_a_group_lacks(vectors, heaps):
    graph, groups = neighbors(vectors, 12), heaps.tolist()
    beside = np.flatnonzero(heaps == 4)[:20]
    picked = pick_balanced(graph, groups, 100, beside=beside)
    # of the first there are no more than 12; of the last there are 20 already, as many as all others get but two
    assert np.bincount(np.concatenate([heaps[picked], heaps[beside]])).tolist() == [12, 27, 27, 27, 27]
    assert pick_balanced(graph, [None] * 259 + ["one"], 50).tolist() == [259]
    with pytest.raises(InputError, match="at least one image"):
        pick_balanced(graph, [None] * 260, 5)


def test_the_least_sure_come_first_but_not_one_beside_the_other(vectors):
    graph, sure = neighbors(vectors, 12), np.linspace(0, 1, len(vectors))
    sure[graph.indices[0, 0]] = 0.0001  # nearly as unsure as the first, and next to it
    picked = pick_uncertain(graph, sure, 20)
    assert picked[0] == 0
    assert graph.indices[0, 0] not in picked
    close = graph.indices[:, :5]
    for at, one in enumerate(picked):
        assert not set(close[one]) & set(picked[:at].tolist())
    sure[3] = np.nan
    assert 3 not in pick_uncertain(graph, sure, 999)


def test_the_curve_says_what_was_measured_by_hand(vectors, heaps):
    labels = [f"heap {each}" for each in heaps]
    picked = pick_farthest(vectors, 60)
    curve = picking_curve(vectors, picked, labels, draws=4)
    assert curve.sizes.tolist() == [10, 20, 50, 60]
    for at, size in enumerate(curve.sizes):
        apart = 1 - (vectors @ vectors[picked[:size]].T).max(axis=1)
        assert curve.radius[at] == pytest.approx(apart.max(), abs=1e-6)
        assert curve.distance[at] == pytest.approx(apart.mean(), abs=1e-6)
        votes = np.isin(np.arange(len(vectors)), picked[:size])
        assert curve.accuracy[at] == pytest.approx(knn_accuracy_split(vectors, labels, votes, k=5))
    assert curve.random_radius.shape == curve.random_distance.shape == curve.random_accuracy.shape == (4, 4)
    assert (curve.radius < curve.random_radius.min(axis=0)).all()
    assert np.isnan(picking_curve(vectors, picked, draws=1).accuracy).all()


def test_images_without_a_label_neither_vote_nor_count(vectors, heaps):
    labels = [f"heap {each}" if at % 3 else None for at, each in enumerate(heaps)]
    known = np.arange(len(vectors)) % 3 > 0
    picked = pick_farthest(vectors, 40)
    votes = np.isin(np.flatnonzero(known), picked)
    expected = knn_accuracy_split(vectors[known], [each for each in labels if each], votes, k=5)
    assert picking_curve(vectors, picked, labels, draws=1).accuracy[-1] == pytest.approx(expected)


def test_picked_garments_are_better_than_random_ones():
    dataset = load_dataset("fashion-mnist-test")
    pixels = dataset.pixels[:1500].reshape(1500, -1).astype(np.float32)
    labels = [str(item.label) for item in dataset.items[:1500]]
    far, typical = pick_farthest(pixels, 100), pick_typical(neighbors(pixels), 100)
    spread = picking_curve(pixels, far, labels)
    assert spread.radius[-1] < spread.random_radius[:, -1].min()
    middle = picking_curve(pixels, typical, labels)
    assert middle.distance[-1] < middle.random_distance[:, -1].min()
    assert middle.accuracy[-1] > np.median(middle.random_accuracy[:, -1])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda v: pick_farthest(v, 0), "count must be a whole number, 1 or more"),
        (lambda v: pick_farthest(v, 3, beside=[999]), "positions must be whole numbers from 0 to 259"),
        (lambda v: pick_uncertain(neighbors(v), [1.0], 3), r"margins must have shape \(260,\)"),
        (lambda v: pick_balanced(neighbors(v), ["a"], 3), "expected 260, got 1"),
        (lambda v: picking_curve(v, []), "at least one position"),
        (lambda v: picking_curve(v, [1], ["a"]), "expected 260, got 1"),
    ],
)
def test_what_cannot_be_picked_is_said(vectors, call, said):
    with pytest.raises(InputError, match=said):
        call(vectors)
