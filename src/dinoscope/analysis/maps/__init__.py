"""Maps of vectors (UMAP, t-SNE, PCA), how far to trust them, and their settings."""

from dinoscope.analysis.maps.projection import Method, pca, transform, tsne, umap
from dinoscope.analysis.maps.quality import MapQuality, map_quality
from dinoscope.analysis.maps.tuning import Tuning, tune

__all__ = ["MapQuality", "Method", "Tuning", "map_quality", "pca", "transform", "tsne", "tune", "umap"]
