"""``Collection``: images, their vectors, and everything computed from them, as people use it.

It is a thin layer: every method calls the function of ``stages`` that does the work. Each result is stored under a key
made of the keys of its inputs and its settings. So nothing is computed twice, and nothing stale is shown: a new map
setting embeds nothing again, and ten new images embed ten.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.base.checks import check_count, check_methods
from dinoscope.base.paths import named_path
from dinoscope.columns.names import ColumnChoice
from dinoscope.embedding.batches import Batches, finish_batches
from dinoscope.embedding.pipeline import embed_source
from dinoscope.embedding.rows import stored_rule
from dinoscope.models.catalogue import DEFAULT_MODEL
from dinoscope.notebook.images import Answers, Image
from dinoscope.notebook.results import Scores, ShownClustering, ShownEvaluation, ShownFindings, ShownLook, shown
from dinoscope.stages import clusters, columns, difference, labels, maps, neighbors, overlap, picking, properties
from dinoscope.stages.cleaning import answers, checks, findings
from dinoscope.stages.cleaning import crops as cleaning_crops
from dinoscope.stages.labelling import by_hand, exchange
from dinoscope.stages.opened import OpenedCollection
from dinoscope.stages.queries import patch_search, patches, reasons, search, tokens, windows
from dinoscope.stages.results.kept import Stage
from dinoscope.storage.progress import Progress

if TYPE_CHECKING:
    import pandas

    from dinoscope.analysis.cleaning.checked import Checked
    from dinoscope.analysis.cleaning.crops import Crops
    from dinoscope.analysis.cleaning.threshold import ThresholdFit
    from dinoscope.analysis.clusters.clustering import Clustering, Space
    from dinoscope.analysis.clusters.methods import Method as ClusterMethod
    from dinoscope.analysis.difference import Difference
    from dinoscope.analysis.explain.columns import ExplainedColumn
    from dinoscope.analysis.explain.explanation import Explanation
    from dinoscope.analysis.labels.classifier import Classifier, Verdict
    from dinoscope.analysis.labels.evaluation import Evaluation
    from dinoscope.analysis.labels.multilabel import MultiLabelEvaluation
    from dinoscope.analysis.maps.projection import Method
    from dinoscope.analysis.maps.quality import MapQuality, MeasuredMap
    from dinoscope.analysis.maps.tuning import Tuning
    from dinoscope.analysis.neighbors import NeighborGraph
    from dinoscope.analysis.picking.curve import Picking
    from dinoscope.columns.kinds import Column
    from dinoscope.embedding.own_vectors import NamedVectors
    from dinoscope.exporting.write import Form
    from dinoscope.models.encoder import Encoder
    from dinoscope.notebook.widget import ExplorerWidget
    from dinoscope.plots.canvas import Picture as PictureFile
    from dinoscope.sources.array import Labels
    from dinoscope.sources.folders import FolderRule
    from dinoscope.sources.opening import Source
    from dinoscope.sources.pixels.decode import Picture, Queries, Query
    from dinoscope.stages.cleaning.answers import Question, Subject
    from dinoscope.stages.cleaning.checks import Checkable
    from dinoscope.stages.cleaning.findings import Findings
    from dinoscope.stages.clusters import ClusterJudgement, ClusterSettings
    from dinoscope.stages.columns import Frame
    from dinoscope.stages.labelling.by_hand import Annotations
    from dinoscope.stages.labelling.exchange import Imported
    from dinoscope.stages.labels import Predictions
    from dinoscope.stages.maps import MapSettings, MethodSettings
    from dinoscope.stages.overlap import ModelOverlap
    from dinoscope.stages.picking import Rule
    from dinoscope.stages.queries.patches import Look, Scheme
    from dinoscope.stages.queries.reasons import Reason
    from dinoscope.stages.queries.search import Match
    from dinoscope.stages.queries.tokens import TokenPlan
    from dinoscope.stages.queries.windows import Spot

__all__ = ["Collection"]


@check_methods
class Collection(OpenedCollection):
    """Images with vectors of one model, and everything computed from them, opened from a folder.

    Position i of every array belongs to row ``rows[i]``. Images that could not be read, or are no longer in the
    source, have a row number but no position. The attributes are those of ``OpenedCollection``: ``path``, ``name``,
    ``model``, ``rows``, ``ids``, ``labels``, ``splits``, ``vectors``, ``sizes``, ``failures`` and ``missing``.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        model: str | None = None,
        *,
        labels: str = "source",
        read_only: bool = False,
        where: str | None = None,
    ) -> None:
        """Open a collection, or the part of it whose images meet a condition.

        Args:
            path: The folder.
            model: Which model's vectors to use, where there are several; by default those embedded last.
            labels: Which labels analyses use: "source", "mine" or "merged".
            read_only: Keep results in memory only.
            where: What the images meet, such as ``"width >= 1000 and format = 'JPEG'"``; see docs/columns.md. Only
                these images then count, in everything.

        Raises:
            CollectionError: If the folder is not a collection, is damaged, or has no vectors of that model.
            InputError: If there are no such labels, the condition is not valid, or no image meets it.
        """
        super().__init__(path, model, labels=labels, read_only=read_only)
        if where is not None:
            columns.narrow(self, where)

    @classmethod
    def from_images(
        cls,
        source: Source,
        path: str | os.PathLike[str],
        *,
        model: str | Encoder = DEFAULT_MODEL,
        labels: Labels | None = None,
        splits: Labels | None = None,
        image_column: str | None = None,
        label_column: str | None = None,
        split_column: str | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        limit: int | None = None,
        folders: FolderRule | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        batches: Batches = finish_batches,
        value_range: tuple[float, float] | None = None,
        moved: bool = False,
        replace: bool = False,
        keep_columns: str | Sequence[str] | None = None,
    ) -> Collection:
        """Embed images into a collection and open it. Only images without vectors are embedded.

        Args:
            source: A folder, archive, table or the name of a data set. Or an array uint8 (N, H, W) or (N, H, W, 3), or
                a list of paths, arrays or Pillow images. Or a table of pandas, polars or Arrow with a column of paths,
                or a data set of Hugging Face or torch. See ``dinoscope.open_source``.
            path: Folder of the collection, made if there is none.
            model: A name of the model table, a hub id or a path of weights; or an ``Encoder``, for every setting. By
                its name, "mini" sees thumbnails at 32 pixels and larger images at 40. Where the path has the same
                model's vectors in float32, ``device="auto"`` goes on in float32.
            labels: Labels (N,) of what is in memory, or a list of labels for an image that may have several. None
                leaves those that the source or the collection has.
            splits: Splits (N,), such as "train", of the same.
            image_column: Column of a table that holds the images or their paths.
            label_column: Column of a table that holds the labels; "none" for none.
            split_column: Column of a table that holds the splits; "none" for none.
            data_dir: Where to look for data sets first.
            limit: Take a random sample of this many images.
            folders: How the names of folders become labels and splits; by default as in the run before, and at first as
                ``dinoscope.sources.folders.read_folders`` says.
            on_progress: Called after every batch.
            batches: What decodes and embeds; by default this machine, or ``dinoscope.on_ray.embedding.OnRay``.
            value_range: Values of black and white in pictures of more than 8 bits; by default those of the collection,
                or those that a sample of its pictures shows.
            moved: Accept a source that was renamed or moved; its images keep their rows and vectors.
            replace: Accept a source without any of the collection's images.
            keep_columns: "all", "none" or the names of the columns to keep of the images' table and files; None is as
                in the run before, and at first all.

        Raises:
            SourceError: If the source cannot be opened or holds no readable image.
            CollectionError: If ``path`` is in use, or holds something else.
        """
        from dinoscope.embedding.resolution import usual_resolution
        from dinoscope.models.catalogue import get_model
        from dinoscope.models.encoder import Encoder
        from dinoscope.sources.opening import open_source
        from dinoscope.sources.pixels.levels import check_range
        from dinoscope.storage.manifest import list_models

        if folders is None and isinstance(source, str | os.PathLike):
            folders = stored_rule(named_path(path))
        opened = open_source(
            source,
            labels=labels,
            splits=splits,
            data_dir=data_dir,
            limit=limit,
            image_column=image_column,
            label_column=label_column,
            split_column=split_column,
            folders=folders,
        )
        if value_range is not None:
            opened.decoding = dataclasses.replace(opened.decoding, value_range=check_range(value_range))
        if keep_columns is not None:
            opened.column_choice = ColumnChoice.of(keep_columns)
        if isinstance(model, str):
            encoder = Encoder(model, resolution=usual_resolution(get_model(model), opened, named_path(path)))
        else:
            encoder = model
        if isinstance(encoder, Encoder):
            encoder = encoder.going_on(list_models(named_path(path)))
        summary = embed_source(
            opened, named_path(path), encoder, on_progress=on_progress, batches=batches, moved=moved, replace=replace
        )
        collection = cls(path, encoder.key)
        collection.embedded = summary
        return collection

    @classmethod
    def from_vectors(
        cls,
        vectors: ArrayLike | NamedVectors | str | os.PathLike[str],
        path: str | os.PathLike[str],
        *,
        images: Source,
        labels: Labels | None = None,
        splits: Labels | None = None,
        folders: FolderRule | None = None,
        name: str = "vectors",
        on_progress: Callable[[Progress], None] | None = None,
        moved: bool = False,
        replace: bool = False,
    ) -> Collection:
        """Make a collection of your own vectors, and open it. Everything works except what needs the model.

        Args:
            vectors: Vectors (N, D), one for each image in the order of the images; or a file of them, which may name
                the images: see ``dinoscope.embedding.own_vectors.read_vectors``. They are brought to length 1.
            path: Folder of the collection, made if there is none; it may hold vectors of other models.
            images: The images that the vectors were made from; see ``from_images``.
            labels: As in ``from_images``, and so are the next two.
            splits: See above.
            folders: See above.
            name: What made them: the collection calls its model "own:NAME". Vectors with the same name are replaced.
            on_progress: Called after every batch.
            moved: As in ``from_images``.
            replace: As in ``from_images``.

        Raises:
            InputError: If the vectors are not a finite matrix, contain a zero vector, or do not fit the images.
            SourceError: If the images cannot be opened, or none can be read.
            CollectionError: If ``path`` is in use, or holds something else.
        """
        from dinoscope.embedding.own_vectors import OwnVectors, embed_vectors, read_vectors
        from dinoscope.sources.opening import open_source

        if folders is None and isinstance(images, str | os.PathLike):
            folders = stored_rule(named_path(path))
        source = open_source(images, labels=labels, splits=splits, folders=folders)
        held = read_vectors(vectors) if isinstance(vectors, str | os.PathLike) else vectors
        own = OwnVectors(source, held, name)
        summary = embed_vectors(source, named_path(path), own, on_progress=on_progress, moved=moved, replace=replace)
        collection = cls(path, own.key)
        collection.embedded = summary
        return collection

    # --- in a notebook -----------------------------------------------------------------------------------------------

    def __getitem__(self, row: int) -> Image:
        """Return the image of a row number, as ``search`` takes it; a notebook shows its picture.

        Raises:
            InputError: If there is no such row.
        """
        return Image.of(self, row)

    def __iter__(self) -> Iterator[Image]:
        """Go through the images, in the order of their rows."""
        return (Image.of(self, row) for row in self.rows.tolist())

    def _repr_html_(self) -> str:
        from dinoscope.notebook.card import card

        return card(self)

    def show(
        self,
        *,
        method: Method = "umap",
        images: bool = False,
        dark: bool = False,
        width: int = 1000,
        **settings: Unpack[MapSettings],
    ) -> PictureFile:
        """Return the map as a PNG, which a notebook shows.

        Args:
            method: As in ``map``.
            images: Draw the images instead of points.
            dark: For a dark page.
            width: Width in pixels. A picture that is drawn smaller keeps its size.
            settings: As in ``map``.

        Raises:
            InputError: The width is not positive, or see ``map``.
        """
        from dinoscope.plots.canvas import narrow
        from dinoscope.plots.collection import collection_image_map, collection_map

        check_count(width, "width")
        coordinates = maps.make_map(self, method=method, **settings)
        return narrow((collection_image_map if images else collection_map)(self, coordinates, dark=dark), width)

    def explore(self, *, height: int = 640, max_mb: float = 10) -> ExplorerWidget:
        """Return the explorer for a cell of a notebook, without a server; needs ``pip install 'dinoscope[notebook]'``.

        The first call computes what a report needs.

        Args:
            height: Of the frame, in pixels.
            max_mb: Size that the frame's page never exceeds; it decides how large the thumbnails are.

        Returns:
            A widget. Its ``selection`` holds the row numbers of the images that are selected in it.

        Raises:
            InputError: If the package is not installed, or there are too few images for a map.
        """
        from dinoscope.notebook.widget import ExplorerWidget

        return ExplorerWidget.of(self, height=height, max_mb=max_mb)

    def to_pandas(self, *, computed: bool = False) -> pandas.DataFrame:
        """Return a table of pandas with a line for each image, by row number.

        Args:
            computed: Add the places on the map (``x``, ``y``) and the clusters, computed on the first call.

        Returns:
            Columns id, label, split, width, height, and labels or caption where images have several labels or captions.

        Raises:
            InputError: If pandas is not installed.
        """
        from dinoscope.notebook.frames import to_pandas

        return to_pandas(self, computed=computed)

    @property
    def stages(self) -> dict[str, Stage]:
        """For each stage, how its latest result was made."""
        return self.results.stages

    def report(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        k: int | None = None,
        max_mb: float = 25,
        title: str = "",
        author: str = "",
        private_columns: bool = False,
        on_note: Callable[[str], None] | None = None,
    ) -> Path:
        """Write the report, one self-contained HTML file, by default ``report.html`` in the collection.

        The arguments are those of ``dinoscope.report.write.write_report``.
        """
        from dinoscope.report.write import write_report

        target = named_path(path) if path is not None else self.path / "report.html"
        return write_report(
            self,
            target,
            k=k,
            max_mb=max_mb,
            title=title,
            author=author,
            private_columns=private_columns,
            on_note=on_note,
        )

    # --- what was computed from the vectors --------------------------------------------------------------------------

    def neighbors(self, k: int = 30) -> NeighborGraph:
        """Return the graph of the ``k`` nearest neighbours; every other step reads the one with 30.

        Below 100,000 images it is exact. For more, it comes from an approximate index, and ``recall`` says how many of
        the true neighbours it has.
        """
        return neighbors.neighbor_graph(self, k)

    def map(
        self,
        *,
        method: Method = "umap",
        n_neighbors: int = 15,
        min_dist: float = 0.1,
        perplexity: float = 30.0,
        seed: int = 42,
        dims: int = 2,
    ) -> NDArray[np.float32]:
        """Return the map (N, dims), made from the neighbour graph; the same seed gives the same map.

        Args:
            method: "umap", "tsne" or "pca".
            n_neighbors: Of UMAP.
            min_dist: Of UMAP.
            perplexity: Of t-SNE.
            seed: Of UMAP and t-SNE.
            dims: Axes: 2 or 3.

        Raises:
            InputError: If the method is unknown or a setting is out of its range.
        """
        return maps.make_map(
            self, method=method, n_neighbors=n_neighbors, min_dist=min_dist, perplexity=perplexity, seed=seed, dims=dims
        )

    def transform(
        self, vectors: ArrayLike, *, method: Method = "umap", **settings: Unpack[MapSettings]
    ) -> NDArray[np.floating]:
        """Return places (M, dims) of new vectors (M, D) on the map with these settings; see ``projection.transform``.

        Args:
            vectors: Vectors of images that are not in it, as from ``query_vector``.
            method: As in ``map``.
            settings: As in ``map``.

        Raises:
            InputError: If the vectors do not fit, or see ``map``.
        """
        return maps.transform(self, vectors, method=method, **settings)

    def map_quality(
        self,
        method: Method = "umap",
        *,
        n_neighbors: int = 15,
        min_dist: float = 0.1,
        perplexity: float = 30.0,
        seed: int = 42,
        dims: int = 2,
        k: int = 15,
    ) -> MapQuality:
        """Return how far to trust a map, as a whole and image by image; see ``quality.map_quality``.

        Args:
            method: As in ``map``, and so are the five after it.
            n_neighbors: See above.
            min_dist: See above.
            perplexity: See above.
            seed: See above.
            dims: See above.
            k: Neighbours to compare.

        Raises:
            InputError: See ``map``; or there are fewer than three images.
        """
        return maps.map_quality(
            self, method, n_neighbors=n_neighbors, min_dist=min_dist, perplexity=perplexity, seed=seed, dims=dims, k=k
        )

    def compare_maps(
        self, methods: Sequence[Method] = ("umap", "tsne", "pca"), **settings: Unpack[MapSettings]
    ) -> list[MeasuredMap]:
        """Return the map of each method with its title and how far to trust it, in the order asked for.

        Args:
            methods: See ``map``.
            settings: As in ``map``; each method takes those that concern it.

        Raises:
            InputError: See ``map``.
        """
        return maps.compare_maps(self, methods, **settings)

    def tuning(
        self,
        *,
        n_neighbors: Sequence[int] | None = None,
        min_dist: Sequence[float] | None = None,
        seeds: int = 3,
        sample: int = 5000,
        seed: int = 0,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Tuning:
        """Return which settings of UMAP suit these images, with the table and maps behind that; takes minutes.

        Args:
            n_neighbors: Values to try, by default those of ``dinoscope.analysis.maps.tuning``.
            min_dist: The same.
            seeds: Maps of each setting that stays in.
            sample: Most images to map, drawn at random.
            seed: The same seed gives the same table.
            on_progress: Called with maps done and maps in all, from several threads.

        Raises:
            InputError: See ``dinoscope.analysis.maps.tuning.tune``.
        """
        return maps.tuning(
            self,
            n_neighbors=n_neighbors,
            min_dist=min_dist,
            seeds=seeds,
            sample=sample,
            seed=seed,
            on_progress=on_progress,
        )

    def clusters(
        self,
        k: int | None = None,
        *,
        method: ClusterMethod = "kmeans",
        space: Space | None = None,
        dims: int = 10,
        seed: int = 0,
    ) -> Clustering:
        """Return the clusters of the vectors; see ``dinoscope.analysis.clusters.cluster``.

        Without ``k`` their number is the finest on the plateau of the silhouette; see ``choose_k``. HDBSCAN finds it
        itself.
        """
        found = clusters.find_clusters(self, k, method=method, space=space, dims=dims, seed=seed)
        return shown(ShownClustering, found, self)

    def judge(
        self,
        k: int | None = None,
        *,
        method: ClusterMethod = "kmeans",
        space: Space | None = None,
        dims: int = 10,
        seed: int = 0,
        stability: bool = False,
        nulls: bool = False,
    ) -> ClusterJudgement:
        """Return how good the clusters are that ``clusters`` finds with the same settings.

        Cohesion and purity are quick. Stability and nulls cluster many times, and are stored separately.

        Args:
            k: As in ``clusters``, and so are the four after it.
            method: See above.
            space: See above.
            dims: See above.
            seed: See above.
            stability: Tell how surely each cluster is found again in resamples; slow with the space "umap".
            nulls: Tell which clusters are no better than those of shuffled features, and which also exist in the
                pixels.

        Raises:
            InputError: See ``clusters``.
        """
        return clusters.judge_clusters(
            self, k, method=method, space=space, dims=dims, seed=seed, stability=stability, nulls=nulls
        )

    def scores(self, k: int | None = None) -> Scores:
        """Return how far to trust map and clusters, one ``Score`` per line; ``k`` as in ``clusters``."""
        return Scores(clusters.all_scores(self, k))

    # --- labels ------------------------------------------------------------------------------------------------------

    def classifier(self, *, k: int = 20, coverage: float = 0.9, abstain: float = 0.05) -> Classifier:
        """Return the classifier of the collection's labelled images, made once while the collection is open.

        Args:
            k: Voters.
            coverage: Share of sets of labels that are to hold the truth.
            abstain: Share of images of the known kind that may be called unknown.

        Raises:
            InputError: Fewer than two images have a label, or an argument cannot work.
        """
        return labels.load_classifier(self, k=k, coverage=coverage, abstain=abstain)

    def classify(
        self, queries: Queries, *, k: int = 20, coverage: float = 0.9, abstain: float = 0.05, weights: str | None = None
    ) -> list[Verdict]:
        """Name images by their nearest labelled neighbours, and say how sure that is, or that they are unknown.

        Args:
            queries: Vectors float (M, D); or one or several of: an image file, a decoded image uint8 (H, W[, 3]),
                a vector float (D,), a row number (that image is left out of its own vote).
            k: Voters.
            coverage: Share of sets of labels that are to hold the truth.
            abstain: Share of images of the known kind that may be called unknown.
            weights: Path of the model's weights, for images and a model that was named by such a path.

        Raises:
            InputError: Fewer than two images have a label, there is no such row, or a vector does not fit.
            ImageError: A file is not an image.
            ModelError: The model that made the vectors cannot be loaded.
        """
        return labels.classify(self, queries, k=k, coverage=coverage, abstain=abstain, weights=weights)

    def evaluate_sets(self, split: str = "auto", *, k: int = 20) -> MultiLabelEvaluation:
        """Return the average precision of each label by neighbours' votes, for images that may have several labels.

        Args:
            split: See ``evaluate``.
            k: Voters.

        Raises:
            InputError: Images have no more than one label each, or there is no such split.
        """
        return labels.evaluate_label_sets(self, split, k=k)

    def predictions(self, *, k: int = 20, coverage: float = 0.9, abstain: float = 0.05) -> Predictions:
        """Return what the labelled images say about every image of the collection. No image votes for itself.

        Arguments and errors as in ``classify``.
        """
        return labels.predict_labels(self, k=k, coverage=coverage, abstain=abstain)

    def evaluate(self, split: str = "auto", *, k: int = 20, coverage: float = 0.9, abstain: float = 0.05) -> Evaluation:
        """Measure how well neighbours find the labels of the collection. Positions are those of the collection.

        Args:
            split: A split, such as "test": the training images name its images, or all other images if there is no
                training split. Or "leave-one-out". Or "auto": test, else val, if it and train have labels, else
                leave-one-out.
            k: Voters.
            coverage: Share of sets of labels that are to hold the truth.
            abstain: Share of images of the known kind that may be called unknown.

        Raises:
            InputError: The split is unknown or has no labels, or too few images have a label.
        """
        found = labels.evaluate_labels(self, split, k=k, coverage=coverage, abstain=abstain)
        return shown(ShownEvaluation, found, self)

    # --- columns -----------------------------------------------------------------------------------------------------

    def columns(self) -> dict[str, Column]:
        """Return what is known about each image besides its label: name -> column (N,).

        These are columns of the table that the images came from or that lies beside them, facts from the files (date,
        camera, exposure, size...), and your own columns. Latitude and longitude are marked as private.
        """
        return dict(columns.read_all(self))

    def add_columns(self, table: Frame) -> list[str]:
        """Add your own columns, or update them. They stay when images are embedded again.

        Args:
            table: A table of pandas, polars or Arrow, or a dictionary of columns. Its column "id" names the images. An
                image that is missing there has no value.

        Returns:
            The names of the columns.

        Raises:
            InputError: If it is no such table, names none of the images, or has a column of the source.
            CollectionError: Another process is writing the collection.
            WriteError: The folder may not be written.
        """
        return columns.add_columns(self, table)

    def explain_columns(
        self, *, cluster_settings: ClusterSettings | None = None, map_settings: MethodSettings | None = None
    ) -> tuple[ExplainedColumn, ...]:
        """Return how closely each column follows the neighbours, the map and the clusters.

        Args:
            cluster_settings: Arguments of ``clusters``.
            map_settings: Arguments of ``map``.

        Returns:
            The columns of numbers, dates and categories, first those that neighbours on the map share most. A column is
            left out if fewer than 20 images have a value, or if all values are the same.
        """
        return properties.explain_collection_columns(self, cluster_settings=cluster_settings, map_settings=map_settings)

    def matching(self, where: str) -> NDArray[np.bool_]:
        """Tell which images meet a condition (N,), such as ``"width >= 1000"``; see docs/columns.md.

        Raises:
            InputError: If the condition is not valid, or names a missing column.
        """
        return columns.matching(self, where)

    # --- labels and tags by hand -------------------------------------------------------------------------------------

    def annotate(
        self,
        rows: Sequence[int],
        *,
        label: str | None = None,
        tags: Sequence[str] | None = None,
        add_tags: Sequence[str] = (),
        drop_tags: Sequence[str] = (),
        since: int | None = None,
    ) -> int:
        """Give images a label, tags, or both, and store that in the collection as one act.

        Labels and tags belong to the images' content, so they stay when names, rows or models change. The labels of the
        source do not change. ``Collection(path, labels="merged")`` lets analyses use both.

        Args:
            rows: The images.
            label: Their label; "" takes it away, None leaves it.
            tags: All of their tags; None leaves them.
            add_tags: Tags that are added.
            drop_tags: Tags that are taken away.
            since: Refuse if somebody changed one of these images after this revision.

        Returns:
            The revision: the number of this act.

        Raises:
            ConflictError: If somebody did.
            InputError: If there is no such row, or a text is not a valid label.
            WriteError: If the folder cannot be written or the disk is full. Earlier labels are kept.
        """
        return by_hand.annotate(self, rows, label=label, tags=tags, add_tags=add_tags, drop_tags=drop_tags, since=since)

    def annotations(self) -> Annotations:
        """Return the labels and tags that people gave, with who and when."""
        return by_hand.all_annotations(self)

    def undo(self, since: int | None = None) -> list[int]:
        """Undo the latest act of ``annotate``, no matter who did it. Call it again to undo more.

        Args:
            since: Refuse if there were acts after this revision.

        Returns:
            The rows that it changed; none if there is nothing to undo.

        Raises:
            ConflictError: If there were.
            WriteError: The folder may not be written.
        """
        return by_hand.turn(self, "undo", since)

    def redo(self, since: int | None = None) -> list[int]:
        """Redo what was undone last; arguments and errors as in ``undo``."""
        return by_hand.turn(self, "redo", since)

    def export_annotations(self, path: str | os.PathLike[str]) -> int:
        """Write the labels and tags that people gave, one line per image; return how many.

        Args:
            path: A .csv, .parquet or .jsonl file.

        Raises:
            InputError: It is none of these.
            WriteError: It cannot be written.
        """
        return exchange.export_annotations(self, named_path(path))

    def import_annotations(self, path: str | os.PathLike[str]) -> Imported:
        """Read labels and tags from a file, as one act that can be undone.

        Args:
            path: A .csv, .parquet or .jsonl file with a column id or content, and label, tags or both; other columns
                are ignored. A missing column changes nothing.

        Returns:
            How many images it labelled or tagged, and how many lines name no image of the collection.

        Raises:
            InputError: It cannot be read, or names no image of the collection.
            WriteError: The folder may not be written.
        """
        return exchange.import_annotations(self, named_path(path))

    # --- what to look at ---------------------------------------------------------------------------------------------

    def findings(self, *, threshold: float | None = None) -> Findings:
        """Return near-duplicates, leaks between splits, outliers and labels to check; no image is touched.

        Args:
            threshold: How far duplicates must stand out, 0 to 1; by default what a person's answers say (see
                ``threshold_fit``), else what the collection suggests.

        Raises:
            InputError: The threshold is out of range.
        """
        return shown(ShownFindings, findings.all_findings(self, threshold=threshold), self)

    def crops(
        self,
        *,
        threshold: float | None = None,
        weights: str | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Crops:
        """Find images that are a part of another one, except those that ``findings`` calls duplicates.

        Each image is compared with the eight others that are most similar to it as a whole or in a window (see
        ``search_inside``). For that, its stored small picture is slid over theirs at many sizes.

        Args:
            threshold: See ``findings``.
            weights: See ``search``.
            on_progress: Called with how much is done, and of how much.

        Raises:
            InputError: The threshold is out of range, or there are too many images to look inside.
            ModelError: If the model that made the vectors cannot be loaded.
        """
        return cleaning_crops.crops(self, threshold=threshold, weights=weights, on_progress=on_progress)

    def dismiss(self, key: str, dismissed: bool = True) -> None:
        """Store in the collection that a finding is no problem, or forget it.

        Args:
            key: One of ``Findings.keys``.
            dismissed: False brings the finding back.

        Raises:
            InputError: The key is none of a finding.
            WriteError: The folder may not be written.
        """
        findings.dismiss_finding(self, key, dismissed)

    def dismissed(self) -> set[str]:
        """Return the keys of the findings that a person dismissed."""
        return findings.dismissed_keys(self)

    def findings_to_check(self, kind: Checkable, count: int = 20) -> list[tuple[str, int]]:
        """Return findings to check, drawn at random from the list: the key and the row of each.

        They stay the same until they are answered. Answered ones among the first ``count`` are left out.

        Args:
            kind: "label_errors" or "outliers".
            count: How many to check in all.

        Raises:
            InputError: There is no such kind.
        """
        return checks.findings_to_check(self, kind, count)

    def answer_finding(self, key: str, right: bool | None) -> None:
        """Store in the collection whether a finding is right: the label is wrong, or the image does not belong.

        Args:
            key: One of ``Findings.keys``.
            right: False means the same as ``dismiss``: no problem. None forgets the answer.

        Raises:
            InputError: The key is none of a finding.
            WriteError: The folder may not be written.
        """
        findings.answer_findings(self, {key: right})

    def findings_checked(self, kind: Checkable) -> Checked:
        """Return how many randomly checked findings are right, and how many of the others may be.

        The interval contains the truth in at least 90 of 100 cases; see ``dinoscope.analysis.cleaning.checked``. Only
        findings from ``findings_to_check`` count, not those that you chose yourself.

        Args:
            kind: "label_errors" or "outliers".

        Raises:
            InputError: There is no such kind.
        """
        return checks.findings_checked(self, kind)

    def questions(self, about: Subject = "duplicates", count: int = 20) -> tuple[Question, ...]:
        """Return what to ask a person so that the answers tell most about a threshold; see ``choose_questions``.

        The same questions until one of them is answered.

        Args:
            about: "duplicates" asks whether two images show the same picture. A kind of poor pictures ("blurred",
                "dark", "blown out", "empty", "framed", "screenshot", "odd size", "odd shape") asks whether one is so.
            count: How many.

        Returns:
            As many, or fewer where no more are left, by descending score. Pairs and pictures with very low scores
            are not asked about: of a picture two octaves short of the usual limit.

        Raises:
            InputError: There is no such kind, or ``count`` is not positive.
        """
        return answers.questions(self, about, count)

    def answer_question(self, rows: Sequence[int], yes: bool | None, about: Subject = "duplicates") -> None:
        """Remember in the collection whether two images show the same picture, or whether one is of a kind.

        It is said of what the images hold, so it stays when names, rows or models change, and counts once for all
        exact copies. From ten answers on they decide the threshold (see ``threshold_fit``). What was answered yes is
        listed whatever the threshold is. A picture that was answered no is not listed, and two such images are never
        in one group.

        Args:
            rows: Rows of two images; of one for a kind of poor pictures.
            yes: None if nobody can say: the question is not asked again.
            about: As in ``questions``.

        Raises:
            InputError: There are no such rows, both are the same image, or there is no such kind.
            WriteError: The folder may not be written.
        """
        answers.answer_questions(self, {tuple(rows): yes}, about)

    def forget_answers(self, about: Subject = "duplicates") -> int:
        """Forget all answers about duplicates, or about a kind of poor pictures; return how many there were.

        Raises:
            InputError: There is no such kind.
            WriteError: The folder may not be written.
        """
        return answers.forget_answers(self, about)

    def threshold_fit(self, about: Subject = "duplicates") -> ThresholdFit:
        """Return the threshold that a person's answers make of duplicates, or of a kind of poor pictures.

        It says how good this threshold and others are, among the pairs or pictures that ``questions`` may ask about.
        Exact copies count once.

        Raises:
            InputError: There is no such kind.
        """
        return answers.threshold_fit(self, about)

    def difference(self, other: OpenedCollection, *, k: int | None = None, false_share: float = 0.1) -> Difference:
        """Find how another collection differs from this one; see ``dinoscope.analysis.difference.find_difference``.

        Args:
            other: AFTER, with vectors of the same model.
            k: Number of clusters; by default 20, fewer for few images.
            false_share: Share of the images listed as new, or as gone, that may be neither.

        Raises:
            InputError: The vectors are of different models, or see ``find_difference``.
        """
        return difference.difference(self, other, k=k, false_share=false_share)

    def overlap(self, other: OpenedCollection, k: int = 10) -> ModelOverlap:
        """Compare what two models consider near, for the images with vectors of both, matched by content.

        Args:
            other: A collection of the same images, or this one opened with another model.
            k: Neighbours per image, searched among the images that both contain.

        Returns:
            The images that both contain, and the share of each one's neighbours that both models find.

        Raises:
            InputError: Both are the same vectors, or share fewer than two images, or ``k`` is not 1 or more.
        """
        return overlap.model_overlap(self, other, k)

    # --- what to do with it ------------------------------------------------------------------------------------------

    def pick(self, count: int, by: Rule = "typical", *, beside: Sequence[int] = ()) -> Picking:
        """Choose images to label or to keep. The first n are also the choice of n images.

        Args:
            count: How many; with fewer left, all are picked.
            by: "typical": images that together are most like all others. "coverage": images from which no other is
                far. "uncertain": images whose labelled neighbours disagree; those of ``beside`` vote where any has a
                label, else all that have one. "balanced": as many typical ones of each label, or of each cluster where
                no image has a label. See ``dinoscope.analysis.picking``.
            beside: Rows of images that you already have.

        Raises:
            InputError: The rule is unknown or needs labels, there is no such row, or no image is left to pick.
        """
        return picking.pick(self, count, by, beside=beside)

    def export(
        self,
        to: str | os.PathLike[str],
        form: Form,
        *,
        images: Source | None = None,
        vectors: bool = False,
        clusters: bool = False,
        predictions: bool = False,
        private_columns: bool = False,
    ) -> list[str]:
        """Write the images with their labels and splits for another tool. Return remarks, such as what was left out.

        Args:
            to: A new or empty folder. It is written completely or not at all.
            form: "imagefolder", "coco", "yolo-cls", "huggingface", "fiftyone", "webdataset", "csv", "parquet" or
                "annotations" (of objects: the COCO, YOLO or Pascal VOC files with the labels that they have here).
            images: What the collection was made from, for forms that contain pictures. Without it, pictures of up to 64
                pixels are taken from the collection.
            vectors: Write the vectors, too.
            clusters: Write the cluster of each image, too.
            predictions: Write what labelled neighbours say about each image, too.
            private_columns: Write latitude and longitude, too.

        Raises:
            InputError: The form is unknown or does not fit, the folder is not empty, or there are no pictures.
            CollectionError: A picture differs from what was embedded.
            WriteError: Something cannot be written.
        """
        from dinoscope.exporting.records import Records
        from dinoscope.exporting.write import write_export
        from dinoscope.sources.opening import open_source
        from dinoscope.stages.originals import Originals

        originals = None if images is None else Originals(open_source(images))
        records = Records(self, originals, clusters, predictions, vectors, private_columns)
        return write_export(records, named_path(to), form)

    # --- search ------------------------------------------------------------------------------------------------------

    def encoder(self, weights: str | None = None) -> Encoder:
        """Return the model that made the vectors, loaded once.

        Args:
            weights: See ``search``.

        Raises:
            ModelError: If it cannot be loaded, or these are other weights.
        """
        return search.load_encoder(self, weights)

    def query_vector(self, query: Picture, weights: str | None = None) -> NDArray[np.float32]:
        """Return the vector (D,) of an image that need not be in the collection, by the model that made its vectors.

        Args:
            query: An image file, a decoded image uint8 (H, W) or (H, W, 3), or a vector float (D,).
            weights: See ``search``.

        Raises:
            ImageError: If the file is not an image.
            InputError: If a vector is of another length, or not of finite numbers, or zero.
            ModelError: If the model cannot be loaded.
        """
        return search.query_vector(self, query, weights)

    def search(self, query: Query, k: int = 10, *, weights: str | None = None) -> Answers[Match]:
        """Find the images most like one image, by cosine similarity, the best first.

        Below 100,000 images the answer is exact. For more, the index of ``neighbors`` gives it in milliseconds.

        Args:
            query: A row number (the image itself is left out of the answer), an image file, a decoded image uint8
                (H, W) or (H, W, 3), or a vector float (D,).
            k: Number of answers.
            weights: Path of the model's weights, for an image and a model that was named by such a path.

        Raises:
            InputError: If there is no such row or ``k`` is not positive.
            ImageError: If the file is not an image.
            ModelError: If the model that made the vectors cannot be loaded.
        """
        return Answers(search.search(self, query, k, weights=weights), self, query)

    def search_inside(
        self,
        query: Query,
        k: int = 10,
        *,
        weights: str | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Answers[Spot]:
        """Find the images that contain something similar to an image, the most similar first.

        Each image counts by the best of itself and nine overlapping windows of half its size. The windows are cut out
        of the stored thumbnails and embedded when they are first needed. That is nine times the work of embedding the
        images, once.

        Args:
            query: A row number (the image itself is left out of the answer), an image file, a decoded image uint8
                (H, W) or (H, W, 3), or a vector float (D,), perhaps that of a part of an image (``crop_vector``).
            k: Number of answers.
            weights: See ``search``.
            on_progress: Called with how many images' windows are there, and how many there will be.

        Raises:
            InputError: If there is no such row or ``k`` is not positive.
            ImageError: If the file is not an image.
            ModelError: If the model that made the vectors cannot be loaded.
        """
        found = windows.search_inside(self, query, k, weights=weights, on_progress=on_progress)
        return Answers(found, self, query)

    def crop_vector(self, query: Query, box: ArrayLike, weights: str | None = None) -> NDArray[np.float32]:
        """Return the vector (D,) of a part of an image, to search by.

        Args:
            query: An image file, a decoded image uint8 (H, W) or (H, W, 3), or a row number. For a row, its thumbnail
                is used.
            box: Left, top, width and height of the part, in pixels of the image.
            weights: See ``search``.

        Raises:
            InputError: If there is no such row, or the box is not part of the image.
            ImageError: If the file is not an image.
            ModelError: If the model that made the vectors cannot be loaded.
        """
        return windows.crop_vector(self, query, box, weights)

    def window_vectors(
        self,
        *,
        weights: str | None = None,
        encoder: Encoder | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> NDArray[np.float16]:
        """Return unit vectors of each image's windows (N, 9, D), embedded when they are first needed.

        A stopped run continues where it was. At most the last thousand images are done again.

        Args:
            weights: See ``search``.
            encoder: The model that made the vectors, if available.
            on_progress: Called with how many images' windows are there, and how many there will be.

        Raises:
            InputError: If they would not fit in memory.
            ModelError: If the model that made the vectors cannot be loaded.
        """
        return windows.windows(self, weights=weights, encoder=encoder, on_progress=on_progress)

    def reasons(
        self,
        query: Query,
        rows: Sequence[int],
        *,
        weights: str | None = None,
        encoder: Encoder | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> list[Reason]:
        """Return, for images of the collection, which part makes each similar to a query: see ``heat_map``.

        Each is embedded fifty times, from its thumbnail, with one square after another hidden.

        Args:
            query: As in ``search``.
            rows: The images.
            weights: See ``search``.
            encoder: The model that made the vectors, if available.
            on_progress: Called with how many images are done, and how many there are.

        Raises:
            ImageError: If the query's file is not an image.
            InputError: If there is no such row.
            ModelError: If the model that made the vectors cannot be loaded.
        """
        return reasons.find_reasons(self, query, rows, weights=weights, encoder=encoder, on_progress=on_progress)

    # --- what the model sees -----------------------------------------------------------------------------------------

    def look(self, query: Query, *, resolution: int | None = None, weights: str | None = None) -> Look:
        """Return what the model sees in an image, patch by patch: colours, foreground, parts, and its attention.

        Colours and parts are shared by the collection, so they mean the same in every image. See docs/patches.md.

        Args:
            query: A row, which uses its thumbnail; or an image, as in ``search``.
            resolution: Pixels a side; more make finer patches. A bundled model takes any multiple of 8, by default
                128; any other a multiple of its patch, by default what the vectors were made with.
            weights: See ``search``.

        Raises:
            ImageError: If the query's file is not an image.
            InputError: If there is no such row, or the model does not take that resolution.
            ModelError: If the model that made the vectors cannot be loaded, or gives no patches.
        """
        found = patches.look(self, [query], resolution=resolution, weights=weights)[0]
        return shown(ShownLook, found, self)

    def patch_scheme(self, *, resolution: int | None = None, weights: str | None = None) -> Scheme:
        """Return the colours and parts of the collection, found in the patches of 100 of its images and kept.

        ``basis.digest`` names the colours: where it is the same, a colour means the same.

        Args:
            resolution: See ``look``.
            weights: See ``search``.

        Raises:
            InputError, ModelError: See ``look``.
        """
        return patches.find_scheme(self, resolution=resolution, weights=weights)

    def keep_tokens(
        self,
        *,
        resolution: int | None = None,
        weights: str | None = None,
        at_most: int = 10_000,
        on_plan: Callable[[TokenPlan], None] | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> TokenPlan:
        """Compute the patch tokens of all images and keep them, for ``search_patch``. A second run continues.

        They are stored as float16, 256 images per file. They belong to the vectors that this collection shows. When
        images are added or removed, the next ``embed`` deletes them.

        Args:
            resolution: See ``look``.
            weights: See ``search``.
            at_most: Most images; a larger collection is refused.
            on_plan: Called before the work with what is missing, and the bytes and seconds that it takes.
            on_progress: Called with how many images' tokens are there, and how many there will be.

        Raises:
            InputError: If there are more images, or the model does not take that resolution.
            ModelError: See ``look``.
        """
        return tokens.keep_tokens(
            self, resolution=resolution, weights=weights, at_most=at_most, on_plan=on_plan, on_progress=on_progress
        )

    def search_patch(
        self,
        query: Query,
        place: tuple[float, float],
        k: int = 10,
        *,
        resolution: int | None = None,
        weights: str | None = None,
    ) -> list[Spot]:
        """Find the images with a patch similar to the given one, the most similar first.

        Every image counts by its best patch. The answer has the box of that patch. It is exact, up to the 16 bits of a
        token.

        Args:
            query: As in ``look``; a row is not among the answers.
            place: How far right and how far down in the image the patch is, each from 0 to 1.
            k: Number of answers.
            resolution: Resolution of the tokens, if several are kept; by default the usual one, else the one kept last.
            weights: See ``search``.

        Raises:
            ImageError: If the query's file is not an image.
            InputError: If the tokens are not kept, there is no such row, or an argument cannot work.
            ModelError: See ``look``.
        """
        return patch_search.search_patch(self, query, place, k, resolution=resolution, weights=weights)

    # --- what it is made of ------------------------------------------------------------------------------------------

    def properties(self) -> dict[str, NDArray[np.float32]]:
        """Return how bright, colourful, detailed, wide... each image is: name -> (N,).

        They are measured on the stored thumbnails.

        Raises:
            CollectionError: If a part of the collection was deleted.
        """
        return properties.measured_properties(self)

    def explanation(
        self, *, cluster_settings: ClusterSettings | None = None, map_settings: MethodSettings | None = None
    ) -> Explanation:
        """Return how closely those properties follow map, clusters, vectors and labels.

        See ``dinoscope.analysis.explain.explanation.explain``.

        Args:
            cluster_settings: Of ``clusters``, such as ``{"k": 10}``.
            map_settings: Of ``map``, such as ``{"method": "tsne"}``; for two axes.

        Raises:
            InputError: If there are too few images, or see ``clusters`` and ``map``.
        """
        return properties.explain_map(self, cluster_settings=cluster_settings, map_settings=map_settings)
