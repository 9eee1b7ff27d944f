"""dinoscope as a user's program meets it: read by pyright in ``make check``, never run."""

from collections.abc import Callable
from pathlib import Path
from typing import assert_type

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import dinoscope as ds
from dinoscope.storage.progress import Progress


def collection(photos: Path, folder: Path, on_progress: Callable[[Progress], None]) -> ds.Collection:
    try:
        return ds.Collection.from_images(photos, folder, model="mini", on_progress=on_progress)
    except ds.InputError as error:
        raise SystemExit(str(error)) from None


def everything(photos: ds.Collection, picture: Image.Image) -> None:
    assert_type(photos.map(), NDArray[np.float32])
    assert_type(photos.map(method="pca"), NDArray[np.float32])
    assert_type(photos.neighbors(k=15), ds.NeighborGraph)
    assert_type(photos.clusters(k=12), ds.Clustering)
    assert_type(photos.vectors, NDArray[np.float32])
    for query in (17, "cat.jpg", Path("cat.jpg"), picture, np.zeros((8, 8, 3), np.uint8)):
        matches: list[ds.Match] = photos.search(query, k=5)
        print(len(matches))
    for match in photos.search(17):
        print(match.row, match.id, match.similarity)
    for score in photos.scores():
        print(score.name, score.value, score.meaning)
    for verdict in photos.classify(["a.jpg", "b.jpg"]):
        print(verdict.label, verdict.probability)
    print(photos.evaluate().accuracy)
    print(photos.findings().duplicates)
    print(photos.report(k=12))


def arrays(vectors: NDArray[np.float32]) -> None:
    graph = ds.neighbors(vectors, 15)
    clusters = ds.kmeans(vectors, 3)
    coordinates = ds.umap(vectors, graph=graph)
    assert_type(ds.silhouette(coordinates, clusters.labels), float)
    assert_type(ds.trustworthiness(vectors, coordinates), float)


def encoder(picture: Image.Image) -> None:
    model = ds.Encoder("mini")
    assert_type(model.encode(picture), NDArray[np.float32])
    assert_type(model.encode([picture, "cat.jpg"]), NDArray[np.float32])
    assert_type(ds.read_image("cat.jpg"), NDArray[np.uint8])
