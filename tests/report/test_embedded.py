"""The explorer inside a report: what stands in the file is what the server would answer, and it stays below a size."""

import base64
import hashlib
import io
import json
import re
import shlex
import shutil
from html import escape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor
from scipy.spatial.distance import pdist

from dinoscope.collection import Collection
from dinoscope.errors import InputError
from dinoscope.explorer import answers as explorer_answers
from dinoscope.explorer import findings as explorer_findings
from dinoscope.explorer import sheets as explorer_sheets
from dinoscope.explorer.model_view import ModelData
from dinoscope.plots.collection import collection_map
from dinoscope.plots.palette import PALETTE
from dinoscope.report import bundle as report_bundle
from dinoscope.report import embedded as report_explorer
from dinoscope.report import write as report
from dinoscope.report.facts import gather
from dinoscope.report.write import write_report
from dinoscope.sources.array import ArraySource
from dinoscope.sources.items import Item
from tests import ROOT
from tests.patching import make_read_only
from tests.report.test_report import LABELS, Page, make, pictures, without_images

SCRIPT = 'console.log("</script><!--", `<script>`);'
N, MANY = 90, 600


@pytest.fixture(scope="module", autouse=True)
def built(tmp_path_factory):
    """A front end of one line: what a browser makes of the real one is in test_browser.py."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "report.js").write_text(SCRIPT, "utf-8")
    (folder / "report.css").write_text("#app { color: red }", "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_bundle, "_FOLDER", folder)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "squares.dino"
    make(path, pictures(N), [LABELS[i % 3] for i in range(N)])
    return path


@pytest.fixture(scope="module")
def notes():
    return []


@pytest.fixture(scope="module")
def text(folder, notes):
    return write_report(Collection(folder), folder.parent / "r.html", k=5, on_note=notes.append).read_text("utf-8")


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


@pytest.fixture(scope="module")
def held(page):
    return elements(page)


def elements(page):
    """Return what the file holds, by its name: JSON values and bytes."""
    found = {}
    for each in page.all("script"):
        if each.get("type") == "application/json":
            found[each["id"]] = json.loads(each["text"])
        elif each.get("type") == "application/octet-stream;base64":
            found[each["id"]] = base64.b64decode(each["text"], validate=True)
    return found


def array(held, name, dtype, columns=None):
    values = np.frombuffer(held[f"model/fake-v1/{name}"], dtype)
    return values if columns is None else values.reshape(-1, columns)


def tiles(held):
    """Cut the sheets into tiles RGBA, by position."""
    sheets = held["model/fake-v1"]["sheets"]
    side, across = sheets["tile"], sheets["columns"]
    count = held["model/fake-v1"]["count"]
    positions = array(held, "positions", "<u4") if "model/fake-v1/positions" in held else np.arange(count)
    drawn = [
        Image.open(io.BytesIO(held[f"model/fake-v1/sheets/{at}"])).convert("RGBA") for at in range(sheets["count"])
    ]
    found = {}
    for slot, position in enumerate(positions.tolist()):
        number, within = divmod(slot, across * sheets["rows"])
        sheet = drawn[number]
        left, top = within % across * side, within // across * side
        assert top + side <= sheet.height
        found[position] = sheet.crop((left, top, left + side, top + side))
    return found


def test_it_holds_what_the_server_answers(folder, held):
    collection = Collection(folder)
    data = ModelData(collection, "fake-v1")
    view = json.loads(data.view().model_dump_json(by_alias=True))
    shown = held["model/fake-v1"]
    assert [each["id"] for each in shown["maps"]] == ["umap"]
    for name in ("key", "count", "columns", "failures", "sheets"):
        assert shown[name] == view[name]
    assert held["collection"] | {"live": True} == {
        "name": "squares",
        "kind": "array",
        "version": held["collection"]["version"],
        "model": "fake-v1",
        "models": [
            {
                "key": "fake-v1",
                "name": "fake",
                "dim": 48,
                "resolution": 16,
                "pooling": "cls",
                "focus": "image",
                "images": N,
                "patches": True,
            }
        ],
        "live": True,
        "originals": False,
        "files": False,
        "writable": False,
        "copiesTo": None,
    }
    assert held["collection"]["live"] is False
    assert array(held, "rows", "<u4").tolist() == collection.rows.tolist()
    assert (array(held, "maps/umap", "<u2", 2) == data.points("umap")).all()
    assert (array(held, "maps/umap/trust", "<f4") == data.trust("umap")).all()
    for column in shown["columns"]:
        if column["kind"] == "category":
            assert (array(held, f"columns/{column['name']}", "<u2") == data.column(column["name"])).all()
        elif not column["perMap"]:
            assert (array(held, f"columns/{column['name']}", "<f4") == data.column(column["name"])).all()
    assert {"label", "cluster", "predicted", "trust"} <= {each["name"] for each in shown["columns"]}
    images = held["model/fake-v1/images"]
    assert images == {"ids": collection.ids.tolist(), "sizes": [[20, 20]] * N}
    for name, answer in (
        ("findings", explorer_findings.findings(collection)),
        ("maps/umap/numbers", explorer_answers.numbers(data, "umap")),
    ):
        assert held[f"model/fake-v1/{name}"] == json.loads(answer.model_dump_json(by_alias=True))


def test_of_a_read_only_collection_it_holds_the_same(folder, held, tmp_path, monkeypatch):
    path = shutil.copytree(folder, tmp_path / "squares.dino", ignore=shutil.ignore_patterns("results"))
    make_read_only(monkeypatch, path)
    found = elements(Page(write_report(Collection(path), tmp_path / "r.html", k=5).read_text("utf-8")))
    assert not (path / "results").exists()
    assert found.keys() == held.keys()
    assert [name for name in held if found[name] != held[name]] == []


def test_neighbours_and_verdicts_are_those_of_each_image(folder, held):
    collection = Collection(folder)
    data = ModelData(collection, "fake-v1")
    near = array(held, "neighbors", "<u4", 12)
    alike = array(held, "similarities", "u1", 12) / 255
    verdicts = held["model/fake-v1/verdicts"]
    assert len(near) == len(verdicts) == N
    for row in (0, 17, N - 1):
        told = explorer_answers.image_info(data, row, collection.classifier(), 12)
        assert np.abs(alike[row] - [each.similarity for each in told.neighbors]).max() <= 0.5 / 255 + 1e-6
        exact = (collection.vectors @ collection.vectors[row])[near[row]]
        assert np.abs(np.sort(exact)[::-1] - [each.similarity for each in told.neighbors]).max() < 1e-5
        assert row not in near[row]
        assert told.verdict is not None
        assert verdicts[row]["label"] == told.verdict.label
        assert verdicts[row]["set"] == told.verdict.set
        assert verdicts[row]["probability"] == pytest.approx(told.verdict.probability, abs=1e-4)
        assert verdicts[row]["setLevel"] == 0.9


def test_every_image_has_its_thumbnail(folder, held, notes):
    collection = Collection(folder)
    shown = tiles(held)
    assert sorted(shown) == list(range(N))
    for position in (0, 33, N - 1):
        stored = np.asarray(Image.open(io.BytesIO(collection.thumbnails([position])[0])).convert("RGB"))
        assert (np.asarray(shown[position].convert("RGB"))[2:22, 2:22] == stored).all()  # 20 in a tile of 24 pixels
    assert notes == ["thumbnails of 24 px for all 90 images, 12 neighbours of each"]


TO_CONES = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566]]
TO_CONES += [[0.0883024619, 0.2817188376, 0.6299787005]]
TO_LAB = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099]]
TO_LAB += [[0.0259040371, 0.7827717662, -0.8086757660]]
WITHOUT_GREEN = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]


def linear(colors):
    parts = np.asarray([ImageColor.getrgb(color)[:3] for color in colors]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def oklab(light):
    """Ottosson 2020, of linear sRGB (N, 3)."""
    return np.cbrt(np.clip(light @ np.transpose(TO_CONES), 0, None)) @ np.transpose(TO_LAB)


def least_gap(colors):
    """The least distance of any two colours as seen with deuteranopia (Machado et al. 2009)."""
    seen = oklab(np.clip(linear(colors) @ np.transpose(WITHOUT_GREEN), 0, 1))
    return pdist(seen).min()


@pytest.mark.parametrize("ground", ["light", "dark"])
def test_the_page_tunes_the_pictures_palette_to_its_ground(ground):
    source = (ROOT / "web" / "src" / "map" / "colours.ts").read_text("utf-8")
    styles = (ROOT / "web" / "src" / "styles" / "tokens.css").read_text("utf-8")
    (palette,) = re.findall(rf"\b{ground}: \[(.*?)\]", source, re.DOTALL)
    colors = re.findall(r'"(#[0-9a-f]{6})"', palette)
    grounds = dict(zip(("light", "dark"), re.findall(r"--ground: (#[0-9a-f]{6})", styles), strict=True))
    luminance = (linear([grounds[ground], *colors]) @ [0.2126, 0.7152, 0.0722]) + 0.05
    contrast = np.maximum(luminance[1:], luminance[0]) / np.minimum(luminance[1:], luminance[0])
    assert contrast.min() >= 3
    assert least_gap(colors) >= least_gap(PALETTE)
    assert least_gap(colors[:10]) >= least_gap(PALETTE[:10])
    one, other = (oklab(linear(each)) @ [0, 1, 1j] for each in (colors, PALETTE))
    assert len(colors) == len(PALETTE)
    assert np.abs(np.angle(one / other)).max() < 0.15  # radians: the same hue


def test_the_document_comes_first(page):
    order = [each.get("id") or each["tag"] for each in page.elements]
    assert order.index("views") < order.index("report") < order.index("map") < order.index("app")
    assert {"map", "scores", "clusters", "queries", "cleaning", "run"} <= set(page.sections())
    ids = [each["id"] for each in page.elements if "id" in each]
    assert len(ids) == len(set(ids))
    assert {each["href"][1:] for each in page.all("a") if "open" not in each.get("class", "")} <= set(ids)
    assert "thumbnails of 24 px" in page.all("footer")[0]["text"]


def test_its_policy_allows_this_script_and_no_network(page, text):
    policy = next(each["content"] for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    (script,) = [each for each in page.all("script") if "type" not in each]
    digest = base64.b64encode(hashlib.sha256(script["text"].encode()).digest()).decode()
    assert rules == {
        "default-src": "'none'",
        "script-src": f"'sha256-{digest}'",
        "style-src": "'unsafe-inline'",
        "img-src": "data: blob:",
        "connect-src": "blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert not page.all("link")
    assert not any(name.startswith("on") for each in page.elements for name in each)


def test_a_script_cannot_end_its_element(page):
    (script,) = [each["text"] for each in page.all("script") if "type" not in each]
    assert not re.search("<(/script|script|!--)", script)
    assert script.replace("\\x3c", "<") == SCRIPT


def test_hostile_names_stay_texts(tmp_path):
    hostile = ["</script><script>alert(1)</script>", "<!--<script>", "]]>\u2028", 'é"\\ü']

    class Hostile(ArraySource):
        def __init__(self) -> None:
            super().__init__(pictures(24), [hostile[i % 4] for i in range(24)], name="</script>'\"")
            self.items = [Item(f"{hostile[i % 4]}{i}", each.key, each.label) for i, each in enumerate(self.items)]

    path = write_report(make(tmp_path / "c", pictures(0), source=Hostile()), tmp_path / "r.html")
    page = Page(path.read_text("utf-8"))
    held = elements(page)
    assert held["model/fake-v1/images"]["ids"] == [f"{hostile[i % 4]}{i}" for i in range(24)]
    assert held["collection"]["name"] == "</script>'\""
    label = next(each for each in held["model/fake-v1"]["columns"] if each["name"] == "label")
    assert sorted(label["values"]) == sorted(hostile)
    assert len([each for each in page.all("script") if "type" not in each]) == 1


def test_it_names_no_place_on_this_machine(text, folder):
    bare = without_images(text)
    for place in (folder, folder.parent, Path.cwd(), Path.home(), Path(np.__file__).parent):
        assert f"{place}/" not in bare
    assert str(folder) not in bare


def test_the_same_collection_gives_the_same_bytes(folder, tmp_path, text):
    shutil.copytree(folder, tmp_path / folder.name)
    shutil.rmtree(tmp_path / folder.name / "results")
    again = write_report(Collection(tmp_path / folder.name), tmp_path / "r.html", k=5).read_text("utf-8")
    # the digest of the page is of its times, too
    seconds = re.compile(r'(<td class="num">)[\d.,]+|<time.*?</time>|page [0-9a-f]{64} -->')
    assert seconds.sub(r"\1", again) == seconds.sub(r"\1", text)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Noise takes much room: thumbnails of 64 pixels that hardly shrink."""
    path = tmp_path_factory.mktemp("photos") / "c"
    make(path, pictures(MANY, 64, 64), [LABELS[i % 3] for i in range(MANY)])
    collection = Collection(path)
    collection.report(path.parent / "first.html", k=5, max_mb=1000)
    return collection


