"""The report: whole, self-contained, safe, true to the collection, and written for tiny and odd collections too."""

import base64
import io
import re
import shlex
import shutil
from collections import Counter
from datetime import date, timedelta
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageColor import getrgb

from dinoscope.collection import Collection
from dinoscope.embedding.pipeline import embed_source
from dinoscope.errors import ImageError, InputError
from dinoscope.models.preprocess import preprocessing_of
from dinoscope.report import bundle as report_bundle
from dinoscope.report import kept
from dinoscope.report.bundle import find_bundle
from dinoscope.report.facts import gather
from dinoscope.report.html import percent
from dinoscope.report.write import SECTIONS, write_report
from dinoscope.sources.array import ArraySource
from dinoscope.sources.items import Item
from dinoscope.storage.tables import read_table
from dinoscope.wording.explanation import conclusions
from tests.plots.test_plots import contrast

VOID = {"meta", "img", "source", "br", "hr", "link", "input"}
LABELS = ["red things", "green things", "blue things"]


class FakeEncoder:
    """Stands for a model: the vector of an image is its shape and colour, coarsely."""

    model = SimpleNamespace(name="fake", licence="Apache-2.0")
    dim, resolution, batch_size, key, device, precision = 48, 16, 64, "fake-v1", "cpu", "fp32"
    preprocessing = preprocessing_of("bundled")

    def describe(self) -> dict[str, Any]:
        digest = "0123456789abcdef" * 4
        return {"model": "fake", "dim": 48, "resolution": 16, "weights_sha256": digest, "licence": "Apache-2.0"}

    def preprocess(self, image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        return np.asarray(Image.fromarray(image).resize((16, 16)))

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        coarse = pixels.astype(np.float32).reshape(len(pixels), 4, 4, 4, 4, 3).mean((2, 4)).reshape(len(pixels), -1) + 1
        vectors: NDArray[np.float32] = coarse / np.linalg.norm(coarse, axis=1, keepdims=True)
        return vectors


def pictures(count: int, height: int = 20, width: int = 20) -> NDArray[np.uint8]:
    """Return noisy squares: red, green and blue in turn."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 120, (count, height, width, 3), np.uint8)
    for i, image in enumerate(images):
        image[height // 4 : -height // 4, width // 4 : -width // 4, i % 3] = 255
    return images


def make(path: Path, images: NDArray[np.uint8], labels: Any = None, source: Any = None) -> Collection:
    embed_source(source or ArraySource(images, labels, name="squares"), path, FakeEncoder())  # type: ignore[arg-type]
    return Collection(path)


class Page(HTMLParser):
    """Reads a page strictly: every element is closed in order; keeps elements with their attributes and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[dict[str, Any]] = []
        self.elements: list[dict[str, Any]] = []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open[-1]['tag']}"

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute twice in {tag}: {names}"
        element = {"tag": tag, "text": "", "parents": list(self.open), **{k: v or "" for k, v in attrs}}
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> without a start"
        assert self.open[-1]["tag"] == tag, f"</{tag}> closes <{self.open[-1]['tag']}>"
        self.open.pop()

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag: str, style: str | None = None, inside: Any = None) -> list[dict[str, Any]]:
        return [
            each
            for each in self.elements
            if each["tag"] == tag
            and (style is None or style in each.get("class", "").split())
            and (inside is None or any(parent is inside for parent in each["parents"]))
        ]

    def section(self, name: str) -> dict[str, Any]:
        return next(each for each in self.elements if each.get("id") == name)

    def sections(self) -> list[str]:
        return [each["id"] for each in self.all("section")]


def without_images(text: str) -> str:
    return re.sub(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=]+", "data:", text)


