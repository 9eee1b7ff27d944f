"""What the site of the docs needs beside its pages: the tutorial notebook as a page, and links that leave docs/."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Literal, TypedDict

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
TUTORIAL = ROOT / "notebooks" / "fashion_mnist.ipynb"
_OUTSIDE = re.compile(r"\]\(\.\./([^)#]+)")  # a link to a file of the repository that is no page

_FRAME = re.compile(r"<style scoped>.*?</style>\s*<table[^>]*>", re.DOTALL)  # of pandas: the page's own style is better


class Output(TypedDict, total=False):
    """An output of a cell: printed text, or a result in several formats."""

    text: list[str]
    data: dict[str, list[str] | str]


class Cell(TypedDict, total=False):
    """A cell of a notebook."""

    cell_type: Literal["markdown", "code"]
    source: list[str]
    outputs: list[Output]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the tutorial, made of the notebook that the tests run, and its pictures."""
    cells: list[Cell] = json.loads(TUTORIAL.read_text("utf-8"))["cells"]
    pieces: list[str] = []
    pictures: list[bytes] = []
    for cell in cells:
        source = "".join(cell["source"])
        pieces.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        pieces.extend(_shown(output, pictures) for output in cell.get("outputs", []))
    text = re.sub(r"\]\(\.\./docs/", "](", "\n\n".join(pieces))
    files.append(File.generated(config, "tutorial.md", content=text))
    for number, picture in enumerate(pictures):
        files.append(File.generated(config, f"tutorial/{number}.png", content=picture))
    return files


def on_page_markdown(markdown: str, *, config: MkDocsConfig, **_: object) -> str:
    """Let links to files of the repository lead there, and those to the notebook to its page."""
    here = markdown.replace("](../notebooks/fashion_mnist.ipynb)", "](tutorial.md)")
    return _OUTSIDE.sub(rf"]({config.repo_url}/blob/main/\1", here)


def _shown(output: Output, pictures: list[bytes]) -> str:
    """Return an output as Markdown; a picture is appended to ``pictures``."""
    data = output.get("data", {})
    if "image/png" in data:
        pictures.append(base64.b64decode("".join(data["image/png"])))
        return f"![](tutorial/{len(pictures) - 1}.png)"
    if "text/html" in data:
        return _FRAME.sub("<table>", "".join(data["text/html"]))
    text = "".join(data.get("text/plain", output.get("text", [])))
    return f"```text\n{text.rstrip()}\n```" if text else ""
