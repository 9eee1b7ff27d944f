"""The documentation says what is true: its code runs, its links lead somewhere, its generated pages are current."""

import hashlib
import re
import shlex
import tomllib

import pytest
from PIL import Image

from dinoscope.base.package import PACKAGE
from dinoscope.models.catalogue import MODELS, read_weights
from dinoscope.sources.datasets.named import load_dataset
from docs.generate import DOCS, PAGES
from tests import ROOT, documented_options

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


BUNDLED = [row for row in MODELS.values() if row.family == "bundled"]


@pytest.mark.parametrize("model", BUNDLED, ids=lambda row: row.name)
def test_the_card_describes_the_weights_that_ship(model):
    weights, card = read_weights(model), (PACKAGE / "weights" / "CARD.md").read_text(encoding="utf-8")
    megabytes = f"{len(weights) / 1e6:.1f}"
    assert megabytes == f"{model.megabytes:.1f}"
    line = f"File: `{model.file}`, {megabytes} MB, SHA-256 `{hashlib.sha256(weights).hexdigest()}`."
    assert line in card, "the weights changed: 'python -m pretraining card' makes CARD.md again"


def test_the_speed_of_the_bundled_models_is_one_figure():
    benchmarks, limits = ((DOCS / name).read_text(encoding="utf-8") for name in ("benchmarks.md", "limits.md"))
    (row,) = re.findall(r"^\| images/s on all cores, .*$", benchmarks, re.MULTILINE)
    fashion, mini = (float(cell.strip(" *").replace(",", "")) for cell in row.split("|")[2:4])
    assert {each.name: each.images_per_second for each in BUNDLED} == {"mini": mini, "mini-fashion": fashion}
    assert f"| `mini`, 32 pixels | {mini:,.0f} | {100_000 / mini / 60:.1f} min |" in limits


@pytest.mark.parametrize("name", PAGES)
def test_pages_made_from_the_code_are_up_to_date(name):
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), f"docs/{name} is out of date: run 'make docs'"


GUIDES = ("index", "cleaning", "trust", "choosing-a-model", "sharing", "troubleshooting")
# What cannot run here, by a part of the command: it needs a network, a person, or a browser, or is tested elsewhere.
ELSEWHERE = (
    "dinov2",
    "dinoscope label",
    "dinoscope open",
    "dinoscope demo",
    "dinoscope explore",
    "KEY",
    "NAME",
    "weights.tar",
    "survey",
)


def commands_of(page):
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    inline = re.findall(r"`(dinoscope [^`]+)`", text)
    lines = [line for line in blocks.splitlines() if line.startswith("dinoscope ")]
    return list(dict.fromkeys(re.sub(r"\s+#.*", "", line) for line in [*lines, *inline]))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """Make a folder as the guides have it: photos/ in two splits with two labels, two versions of it, and an image."""
    place = tmp_path_factory.mktemp("guides")
    dataset = load_dataset("fashion-mnist-test")
    for number, (item, pixels) in enumerate(zip(dataset.items[:120], dataset.pixels[:120], strict=True)):
        split = "train" if number % 3 else "test"
        path = place / "photos" / split / str(item.label).replace("/", "-") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    Image.fromarray(dataset.pixels[200]).save(place / "cat.jpg")
    Image.fromarray(dataset.pixels[201]).save(place / "new.jpg")
    (place / "scans").symlink_to(place / "photos")
    return place


@pytest.mark.parametrize("page", GUIDES)
def test_commands_of_the_guides_run(page, workplace, monkeypatch, run):
    monkeypatch.chdir(workplace)
    for season in ("photos.dino", "spring.dino", "autumn.dino"):
        if not (workplace / season).exists():
            assert run("embed", "photos", "-o", season)[0] == 0
    ran = 0
    for command in commands_of(page):
        if any(part in command for part in ELSEWHERE):
            continue
        code, _, remarks = run(*shlex.split(command)[1:])
        assert code == 0, f"{command}: {remarks}"
        ran += 1
    assert ran > 0


@pytest.mark.parametrize("page", [path.stem for path in sorted(DOCS.glob("*.md")) if path.stem != "cli"])
def test_options_in_the_docs_exist(page):
    known = documented_options()
    for command in commands_of(page):
        words = shlex.split(command)[1:]
        name = " ".join(words[:2]) if " ".join(words[:2]) in known else words[0]
        if name.startswith("-") or name == "COMMAND":
            continue
        assert name in known, command
        used = {word.split("=")[0] for word in words if re.match(r"-[a-z-]", word)}
        assert used <= known[name] | {"--help"}, command


def test_every_page_is_in_the_site():
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r": ([\w-]+\.md)$", config, re.MULTILINE))
    assert listed - {"tutorial.md"} == {path.name for path in DOCS.glob("*.md")}


@pytest.mark.parametrize(
    ("question", "page"),
    [
        ("look around", "photos.md"),
        ("duplicates", "cleaning.md"),
        ("trust the map", "trust.md"),
        ("send the result", "sharing.md"),
        ("choose a model", "choosing-a-model.md"),
    ],
)
def test_the_first_page_leads_to_the_answer(question, page):
    lines = (DOCS / "index.md").read_text(encoding="utf-8").splitlines()
    assert any(question in line and f"({page}" in line for line in lines)


def test_tests_that_the_page_on_security_names_exist():
    named = re.findall(r"`([a-z_/]+/test_[a-z_]+\.py)`", (DOCS / "security.md").read_text(encoding="utf-8"))
    assert len(named) > 20
    for path in named:
        assert (ROOT / "tests" / path).exists(), path


def test_every_extra_that_is_named_can_be_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    told = [*TEXTS, *ROOT.glob("src/**/*.py"), ROOT / "pyproject.toml"]
    named = {
        (path.name, extra)
        for path in told
        for listed in re.findall(r"dinoscope\\?\[([a-z,-]+)\]", path.read_text(encoding="utf-8"))
        for extra in listed.split(",")
    }
    assert {name for _, name in named} >= {"heic", "large", "openvino", "gpu", "all"}
    assert [each for each in sorted(named) if each[1] not in extras] == []
    listed, fastumap = extras["all"]
    assert fastumap == f"{extras['fastumap'][0]}; sys_platform != 'darwin'"
    left_out = set(extras) - {"all", "fastumap", *re.findall(r"[a-z-]+", listed)}
    said = f"every extra but {' and '.join(f'`{each}`' for each in sorted(left_out))}, and on macOS not `fastumap`"
    for path in (DOCS / "faq.md", ROOT / "CHANGELOG.md"):
        assert said in " ".join(path.read_text(encoding="utf-8").split()), path
