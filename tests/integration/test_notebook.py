"""The tutorial runs from top to bottom without a network, and what is committed is what it makes.

``python -m tests.integration.test_notebook`` runs it and writes its outputs anew.
"""

from __future__ import annotations

import base64
import copy
import html
import io
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from PIL import Image

from tests import ROOT, documented_options

PATH = ROOT / "notebooks" / "fashion_mnist.ipynb"
FIGURES = 7
STRIPS = 12  # cards, images, searches, clusters and findings, with pictures in their HTML
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# What a run of every day takes of the 10,000 images; all that the cells do, in half the time.
FEWER = {"limit=5000": "limit=2000", "sample=1500": "sample=400", "sample=1000": "sample=400"}
OF_OTHERS = {"0.254", "0.826"}  # figures in the text that are quoted, not made here

# What the kernel warns of in its own process ends up in a cell and is seen; this is about what starts it.
pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.timeout(900)]


def run(notebook: Any, folder: Path, **environment: str) -> Any:
    """Return the notebook with the outputs that it has when it runs in this folder."""
    from nbclient import NotebookClient

    ran = copy.deepcopy(notebook)
    for cell in cells(ran, "code"):
        cell.update(outputs=[], execution_count=None, metadata={})
    client = NotebookClient(
        ran,
        timeout=300,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env={**os.environ, **environment})
    ran.metadata = nbformat.from_dict(METADATA)
    return ran


def fewer(notebook: Any) -> Any:
    """Return the notebook with fewer images."""
    small = copy.deepcopy(notebook)
    for more, less in FEWER.items():
        assert sum(more in cell.source for cell in cells(small, "code")) == 1, more
        for cell in cells(small, "code"):
            cell.source = cell.source.replace(more, less)
    return small


def cells(notebook: Any, kind: str) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in cells(notebook, "code") for output in cell.outputs]


def text(notebook: Any) -> str:
    """Return all that the cells say."""
    return "\n".join(map(said, outputs(notebook)))


def said(output: Any) -> str:
    """Return what an output says: printed, as plain text, and as HTML without its tags."""
    data = output.get("data", {})
    shown = re.sub(r"<style.*?</style>|<[^>]*>", " ", data.get("text/html", ""), flags=re.DOTALL)
    return "\n".join([output.get("text", ""), data.get("text/plain", ""), html.unescape(shown)])


def kinds(notebook: Any) -> list[Any]:
    """Return what kind of outputs each cell has."""
    return [
        [(output.output_type, sorted(output.get("data", {}))) for output in cell.outputs]
        for cell in cells(notebook, "code")
    ]


def figures(notebook: Any) -> list[Any]:
    pictures = [output.data["image/png"] for output in outputs(notebook) if "image/png" in output.get("data", {})]
    return [Image.open(io.BytesIO(base64.b64decode(picture))) for picture in pictures]


def strips(notebook: Any) -> list[list[Any]]:
    """Return the pictures of every output whose HTML shows some."""
    pages = [output.get("data", {}).get("text/html", "") for output in outputs(notebook)]
    found = [re.findall(r'<img src="data:image/\w+;base64,([^"]+)"', page) for page in pages]
    return [[Image.open(io.BytesIO(base64.b64decode(picture))) for picture in each] for each in found if each]


def number(notebook: Any, before: str, beside: str = "") -> float:
    """Return the number after some words, in an output that holds others too."""
    parts = "\n".join(part for part in map(said, outputs(notebook)) if beside in part)
    found = re.search(re.escape(before) + r"\s*(-?[0-9.]+)", parts)
    assert found, f"no number comes after {before!r}"
    return float(found[1])


@pytest.fixture(scope="module")
def committed():
    return nbformat.read(PATH, as_version=4)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    return {name: tmp_path_factory.mktemp(name) for name in ("work", "tmp", "ipython", "cache")}


@pytest.fixture(scope="module")
def ran(committed, places):
    dead = "http://127.0.0.1:9"  # nobody listens there: whatever asks for the network fails
    return run(
        fewer(committed),
        places["work"],
        TMPDIR=str(places["tmp"]),
        IPYTHONDIR=str(places["ipython"]),
        XDG_CACHE_HOME=str(places["cache"]),
        HTTP_PROXY=dead,
        HTTPS_PROXY=dead,
        http_proxy=dead,
        https_proxy=dead,
    )


def test_every_cell_runs_and_none_warns(ran):
    assert not [output for output in outputs(ran) if output.output_type == "error" or output.get("name") == "stderr"]


def test_nothing_is_left_behind(ran, places):
    assert not list(places["work"].iterdir())
    assert not list(places["tmp"].glob("dinoscope-*"))


def test_outputs_are_of_the_kinds_that_are_committed(ran, committed):
    assert kinds(ran) == kinds(committed)


