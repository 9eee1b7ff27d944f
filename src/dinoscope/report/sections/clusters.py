"""The report's sections about clusters: what is in each, how good each is, and how they fall on the labels."""

from __future__ import annotations

from collections import Counter
from html import escape

from dinoscope.analysis.clusters.clustering import PLATEAU
from dinoscope.plots.map import curve_figure
from dinoscope.plots.patches import paint_colours
from dinoscope.report import html
from dinoscope.report.facts import MAX_CLUSTERS, Facts, best_labels, cluster_label_table

__all__ = ["clusters", "seen"]

_MAX_LABELS = 30  # columns of the confusion table
_OPEN, _OPEN_SEEN = 3, 4  # clusters that are not folded


def clusters(facts: Facts) -> str:
    """Return each cluster with some of its images; folded, how good they are, why that many, and their labels."""
    if facts.clusters is None:
        text = f"<p>There are no clusters: {escape(facts.missing['clusters'])}.</p>"
        return html.section("clusters", "Clusters", "", text)
    why = f"Groups found without labels, by k-means on the vectors, the largest first. {_weak(facts)}"
    cards = [_cluster(facts, number) for number in range(min(len(facts.samples), MAX_CLUSTERS))]
    more = cards[_OPEN:]
    if len(facts.samples) > MAX_CLUSTERS:
        more.append(f"<p>The {len(facts.samples) - MAX_CLUSTERS} smallest clusters are not shown.</p>")
    rest = html.counted(len(facts.samples) - _OPEN, "more cluster")
    content = (
        "\n".join(cards[:_OPEN])
        + html.fold(rest, "\n".join(more))
        + html.fold("How good each cluster is", _quality(facts))
        + html.fold("How the number of clusters was chosen", _curve(facts))
        + html.fold("Clusters and labels", _labels(facts))
    )
    return html.section("clusters", "Clusters", why.strip(), content)


def seen(facts: Facts) -> str:
    """Return the middle images of the largest clusters beside what the model sees in them."""
    if not facts.seen:
        return ""
    model = escape(str(facts.collection.model["model"]))
    which = "each cluster" if len(facts.seen) == len(facts.samples) else f"the {len(facts.seen)} largest clusters"
    why = (
        f"The image in the middle of {which}, beside what {model} sees in it, patch by patch. Patches that look "
        "similar to the model have similar colours, in all images."
    )
    items = []
    for number, colours in enumerate(facts.seen):
        name = f"Cluster {number}"
        dot = f'<span class="dot" style="background:{facts.cluster_colors[number]}"></span>'
        painted = f'<img class="tile" src="{html.uri(paint_colours(colours))}" alt="{name}: colours of its patches">'
        items.append(
            f'<li><p class="soft">{dot} {name}</p><div>{html.image(facts, facts.samples[number].medoid)}{painted}</div>'
            "</li>\n"
        )
    shown, more = ("".join(each) for each in (items[:_OPEN_SEEN], items[_OPEN_SEEN:]))
    content = f'<ul class="seen">\n{shown}</ul>\n'
    if more:
        rest = html.counted(len(items) - _OPEN_SEEN, "more cluster")
        content += html.fold(rest, f'<ul class="seen">\n{more}</ul>')
    return html.section("seen", "What the model sees", why, content)


def _cluster(facts: Facts, number: int) -> str:
    sample = facts.samples[number]
    size = len(sample.members)
    texts = [
        f"<b>{size:,}</b> {html.plural('image', size)}, {html.percent(size, len(facts.collection))}",
        f"similarity to the centre {sample.similarity:.3f}",
    ]
    labels = Counter(facts.members[sample.members].tolist())
    common = [(label, count) for label, count in labels.most_common(6) if label >= 0][:5]
    texts += [
        f'<span class="text">{escape(html.shorten(facts.names[label]))}</span> {html.percent(count, size)}'
        for label, count in common
    ]
    strips = _strip(facts, "typical, the one in the middle first", [sample.medoid, *sample.near])
    strips += _strip(facts, "unusual", sample.edge)
    dot = f'<span class="dot" style="background:{facts.cluster_colors[number]}"></span>'
    return (
        f'<article class="cluster">\n<h3>{dot}Cluster {number}</h3>\n<p class="soft">{" · ".join(texts)}</p>\n'
        f'<div class="strips">\n{strips}</div>\n</article>'
    )


def _strip(facts: Facts, title: str, positions: list[int]) -> str:
    if not positions:
        return ""
    items = "".join(f"<li>{html.image(facts, position)}</li>" for position in positions)
    return f'<div class="strip"><p>{title}</p><ul class="tiles">{items}</ul></div>\n'


