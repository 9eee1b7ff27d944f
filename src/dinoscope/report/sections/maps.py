"""The report's sections about the map: itself, how far to trust it, and its settings."""

from __future__ import annotations

from html import escape

import numpy as np
from numpy.typing import NDArray

from dinoscope.plots import maps as map_plots
from dinoscope.plots.image_map import image_map_figure
from dinoscope.plots.map import map_figure
from dinoscope.plots.palette import OTHER, image_colors
from dinoscope.plots.properties import property_map
from dinoscope.report import html
from dinoscope.report.facts import Facts
from dinoscope.wording.explanation import MEANINGS, conclusions, direction_in_words
from dinoscope.wording.scores import map_figures

__all__ = ["FIGURES", "made_of", "map_quality", "maps", "tuning"]

FIGURES = ("trustworthiness", "continuity", "neighbours kept", "rank correlation")
"""The figures of the map that are shown beside it; the others are among the scores."""
_PROPERTIES = 6  # drawn, of those that the map follows most closely


def maps(facts: Facts) -> str:
    """Return the map as points by label and by cluster, and with the images at their places."""
    if facts.coordinates is None:
        return html.section("map", "Map", "", f"<p>There is no map: {escape(facts.missing['map'])}.</p>")
    figures = []
    if facts.names:
        figures.append(_map(facts, "label", facts.members, facts.names, facts.names, facts.label_colors))
    if facts.clusters is not None:
        numbers = [str(number) for number in range(len(facts.samples))]
        names = [f"cluster {number}" for number in numbers]
        figures.append(_map(facts, "cluster", facts.clusters.labels, numbers, names, facts.cluster_colors))
    why = (
        "The map puts similar images close together (UMAP). Look at which images share a group: how far apart two "
        "groups are means little."
    )
    if len(figures) == 2:
        why += " The colours of clusters have nothing to do with those of labels."
    content = f'<div class="maps">\n{"".join(figures)}</div>\n{_image_map(facts)}'
    return html.section("map", "Map", why, content)


def _map(
    facts: Facts,
    kind: str,
    members: NDArray[np.int64] | NDArray[np.int32],
    short: list[str],
    names: list[str],
    colors: list[str],
) -> str:
    assert facts.coordinates is not None
    light, dark = (
        map_figure(facts.coordinates, members, short, colors=colors, legend=False, dark=dark, width=5.6, format="webp")
        for dark in (False, True)
    )
    alt = f"Map of {html.counted(len(members), 'image')}, points coloured by {kind}, {html.counted(len(names), kind)}"
    picture = html.themed(light, dark, alt)
    return f"<figure>\n<h3>By {kind}</h3>\n{picture}\n{_legend(members, names, colors)}</figure>\n"