@pytest.mark.stress
def test_all_images_give_what_is_committed(committed, tmp_path):
    whole = run(committed, tmp_path)
    assert kinds(whole) == kinds(committed)
    ours, theirs = (
        [float(found) for found in re.findall(r"(?<![\d.])\d+\.\d+", text(each))] for each in (whole, committed)
    )
    assert len(ours) == len(theirs)
    # another processor rounds otherwise, and a map made anew is another one
    assert np.median(np.abs(np.subtract(ours, theirs))) < 0.01


@pytest.mark.parametrize("name", ["ran", "committed"])
def test_figures_are_there_and_modest(name, request):
    pictures = figures(request.getfixturevalue(name))
    assert len(pictures) == FIGURES
    for picture in pictures:
        assert 400 <= picture.width <= 1000
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 30  # something is drawn


@pytest.mark.parametrize("name", ["ran", "committed"])
def test_strips_show_images(name, request):
    found = strips(request.getfixturevalue(name))
    assert len(found) == STRIPS
    assert sum(map(len, found)) > 100
    for strip in found:
        for picture in strip:
            assert len(picture.convert("RGB").getcolors()) > 3  # something is drawn


@pytest.mark.parametrize("name", ["ran", "committed"])
def test_numbers_are_what_the_text_makes_of_them(name, request):
    notebook = request.getfixturevalue(name)
    on_map, inside = (number(notebook, f"labels: silhouette {where}") for where in ("on the map", "in the embedding"))
    assert 0.2 < on_map < 0.4
    assert 0.05 < inside < on_map
    fashion, mini, pixels, untrained = (
        number(notebook, f"{name} ", beside="mAP") for name in ("mini-fashion", "mini", "pixels", "untrained")
    )
    assert min(fashion, mini) > pixels > untrained
    assert 0.8 < number(notebook, "Evaluation(accuracy") < 0.9
    assert 0.8 < number(notebook, "labels: k-NN accuracy") < 0.9
    assert 0.8 < number(notebook, "named right:") < 0.95
    assert 0.85 < number(notebook, "in the set:") < 0.97
    assert number(notebook, "refused:") < 0.1
    assert "photo  unknown" in text(notebook)
    assert "digit  unknown" in text(notebook)
    assert "0/broken.png" in text(notebook)
    assert re.search(r"^\d .* weak$", text(notebook), re.MULTILINE)
    assert re.search(r"reach the suggested threshold, 0\.\d+: \d$", text(notebook), re.MULTILINE)


def test_numbers_in_the_text_were_printed(committed):
    printed = set(re.findall(r"(?<![\d.])\d+\.\d+", text(committed)))
    for cell in cells(committed, "markdown"):
        quoted = set(re.findall(r"(?<![\d.])0\.\d+", re.sub(r"```.*?```", "", cell.source, flags=re.DOTALL)))
        assert quoted - OF_OTHERS <= printed | {"0.05"}, cell.source


def test_it_teaches_what_is_public(committed):
    code = "\n".join(cell.source for cell in cells(committed, "code"))
    assert set(re.findall(r"(?:from|import) (dinoscope[\w.]*)", code)) == {"dinoscope", "dinoscope.comparison"}
    for call in (
        "show()",
        "show(images=True)",
        "search(",
        "clusters(",
        "findings(",
        "scores(",
        "evaluate(",
        "to_pandas(",
    ):
        assert f"c.{call}" in code, call


def test_commands_in_the_text_exist(committed):
    known = documented_options()
    lines = [line.split() for cell in cells(committed, "markdown") for line in cell.source.split("\n")]
    commands = [words for words in lines if words[:1] == ["dinoscope"]]
    assert len(commands) > 8
    for _, name, *words in commands:
        assert {word for word in words if word.startswith("-")} <= known[name], name


def test_links_lead_somewhere(committed):
    for cell in cells(committed, "markdown"):
        for target in re.findall(r"\]\(([^)#]+)", cell.source):
            assert (PATH.parent / target).exists(), target


def test_what_is_committed_can_be_read_anywhere(committed):
    raw = PATH.read_text(encoding="utf-8")
    assert len(raw.encode()) < 2_500_000
    assert committed.metadata == METADATA
    for count, cell in enumerate(cells(committed, "code"), 1):
        assert cell.execution_count == count
        assert cell.metadata == {}
    assert not [
        output for output in outputs(committed) if output.output_type == "error" or output.get("name") == "stderr"
    ]
    words = text(committed) + "".join(cell.source for cell in committed.cells)
    assert not re.search(
        r"(^|[\s'\"(])/(home|root|tmp|usr|var|work|Users|private)/|[A-Z]:\\", words
    )  # a path of a machine
    assert not re.search(r"\b20\d\d-\d\d-\d\d|\b\d\d:\d\d:\d\d\b", words)  # a time
    nbformat.validate(committed)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        made = run(nbformat.read(PATH, as_version=4), Path(place))
    nbformat.write(made, PATH)