def _curve(facts: Facts) -> str:
    """Return how the number of clusters was chosen."""
    if facts.clusters is None or not facts.chose_k or len(facts.clusters.curve) < 2:
        return ""
    k = len(facts.clusters.medoids)
    light, dark = (curve_figure(facts.clusters.curve, chosen=k, dark=dark) for dark in (False, True))
    alt = "; ".join(f"k {number}: {value:.3f}" for number, value in facts.clusters.curve)
    why = f"{k} is the finest number on the plateau of the silhouette: within {PLATEAU:g} of the best."
    return f'<p>{why}</p>\n<figure class="curve">{html.themed(light, dark, alt)}</figure>'


def _labels(facts: Facts) -> str:
    """Return how many images of each label are in each cluster."""
    if facts.clusters is None or not facts.names:
        return ""
    if len(facts.names) > _MAX_LABELS:
        return f"<p>With {len(facts.names):,} labels the table is left out (it is drawn up to {_MAX_LABELS}).</p>"
    table = cluster_label_table(facts, facts.clusters)
    columns = [label for _, label in sorted(best_labels(facts, facts.clusters))]
    columns += [label for label in range(len(facts.names)) if label not in columns]
    heads = "".join(f'<th scope="col">{html.named(facts.names[label])}</th>' for label in columns)
    rows = "".join(
        f'<tr><th scope="row">cluster {number}</th>{html.heat_cells(table[number, columns])}</tr>\n'
        for number in range(min(len(table), MAX_CLUSTERS))
    )
    return (
        "<p>Images of each cluster and label. The stronger the colour, the larger its share of the cluster.</p>\n"
        '<div class="scroll" tabindex="0" role="region" aria-label="Counts of clusters and labels">\n'
        '<table class="heat">\n'
        f"<thead><tr><td></td>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>"
    )


def _quality(facts: Facts) -> str:
    """Return how good each cluster is, and beside what would be found without meaning, where that was asked for."""
    judged, found = facts.judged, facts.clusters
    if judged is None or found is None or len(found.medoids) < 2:
        return ""
    quality = judged.quality
    steady, labelled = bool((quality.stability >= 0).any()), bool(facts.names)
    heads = [
        "cluster",
        "images",
        "cohesion",
        *(["stability"] if steady else []),
        *(["purity", "most common label"] if labelled else []),
        *(["", "found without the model"] if judged.weak is not None else []),
    ]
    lines = []
    for at in range(min(len(found.medoids), MAX_CLUSTERS)):
        dot = f'<span class="dot" style="background:{facts.cluster_colors[at]}"></span>'
        cells = [f"{dot} Cluster {at}", f'<td class="num">{quality.sizes[at]:,}</td>', html.bar(quality.cohesion[at])]
        cells += [html.bar(quality.stability[at])] if steady else []
        if labelled:
            labels = Counter(label for label in facts.members[found.labels == at].tolist() if label >= 0)
            common = html.named(facts.names[labels.most_common(1)[0][0]]) if labels else ""
            cells += [html.bar(quality.purity[at]), common]
        if judged.weak is not None:
            cells += ["<td><b>weak</b></td>" if judged.weak[at] else "", ", ".join(judged.also_in[at])]
        lines.append(cells)
    why = "Cohesion (mean silhouette): above 0, images are closer to their own cluster than to the next one. "
    if labelled:
        missing = bool((facts.members[found.labels >= 0] < 0).any())
        of = " among the images that have one" if missing else ""  # the list of clusters above counts all images
        why += f"Purity is the share of the most common label{of}. "
    if judged.weak is None:
        why += html.commands("To compare with clusters of shuffled vectors, run 'dinoscope cluster --nulls'.")
    return f"<p>{why.strip()}</p>\n{html.table(heads, lines, right=(1,), style='bars')}{_nulls(facts)}"


def _weak(facts: Facts) -> str:
    """Say how many clusters mean nothing; "" where they were not compared with clusters of shuffled vectors."""
    if facts.judged is None or facts.judged.weak is None:
        return ""
    weak = int(facts.judged.weak.sum())
    total = len(facts.judged.weak)
    return (
        f"{weak} of {total} clusters {'is' if weak == 1 else 'are'} weak: no more cohesive than clusters of shuffled "
        "features, or not stable."
        if weak
        else f"All {total} clusters are more cohesive than those that the same recipe finds in shuffled features."
    )


def _nulls(facts: Facts) -> str:
    """Return the scores of the whole beside those of the nulls."""
    judged = facts.judged
    if judged is None or not judged.nulls:
        return ""
    columns = [("these clusters", judged.quality, judged.agreement)]
    columns += [(null.name, null.quality, null.agreement) for null in judged.nulls]
    lines = [["silhouette, in its own vectors", *(html.number(quality.silhouette) for _, quality, _ in columns)]]
    for name in judged.agreement:
        title = "accuracy" if name == "accuracy" else name.upper()
        lines.append([f"{title} with the labels", *(html.number(agreed[name]) for _, _, agreed in columns)])
    heads = ["", *(name for name, _, _ in columns)]
    table = html.table(heads, lines, right=range(1, len(heads)))
    return f"<h3>Compared with clusters that mean nothing</h3>\n{table}"