def _legend(members: NDArray[np.int64] | NDArray[np.int32], names: list[str], colors: list[str]) -> str:
    counts = np.bincount(members[members >= 0], minlength=len(names))
    lines = [
        (colors[group], names[group], int(counts[group]))
        for group in np.argsort(-counts, kind="stable").tolist()
        if counts[group] and colors[group] != OTHER
    ]
    rest = [group for group in range(len(names)) if counts[group] and colors[group] == OTHER]
    if rest:
        lines.append((OTHER, f"{len(rest)} other", int(counts[rest].sum())))
    if (members < 0).any():
        lines.append((OTHER, "no label", int((members < 0).sum())))
    items = "".join(
        f'<li><span class="dot" style="background:{color}"></span><span class="text" title="{escape(name)}">'
        f'{escape(html.shorten(name))}</span> <span class="soft">{count:,}</span></li>'
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
    colors = image_colors(members[tiles.positions], palette)
    side = int(np.clip(1800 // max(tiles.columns, tiles.rows), 14, 96))
    pictures = [facts.pictures[i] for i in tiles.positions.tolist()]
    picture = image_map_figure(tiles, pictures, tile=side, colors=colors, format="webp")
    by = "label" if facts.names else "cluster"
    alt = f"The same map, drawn with {len(pictures):,} of the images"
    caption = (
        f"{len(pictures):,} of {html.counted(len(members), 'image')}, one for each cell of a grid. The line below an "
        f"image has the colour of its {by}."
    )
    return (
        f'<figure class="wide places">\n<h3>The images on the map</h3>\n<img src="{html.uri(picture)}" alt="{alt}">\n'
        f"<figcaption>{caption}</figcaption>\n</figure>"
    )


def map_quality(facts: Facts) -> str:
    """Return how far to trust the map: figures, and the map coloured by how many neighbours each image kept."""
    quality = facts.quality
    if quality is None or facts.coordinates is None:
        return ""
    lines = [
        (name, html.bar(value), f'<td class="soft">{meaning}</td>')
        for name, value, meaning in map_figures(quality)
        if name in FIGURES
    ]
    light, dark = (
        map_plots.trust_map_figure(facts.coordinates, quality.images.kept, dark=shade, width=4.2, format="webp")
        for shade in (False, True)
    )
    few = int((quality.images.kept < 1 / 3).sum())
    caption = (
        f"{html.percent(few, len(quality.images.kept))} of the images kept fewer than a third of their {quality.k} "
        "nearest images. Don't read much into exactly where these are."
        if few
        else f"Every image kept a third or more of its {quality.k} nearest images."
    )
    picture = html.themed(
        light, dark, f"The map, points coloured by the share of their {quality.k} nearest neighbours kept"
    )
    table = html.table(("", "value", "meaning"), lines, right=(1,), style="bars meanings")
    content = (
        f'<div class="maps beside">\n<div>{table}</div>\n'
        f"<figure>\n<h3>By neighbours kept</h3>\n{picture}\n<figcaption>{caption}</figcaption>\n</figure>\n</div>"
    )
    why = "A flat map cannot keep every image beside all of its neighbours. These figures say how much this one lost."
    return html.section("map-quality", "How far to trust the map", why, content)


def made_of(facts: Facts) -> str:
    """Return which properties of the images the map is sorted by, and the map in the colours of each."""
    found = facts.explanation
    if found is None or facts.coordinates is None or not found.properties:
        return ""
    labelled = found.labels is not None
    heads = ["", "embedding", "map", "variance", *(["within labels", "by labels"] if labelled else []), ""]
    lines = []
    for each in ([found.labels] if found.labels is not None else []) + list(found.properties):
        told = [each.embedding, each.map, each.variance, *([each.within_labels, each.by_labels] if labelled else [])]
        cells = ["" if value is None else html.bar(max(0.0, value)) for value in told]
        name = "(labels)" if each is found.labels else each.name
        lines.append((name, *cells, f'<td class="soft line">{direction_in_words(each)}</td>'))
    meanings = "".join(
        f"<dt>{field.replace('_', ' ')}</dt><dd>{meaning}</dd>\n"
        for field, meaning in MEANINGS.items()
        if labelled or not field.endswith("labels")
    )
    figures = "".join(
        f"<figure>\n<h3>{escape(each.name)} <b>{max(0.0, each.map):.2f}</b></h3>\n"
        f'<img src="{html.uri(property_map(facts.coordinates, facts.properties[each.name], format="webp"))}" '
        f'alt="The map in the colours of {escape(each.name)}">\n'
        f"<figcaption>{direction_in_words(each)}</figcaption>\n</figure>\n"
        for each in found.properties[:_PROPERTIES]
    )
    content = (
        f'<div class="small-maps">\n{figures}</div>\n'
        + html.fold("What this says of the model", f"<p>{' '.join(conclusions(found))}</p>")
        + html.fold(
            "All properties in numbers",
            html.table(heads, lines, right=tuple(range(1, len(heads) - 1)), style="bars")
            + f'<dl class="run">\n{meanings}</dl>',
        )
    )
    why = "The visible properties that the map follows most closely: 0 is not at all, 1 is entirely."
    if found.labels is not None:
        why += f" For your labels, the figure is {max(0.0, found.labels.map):.2f}."
    why += ' The colours go from the least <span class="ramp"></span> to the most, by rank.'
    return html.section("made-of", "What the map is sorted by", why, content)


def tuning(facts: Facts) -> str:
    """Return what the settings of UMAP do to these images, where that was tried."""
    found = facts.tuning
    if found is None:
        return ""
    light, dark = (
        map_plots.tuning_figure(
            found, facts.members[found.positions], facts.names, title="", dark=shade, side=2.2, format="webp"
        )
        for shade in (False, True)
    )
    lines = []
    for each in sorted(found.settings, key=lambda each: (not each.on_front, -each.neighbors_kept)):
        signs = {"recommended": each is found.recommended, "default": each is found.default, "front": each.on_front}
        marks = [text for text, holds in signs.items() if holds]
        differ = "" if each.difference is None else f"{each.difference:.3f}"
        lines.append(
            (
                f"{each.n_neighbors} neighbours, min_dist {each.min_dist:g}",
                html.bar(each.neighbors_kept),
                html.bar(each.trustworthiness),
                html.bar(each.aim),
                differ,
                ", ".join(marks),
            )
        )
    heads = ("setting", "neighbours kept", "trustworthiness", found.aim, "seeds differ by", "")
    alt = f"{len(found.settings)} small maps, a row for each n_neighbors and a column for each min_dist"
    figure = (
        '<figure class="wide sheet scroll" tabindex="0" role="region" aria-label="Maps by setting">'
        f"{html.themed(light, dark, alt)}</figure>\n"
    )
    table = html.table(heads, lines, right=(1, 2, 3, 4), style="bars")
    content = html.fold("A map for each setting", figure) + html.fold("All settings in numbers", table)
    return html.section("tuning", "Settings of the map", escape(found.verdict), content)
