"""Plain English where people read: no turn of the list below, no chains of semicolons, no long sentences.

What it says to write instead stands beside each turn. Run as a program, it prints the median of every page.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from statistics import median
from tokenize import COMMENT, generate_tokens

import pytest

ROOT = Path(__file__).parents[2]
MEDIAN = 16  # words of a sentence, of a page
CHAIN = re.compile(r";[^;.!?:()|`]*;")  # three clauses in a row: a full stop is better
TURNS = {
    r"(?<!look )(?<!looks )(?<!look-)\balike\b": "similar; the same",
    r"\btold by\b": "found by; known from",
    r"\bstands? in\b": "is in; see",
    r"\bnot to be had\b": "missing; not available",
    r"\bas may\b": "can ... too",
    r"\bread are\b": "... are read; supported: ...",
    r"\bof the picture\b": "its ...; the image's ...",
    r"\bpassed over\b": "skipped",
    r"\bdealt out\b": "assigned",
    r"\blest\b": "so that ... not",
    r"\bwhat is new by\b": "the new ...",
    r"\bbe it\b": "whether",
    r"\bor there is none\b": "name it",
    r"[\dx] %": "93%",
    r"\banew\b": "again",
    r"(?<!here )\b(?:is|was|are|were) no (?!longer|more|other|better|match|need|such|problem|reason|use\b|help|closer|"
    r"virtue|larger|safer|obstacle|colou|server|guess)": "is not a ...",
    r"\bbut for\b": "except for",
    r"\bbut one\b": "only one; all except one",
    r"(?:^|[;.] )else\b(?!:)": "otherwise; by default",
    r"\bso many\b": "this many; the number",
    r"\bunasked\b": "without asking",
    r"\bstands? (?:beside|on|there|above|below|nowhere|at|twice)\b": "is beside, is on...",
    r"\bone (?:sees|zooms|wants|must|looks)\b": "you see...",
    r"\bnot one of\b": "none of",
    r"\btold from\b|\bcan(?:not)? be told\b|\bnothing can be told\b": "distinguished from; known",
    r"\bonce more\b": "again",
    r"\bin place of\b": "instead of",
    r"\bone (?!needs)[a-z]+ an? (?:image|item|vector|pair|line|picture)\b": "one ... per image",
    r"\botherwise lit\b|\b(?:lit|moved|decoded|scaled) otherwise\b": "in another way",
    r", for (?:it|its|they|their) ": "because",
    r"\bfor ever\b": "forever",
    r"\b(?:is|are|was|were) told\b(?! (?:not )?to\b| below)": "you see...; says...; learns...",
    r"\bwhoever\b|\bshall\b|\bthereof\b|\bwhence\b|\bsurer\b": "anyone who; more certain...",
}
PAGES = [
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
]
CHANGES = ROOT / "CHANGELOG.md"
CODE = sorted((ROOT / "src/dinoscope").rglob("*.py"))
TEXTS = ROOT / "web/src/texts.ts"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def prose(text: str) -> list[str]:
    """Return the paragraphs and items of a page: no code, no tables, no headings, no pictures."""
    text = re.sub(
        r"```.*?```|<!--.*?-->|`[^`\n]*`", lambda held: "" if held[0][:3] != "`" else "x", text, flags=re.DOTALL
    )
    parts = re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", text)
    return [
        " ".join(part.split())
        for part in parts
        if part.strip() and not part.lstrip().startswith(("|", "#", "<", "!", "    "))
    ]


def sentences(text: str) -> Iterator[str]:
    for part in prose(text):
        yield from (
            each for each in re.split(r"(?<=[.!?:])\s+", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", part)) if each.split()
        )


def comments(text: str) -> Iterator[str]:
    """Return the comments of Python, those on lines that follow each other as one."""
    held, last = "", 0
    for token in generate_tokens(StringIO(text).readline):
        if token.type == COMMENT:
            if held and token.start[0] != last + 1:
                yield held
                held = ""
            held, last = f"{held} {token.string[2:]}", token.start[0]
    yield held


def strings(path: Path) -> Iterator[str]:
    """Return the texts of a file: strings and comments of Python, strings of the page's texts, prose of a notebook."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield from comments(text)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(each.value) if isinstance(each, ast.Constant) else "x" for each in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                yield node.value
    elif path.suffix == ".ts":
        yield from ("".join(found) for found in re.findall(r"\"([^\"\n]+ [^\"\n]+)\"|`([^`]+ [^`]+)`", text))
    elif path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        yield from ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    elif path.name == "benchmarks.md":  # its tables hold units and ranges
        yield from prose(text)
    else:
        yield re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def one_line(text: str) -> str:
    """Return a text without its line ends, because a turn may be broken over one."""
    return " ".join(text.split())


def found_in(path: Path) -> list[str]:
    hits = []
    for text in map(one_line, strings(path)):
        for turn, better in TURNS.items():
            for hit in re.finditer(turn, text, re.IGNORECASE):
                around = text[max(0, hit.start() - 40) : hit.end() + 40].strip()
                hits.append(f"{path.relative_to(ROOT)}: … {around} … Write: {better}")
    if path.suffix == ".md":
        for each in prose(path.read_text(encoding="utf-8")):
            hits += [f"{path.relative_to(ROOT)}: … {hit[0]} … Write: a full stop" for hit in CHAIN.finditer(each)]
    return hits


@pytest.mark.parametrize(
    "path", [*PAGES, CHANGES, *CODE, TEXTS, *NOTEBOOKS], ids=lambda path: str(path.relative_to(ROOT))
)
def test_it_is_plain_english(path):
    assert found_in(path) == []


@pytest.mark.parametrize("path", [*PAGES, CHANGES], ids=lambda path: path.name)
def test_its_sentences_are_short(path):
    assert median(len(each.split()) for each in sentences(path.read_text(encoding="utf-8"))) <= MEDIAN


def test_the_check_finds_what_it_is_for():
    for text in ("They are alike.", "Read are JPEG", "93 %"):
        assert any(re.search(turn, text, re.IGNORECASE) for turn in TURNS), text
    assert one_line("for\n  ever") == "for ever"
    assert list(comments("a = 1  # for\n# ever\n\n# again\n")) == [" for ever", " again"]
    assert CHAIN.search("one thing; two things; three")
    assert not any(re.search(turn, "Classes that look alike; look-alikes. 93%", re.IGNORECASE) for turn in TURNS)


if __name__ == "__main__":
    for page in [*PAGES, CHANGES]:
        lengths = [len(each.split()) for each in sentences(page.read_text(encoding="utf-8"))]
        print(f"{median(lengths):5.1f} words a sentence, {len(lengths):4d} sentences: {page.relative_to(ROOT)}")  # noqa: T201
    for page in [*PAGES, CHANGES, *CODE, TEXTS, *NOTEBOOKS]:
        print(*found_in(page), sep="\n", end="\n" if found_in(page) else "")  # noqa: T201
