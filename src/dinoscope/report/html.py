"""Small pieces of HTML that the sections of the report are made of."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from numpy.typing import NDArray

if TYPE_CHECKING:
    import numpy as np

    from dinoscope.report.facts import Facts

__all__ = [
    "bar",
    "commands",
    "counted",
    "fold",
    "heat_cells",
    "image",
    "named",
    "number",
    "percent",
    "plural",
    "section",
    "settings_text",
    "short_id",
    "shorten",
    "table",
    "themed",
    "tiles",
    "uri",
    "version_of",
]

NUM = ' class="num"'


def section(name: str, title: str, why: str, content: str) -> str:
    """Return a section with its heading and a line that says how to read it."""
    intro = f'<p class="why">{why}</p>\n' if why else ""
    head = f'<section id="{name}" aria-labelledby="{name}-title">\n<h2 id="{name}-title">{title}</h2>\n'
    return f"{head}{intro}{content}\n</section>"


def fold(title: str, content: str) -> str:
    """Return what most readers need not see: a line that opens it. It is printed opened."""
    return f"<details><summary>{title}</summary>\n{content}\n</details>\n" if content else ""


def commands(text: str) -> str:
    """Return a sentence as HTML; a command that it quotes is set as one, and never breaks within an option."""
    return re.sub("'(dinoscope [^']+)'", r"<code>\1</code>", escape(text, quote=False))


def image(facts: Facts, position: int) -> str:
    """Return the small picture of an image, with its id and label for those who cannot see it.

    Where the file holds the explorer, a click opens it at this image.
    """
    collection = facts.collection
    name, label = str(collection.ids[position]), collection.label_text(position)
    text = escape(shorten(name, 80) + (f", {shorten(label)}" if label else ""))
    style = "tile px" if facts.small else "tile"
    picture = f'<img class="{style}" src="{uri(facts.pictures[position])}" alt="{text}" title="{text}" loading="lazy">'
    return f'<a class="open" href="#row={int(collection.rows[position])}">{picture}</a>' if facts.explorer else picture


def themed(light: bytes, dark: bytes, alt: str) -> str:
    """Return a picture that is another one on a dark page."""
    source = f'<source srcset="{uri(dark)}" media="(prefers-color-scheme: dark)">'
    return f'<picture>{source}<img src="{uri(light)}" alt="{escape(alt)}"></picture>'


def uri(picture: bytes) -> str:
    """Return a picture as an address that holds it."""
    kinds = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"RIFF": "webp", b"GIF8": "gif"}
    kind = next((name for start, name in kinds.items() if picture.startswith(start)), "png")
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def named(text: str | None) -> str:
    """Return an id or a label, of any script and length."""
    return f'<span class="text" title="{escape(str(text))}">{escape(str(text))}</span>' if text is not None else ""


def shorten(text: str, length: int = 40) -> str:
    """Cut a text to a length."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def plural(word: str, count: int) -> str:
    """Return a word as it stands behind a number."""
    return word if count == 1 else f"{word}s"


def counted(count: int, word: str) -> str:
    """Return a number of things."""
    return f"{count:,} {plural(word, count)}"


def percent(part: int, whole: int) -> str:
    """Return a share in percent, never rounded to none or to all."""
    share = 100 * part / max(1, whole)
    if 0 < share < 0.1 or 99.9 < share < 100:  # never round to none or to all
        return "&lt;0.1%" if share < 1 else "&gt;99.9%"
    return f"{share:.0f}%" if share == 0 or 10 <= share < 99.5 or share == 100 else f"{share:.1f}%"


def number(value: float) -> str:
    """Return a figure with the digits that mean something."""
    if not math.isfinite(value):
        return "none"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


def short_id(text: str, length: int = 28) -> str:
    """Cut an id in its middle to a length: its end tells most."""
    half = length // 3
    return text if len(text) <= length else f"{text[:half]}…{text[half + 1 - length :]}"


def settings_text(settings: Mapping[str, object]) -> str:
    """Return the settings of a stage in one line."""
    parts = []
    for name, value in settings.items():
        if isinstance(value, dict):
            parts.append(f"{name} {settings_text(value)}")
        elif name != "labels":  # a digest, which says nothing
            parts.append(f"{name} {'chosen' if value is None else value}")
    return ", ".join(parts)


def version_of(package: str) -> str:
    """Return the installed version of a package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def heat_cells(counts: NDArray[np.int64]) -> str:
    """Return the cells of one line of counts, the stronger in colour the larger their share of the line."""
    total = max(1, int(counts.sum()))
    return "".join(
        f'<td style="--share:{count / total:.2f}">{count:,}</td>'
        if count
        else '<td class="zero" style="--share:0">·</td>'
        for count in counts.tolist()
    )


def bar(value: float, text: str = "") -> str:
    """Return a cell with a figure from 0 to 1 and a bar of that length."""
    share = min(max(value, 0.0), 1.0) if math.isfinite(value) else 0.0
    return f'<td class="bar num" style="--share:{share:.3f}">{text or number(value)}</td>'


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), style: str = "") -> str:
    """Return a table that scrolls where it is too wide.

    Args:
        heads: Headings, as HTML.
        rows: Cells, as HTML; one that starts with ``<td`` stands as it is. The first of a row is its heading.
        right: Columns aligned to the right.
        style: Class of the table.
    """
    titles = "".join(
        f'<th scope="col"{NUM if at in right else ""}>{head}</th>' if head else "<td></td>"
        for at, head in enumerate(heads)
    )
    lines = "".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(
            cell if cell.startswith("<td") else f"<td{NUM if at in right else ''}>{cell}</td>"
            for at, cell in enumerate(row[1:], 1)
        )
        + "</tr>\n"
        for row in rows
    )
    kind = f' class="{style}"' if style else ""
    whole = f"<table{kind}>\n<thead><tr>{titles}</tr></thead>\n<tbody>\n{lines}</tbody>\n</table>"
    return f'<div class="scroll">\n{whole}\n</div>\n'


def tiles(items: Sequence[tuple[str, str, str]]) -> str:
    """Return pictures beside each other: of each its class, its picture and the HTML below it."""
    cells = "".join(
        f'<li class="{style}">{picture}<span class="name">{below}</span></li>' for style, picture, below in items
    )
    return f'<ul class="tiles">{cells}</ul>'