@pytest.fixture(scope="module", autouse=True)
def no_explorer(tmp_path_factory):
    """The sections alone, as in a checkout whose front end is not built; test_report_explorer.py has the rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_bundle, "_FOLDER", tmp_path_factory.mktemp("nothing"))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "squares.dino"
    make(path, pictures(90), [LABELS[i % 3] for i in range(90)])
    Collection(path).report(k=5)
    return path


@pytest.fixture
def collection(folder):
    return Collection(folder)


@pytest.fixture(scope="module")
def text(folder):
    return write_report(Collection(folder), folder.parent / "r.html").read_text("utf-8")


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_every_section_is_there_in_order(page):
    assert page.sections() == [
        "in-short",
        "map",
        "map-quality",
        "made-of",
        "cleaning",
        "clusters",
        "queries",
        "evaluation",
        "scores",
        "run",
    ]
    assert [name for name in SECTIONS if name in page.sections()] == page.sections()
    ids = [each["id"] for each in page.elements if "id" in each]
    assert len(ids) == len(set(ids))
    assert {each["href"] for each in page.all("a")} == {f"#{name}" for name in page.sections()}
    assert len(page.all("h1")) == 1


def test_every_image_has_an_alternative_text(page):
    images = page.all("img")
    assert len(images) > 60
    assert all(each["alt"].strip() for each in images)


def test_it_loads_nothing(page, text):
    for each in page.elements:
        for name in ("src", "srcset"):
            assert each.get(name, "data:image/").startswith("data:image/")
        assert not any(name.startswith("on") for name in each)
    assert not page.all("script")
    assert not page.all("link")
    bare = without_images(text)
    assert "://" not in bare
    policy = next(each["content"] for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; style-src")
    assert "script-src" not in policy
    assert "url(" not in bare
    assert "@import" not in bare


def test_it_names_no_place_on_this_machine(text, folder):
    bare = without_images(text)
    for place in (folder, folder.parent, Path.cwd(), Path.home(), Path(np.__file__).parent):
        assert f"{place}/" not in bare
        assert f"{place}<" not in bare
    assert str(folder) not in bare


def test_counts_are_those_of_the_collection(page, collection):
    assert page.all("p", "facts")[0]["text"].startswith("90 images · ")
    found = collection.clusters()
    cards = page.all("article", "cluster")
    assert len(cards) == len(found.medoids)
    sizes = [int(page.all("b", inside=card)[0]["text"].replace(",", "")) for card in cards]
    assert sizes == np.bincount(found.labels).tolist()
    legend = [each["text"] for each in page.all("li", inside=page.all("ul", "legend")[0])]
    assert sorted(legend) == sorted(f"{name} {count}" for name, count in Counter(collection.labels.tolist()).items())
    cells = [each["text"] for each in page.all("td", inside=page.all("table", "heat")[0])]
    assert sum(int(each) for each in cells if each.isdigit()) == 90


def test_queries_are_the_best_a_typical_and_the_worst_of_each_label(page, collection):
    section = page.section("queries")
    assert sorted(each["text"] for each in page.all("h3", inside=section)) == sorted(LABELS)
    near = collection.neighbors().indices[:, :10]
    same = (collection.labels[near] == collection.labels[:, None]).mean(axis=1)
    asked = [collection.position(int(query["data-row"])) for query in page.all("article", "query", inside=section)]
    for title, at in zip(page.all("h3", inside=section), range(0, 9, 3), strict=True):
        best, typical, worst = asked[at : at + 3]
        of = same[collection.labels == title["text"]]
        assert {*collection.labels[asked[at : at + 3]]} == {title["text"]}
        assert (same[best], same[worst]) == (of.max(), of.min())
        assert of.min() <= same[typical] <= of.max()


def test_queries_show_the_answers_of_search_with_names(page, collection):
    for query in page.all("article", "query"):
        row = int(query["data-row"])
        position = collection.position(row)
        found = collection.search(row, 4)
        shown = [each for each in page.all("li", inside=query) if "data-row" in each]
        assert [int(each["data-row"]) for each in shown] == [match.row for match in found]
        own = collection.labels[position]
        assert f"{sum(match.label == own for match in found)} of 4" in query["text"]
        assert collection.ids[position] in query["text"]
        for each, match in zip(shown, found, strict=True):
            other = [match.label] if match.label != own else []
            assert each["text"].split(maxsplit=1) == [f"{match.similarity:.2f}", *other]
            assert ("differs" in each.get("class", "")) == bool(other)


def test_clusters_show_medoid_first_and_how_alike_they_are(page, collection):
    found = collection.clusters()
    for number, card in enumerate(page.all("article", "cluster")):
        images = page.all("img", inside=card)
        assert images[0]["alt"].startswith(collection.ids[found.medoids[number]])
        members = set(collection.ids[found.labels == number])
        assert {each["alt"].split(",")[0] for each in images} <= members
        assert len({each["alt"] for each in images}) == len(images)
        center = found.centers[number] / np.linalg.norm(found.centers[number])
        alike = float((collection.vectors[found.labels == number] @ center).mean())
        assert f"similarity to the centre {alike:.3f}" in card["text"]


def test_what_the_model_sees_is_beside_the_middle_of_each_cluster(tmp_path):
    found = Collection.from_images(pictures(24, 80, 80), tmp_path / "large.dino", model="mini")
    page = Page(write_report(found, tmp_path / "r.html", k=3).read_text("utf-8"))
    cards = page.all("li", inside=page.section("seen"))
    medoids = found.clusters(3).medoids.tolist()
    assert len(cards) == len(medoids) == 3
    for card, medoid in zip(cards, medoids, strict=True):
        picture, painted = page.all("img", inside=card)
        assert picture["alt"].startswith(found.ids[medoid])
        colours = found.look(int(found.rows[medoid])).colours
        image = Image.open(io.BytesIO(base64.b64decode(painted["src"].partition(",")[2])))
        shown = np.asarray(image.resize((colours.shape[1], colours.shape[0]), Image.Resampling.BOX), np.int16)
        assert colours.std(axis=(0, 1)).max() > 10
        assert np.abs(shown - colours).mean() < 16


def test_what_the_model_sees_is_kept_for_the_next_report(tmp_path, monkeypatch):
    made = Collection.from_images(pictures(24, 80, 80), tmp_path / "photos.dino", model="mini")
    first = Page(write_report(made, tmp_path / "r.html", k=3).read_text("utf-8"))

    def load(*_, **__):
        raise AssertionError("the model is loaded again")

    monkeypatch.setattr("dinoscope.models.encoder.Encoder.from_description", load)
    again = Page(write_report(Collection(made.path), tmp_path / "again.html", k=3).read_text("utf-8"))
    painted = [[each["src"] for each in page.all("img", inside=page.section("seen"))] for page in (first, again)]
    assert len(painted[0]) == 6
    assert painted[0] == painted[1]


@pytest.mark.parametrize(("side", "model"), [(20, "mini"), (80, "fake")])
def test_what_the_model_sees_is_left_out_of_tiny_pictures_and_without_patches(side, model, tmp_path):
    if model == "mini":
        found = Collection.from_images(pictures(24, side, side), tmp_path / "c.dino", model="mini")
    else:
        found = make(tmp_path / "c.dino", pictures(24, side, side))
    page = Page(write_report(found, tmp_path / "r.html", k=3).read_text("utf-8"))
    assert "clusters" in page.sections()
    assert "seen" not in page.sections()


def test_a_command_in_a_sentence_does_not_break(page):
    told = [each["text"] for each in page.all("code", inside=page.section("cleaning"))]
    assert told == ["dinoscope clean", "dinoscope clean --crops", "dinoscope search --inside"]


def test_evaluation_counts_what_neighbours_name_right(page, collection):
    found = collection.evaluate()
    section = page.section("evaluation")
    assert f"{found.accuracy:.3f}" in section["text"]
    table = page.all("table", "wrong", inside=section)[0]
    cells = [each["text"] for each in page.all("td", inside=table)][1:]  # the first is the corner
    assert [0 if cell == "·" else int(cell) for cell in cells] == found.counts.ravel().tolist()
    right = [int(each["text"]) for each in page.all("td", "right", inside=table)]
    assert sum(right) == round(found.accuracy * 90)


def test_findings_are_shown_until_they_are_dismissed(tmp_path):
    """A copy, a label that all neighbours contradict, and an image unlike all others."""
    images = np.concatenate([pictures(60), pictures(60)[:1], np.full((1, 20, 20, 3), 255, np.uint8)])
    labels = [LABELS[at % 3] for at in range(60)] + [LABELS[0], None]
    labels[6] = LABELS[1]
    collection = make(tmp_path / "c", images, labels)
    page = Page(write_report(collection, tmp_path / "r.html").read_text("utf-8"))
    shown = [each["text"] for each in page.all("article", "finding", inside=page.section("cleaning"))]
    assert "1 image may show the same picture as another one and could go" in page.section("cleaning")["text"]
    assert "This list has no crops of 15% or more" in page.section("cleaning")["text"]
    assert (
        f"(similarity of {collection.findings().duplicates.threshold:.2f} or more)" in page.section("cleaning")["text"]
    )
    assert any(text.startswith(f"{LABELS[0]}? ") for text in shown)
    assert "self-test" in page.section("cleaning")["text"].lower()
    doubtful = [each["alt"] for each in page.all("img", inside=page.section("cleaning"))]
    assert any(alt.startswith(str(collection.ids[61])) for alt in doubtful)
    for keys in collection.findings().keys.values():
        for key in keys:
            collection.dismiss(key)
    again = Page(write_report(collection, tmp_path / "r.html").read_text("utf-8")).section("cleaning")["text"]
    assert "You called 1 other no problem" in again
    assert "could go" not in again


def test_what_is_stored_is_shown_too(folder, tmp_path):
    path = shutil.copytree(folder, tmp_path / "c")
    collection = Collection(path)
    collection.judge(nulls=True, stability=True)
    found = collection.tuning(n_neighbors=[5], min_dist=[0.1], seeds=1, sample=40)
    page = Page(write_report(Collection(path), tmp_path / "r.html").read_text("utf-8"))
    assert found.verdict in page.section("tuning")["text"]
    assert page.all("figure", "scroll", inside=page.section("tuning"))  # on a narrow page too it can be read
    text = page.section("clusters")["text"]
    for part in ("stability", "shuffled features", "pixels", "untrained network"):
        assert part in text
    judged = collection.judge(nulls=True, stability=True)
    assert judged.weak is not None
    weak = [each for each in page.all("b", inside=page.section("clusters")) if each["text"] == "weak"]
    assert len(weak) == judged.weak.sum()


def test_scores_are_all_there_grouped(page, collection):
    body = page.all("table", "scores")[0]
    names = [each["text"] for each in page.all("th", inside=body) if each.get("scope") == "row"]
    heads = [each["text"] for each in page.all("th", inside=body) if each.get("scope") == "rowgroup"]
    beside = {"map: trustworthiness", "map: neighbours kept"}  # which stand beside the map
    assert all(
        f"{each.value:.3f}" in page.section("map-quality")["text"]
        for each in collection.scores()
        if each.name in beside
    )
    scores = [each for each in collection.scores() if each.name not in beside]
    assert sorted(names) == sorted(score.name.partition(": ")[2] for score in scores)
    assert heads == list(dict.fromkeys(score.name.partition(": ")[0] for score in scores))
    values = [each["text"] for each in page.all("td", "num", inside=body)]
    for score in scores:
        expected = f"{score.value:.3f}" if abs(score.value) < 10 else f"{score.value:,.1f}"
        assert expected in values or np.isnan(score.value)


def test_what_the_map_is_made_of(page, collection):
    section = page.section("made-of")
    found = collection.explanation()
    names = [each["text"] for each in page.all("th", inside=section) if each.get("scope") == "row"]
    assert names == ["(labels)", *(each.name for each in found.properties)]
    assert all(f"{max(0.0, each.map):.3f}" in section["text"] for each in found.properties)
    assert conclusions(found)[0] in section["text"]
    pictures = [each["alt"] for each in page.all("img", inside=section)]
    assert pictures == [f"The map in the colours of {each.name}" for each in found.properties[:6]]


def test_the_record_says_what_was_run(page, collection):
    record = page.section("run")["text"]
    for part in ("fake", "Apache-2.0", "0123456789abcdef", "numpy", np.__version__, "onnxruntime", "n_neighbors 15"):
        assert part in record
    steps = [each["text"] for each in page.all("th", inside=page.section("run")) if each.get("scope") == "row"]
    assert steps == [
        "neighbors",
        "map",
        "map_quality",
        "clusters",
        "cluster_quality",
        "scores",
        "evaluation",
        "duplicates",
        "outliers",
        "label_errors",
        "properties",
        "explanation",
        *(["pictures"] if find_bundle() else []),
    ]


def test_stages_beside_each_other_give_what_they_give_one_by_one(folder, tmp_path, monkeypatch):
    def stored(name):
        shutil.copytree(folder, tmp_path / name)
        shutil.rmtree(tmp_path / name / "results")
        gather(Collection(tmp_path / name), 5, explorer=True)
        paths = sorted((tmp_path / name / "results").rglob("*.parquet"))
        return {path.relative_to(tmp_path / name): read_table(path) for path in paths}

    beside = stored("beside")
    monkeypatch.setattr("dinoscope.report.facts.side_by_side", lambda works: [work() for work in works])
    one_by_one = stored("one_by_one")
    assert {path.parts[1] for path in beside} >= {"map", "duplicates", "pictures", "evaluation", "explanation"}
    assert beside.keys() == one_by_one.keys()
    for path, (columns, meta) in beside.items():
        expected, described = one_by_one[path]
        assert {**meta, "seconds": 0} == {**described, "seconds": 0}
        for name, values in columns.items():
            np.testing.assert_array_equal(values, expected[name], err_msg=f"{path}: {name}")


def test_title_author_date_and_the_command_that_writes_it_again(collection, tmp_path, run):
    out = tmp_path / "r.html"
    code, _, _ = run(
        *("report", collection.path, "-o", out, "-k", "4", "--title", "<b>My</b> squares", "--author", "Ada & Co")
    )
    assert code == 0
    page = Page(out.read_text("utf-8"))
    assert page.all("h1")[0]["text"] == "<b>My</b> squares"
    assert page.all("title")[0]["text"].startswith("<b>My</b> squares")
    header = page.all("header")[0]
    assert "Ada & Co" in header["text"]
    (day,) = {each["datetime"] for each in page.all("time")}
    assert abs(date.fromisoformat(day) - date.today()) <= timedelta(days=1)
    (command,) = (each["text"] for each in page.all("code", inside=page.section("run")))
    assert shlex.split(command) == [
        *("dinoscope", "report", collection.path.name, "-o", "r.html", "-k", "4"),
        *("--title", "<b>My</b> squares", "--author", "Ada & Co"),
    ]


def test_without_options_the_name_is_the_title_and_the_command_is_short(page, collection):
    assert page.all("h1")[0]["text"] == collection.name
    assert (
        page.all("code", inside=page.section("run"))[0]["text"] == f"dinoscope report {collection.path.name} -o r.html"
    )


def test_details_are_folded_and_the_summary_is_not(page):
    for name in ("scores", "clusters", "evaluation", "made-of", "run"):
        assert page.all("details", inside=page.section(name)), name
    for name in ("in-short", "map"):
        assert not page.all("details", inside=page.section(name)), name
    folds = page.all("details")
    assert not any("open" in each for each in folds)
    for each in folds:
        assert page.all("summary", inside=each)[0]["text"].strip()
    for style in ("scores", "wrong", "heat"):
        (table,) = (each for each in page.all("table", style) if style != "heat" or "wrong" not in each["class"])
        assert any(parent["tag"] == "details" for parent in table["parents"]), style


def test_labels_and_clusters_have_different_colours(page):
    first, second = page.all("ul", "legend")
    labels, clusters = (
        {each["style"] for each in page.all("span", "dot", inside=legend)} for legend in (first, second)
    )
    assert len(labels) == 3
    assert len(clusters) > 1
    assert not labels & clusters
    cards = {each["style"] for card in page.all("article", "cluster") for each in page.all("span", "dot", inside=card)}
    assert cards == clusters


def test_the_record_is_of_the_map_that_is_shown(folder, tmp_path):
    collection = Collection(folder)
    collection.map(n_neighbors=7)
    page = Page(write_report(collection, tmp_path / "r.html").read_text("utf-8"))
    assert "n_neighbors 15" in page.section("run")["text"]
    assert "n_neighbors 7" not in page.section("run")["text"]
    assert {"map", "clusters", "scores"} <= set(collection.stages)


def test_the_same_collection_gives_the_same_report(folder, tmp_path, text):
    shutil.copytree(folder, tmp_path / folder.name)  # another place on the disk, and everything is computed anew
    shutil.rmtree(tmp_path / folder.name / "results")
    again = write_report(Collection(tmp_path / folder.name), tmp_path / "r.html").read_text("utf-8")
    seconds = re.compile(r'(<td class="num">)[\d.,]+')
    text, again = (re.sub("<time.*?</time>", "", each[: -kept.LENGTH]) for each in (text, again))
    cut = text.index('id="run"'), again.index('id="run"')
    assert text[: cut[0]] == again[: cut[1]]
    assert seconds.sub(r"\1", text[cut[0] :]) == seconds.sub(r"\1", again[cut[1] :])


def test_hostile_names_stay_texts(tmp_path):
    hostile = [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "</style></title><b>",
        "$\\frac{1}{0}$ &amp;",
    ]
    labels = [hostile[i % 4] for i in range(24)]

    class Hostile(ArraySource):
        def __init__(self) -> None:
            super().__init__(pictures(24), labels, name="<script>alert('name')</script>")
            self.items = [Item(f"<i>'\"{i}", each.key, each.label) for i, each in enumerate(self.items)]

        def load(self, index: int) -> NDArray[np.uint8]:
            if index == 3:
                raise ImageError("<script>reason</script>")
            return super().load(index)

    written = write_report(make(tmp_path / "c", pictures(0), source=Hostile()), tmp_path / "r.html").read_text("utf-8")
    page = Page(written)
    assert "<script" not in written
    assert not page.all("i")
    assert all(each["src"].startswith("data:") for each in page.all("img"))
    legend = page.all("ul", "legend")[0]["text"]
    for label in hostile:
        assert label in legend
    assert page.all("h1")[0]["text"] == "<script>alert('name')</script>"
    assert "<script>reason</script>" in page.section("failures")["text"]
    assert "&amp;amp;" in written  # an entity in a label is not taken for one


def test_without_labels(tmp_path):
    collection = make(tmp_path / "c", pictures(40))
    page = Page(write_report(collection, tmp_path / "r.html").read_text("utf-8"))
    assert page.sections() == [
        "in-short",
        "map",
        "map-quality",
        "made-of",
        "cleaning",
        "clusters",
        "queries",
        "scores",
        "run",
    ]
    assert page.all("h3", inside=page.section("map"))[0]["text"] == "By cluster"
    assert not page.all("li", "differs")
    assert "labels" not in page.all("p", "facts")[0]["text"]


def test_one_label_of_all_images_is_said_once_and_compared_with_nothing(tmp_path):
    collection = make(tmp_path / "c", pictures(24), ["square"] * 24)
    page = Page(write_report(collection, tmp_path / "r.html").read_text("utf-8"))
    assert "All of them have the label “square”" in page.section("in-short")["text"]
    for name in ("map", "clusters", "queries"):
        assert "square" not in page.section(name)["text"]
        assert "label" not in page.section(name)["text"].replace("without labels", "")
    assert "evaluation" not in page.sections()


def test_some_without_labels(tmp_path):
    labels = [None if i % 4 == 0 else LABELS[i % 3] for i in range(40)]
    page = Page(write_report(make(tmp_path / "c", pictures(40), labels), tmp_path / "r.html").read_text("utf-8"))
    assert "no label 10" in page.all("ul", "legend")[0]["text"]
    assert "the most common label among the images that have one" in page.section("clusters")["text"]
    assert "None" not in page.section("queries")["text"]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("labelled", [False, True])
def test_tiny_collections(tmp_path, count, labelled):
    labels = [LABELS[i % 2] for i in range(count)] if labelled else None
    collection = make(tmp_path / "c", pictures(count), labels)
    page = Page(write_report(collection, tmp_path / "r.html").read_text("utf-8"))
    assert page.all("p", "facts")[0]["text"].startswith(f"{count} image")
    assert {"map", "scores", "clusters", "run"} <= set(page.sections())
    asked = [each["data-row"] for each in page.all("article", "query")]
    assert (len(asked) == len(set(asked)) > 0) == (count > 1)


def test_equal_images(tmp_path):
    images = np.zeros((6, 20, 20, 3), np.uint8)
    images[0, 0, 0] = 1
    page = Page(write_report(make(tmp_path / "c", images), tmp_path / "r.html").read_text("utf-8"))
    assert page.all("article", "query")


def test_a_k_that_cannot_be_had_is_an_error(tmp_path):
    collection = make(tmp_path / "c", pictures(5))
    with pytest.raises(InputError, match="k must"):
        write_report(collection, tmp_path / "r.html", k=50)
    assert not (tmp_path / "r.html").exists()


def test_a_chosen_k_has_no_curve(collection, tmp_path):
    page = Page(write_report(collection, tmp_path / "r.html", k=5).read_text("utf-8"))
    assert "was chosen" not in page.section("clusters")["text"]
    assert len(page.all("article", "cluster")) == 5


def test_it_says_that_the_explorer_is_missing_and_how_to_get_it(collection, tmp_path, run):
    code, out, err = run("report", collection.path, "-o", tmp_path / "r.html")
    assert (code, out) == (0, f"{tmp_path / 'r.html'}\n")
    assert err.count("\n") == 1
    assert "make web" in err


def test_the_sections_alone_stay_below_the_size_too(collection, tmp_path):
    with pytest.raises(InputError, match=r"needs 1 MB, and --max-mb allows 0.01: give --max-mb 1"):
        write_report(collection, tmp_path / "r.html", max_mb=0.01)
    with pytest.raises(InputError, match="must be positive"):
        write_report(collection, tmp_path / "r.html", max_mb=float("nan"))
    assert not (tmp_path / "r.html").exists()


def test_many_labels(tmp_path):
    labels = [f"label {i % 200} with a very long name that nobody would want to read to its end" for i in range(230)]
    page = Page(write_report(make(tmp_path / "c", pictures(230), labels), tmp_path / "r.html").read_text("utf-8"))
    assert "180 other" in page.all("ul", "legend")[0]["text"]
    assert not page.all("table", "heat")
    assert "200 labels" in page.section("clusters")["text"]
    assert len(page.all("h3", inside=page.section("queries"))) == 10


def test_images_that_could_not_be_read_are_listed(tmp_path):
    class Broken(ArraySource):
        def load(self, index: int) -> NDArray[np.uint8]:
            if index < 25:
                raise ImageError("damaged: image file is truncated")
            return super().load(index)

    collection = make(tmp_path / "c", pictures(0), source=Broken(pictures(60), None, name="broken"))
    page = Page(write_report(collection, tmp_path / "r.html").read_text("utf-8"))
    failures = page.section("failures")
    assert (
        failures["text"]
        .strip()
        .startswith("Not readable\n25 images could not be read and are left out. Below are the first 20.")
    )
    assert len(page.all("li", inside=failures)) == 20
    assert "00000 damaged: image file is truncated" in failures["text"]
    assert "35 images" in page.all("p", "facts")[0]["text"]


def test_thumbnails_are_read_once(collection, tmp_path, monkeypatch):
    calls = []
    read = Collection.thumbnails

    def counted(self: Collection, positions: Any) -> list[bytes]:
        calls.append(positions)
        return read(self, positions)

    monkeypatch.setattr(Collection, "thumbnails", counted)
    write_report(collection, tmp_path / "r.html")
    assert len(calls) == 1


def test_small_images_are_drawn_crisp_and_large_ones_are_not(page, tmp_path):
    assert page.all("img", "px")
    wide = make(tmp_path / "c", pictures(12, 90, 300))
    written = write_report(wide, tmp_path / "r.html").read_text("utf-8")
    assert not Page(written).all("img", "px")
    assert "data:image/jpeg" in written


def test_it_is_written_whole_and_by_default_into_the_collection(folder):
    path = Collection(folder).report()
    assert path == folder / "report.html"
    assert path.read_text("utf-8")[: -kept.LENGTH].endswith("</html>\n")
    assert not list(folder.glob(".report*"))


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 5, "0%"),
        (5, 5, "100%"),
        (1, 3, "33%"),
        (1, 90, "1.1%"),
        (998, 1000, "99.8%"),
        (1, 9999, "&lt;0.1%"),
        (9998, 9999, "&gt;99.9%"),
        (0, 0, "0%"),
    ],
)
def test_a_share_is_never_rounded_to_none_or_all(part, whole, text):
    assert percent(part, whole) == text


def test_texts_have_enough_contrast():
    css = (files("dinoscope") / "report" / "report.css").read_text("utf-8")
    colors = dict(re.findall(r"--(\w+): light-dark\(([^)]+)\)", css))
    names = ("paper", "card", "ink", "soft", "accent")
    themes = zip(*(colors[name].split(", ") for name in names), strict=True)
    for paper, card, *inks in themes:
        for ink in inks:
            assert contrast(ink, paper) >= 4.5
            assert contrast(ink, card) >= 4.5
        # the strongest cell of the table of clusters and labels
        cell = "#" + "".join(
            f"{round(0.46 * a + 0.54 * b):02x}" for a, b in zip(getrgb(inks[2]), getrgb(card), strict=True)
        )
        assert contrast(inks[0], cell) >= 4.5
