"""The report: one HTML file that opens from disk, without a network or a path of this machine in it.

It is a document, which needs no script. Where the front end is built, a second tab holds the explorer.
"""

from __future__ import annotations

import math
import platform
import shlex
from collections.abc import Callable
from datetime import date
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from dinoscope.base.package import PACKAGE
from dinoscope.base.parallel import in_threads
from dinoscope.base.paths import named_path
from dinoscope.errors import InputError
from dinoscope.plots.fonts import lacks_letters
from dinoscope.report import html, kept
from dinoscope.report.bundle import MEGABYTE, find_bundle
from dinoscope.report.facts import Facts, gather
from dinoscope.report.sections import clusters as about_clusters
from dinoscope.report.sections import images as about_images
from dinoscope.report.sections import maps as about_map
from dinoscope.report.sections.in_short import in_short
from dinoscope.stages.columns import public_condition
from dinoscope.storage.columns import changed_columns
from dinoscope.storage.files import write_bytes
from dinoscope.storage.manifest import list_models

if TYPE_CHECKING:
    from dinoscope.report.bundle import Bundle
    from dinoscope.report.embedded import Embedded
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["SECTIONS", "explorer_page", "fragments", "write_report"]

_MAX_FAILURES, _OPEN_FAILURES = 20, 5  # listed, and not folded
_VIEWS = """<nav id="views" aria-label="Views" hidden>
<button value="report" aria-pressed="true">Report</button><button value="explore" aria-pressed="false">Explore</button>
</nav>
"""


def write_report(
    collection: OpenedCollection,
    path: Path,
    *,
    k: int | None = None,
    max_mb: float = 25,
    title: str = "",
    author: str = "",
    private_columns: bool = False,
    on_note: Callable[[str], None] | None = None,
) -> Path:
    """Write the report of a collection as one self-contained HTML file: a document, and the explorer as a tab.

    What cannot be computed (there is no map of one image) is left out, and the report says why. The same collection
    gives the same bytes, apart from times, the date, how many images were embedded for it, and the last line, which
    names what the page was made from. A report that is there already and was made from the same stays as it is.

    Args:
        collection: The collection; results that it has not stored yet are computed.
        path: The file.
        k: Number of clusters, by default the one that ``choose_k`` chooses.
        max_mb: Size that the file never exceeds, in million bytes; it decides how many thumbnails there are, how large.
        title: Heading, by default the name of the collection.
        author: Who is named below it; nobody by default.
        private_columns: Whether it may show latitude and longitude, and a condition on them.
        on_note: Called with a sentence about what was chosen to fit, or what is missing.

    Returns:
        The path.

    Raises:
        InputError: If ``path`` is a folder, ``k`` cannot be used, or the file would be larger than ``max_mb``.
    """
    path = named_path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder: name a file, such as {path / 'report.html'}")
    if not max_mb > 0:
        raise InputError(f"max_mb must be positive, got {max_mb:g}")
    bundle = find_bundle()
    title, author = title.strip() or collection.name, author.strip()
    command = _command(collection, path, k, max_mb, title, author, private_columns)
    if collection.columns_state != changed_columns(collection.path):
        collection.forget_columns()
    inputs, before = kept.inputs_of(collection, command, bundle), kept.stored_results(collection)
    if kept.is_current(path, collection, inputs):
        if on_note is not None:
            on_note("the report is up to date: nothing that it shows has changed")
        return path
    facts = gather(collection, k, explorer=bundle is not None)
    facts.private, facts.title, facts.author, facts.command = private_columns, title, author, command
    most = int(max_mb * MEGABYTE)
    page, note = _compose(facts, bundle, most)
    if not (facts.lacks_weights or lacks_letters(page)):  # it could come out better another time
        page = kept.sealed(page, collection, inputs, before)
    if len(page) > most:
        least = math.ceil(len(page) / MEGABYTE)
        raise InputError(f"the report needs {least} MB, and --max-mb allows {max_mb:g}: give --max-mb {least}")
    write_bytes(path, page)
    if on_note is not None and note:
        on_note(note)
    return path


def _compose(facts: Facts, bundle: Bundle | None, most: int) -> tuple[bytes, str]:
    """Return the page, with as large an explorer as this many bytes allow, and a note on what was chosen."""
    from dinoscope.report.embedded import Embedded, embed

    if facts.coordinates is None:
        bundle = None
    facts.explorer = bundle is not None
    body = "\n".join(fragments(facts).values())
    if bundle is not None:
        taken = len(_encode(_page(facts, body, bundle, Embedded("", "")))) + kept.LENGTH
        embedded = embed(facts, most, taken)
        return _encode(_page(facts, body, bundle, embedded)), embedded.choice
    note = ""
    if facts.coordinates is not None:
        note = "the report has no explorer, only its sections: this checkout has no built page; run 'make web' first"
    return _encode(_page(facts, body)), note


