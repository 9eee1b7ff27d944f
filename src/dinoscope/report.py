"""The report: one HTML file that opens from disk, without a network, a script or a path of this machine in it."""

from __future__ import annotations

import base64
import math
import platform
from collections import Counter
from html import escape
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope import plots, store
from dinoscope.report_facts import MAX_CLUSTERS, Facts, best_labels, cluster_label_table, gather
from dinoscope.tiles import image_map_figure

if TYPE_CHECKING:
    from dinoscope.collection import Collection, Match

__all__ = ["write_report"]

_MAX_LABELS = 30  # columns of the confusion table
_MAX_FAILURES = 20
_PACKAGES = ("dinoscope", "numpy", "onnxruntime", "fastumap", "scikit-learn")


def write_report(collection: Collection, path: Path, *, k: int | None = None) -> Path:
    """Write the report of a collection as one self-contained HTML file.

    What cannot be computed (there is no map of one image) is left out, and the report says why. The same collection
    gives the same bytes, apart from times.

    Args:
        collection: The collection; results that it has not stored yet are computed.
        path: The file.
        k: Number of clusters, by default the one with the best silhouette.

    Returns:
        The path.
    """
    facts = gather(collection, k)
    sections = (_maps, _scores, _clusters, _curve, _queries, _confusion, _failures, _run)
    body = "\n".join(part for part in (section(facts) for section in sections) if part)
    page = _page(facts, body)
    store.write_bytes(Path(path), page.encode("utf-8", "replace"))
    return Path(path)


# --- sections --------------------------------------------------------------------------------------------------------


def _page(facts: Facts, body: str) -> str:
    collection = facts.collection
    counts = [f"<b>{len(collection):,}</b> {_plural('image', len(collection))}"]
    if facts.clusters is not None:
        counts.append(f"<b>{len(facts.samples)}</b> {_plural('cluster', len(facts.samples))}")
    if facts.names:
        counts.append(f"<b>{len(facts.names):,}</b> {_plural('label', len(facts.names))}")
    if collection.failures:
        counts.append(f"<b>{len(collection.failures):,}</b> not readable")
    counts.append(f"model <b>{escape(str(collection.model['model']))}</b>")
    titles = {"map": "Map", "scores": "Scores", "clusters": "Clusters", "queries": "Look-alikes",
              "confusion": "Clusters and labels", "failures": "Not readable", "run": "What was run"}  # fmt: skip
    links = "".join(f'<li><a href="#{i}">{text}</a></li>' for i, text in titles.items() if f'<section id="{i}"' in body)
    css = (files("dinoscope") / "report.css").read_text("utf-8")
    tile = f":root {{ --tile: {max(56, 2 * facts.small)}px; }}\n" if facts.small else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(collection.name)} · dinoscope</title>
