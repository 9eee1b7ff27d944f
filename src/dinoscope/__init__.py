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
    from dinoscope.analysis.clusters.clustering import Clustering, kmeans
    from dinoscope.analysis.labels.voting import knn_accuracy
    from dinoscope.analysis.maps.projection import umap
    from dinoscope.analysis.metrics.maps import trustworthiness
    from dinoscope.analysis.metrics.silhouette import silhouette
    from dinoscope.analysis.neighbors import NeighborGraph, neighbors
    from dinoscope.analysis.scores import Score
    from dinoscope.collection import Collection
    from dinoscope.errors import DinoscopeError
    from dinoscope.models.encoder import Encoder
    from dinoscope.sources.decode import read_image
    from dinoscope.stages.search import Match

# name -> module; loaded on first use, so that `import dinoscope` and `dinoscope --help` stay fast.
_HOME = {
    "Clustering": "analysis.clusters.clustering",
    "Collection": "collection",
    "DinoscopeError": "errors",
    "Encoder": "models.encoder",
    "Match": "stages.search",
    "NeighborGraph": "analysis.neighbors",
    "Score": "analysis.scores",
    "kmeans": "analysis.clusters.clustering",
    "knn_accuracy": "analysis.labels.voting",
    "neighbors": "analysis.neighbors",
    "read_image": "sources.decode",
    "silhouette": "analysis.metrics.silhouette",
    "trustworthiness": "analysis.metrics.maps",
    "umap": "analysis.maps.projection",
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
