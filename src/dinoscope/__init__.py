"""See an image collection through DINO: embed it, map it, cluster it, search it, and know how far to trust that.

    import dinoscope as ds

    fashion = ds.Collection.from_images("fashion-mnist-test", "fashion", model="mini-fashion")
    coordinates = fashion.map()
    print(fashion.search(17, k=5))

Everything below a collection is a plain function over arrays: ``neighbors``, ``umap``, ``kmeans``, ``silhouette``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dinoscope._version import __version__ as __version__

if TYPE_CHECKING:
    from dinoscope.classify import knn_accuracy
    from dinoscope.clusters import Clustering, kmeans
    from dinoscope.collection import Collection, Match
    from dinoscope.decode import read_image
    from dinoscope.encoder import Encoder
    from dinoscope.errors import DinoscopeError
    from dinoscope.knn import NeighborGraph, neighbors
    from dinoscope.metrics import silhouette, trustworthiness
    from dinoscope.projection import umap
    from dinoscope.scores import Score

# name -> module; loaded on first use, so that `import dinoscope` and `dinoscope --help` stay fast.
_HOME = {
    "Clustering": "clusters",
    "Collection": "collection",
    "DinoscopeError": "errors",
    "Encoder": "encoder",
    "Match": "collection",
    "NeighborGraph": "knn",
    "Score": "scores",
    "kmeans": "clusters",
    "knn_accuracy": "classify",
    "neighbors": "knn",
    "read_image": "decode",
    "silhouette": "metrics",
    "trustworthiness": "metrics",
    "umap": "projection",
}

__all__ = [
    "Clustering",
    "Collection",
    "DinoscopeError",
    "Encoder",
    "Match",
    "NeighborGraph",
    "Score",
    "kmeans",
    "knn_accuracy",
    "neighbors",
    "read_image",
    "silhouette",
    "trustworthiness",
    "umap",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'dinoscope' has no attribute {name!r}")
    return getattr(import_module(f"dinoscope.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
