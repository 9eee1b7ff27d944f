"""What a notebook shows of a collection and its results."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from dinoscope.collection import Collection
from dinoscope.errors import InputError
from dinoscope.notebook.widget import ExplorerWidget
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.stages.clusters import find_clusters
from dinoscope.stages.queries.search import search
from dinoscope.stages.queries.windows import search_inside

N = 150


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    dataset = load_dataset("fashion-mnist-test")
    labels = [item.label for item in dataset.items[:N]]
    pixels = np.concatenate([dataset.pixels[:N], dataset.pixels[:1]])  # the last is a copy of the first
    path = tmp_path_factory.mktemp("notebook") / "c"
    return Collection.from_images(
        pixels, path, model="mini-fashion", labels=[*labels, labels[0]], splits=["train"] * N + ["test"]
    )


def pictures(html):
    return re.findall(r'<img src="data:image/(?:png|jpeg);base64,[^"]+" alt="([^"]*)"', html)


def test_the_card_says_what_the_collection_holds_and_shows_twelve_pictures(collection):
    html = collection._repr_html_()
    assert "151 images · model mini-fashion · 10 labels · splits test, train" in html
    shown = pictures(html)
    assert len(shown) == 12
    assert shown[0].endswith("(row 0)")
    assert shown[-1].endswith("(row 150)")
    assert "c.explore()" in html


def test_an_image_by_its_row(collection):
    image = collection[17]
    at = collection.position(17)
    assert (image.row, image.id, image.label) == (17, collection.ids[at], collection.labels[at])
    assert (image.width, image.height) == (28, 28)
    np.testing.assert_array_equal(image.vector, collection.vectors[at])
    assert image.thumbnail.size == (28, 28)
    assert len(pictures(image._repr_html_())) == 1
    assert [each.row for each in collection] == collection.rows.tolist()
    with pytest.raises(InputError, match="row 999"):
        collection[999]


def test_what_the_model_sees_is_a_picture_of_the_image_beside_its_layers(collection):
    found = collection.look(17)
    assert re.fullmatch(r"Look\(16 x 16 patches, foreground \d+%, (un)?clear\)", repr(found))
    png = found._repr_png_()
    width, height = Image.open(io.BytesIO(png)).size
    assert width > 4 * 168  # four layers side by side
    assert height > 168
    assert found.tokens.shape == (16, 16, 256)


def test_what_is_shown_is_safe_to_show(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (3, 8, 8), np.uint8)
    labels = ["<script>alert(1)</script>", 'a"b', "c"]
    collection = Collection.from_images(pixels, tmp_path / "c", model="mini-fashion", labels=labels)
    for html in (collection._repr_html_(), collection[0]._repr_html_(), collection.search(0)._repr_html_()):
        assert "<script" not in html
        assert "<img" in html


def test_answers_are_those_of_the_search_and_show_the_query_first(collection):
    found = collection.search(3, k=5)
    assert list(found) == search(collection, 3, 5)
    html = found._repr_html_()
    assert len(pictures(html)) == 6
    assert pictures(html)[0].endswith("(row 3)")
    assert f"{found[0].similarity:.3f}" in html
    by_vector = collection.search(collection.vectors[3], k=5)
    assert len(pictures(by_vector._repr_html_())) == 5


def test_answers_inside_images_mark_the_part(collection):
    found = collection.search_inside(collection.vectors[5], k=151)
    assert list(found) == search_inside(collection, collection.vectors[5], 151)
    marked = sum(each.box is not None for each in found)
    assert marked > 0
    assert found._repr_html_().count("outline:2px solid #f0b000") == marked


def test_results_are_the_same_and_say_little_as_text(collection):
    clusters = collection.clusters(5)
    np.testing.assert_array_equal(clusters.labels, find_clusters(collection, 5).labels)
    assert repr(clusters) == f"Clustering(5 clusters of 151 images, silhouette {clusters.silhouette:.3f})"
    html = clusters._repr_html_()
    for number in range(5):
        assert f"Cluster {number}" in html
    first = pictures(html)[0]
    assert first.endswith(f"(row {collection.rows[clusters.medoids[np.argmax(np.bincount(clusters.labels))]]})")


def test_scores_and_evaluation_are_tables(collection):
    scores = collection.scores()
    html = scores._repr_html_()
    for score in scores:
        assert f"{score.value:.3f}" in html
    found = collection.evaluate("leave-one-out")
    html = found._repr_html_()
    assert f"{found.accuracy:.1%} of 151 images" in html
    assert html.count("<tr>") == 1 + sum(each.images > 0 for each in found.labels)
    assert repr(found).startswith("Evaluation(accuracy ")


def test_findings_show_the_copy_and_the_leak(collection):
    found = collection.findings()
    assert "1 group of duplicates, 1 leak" in repr(found)
    shown = pictures(found._repr_html_())
    copy = [name for name in shown if name.endswith(("(row 0)", "(row 150)"))]
    assert len(copy) >= 4  # as duplicates, and as a leak
    first = int(found.outliers.positions[0])
    assert f"{found.outliers.factors[first]:.1f} times" in found._repr_html_()


def test_the_map_is_a_picture(collection):
    assert collection.show()._repr_png_() is not None
    assert collection.show(method="pca", images=True)._repr_png_() is not None
    with pytest.raises(InputError, match="method"):
        collection.show(method="nonsense")


def test_the_map_has_the_width_of_a_page_or_the_one_asked_for(collection):
    sizes = {}
    for width in (400, 1000, 100_000):
        with Image.open(io.BytesIO(collection.show(width=width))) as picture:
            sizes[width] = picture.size
    with Image.open(io.BytesIO(collection.show())) as picture:
        assert picture.size == sizes[1000]
    assert (sizes[400][0], sizes[1000][0]) == (400, 1000)
    assert 1000 < sizes[100_000][0] < 100_000  # it is never drawn larger
    for across, down in sizes.values():
        assert across / down == pytest.approx(sizes[100_000][0] / sizes[100_000][1], rel=0.01)
    with pytest.raises(InputError, match="width must be a whole number, 1 or more"):
        collection.show(width=0)


def test_a_table_of_pandas(collection):
    table = collection.to_pandas()
    assert list(table.columns) == ["id", "label", "split", "width", "height"]
    assert table.index.tolist() == collection.rows.tolist()
    assert table.loc[3, "label"] == collection[3].label
    computed = collection.to_pandas(computed=True)
    np.testing.assert_array_equal(computed[["x", "y"]].to_numpy(), collection.map())
    assert computed["cluster"].tolist() == collection.clusters().labels.tolist()


def test_the_explorer_in_a_cell_gives_the_selection_back(collection, chromium):
    widget = collection.explore(height=500)
    assert isinstance(widget, ExplorerWidget)
    page = chromium.new_page(viewport={"width": 1000, "height": 640})
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_content("<div id=cell></div>")
    page.evaluate(
        """async ([script, page]) => {
        const module = await import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
        window.values = { _page: page, height: 500, selection: [], saved: 0 };
        const model = { get: (name) => values[name], set: (name, value) => (values[name] = value),
          save_changes: () => values.saved++ };
        module.default.render({ model, el: document.getElementById("cell") });
    }""",
        [str(widget._esm), widget._page],
    )
    frame = page.frame_locator("iframe")
    field = frame.get_by_role("combobox").first
    field.fill("Trouser")
    field.press("Enter")
    wanted = sorted(collection.rows[collection.labels == "Trouser"].tolist())
    page.wait_for_function("(count) => values.selection.length === count", arg=len(wanted))
    assert sorted(page.evaluate("values.selection")) == wanted
    assert page.evaluate("values.saved") > 0
    assert not errors
    page.close()