@pytest.fixture(scope="module")
def sections(photos):
    return report.fragments(gather(photos, 5))


@pytest.fixture
def drawn_once(sections, monkeypatch):
    """The sections are the same in every size."""
    monkeypatch.setattr(report, "fragments", lambda _: sections)


@pytest.mark.usefixtures("drawn_once")
def test_less_room_gives_smaller_thumbnails_then_fewer(photos, tmp_path):
    seen = []
    for share in (0.02, 0.2, 0.5, 0.8, 1.1):
        size = room(photos, share)
        told: list[str] = []
        path = write_report(photos, tmp_path / "r.html", k=5, max_mb=size, on_note=told.append)
        assert path.stat().st_size <= size * 1e6
        page = Page(path.read_text("utf-8"))
        held = elements(page)
        shown, side = tiles(held), held["model/fake-v1"]["sheets"]["tile"]
        k = array(held, "neighbors", "<u4").size // MANY
        some = f"all {MANY} images" if len(shown) == MANY else f"{len(shown)} of {MANY} images"
        assert told[0].startswith(f"thumbnails of {side} px for {some}, {k} neighbours of each")
        assert told[0] in page.all("footer")[0]["text"]
        assert all(tile.getchannel("A").getextrema() == (255, 255) for tile in shown.values())
        seen.append((len(shown), side))
    assert seen == sorted(seen)
    assert seen[0][0] < MANY
    assert seen[-1] == (MANY, 64)
    assert len({side for count, side in seen if count == MANY}) > 1


