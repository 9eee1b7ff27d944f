"""What clusters are called."""

import numpy as np

from dinoscope.analysis.explain.explanation import Trait, find_traits
from dinoscope.wording.clusters import cluster_names

DARK, FLAT = Trait("brightness", 0.1), Trait("contrast", 0.2)


def test_a_label_of_half_the_images_names_a_cluster():
    assert cluster_names([0, 0, 0, 0], ["dress", "hat", "dress", None], [[DARK]]) == ["mostly dress"]
    assert cluster_names([0, 0, 0, 0, 0], ["dress", "hat", "dress", None, None], [[DARK]]) == ["dark"]


def test_without_labels_what_sets_it_apart_names_it():
    traits = [[DARK, FLAT, Trait("size", 0.9)], [Trait("brightness", 0.9)], []]
    assert cluster_names([0, 1, 2, -1], [None] * 4, traits) == ["dark, low contrast", "bright", "Cluster 2"]


def test_no_two_clusters_have_one_name():
    labels = ["dress", "dress", "dress", "hat"]
    assert cluster_names([0, 1, 2, 3], labels, [[DARK], [FLAT], [], []]) == [
        "mostly dress, dark",
        "mostly dress, low contrast",
        "mostly dress",
        "mostly hat",
    ]
    assert cluster_names([0, 1, 2], [None] * 3, [[DARK], [DARK], []]) == ["dark (0)", "dark (1)", "Cluster 2"]


def test_traits_are_found_in_ranks():
    brightness = np.r_[np.zeros(40), np.ones(40)] + np.linspace(0, 0.1, 80)
    (dark,), (bright,) = find_traits({"brightness": brightness}, np.repeat([0, 1], 40))
    assert (dark.superiority, bright.superiority) == (0, 1)
    assert cluster_names(np.repeat([0, 1], 40).tolist(), [None] * 80, [[dark], [bright]]) == ["dark", "bright"]
