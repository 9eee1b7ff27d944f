"""See an image collection through DINO: embed it, map it, cluster it, search it, and know how far to trust that.

    import dinoscope as ds

    fashion = ds.Collection.from_images("fashion-mnist-test", "fashion", model="mini-fashion")
    coordinates = fashion.map()
    print(fashion.search(17, k=5))

Everything below a collection is a plain function over arrays: ``neighbors``, ``umap``, ``kmeans``, ``silhouette``.
"""

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from dinoscope._version import __version__ as __version__

if TYPE_CHECKING:
    from dinoscope.analysis.clusters.clustering import Clustering, kmeans
    from dinoscope.analysis.maps.projection import umap
    from dinoscope.analysis.metrics.maps import trustworthiness
    from dinoscope.analysis.metrics.silhouette import silhouette
    from dinoscope.analysis.neighbors import NeighborGraph, neighbors
    from dinoscope.collection import Collection
    from dinoscope.errors import DinoscopeError, InputError
    from dinoscope.models.encoder import Encoder
    from dinoscope.report.write import write_report
    from dinoscope.sources.opening import open_source
    from dinoscope.sources.pixels.decode import read_image
    from dinoscope.stages.queries.search import Match

# name -> module; loaded on first use, so that `import dinoscope` and `dinoscope --help` stay fast.
_HOME = {
    "Clustering": "analysis.clusters.clustering",
    "Collection": "collection",
    "DinoscopeError": "errors",
    "Encoder": "models.encoder",
    "InputError": "errors",
    "Match": "stages.queries.search",
    "NeighborGraph": "analysis.neighbors",
    "kmeans": "analysis.clusters.clustering",
    "neighbors": "analysis.neighbors",
    "open_source": "sources.opening",
    "read_image": "sources.pixels.decode",
    "silhouette": "analysis.metrics.silhouette",
    "trustworthiness": "analysis.metrics.maps",
    "umap": "analysis.maps.projection",
    "write_report": "report.write",
}

__all__ = [
    "Clustering",
    "Collection",
    "DinoscopeError",
    "Encoder",
    "InputError",
    "Match",
    "NeighborGraph",
    "kmeans",
    "neighbors",
    "open_source",
    "read_image",
    "silhouette",
    "trustworthiness",
    "umap",
    "write_report",
]


_MOVED = {"Score": "analysis.scores", "knn_accuracy": "analysis.labels"}


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name in _MOVED:
        warnings.warn(f"dinoscope.{name} is now dinoscope.{_MOVED[name]}.{name}", DeprecationWarning, stacklevel=2)
    home = _HOME.get(name) or _MOVED.get(name)
    if home is None:
        raise AttributeError(f"module 'dinoscope' has no attribute {name!r}")
    return getattr(import_module(f"dinoscope.{home}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