def test_what_matters_most_has_a_thumbnail(photos, tmp_path):
    path = write_report(photos, tmp_path / "r.html", k=5, max_mb=room(photos, 0.01))
    shown = tiles(elements(Page(path.read_text("utf-8"))))
    assert len(shown) < MANY / 2
    assert set(photos.clusters(5).medoids.tolist()) <= set(shown)


def room(collection, share):
    """Return a size in MB that leaves a share of what the whole thumbnails take."""
    text = (collection.path.parent / "first.html").read_text("utf-8")
    sheets = sum(map(len, re.findall(r'id="model/fake-v1/sheets/\d+">[^<]*', text)))
    return (len(text.encode()) - (1 - share) * sheets) / 1e6


def least_mb(collection, tmp_path):
    """Return what the refusal says is needed."""
    with pytest.raises(InputError, match=r"needs \d+ MB") as caught:
        write_report(collection, tmp_path / "none.html", k=5, max_mb=0.1)
    assert not (tmp_path / "none.html").exists()
    return int(str(caught.value).partition("needs ")[2].split()[0])


@pytest.mark.usefixtures("drawn_once")
def test_too_little_room_is_an_error_that_says_how_much_is_needed(photos, tmp_path, run):
    least = least_mb(photos, tmp_path)
    code, out, err = run("report", photos.path, "-o", tmp_path / "r.html", "-k", 5, "--max-mb", 0.1)
    assert (code, out) == (1, "")
    assert f"--max-mb {least}" in err
    code, out, err = run("report", photos.path, "-o", tmp_path / "r.html", "-k", 5, "--max-mb", least)
    assert (code, out) == (0, f"{tmp_path / 'r.html'}\n")
    assert "thumbnails of" in err


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_tiny_collections(tmp_path, count, labelled):
    labels = [LABELS[i % 2] for i in range(count)] if labelled else None
    page = Page(write_report(make(tmp_path / "c", pictures(count), labels), tmp_path / "r.html").read_text("utf-8"))
    held = elements(page)
    assert bool(held) == (count > 1)  # there is no map of one image
    if held:
        assert array(held, "neighbors", "<u4").size == count * min(12, count - 1)
        assert len(tiles(held)) == count
        assert held["model/fake-v1"]["maps"]