def explorer_page(collection: OpenedCollection, *, max_mb: float) -> str:
    """Return the explorer alone as one HTML page, for a frame.

    Args:
        collection: The collection; results that it has not stored yet are computed.
        max_mb: As in ``write_report``.

    Raises:
        InputError: If so few images have no map, the page was never built, or it would be larger than ``max_mb``.
    """
    from dinoscope.report.embedded import embed

    bundle = find_bundle()
    facts = gather(collection, None, explorer=bundle is not None)
    if facts.coordinates is None:
        raise InputError(f"{collection.name} has no map to explore: {facts.missing.get('map', 'too few images')}")
    if bundle is None:
        raise InputError("this checkout has no built page: run 'make web' first")
    embedded = embed(facts, int(max_mb * MEGABYTE), len(bundle.script + bundle.style))
    content = f'<div id="app"></div>\n{embedded.elements}<script>{bundle.script}</script>'
    style = f"{bundle.style}\nhtml, body {{ height: 100%; margin: 0; }}\n"
    return _document(collection.name, style, f"script-src '{bundle.digest}'; ", content)


def _command(
    collection: OpenedCollection, path: Path, k: int | None, max_mb: float, title: str, author: str, private: bool
) -> str:
    """Return the command that writes this report again; it names no folder but the collection's own."""
    options = {
        "-o": "" if path == collection.path / "report.html" else path.name,
        "-k": "" if k is None else str(k),
        "--max-mb": "" if max_mb == 25 else f"{max_mb:g}",
        "--title": "" if title == collection.name else title,
        "--author": author,
        "--where": public_condition(collection, private=private) or "",
        "--model": collection.key if len(list_models(collection.path)) > 1 else "",
    }
    given = [part for name, value in options.items() if value for part in (name, value)]
    given += ["--private-columns"] * private
    return shlex.join(["dinoscope", "report", collection.path.name, *given])


def _encode(page: str) -> bytes:
    return page.encode("utf-8", "replace")


def fragments(facts: Facts) -> dict[str, str]:
    """Return the sections that there is something to say in, in their order: name -> HTML."""
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401  threads that load it beside each other would meet it half loaded

    written = in_threads(lambda named: named[1](facts), SECTIONS.values())  # packing a picture lets others draw
    return {name: text for name, text in zip(SECTIONS, written, strict=True) if text}


def _page(facts: Facts, body: str, bundle: Bundle | None = None, embedded: Embedded | None = None) -> str:
    collection = facts.collection
    counts = [f"<b>{len(collection):,}</b> {html.plural('image', len(collection))}"]
    if facts.clusters is not None:
        counts.append(f"<b>{len(facts.samples)}</b> {html.plural('cluster', len(facts.samples))}")
    if facts.names:
        counts.append(f"<b>{len(facts.names):,}</b> {html.plural('label', len(facts.names))}")
    if collection.failures:
        counts.append(f"<b>{len(collection.failures):,}</b> not readable")
    counts.append(f"model <b>{escape(str(collection.model['model']))}</b>")
    links = "".join(
        f'<li><a href="#{name}">{title}</a></li>'
        for name, (title, _) in SECTIONS.items()
        if f'<section id="{name}"' in body
    )
    author = f'<span class="text">{escape(facts.author)}</span> · ' if facts.author else ""
    header = f"""<header>
<h1 class="text">{escape(facts.title)}</h1>
<p class="soft">{author}{_today()}</p>
<p class="facts">{" · ".join(counts)}</p>
<nav aria-label="Sections"><ul>{links}</ul></nav>
</header>
"""
    made = f"Made with dinoscope {html.version_of('dinoscope')}. This file loads nothing from the network."
    if embedded is not None and embedded.choice:
        made += f" The explorer holds {escape(embedded.choice)}."
    css = (PACKAGE / "report" / "report.css").read_text("utf-8")
    if facts.small:
        css += f"#report {{ --tile: {max(56, 2 * facts.small)}px; }}\n"
    content = f"""<div id="report">
{header}<main class="content">
{body}
</main>
<footer>{made}</footer>
</div>"""
    if bundle is None or embedded is None:
        return _document(facts.title, css, "", content)
    content = f"""{_VIEWS}{content}
<div id="app"></div>
{embedded.elements}<script>{bundle.script}</script>"""
    return _document(facts.title, f"{css}{bundle.style}\n", f"script-src '{bundle.digest}'; ", content)


def _today() -> str:
    today = date.today()
    return f'<time datetime="{today.isoformat()}">{today.day} {today:%B %Y}</time>'