<style>
{css}{tile}</style>
</head>
<body>
<header>
<h1 class="text">{escape(collection.name)}</h1>
<p class="facts">{" · ".join(counts)}</p>
<nav aria-label="Sections"><ul>{links}</ul></nav>
</header>
<main>
{body}
</main>
<footer>Made with dinoscope {_version("dinoscope")}. This file holds all it shows; it loads nothing.</footer>
</body>
</html>
"""


def _section(name: str, title: str, why: str, content: str) -> str:
    intro = f'<p class="why">{why}</p>\n' if why else ""
    head = f'<section id="{name}" aria-labelledby="{name}-title">\n<h2 id="{name}-title">{title}</h2>\n'
    return f"{head}{intro}{content}\n</section>"


def _maps(facts: Facts) -> str:
    if facts.coordinates is None:
        return _section("map", "Map", "", f"<p>There is no map: {escape(facts.missing['map'])}.</p>")
    figures = []
    if facts.names:
        figures.append(_map(facts, "label", facts.members, facts.names, facts.names, facts.label_colors))
    if facts.clusters is not None:
        numbers = [str(number) for number in range(len(facts.samples))]
        names = [f"cluster {number}" for number in numbers]
        figures.append(_map(facts, "cluster", facts.clusters.labels, numbers, names, facts.cluster_colors))
    why = "Images that the model finds alike lie near each other (UMAP). Distances between far groups mean little."
    if len(figures) == 2:
        why += " Clusters are paired with labels one to one as well as they fit; a pair has one colour."
    content = f'<div class="maps">\n{"".join(figures)}</div>\n{_image_map(facts)}'
    return _section("map", "Map", why, content)


def _map(
    facts: Facts, kind: str, members: NDArray[np.int64] | NDArray[np.int32], short: list[str], names: list[str],
    colors: list[str],
) -> str:  # fmt: skip
    assert facts.coordinates is not None
    light, dark = (
        plots.map_figure(
            facts.coordinates, members, short, colors=colors, legend=False, dark=dark, width=5.6, format="webp"
        )
        for dark in (False, True)
    )
    alt = f"Map of {_count(len(members), 'image')}, points coloured by {kind}, {_count(len(names), kind)}"
    picture = _themed(light, dark, alt)
    return f"<figure>\n<h3>By {kind}</h3>\n{picture}\n{_legend(members, names, colors)}</figure>\n"


def _legend(members: NDArray[np.int64] | NDArray[np.int32], names: list[str], colors: list[str]) -> str:
    counts = np.bincount(members[members >= 0], minlength=len(names))
    lines = [
        (colors[group], names[group], int(counts[group]))
        for group in np.argsort(-counts, kind="stable").tolist() if counts[group] and colors[group] != plots.OTHER
    ]  # fmt: skip
    rest = [group for group in range(len(names)) if counts[group] and colors[group] == plots.OTHER]
    if rest:
        lines.append((plots.OTHER, f"{len(rest)} other", int(counts[rest].sum())))
    if (members < 0).any():
        lines.append((plots.OTHER, "no label", int((members < 0).sum())))
    items = "".join(
        f'<li><span class="dot" style="background:{color}"></span><span class="text" title="{escape(name)}">'
        f'{escape(_shorten(name))}</span> <span class="soft">{count:,}</span></li>'
        for color, name, count in lines
    )
    return f'<ul class="legend">{items}</ul>\n'


def _image_map(facts: Facts) -> str:
    tiles = facts.tiles
    if tiles is None:
        return ""
    members, palette = facts.members, facts.label_colors
    if not facts.names and facts.clusters is not None:
        members, palette = facts.clusters.labels.astype(np.int64), facts.cluster_colors
    colors = plots.image_colors(members[tiles.positions], palette)
    side = int(np.clip(1800 // max(tiles.columns, tiles.rows), 14, 96))
    pictures = [facts.pictures[i] for i in tiles.positions.tolist()]
    picture = image_map_figure(tiles, pictures, tile=side, colors=colors, format="webp")
    by = "label" if facts.names else "cluster"
    alt = f"The same map drawn with {len(pictures):,} of the images at their places"
    caption = (
        f"{len(pictures):,} of {_count(len(members), 'image')}, one for each cell of a grid; "
        f"the line below each has the colour of its {by}."
    )
    return (
        f'<figure class="wide">\n<h3>The images at their places</h3>\n<img src="{_uri(picture)}" alt="{alt}">\n'
        f"<figcaption>{caption}</figcaption>\n</figure>"
    )


def _scores(facts: Facts) -> str:
    if "scores" in facts.missing:
        return _section("scores", "Scores", "", f"<p>There are no scores: {escape(facts.missing['scores'])}.</p>")
    groups: dict[str, list[str]] = {}  # in the order of their first lines
    for score in facts.scores:
        head, _, name = score.name.rpartition(": ")
        groups.setdefault(head, []).append(
            f'<tr><th scope="row">{escape(name)}</th><td class="num">{_number(score.value)}</td>'
            f'<td class="soft">{escape(score.meaning)}</td></tr>\n'
        )
    bodies = "".join(
        f'<tbody>\n<tr><th colspan="3" scope="rowgroup">{escape(head)}</th></tr>\n{"".join(rows)}</tbody>\n'
        for head, rows in groups.items()
    )
    heads = '<tr><th scope="col">score</th><th scope="col" class="num">value</th><th scope="col">meaning</th></tr>'
    table = f'<table class="scores">\n<thead>{heads}</thead>\n{bodies}</table>'
    return _section("scores", "Scores", "How far to trust the map and the clusters, in numbers.", table)


def _clusters(facts: Facts) -> str:
    if facts.clusters is None:
        text = f"<p>There are no clusters: {escape(facts.missing['clusters'])}.</p>"
        return _section("clusters", "Clusters", "", text)
    why = "Found by k-means on the vectors, the largest first. Cohesion is the mean cosine of members to their centre."
    cards = [_cluster(facts, number) for number in range(min(len(facts.samples), MAX_CLUSTERS))]
    if len(facts.samples) > MAX_CLUSTERS:
        cards.append(f"<p>The {len(facts.samples) - MAX_CLUSTERS} smallest clusters are not shown.</p>")
    return _section("clusters", "Clusters", why, "\n".join(cards))


def _cluster(facts: Facts, number: int) -> str:
    sample = facts.samples[number]
    size = len(sample.members)
    texts = [f"<b>{size:,}</b> {_plural('image', size)}, {_percent(size, len(facts.collection))}",
             f"cohesion {sample.cohesion:.3f}"]  # fmt: skip
    labels = Counter(facts.members[sample.members].tolist())
    common = [(label, count) for label, count in labels.most_common(6) if label >= 0][:5]
    texts += [
        f'<span class="text">{escape(_shorten(facts.names[label]))}</span> {_percent(count, size)}'
        for label, count in common
    ]
    strips = _strip(facts, "medoid", [sample.medoid], "main")
    strips += _strip(facts, "nearest to the centre", sample.near) + _strip(facts, "from the edge", sample.edge)
    dot = f'<span class="dot" style="background:{facts.cluster_colors[number]}"></span>'
    return (
        f'<article class="cluster">\n<h3>{dot}Cluster {number}</h3>\n<p class="soft">{" · ".join(texts)}</p>\n'
        f'<div class="strips">\n{strips}</div>\n</article>'
    )


def _strip(facts: Facts, title: str, positions: list[int], style: str = "") -> str:
    if not positions:
        return ""
    items = "".join(f"<li>{_image(facts, position)}</li>" for position in positions)
    return f'<div class="strip {style}"><p>{title}</p><ul class="tiles">{items}</ul></div>\n'


def _curve(facts: Facts) -> str:
    if facts.clusters is None or not facts.chose_k or len(facts.clusters.curve) < 2:
        return ""
    k = len(facts.clusters.medoids)
    light, dark = (plots.curve_figure(facts.clusters.curve, chosen=k, dark=dark) for dark in (False, True))
    alt = "; ".join(f"k {number}: {value:.3f}" for number, value in facts.clusters.curve)
    why = f"k = {k} was chosen: of the numbers tried it has the best silhouette. On a flat curve others do as well."
    figure = f'<figure class="curve">{_themed(light, dark, alt)}</figure>'
    return _section("curve", "How many clusters", why, figure)


def _queries(facts: Facts) -> str:
    if not facts.queries:
        return ""
    why = "Images picked at random, and those most like them by cosine similarity (1 is the same)."
    if facts.names:
        why += " ≠ marks another label than the query's."
    return _section("queries", "Look-alikes", why, "\n".join(_query(facts, *each) for each in facts.queries))


def _query(facts: Facts, position: int, found: list[Match]) -> str:
    collection = facts.collection
    own = collection.labels[position]
    items = ""
    for match in found:
        differs = own is not None and match.label is not None and match.label != own
        style = ' class="differs"' if differs else ""
        picture = _image(facts, collection.position(match.row))
        name = _name(match.label if facts.names else match.id)
        items += (
            f'<li data-row="{match.row}"{style}>{picture}'
            f'<span class="name"><b>{match.similarity:.3f}</b> {name}</span></li>\n'
        )
    row = int(collection.rows[position])
    name = _name(own if facts.names else collection.ids[position])
    head = f'<div class="main">{_image(facts, position)}<span class="name"><b>row {row}</b> {name}</span></div>'
    return f'<article class="query" data-row="{row}">{head}\n<ol class="tiles">{items}</ol></article>'


def _confusion(facts: Facts) -> str:
    if facts.clusters is None or not facts.names:
        return ""
    if len(facts.names) > _MAX_LABELS:
        text = f"<p>With {len(facts.names):,} labels the table is left out (it is drawn up to {_MAX_LABELS}).</p>"
        return _section("confusion", "Clusters and labels", "", text)
    table = cluster_label_table(facts, facts.clusters)
    columns = [label for _, label in sorted(best_labels(facts, facts.clusters))]
    columns += [label for label in range(len(facts.names)) if label not in columns]
    heads = "".join(f'<th scope="col">{_name(facts.names[label])}</th>' for label in columns)
    rows = "".join(
        f'<tr><th scope="row">cluster {number}</th>{_heat(table[number, columns])}</tr>\n'
        for number in range(min(len(table), MAX_CLUSTERS))
    )
    why = "Images of each cluster and label; the stronger the colour, the larger its share of the cluster."
    content = (
        '<div class="scroll" tabindex="0" role="region" aria-label="Clusters and labels">\n<table class="heat">\n'
        f"<thead><tr><td></td>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>"
    )
    return _section("confusion", "Clusters and labels", why, content)


def _heat(counts: NDArray[np.int64]) -> str:
    total = max(1, int(counts.sum()))
    return "".join(
        f'<td style="--share:{count / total:.2f}">{count:,}</td>'
        if count
        else '<td class="zero" style="--share:0">·</td>'
        for count in counts.tolist()
    )


def _failures(facts: Facts) -> str:
    failures = facts.collection.failures
    if not failures:
        return ""
    items = "".join(
        f'<li><span class="text">{escape(_shorten(each.id, 120))}</span> '
        f'<span class="soft">{escape(_shorten(each.reason, 200))}</span></li>\n'
        for each in failures[:_MAX_FAILURES]
    )
    why = f"{_count(len(failures), 'image')} could not be read and {'is' if len(failures) == 1 else 'are'} left out."
    if len(failures) > _MAX_FAILURES:
        why += f" The first {_MAX_FAILURES}:"
    return _section("failures", "Not readable", why, f'<ul class="failures">\n{items}</ul>')


def _run(facts: Facts) -> str:
    collection, model = facts.collection, facts.collection.model
    side = model.get("resolution")
    terms = {
        "Model": str(model["model"]),
        "Licence": str(model.get("licence", "unknown")),
        "Weights": f"sha256 {str(model.get('weights_sha256', ''))[:16]}",
        "Vectors": f"length {model.get('dim')}, {model.get('pooling')} pooling, from {side} by {side} pixels",
        "Versions": ", ".join(f"{name} {_version(name)}" for name in _PACKAGES),
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
    }
    steps = [(stage.name, _settings(stage.settings), stage.seconds) for stage in collection.stages.values()]
    if collection.embedded is not None:
        done = collection.embedded
        steps.insert(0, ("embed", f"{done.embedded:,} embedded, {done.reused:,} had vectors already", done.seconds))
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td><td class="num">{seconds:,.2f}</td></tr>\n'
        for name, text, seconds in steps
    )
    heads = '<th scope="col">step</th><th scope="col">settings</th><th scope="col" class="num">seconds</th>'
    table = f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>{rows}</tbody>\n</table>"
    list_ = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>\n" for name, text in terms.items())
    return _section("run", "What was run", "", f'<dl class="run">\n{list_}</dl>\n<div class="scroll">{table}</div>')


# --- small pieces ----------------------------------------------------------------------------------------------------


def _image(facts: Facts, position: int) -> str:
    collection = facts.collection
    name, label = str(collection.ids[position]), collection.labels[position]
    text = escape(_shorten(name, 80) + (f", {_shorten(str(label))}" if label is not None else ""))
    style = "tile px" if facts.small else "tile"
    return f'<img class="{style}" src="{_uri(facts.pictures[position])}" alt="{text}" title="{text}" loading="lazy">'


def _themed(light: bytes, dark: bytes, alt: str) -> str:
    source = f'<source srcset="{_uri(dark)}" media="(prefers-color-scheme: dark)">'
    return f'<picture>{source}<img src="{_uri(light)}" alt="{escape(alt)}"></picture>'


def _uri(picture: bytes) -> str:
    kinds = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"RIFF": "webp", b"GIF8": "gif"}
    kind = next((name for start, name in kinds.items() if picture.startswith(start)), "png")
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def _name(text: str | None) -> str:
    return f'<span class="text" title="{escape(str(text))}">{escape(str(text))}</span>' if text is not None else ""


def _shorten(text: str, length: int = 40) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def _count(count: int, word: str) -> str:
    return f"{count:,} {_plural(word, count)}"


def _percent(part: int, whole: int) -> str:
    share = 100 * part / max(1, whole)
    if 0 < share < 0.1 or 99.9 < share < 100:  # never round to none or to all
        return "&lt;0.1%" if share < 1 else "&gt;99.9%"
    return f"{share:.0f}%" if share == 0 or 10 <= share < 99.5 or share == 100 else f"{share:.1f}%"


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "none"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


def _settings(settings: dict[str, object]) -> str:
    parts = []
    for name, value in settings.items():
        if isinstance(value, dict):
            parts.append(f"{name} {_settings(value)}")
        elif name != "labels":  # a digest, which says nothing
            parts.append(f"{name} {'chosen' if value is None else value}")
    return ", ".join(parts)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