def test_it_holds_the_columns_that_others_may_see(tmp_path):
    path, count = tmp_path / "c", 30
    make(path, pictures(count), [LABELS[i % 3] for i in range(count)])
    collection = Collection(path)
    told = {"id": collection.ids.tolist(), "price": list(range(count)), "latitude": [1.5] * count}
    collection.add_columns(told | {"sort": ["x", "y"] * (count // 2), "note": [f"secret {at}" for at in range(count)]})
    public = write_report(collection, tmp_path / "r.html", k=5).read_text("utf-8")
    held = elements(Page(public))
    listed = held["model/fake-v1/table"]["columns"]
    names = [each["name"] for each in listed]
    assert {"price", "sort", "width"} <= set(names)
    assert not {"latitude", "note"} & set(names)
    assert "secret" not in public
    assert [each for each in listed if each["private"]] == []
    assert array(held, f"table/{names.index('price')}", "<f4").tolist() == list(range(count))
    assert array(held, f"table/{names.index('sort')}", "<f4").tolist() == [0, 1] * (count // 2)
    asked = write_report(collection, tmp_path / "r.html", k=5, private_columns=True).read_text("utf-8")
    assert "latitude" in [each["name"] for each in elements(Page(asked))["model/fake-v1/table"]["columns"]]
    assert "dinoscope report c -o r.html -k 5 --private-columns" in asked


def test_a_report_of_a_part_says_so(tmp_path):
    path, count = tmp_path / "c", 40
    make(path, pictures(count), [LABELS[i % 2] for i in range(count)])
    where = f'label = "{LABELS[0]}"'
    part = Collection(path, where=where)
    text = write_report(part, tmp_path / "r.html", k=5).read_text("utf-8")
    held = elements(Page(text))
    assert array(held, "rows", "<u4").tolist() == list(range(0, count, 2))
    assert escape(f"--where {shlex.quote(where)}") in text


@pytest.mark.parametrize("where", ["LATITUDE > 52.5123", 'label = "cat" or not latitude < 52.5123 and price > 0'])
def test_a_condition_on_a_private_column_is_shown_to_nobody_else(tmp_path, monkeypatch, where):
    path, count = tmp_path / "c", 30
    make(path, pictures(count), [LABELS[i % 2] for i in range(count)])
    collection = Collection(path)
    places = [52.5123 + at / 100 for at in range(count)]
    collection.add_columns({"id": collection.ids.tolist(), "price": [1.0] * count, "latitude": places})
    part = Collection(path, where=where)
    public = write_report(part, tmp_path / "r.html", k=5).read_text("utf-8")
    assert "52.5123" not in public
    assert "--where ..." in public
    asked = write_report(part, tmp_path / "r.html", k=5, private_columns=True).read_text("utf-8")
    assert escape(f"--where {shlex.quote(where)}") in asked
    titles = []

    def draw(*_, title, **__):
        titles.append(title)
        return b"picture"

    monkeypatch.setattr("dinoscope.plots.collection.map_figure", draw)
    collection_map(part, np.zeros((len(part), 2), np.float32))
    alone = Collection(path, where=f"latitude = {places[0]}")
    assert "52.5123" not in write_report(alone, tmp_path / "r.html").read_text("utf-8")
    assert [title.partition(" through")[0].partition(": ")[2] for title in titles] == [
        f"{len(part)} of {count} images where ...,"
    ]


def test_columns_that_have_no_room_are_left_out(tmp_path):
    path = tmp_path / "c"
    make(path, pictures(MANY), [LABELS[i % 3] for i in range(MANY)])
    collection = Collection(path)
    collection.add_columns(
        {"id": collection.ids.tolist()} | {f"c{n}": np.random.default_rng(n).random(MANY) for n in range(60)}
    )
    writer = report_explorer._Writer(gather(collection, 5))
    for size in (100, 5_000, 20_000, 1_000_000):
        parts = writer.columns(size)
        assert sum(map(len, parts)) <= size
        assert (len(parts) == 0) == (size == 100)
    assert len(parts) > 60


@pytest.mark.parametrize("at_once", [1, 2, 32])
def test_sheets_drawn_together_are_those_drawn_one_by_one(tmp_path, monkeypatch, at_once):
    collection = make(tmp_path / "c", pictures(MANY))
    expected = [explorer_sheets.sheet(collection, index, 16)[0] for index in range(3)]
    shutil.rmtree(collection.path / "results" / "sheets")
    monkeypatch.setattr(explorer_sheets, "_READ_SHEETS", at_once)
    assert explorer_sheets.all_sheets(collection, 16) == expected
    assert len(list((collection.path / "results" / "sheets").iterdir())) == 3