def _document(name: str, css: str, script: str, content: str) -> str:
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; {script}style-src 'unsafe-inline'; \
img-src data: blob:; connect-src blob:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(name)} · dinoscope</title>
<style>
{css}</style>
</head>
<body>
{content}
</body>
</html>
"""


def _scores(facts: Facts) -> str:
    if "scores" in facts.missing:
        return html.section("scores", "Scores", "", f"<p>There are no scores: {escape(facts.missing['scores'])}.</p>")
    groups: dict[str, list[str]] = {}  # in the order of their first lines
    for score in facts.scores:
        head, _, name = score.name.rpartition(": ")
        if facts.quality is not None and head == "map" and name in about_map.FIGURES:
            continue  # shown beside the map
        groups.setdefault(head, []).append(
            f'<tr><th scope="row">{escape(name)}</th><td class="num">{html.number(score.value)}</td>'
            f'<td class="soft">{escape(score.meaning)}</td></tr>\n'
        )
    bodies = "".join(
        f'<tbody>\n<tr><th colspan="3" scope="rowgroup">{escape(head)}</th></tr>\n{"".join(rows)}</tbody>\n'
        for head, rows in groups.items()
    )
    heads = '<tr><th scope="col">score</th><th scope="col" class="num">value</th><th scope="col">meaning</th></tr>'
    table = f'<table class="scores meanings">\n<thead>{heads}</thead>\n{bodies}</table>'
    count = html.counted(sum(len(rows) for rows in groups.values()), "score")
    return html.section("scores", "Scores", "", html.fold(f"{count} of clusters, vectors and labels", table))


def _failures(facts: Facts) -> str:
    failures = facts.collection.failures
    if not failures:
        return ""
    items = [
        f'<li><span class="text">{escape(html.shorten(each.id, 120))}</span> '
        f'<span class="soft">{escape(html.shorten(each.reason, 200))}</span></li>\n'
        for each in failures[:_MAX_FAILURES]
    ]
    verb = "is" if len(failures) == 1 else "are"
    why = f"{html.counted(len(failures), 'image')} could not be read and {verb} left out."
    if len(failures) > _MAX_FAILURES:
        why += f" Below are the first {_MAX_FAILURES}."
    shown, more = ("".join(each) for each in (items[:_OPEN_FAILURES], items[_OPEN_FAILURES:]))
    content = f'<ul class="failures">\n{shown}</ul>\n'
    if more:
        content += html.fold(f"{len(items) - _OPEN_FAILURES} more", f'<ul class="failures">\n{more}</ul>')
    return html.section("failures", "Not readable", why, content)


def _run(facts: Facts) -> str:
    collection, model = facts.collection, facts.collection.model
    side, focus = model.get("resolution"), f" of the {model['focus']}" if "focus" in model else ""
    terms = {
        "Date": _today(),
        "Model": escape(str(model["model"])),
        "Licence": escape(str(model.get("licence", "unknown"))),
        "Weights": f"sha256 {escape(str(model.get('weights_sha256', ''))[:16])}",
        "Vectors": f"length {model.get('dim')}, "
        + (
            "made elsewhere"
            if model.get("own")
            else f"{model.get('pooling')} pooling{focus}, from {side} by {side} pixels"
        ),
        "Versions": ", ".join(f"{name} {html.version_of(name)}" for name in kept.PACKAGES),
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
    }
    steps = [(each.name, html.settings_text(each.settings), each.seconds) for each in collection.results.in_order()]
    if collection.embedded is not None:
        done = collection.embedded
        steps.insert(0, ("embed", f"{done.embedded:,} embedded, {done.reused:,} had vectors already", done.seconds))
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td><td class="num">{seconds:,.2f}</td></tr>\n'
        for name, text, seconds in steps
    )
    heads = '<th scope="col">step</th><th scope="col">settings</th><th scope="col" class="num">seconds</th>'
    table = f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>{rows}</tbody>\n</table>"
    list_ = "".join(f"<dt>{name}</dt><dd>{text}</dd>\n" for name, text in terms.items())
    content = (
        f"<p>This command writes the report again: <code>{escape(facts.command)}</code></p>\n"
        + html.fold("Model, weights and versions", f'<dl class="run">\n{list_}</dl>')
        + html.fold("Steps, settings and seconds", f'<div class="scroll">{table}</div>')
    )
    return html.section("run", "What was run", "", content)


SECTIONS: dict[str, tuple[str, Callable[[Facts], str]]] = {
    "in-short": ("In short", in_short),
    "map": ("Map", about_map.maps),
    "map-quality": ("How far to trust it", about_map.map_quality),
    "made-of": ("What it is sorted by", about_map.made_of),
    "tuning": ("Settings", about_map.tuning),
    "cleaning": ("Cleaning", about_images.cleaning),
    "clusters": ("Clusters", about_clusters.clusters),
    "seen": ("What the model sees", about_clusters.seen),
    "queries": ("Look-alikes", about_images.queries),
    "evaluation": ("How labels are found", about_images.evaluation),
    "scores": ("Scores", _scores),
    "failures": ("Not readable", _failures),
    "run": ("What was run", _run),
}
"""Name -> title in the table of contents, and what writes it from ``Facts``."""
