"""The documentation says what is true: its code runs, its links lead somewhere, its generated pages are current."""

import re

import pytest

from docs.generate import DOCS, PAGES
from tests import ROOT

ROOT = ROOT
TEXTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("pretraining/*.md")])
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_python_of_the_readme_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # a twentieth of the images says the same in a twentieth of the time
    code = block.replace('model="mini-fashion")', 'model="mini-fashion", limit=500)')
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    if "fashion" in names:
        assert (tmp_path / "fashion.html").exists()
        matches = names["matches"]
        assert isinstance(matches, list)
        assert len(matches) == 5


def test_readme_has_two_runnable_blocks_and_first_commands():
    assert len(BLOCKS) == 2
    first_screen = (ROOT / "README.md").read_text(encoding="utf-8").split("## ")[0]
    for text in ("make demo", "make test", "pip install dinoscope", "docs/explorer.png", "dinoscope explore"):
        assert text in first_screen


@pytest.mark.parametrize("page", TEXTS, ids=lambda path: path.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", TEXTS, ids=lambda path: path.name)
def test_pages_are_finished(page):
    assert not re.search(r"^(TODO|[A-Z]{4,})$", page.read_text(encoding="utf-8"), re.MULTILINE)


def test_make_targets_named_in_the_texts_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in TEXTS:
        assert set(re.findall(r"`make ([a-z-]+)`", page.read_text(encoding="utf-8"))) <= targets, page.name


@pytest.mark.parametrize("name", PAGES)
def test_pages_made_from_the_code_are_up_to_date(name):
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), f"docs/{name} is out of date: run 'make docs'"
