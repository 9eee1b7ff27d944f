"""The report's sections about single images: look-alikes, how well labels are found, and what to clean."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.splits import voting_split
from dinoscope.plots.evaluation import reliability_figure
from dinoscope.report import html
from dinoscope.report.facts import EVIDENCE, EXAMPLES, SHOWN, Facts
from dinoscope.stages.cleaning.copies import keep_first
from dinoscope.stages.cleaning.findings import labels_of
from dinoscope.wording.findings import NO_CROPS, tell_few, tell_labels, tell_self_test
from dinoscope.wording.labels import tell_calibration

if TYPE_CHECKING:
    from dinoscope.analysis.labels.evaluation import Evaluation
    from dinoscope.stages.queries.search import Match

__all__ = ["cleaning", "evaluation", "queries"]

_MAX_LABELS = 30  # lines of the confusion table


def queries(facts: Facts) -> str:
    """Return some images with those most like them."""
    if not facts.queries:
        return ""
    why = "Images picked at random, and those most like them by cosine similarity (1 is the same)."
    if facts.names:
        why += " ≠ marks another label than the query's."
    return html.section("queries", "Look-alikes", why, "\n".join(_query(facts, *each) for each in facts.queries))


def _query(facts: Facts, position: int, found: list[Match]) -> str:
    collection = facts.collection
    own = collection.labels[position]
    items = ""
    for match in found:
        differs = own is not None and match.label is not None and match.label != own
        style = ' class="differs"' if differs else ""
        picture = html.image(facts, collection.position(match.row))
        name = html.named(match.label if facts.names else match.id)
        items += (
            f'<li data-row="{match.row}"{style}>{picture}'
            f'<span class="name"><b>{match.similarity:.3f}</b> {name}</span></li>\n'
        )
    row = int(collection.rows[position])
    name = html.named(own if facts.names else collection.ids[position])
    head = f'<div class="main">{html.image(facts, position)}<span class="name"><b>row {row}</b> {name}</span></div>'
    return f'<article class="query" data-row="{row}">{head}\n<ol class="tiles">{items}</ol></article>'


def evaluation(facts: Facts) -> str:
    """Return how well the labels are found by neighbours, and how far the probabilities can be believed."""
    found = facts.evaluation
    if found is None:
        return ""
    low, high = found.interval
    how = "each left out in turn"
    if found.method != "leave-one-out":
        by = voting_split(facts.collection.splits, found.method)
        how = f"those of {found.method} by {'the training images' if by else 'all others'}"
    why = (
        f"{html.counted(len(found.positions), 'image')} named by {'their' if len(found.positions) > 1 else 'its'} "
        f"nearest neighbours, {how}: what a new image may expect."
    )
    lines = [
        ("accuracy", html.bar(found.accuracy), f"share named right; 95% interval {low:.3f} to {high:.3f}"),
        ("calibration error", html.bar(found.calibrated.error), tell_calibration(found)),
        (
            "sets that hold the truth",
            html.bar(found.coverage),
            f"measured on these images; asked for: {found.set_level:g}; {found.set_size:.2f} labels a set on average",
        ),
        ("called unknown", html.bar(found.refused), "share of these images, all of the known kind"),
    ]
    labels = [
        (
            html.named(each.label),
            f'<td class="num">{each.images:,}</td>',
            html.bar(each.precision),
            html.bar(each.recall),
        )
        for each in sorted(found.labels, key=lambda each: each.recall)[:_MAX_LABELS]
    ]
    per_label = html.table(("label", "images", "precision", "recall"), labels, right=(1, 2, 3), style="bars")
    light, dark = (
        reliability_figure(found.votes, found.calibrated, dark=shade, format="webp") for shade in (False, True)
    )
    alt = f"Probability claimed against share named right; calibration error {found.calibrated.error:.3f}"
    left_out = len(found.labels) - len(labels)
    rest = f"<p>The {left_out:,} labels found best are not shown.</p>" if left_out else ""
    content = (
        html.table(("", "value", "meaning"), lines, right=(1,), style="bars meanings")
        + f'<div class="maps">\n<div><h3>By label, the worst first</h3>\n{per_label}{rest}</div>\n'
        f"<figure>{html.themed(light, dark, alt)}</figure>\n</div>\n" + _named_as(found) + _mixed_up(facts, found)
    )
    return html.section("evaluation", "How well labels are found", why, content)


def _named_as(found: Evaluation) -> str:
    """Return the confusion matrix as a table whose colours show the shares."""
    names = [str(name) for name in found.names]
    if len(names) > _MAX_LABELS:
        return f"<p>With {len(names):,} labels the table is left out (it is drawn up to {_MAX_LABELS}).</p>"
    heads = "".join(f'<th scope="col">{html.named(name)}</th>' for name in names)
    rows = "".join(
        f'<tr><th scope="row">{html.named(name)}</th>{_confusion_cells(found.counts[at], at)}</tr>\n'
        for at, name in enumerate(names)
    )
    return (
        "<h3>True label by line, label given by column</h3>\n"
        '<div class="scroll" tabindex="0" role="region" aria-label="True and given labels">\n'
        '<table class="heat wrong">\n'
        f"<thead><tr><td></td>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n"
    )


def _confusion_cells(counts: NDArray[np.int64], own: int) -> str:
    total = max(1, int(counts.sum()))
    return "".join(
        f'<td class="{"right" if at == own else "zero" if not count else "miss"}" '
        f'style="--share:{count / total if at == own else min(1.0, (3 * count / total) ** 0.5):.2f}">'
        f"{f'{count:,}' if count else '·'}</td>"
        for at, count in enumerate(counts.tolist())
    )  # few mistakes of many: the root shows the rare ones


def _mixed_up(facts: Facts, found: Evaluation) -> str:
    """Return the labels that are mixed up most, with the mistakes about which the neighbours are surest."""
    if not found.confusions:
        return ""
    items = "".join(
        f'<article class="finding"><p>{html.named(pair.true)} named {html.named(pair.predicted)}: '
        f"<b>{pair.images:,}</b>, {pair.share:.1%} of the label</p>"
        + html.tiles([("", html.image(facts, at), "") for at in pair.examples])
        + "</article>\n"
        for pair in found.confusions[:EXAMPLES]
    )
    return f'<h3>Mixed up most, with the surest mistakes</h3>\n<div class="findings">\n{items}</div>\n'


def cleaning(facts: Facts) -> str:
    """Return near-duplicates, leaks, outliers and labels to check, as pictures with their evidence."""
    if facts.findings is None:
        return ""
    why = "What to look at before the images are used. Nothing was touched; dinoscope clean writes lists and a plan."
    parts = (_duplicates(facts), _leaks(facts), _outliers(facts), _label_errors(facts))
    return html.section("cleaning", "Cleaning", why, "\n".join(part for part in parts if part))


def _duplicates(facts: Facts) -> str:
    assert facts.findings is not None
    found, groups = facts.findings.duplicates, facts.kept["duplicates"]
    extra = sum(len(found.groups[at]) - 1 for at in groups)
    text = (
        f"{html.counted(extra, 'image')} could go: each group shows one picture, the one to keep first"
        if extra
        else "None found"
    ) + f" (threshold {found.threshold:.2f}). {NO_CROPS}"
    blocks = []
    for at in groups[:SHOWN]:
        group = found.groups[at]
        items = [
            ("keep" if position == group[0] else "", html.image(facts, position), _name_of(facts, position))
            for position in group[:EVIDENCE]
        ]
        more = f", {len(group)} images" if len(group) > EVIDENCE else ""
        _, why = keep_first(facts.collection, group)
        head = f"score <b>{found.scores[at]:.3f}</b>{more}; kept: {why}"
        blocks.append(_finding(_contradiction(facts, group) + head, items))
    return _part(facts, "Near-duplicates", "duplicates", text, blocks)


def _leaks(facts: Facts) -> str:
    assert facts.findings is not None
    leaks = facts.findings.leaks
    blocks = []
    for at in facts.kept["leaks"][:SHOWN]:
        items = [
            ("", html.image(facts, position), html.named(facts.collection.splits[position]))
            for position in leaks[at].positions[:EVIDENCE]
        ]
        head = f"in {escape(', '.join(leaks[at].splits))}"
        blocks.append(_finding(_contradiction(facts, leaks[at].positions) + head, items))
    if not blocks:
        return ""
    text = f"{html.counted(len(facts.kept['leaks']), 'picture')} in more than one split."
    return _part(facts, "Leaks between splits", "leaks", text, blocks)


def _outliers(facts: Facts) -> str:
    assert facts.findings is not None
    found = facts.findings.outliers
    blocks = []
    for at in facts.kept["outliers"][:SHOWN]:
        position = int(found.positions[at])
        items = [("doubt", html.image(facts, position), _name_of(facts, position))]
        items += [("", html.image(facts, each), _name_of(facts, each)) for each in found.neighbors[at, :3].tolist()]
        blocks.append(_finding(f"<b>{found.factors[position]:.2f}</b> times as thin as its nearest, beside it", items))
    count = len(facts.kept["outliers"])
    text = f"{html.counted(count, 'image')} far from all others." if count else "None found."
    return _part(facts, "Outliers", "outliers", text, blocks)


def _label_errors(facts: Facts) -> str:
    assert facts.findings is not None
    found, test = facts.findings.label_errors, facts.findings.self_test
    if found is None:
        return ""
    blocks = []
    for at in facts.kept["label_errors"][:SHOWN]:
        position = int(found.positions[at])
        items = [("doubt", html.image(facts, position), _name_of(facts, position))]
        items += [("", html.image(facts, each), _name_of(facts, each)) for each in found.neighbors[at, :3].tolist()]
        head = f"{html.named(str(found.suggested[at]))}? <b>{found.probabilities[at]:.0%}</b> of its neighbours' votes"
        blocks.append(_finding(head, items))
    count = len(facts.kept["label_errors"])
    text = f"{html.counted(count, 'label')} contradicted by the nearest neighbours." if count else "None found."
    if test is not None:
        text += f" Self-test: {tell_self_test(test)}"
    text += f" {tell_few(facts.collection.labels)}"
    return _part(facts, "Labels to check", "label_errors", text, blocks)


def _part(facts: Facts, title: str, kind: str, text: str, blocks: list[str]) -> str:
    """Return the findings of a kind, the first of them shown."""
    total = len(facts.kept[kind])
    if total > len(blocks):
        text += f" The first {len(blocks)}:"
    assert facts.findings is not None
    settled = len(facts.findings.keys[kind]) - total
    if settled:
        text += f" {html.counted(settled, 'other')} {'was' if settled == 1 else 'were'} found to be no problem."
    shown = f'\n<div class="findings">\n{"".join(blocks)}</div>' if blocks else ""
    return f"<h3>{title}</h3>\n<p>{text}</p>{shown}"


def _finding(head: str, items: list[tuple[str, str, str]]) -> str:
    return f'<article class="finding"><p>{head}</p>{html.tiles(items)}</article>\n'


def _contradiction(facts: Facts, positions: Sequence[int]) -> str:
    """Return a badge for copies of one picture that have different labels."""
    told = tell_labels(labels_of(facts.collection, positions))
    return f"<b>{escape(told)}</b><br>" if told else ""


def _name_of(facts: Facts, position: int) -> str:
    """Return what stands below a picture: its label, or its id where labels are not what it is about."""
    label = facts.collection.labels[position]
    return html.named(str(facts.collection.ids[position]) if label is None else label)
