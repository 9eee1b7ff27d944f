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
from dinoscope.report.facts import EVIDENCE, EXAMPLES, SHOWN, Facts, Query, QueryGroup
from dinoscope.stages.cleaning.copies import keep_first
from dinoscope.stages.cleaning.findings import labels_of
from dinoscope.wording.findings import LABELS_ORDER, NO_CROPS, tell_few, tell_labels, tell_self_test, tell_your_check
from dinoscope.wording.labels import tell_calibration

if TYPE_CHECKING:
    from dinoscope.analysis.labels.evaluation import Evaluation
    from dinoscope.stages.cleaning.checks import Checkable

__all__ = ["cleaning", "evaluation", "queries"]

_MAX_LABELS = 30  # lines of the confusion table
_OPEN, _OPEN_LABELS, _OPEN_GROUPS = 3, 4, 3  # findings of a kind, labels to check, look-alikes that are not folded


def queries(facts: Facts) -> str:
    """Return of each label, or of each cluster, the images whose look-alikes are best, typical and worst."""
    if not facts.queries:
        return ""
    if facts.names:
        by = "by how many of its nearest images have its label"
        why = "For each label, the image whose look-alikes are best, a typical one and the worst, " + by
        why += ". Another label is named below its image."
    else:
        why = "For each cluster, the image with the closest look-alikes, a typical one and the one with the farthest."
    why += " The number is the similarity (cosine, 1 is the same)."
    groups = [_query_group(facts, each) for each in facts.queries]
    rest = f"{html.counted(len(groups) - _OPEN_GROUPS, 'more label' if facts.names else 'more cluster')}"
    more = html.fold(rest, "\n".join(groups[_OPEN_GROUPS:]))
    return html.section("queries", "Look-alikes", why, "\n".join(groups[:_OPEN_GROUPS]) + more)


def _query_group(facts: Facts, group: QueryGroup) -> str:
    titles = {1: ("",), 2: ("Best", "Worst"), 3: ("Best", "Typical", "Worst")}[len(group.queries)]
    articles = "".join(_query(facts, title, query) for title, query in zip(titles, group.queries, strict=True))
    return f'<h3>{html.named(group.name)}</h3>\n<div class="queries">\n{articles}</div>\n'


def _query(facts: Facts, title: str, query: Query) -> str:
    collection = facts.collection
    own = collection.labels[query.position]
    items, same = "", 0
    for match in query.found:
        same += match.label == own
        differs = own is not None and match.label is not None and match.label != own
        style = ' class="differs"' if differs else ""
        picture = html.image(facts, collection.position(match.row))
        name = html.named(match.label) if differs else ""
        items += (
            f'<li data-row="{match.row}"{style}>{picture}'
            f'<span class="name"><b>{match.similarity:.2f}</b> {name}</span></li>\n'
        )
    row, name = int(collection.rows[query.position]), str(collection.ids[query.position])
    told = [
        *([f"<b>{title}</b>"] if title else []),
        *([f"{same} of {len(query.found)}"] if facts.names and own is not None else []),
    ]
    told.append(f'<span class="text" title="{escape(name)}">{escape(html.short_id(name))}</span>')
    main = f'<li class="main">{html.image(facts, query.position)}</li>'
    return (
        f'<article class="query" data-row="{row}"><p class="soft">{" · ".join(told)}</p>\n'
        f'<ol class="tiles">{main}{items}</ol></article>\n'
    )


def evaluation(facts: Facts) -> str:
    """Return how well neighbours find the labels, and how far to trust the probabilities."""
    found = facts.evaluation
    if found is None:
        return ""
    low, high = found.interval
    how = "Each image was left out in turn"
    if found.method != "leave-one-out":
        by = voting_split(facts.collection.splits, found.method)
        how = f"The images of {found.method} were named by {'the training images' if by else 'all others'}"
    why = (
        f"How often the nearest neighbours name an image right. {how} ({html.counted(len(found.positions), 'image')}). "
        "Expect the same of new images, within the interval."
    )
    lines = [
        ("accuracy", html.bar(found.accuracy), f"share named right (95% interval {low:.3f} to {high:.3f})"),
        ("calibration error", html.bar(found.calibrated.error), tell_calibration(found)),
        (
            "sets with the right label",
            html.bar(found.coverage),
            f"measured on these images; asked for {found.set_level:g}; {found.set_size:.2f} labels a set on average",
        ),
        ("called unknown", html.bar(found.refused), "share of these images, though all have a known label"),
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
    left_out = len(found.labels) - len(labels)
    rest = f"<p>The {left_out:,} labels found best are not shown.</p>" if left_out else ""
    per_label = html.table(("label", "images", "precision", "recall"), labels, right=(1, 2, 3), style="bars") + rest
    light, dark = (
        reliability_figure(found.votes, found.calibrated, dark=shade, format="webp") for shade in (False, True)
    )
    alt = f"Probability claimed against share named right; calibration error {found.calibrated.error:.3f}"
    content = (
        html.table(("", "value", "meaning"), lines, right=(1,), style="bars meanings")
        + _mixed_up(facts, found)
        + html.fold("Each label, the worst first", per_label)
        + html.fold("Which label is named as which", _named_as(found))
        + html.fold(
            "How far the probabilities can be trusted",
            f'<figure class="curve">{html.themed(light, dark, alt)}</figure>',
        )
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
        "<p>The lines are the true labels, the columns the labels that the neighbours give.</p>\n"
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
    items = [
        f'<article class="finding"><p>{html.named(pair.true)} named {html.named(pair.predicted)}: '
        f"<b>{html.counted(pair.images, 'time')}</b> ({pair.share:.0%})</p>"
        + html.tiles([("", html.image(facts, at), "") for at in pair.examples])
        + "</article>\n"
        for pair in found.confusions[:EXAMPLES]
    ]
    return f"<h3>Labels mixed up most</h3>\n{_folded(items, _OPEN)}"


def cleaning(facts: Facts) -> str:
    """Return near-duplicates, leaks, outliers and labels to check, as pictures with their evidence."""
    if facts.findings is None:
        return ""
    why = html.commands(
        "Look at these before you use the images. Nothing was changed: 'dinoscope clean' writes lists and a plan."
    )
    parts = (_duplicates(facts), _leaks(facts), _outliers(facts), _label_errors(facts))
    return html.section("cleaning", "Cleaning", why, "\n".join(part for part in parts if part))


def _duplicates(facts: Facts) -> str:
    assert facts.findings is not None
    found, groups = facts.findings.duplicates, facts.kept["duplicates"]
    extra = sum(len(found.groups[at]) - 1 for at in groups)
    text = (
        f"{html.counted(extra, 'image')} may show the same picture as another one and could go (similarity of "
        f"{found.threshold:.2f} or more). The first of a group is the one to keep."
        if extra
        else f"None found (similarity of {found.threshold:.2f} or more)."
    )
    text += f" {html.commands(NO_CROPS)}"
    blocks = []
    for at in groups[:SHOWN]:
        group = found.groups[at]
        items = [
            ("keep" if position == group[0] else "", html.image(facts, position), _name_of(facts, position))
            for position in group[:EVIDENCE]
        ]
        more = f", {len(group)} images" if len(group) > EVIDENCE else ""
        _, why = keep_first(facts.collection, group)
        head = f"similarity <b>{found.scores[at]:.3f}</b>{more}, keep the first: {why}"
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
    count = len(facts.kept["leaks"])
    text = f"{html.counted(count, 'picture')} {'seems' if count == 1 else 'seem'} to be in more than one split."
    return _part(facts, "Leaks between splits", "leaks", text, blocks)


def _outliers(facts: Facts) -> str:
    assert facts.findings is not None
    found = facts.findings.outliers
    blocks = []
    for at in facts.kept["outliers"][:SHOWN]:
        position = int(found.positions[at])
        items = [("doubt", html.image(facts, position), _name_of(facts, position))]
        items += [("", html.image(facts, each), _name_of(facts, each)) for each in found.neighbors[at, :3].tolist()]
        head = f"<b>{found.factors[position]:.2f}</b> times as far from its nearest images as they are from theirs"
        blocks.append(_finding(head, items))
    count = len(facts.kept["outliers"])
    stands, its = ("stands", "its") if count == 1 else ("stand", "their")
    text = f"{html.counted(count, 'image')} {stands} out, with {its} nearest beside." if count else "None found."
    text += _checked(facts, "outliers")
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
        head = f"{html.named(str(found.suggested[at]))}? <b>{found.probabilities[at]:.0%}</b> of the neighbours' votes"
        blocks.append(_finding(head, items))
    count = len(facts.kept["label_errors"])
    disagree = "disagrees with its" if count == 1 else "disagree with their"
    text = (
        f"{html.counted(count, 'label')} {disagree} nearest images, which are shown beside." if count else "None found."
    )
    text += f" {LABELS_ORDER}" if count > 1 else ""
    if test is not None:
        text += f" Self-test: {tell_self_test(test)}"
    text += f" {tell_few(facts.collection.labels)}{_checked(facts, 'label_errors')}"
    return _part(facts, "Labels to check", "label_errors", text, blocks)


def _checked(facts: Facts, kind: Checkable) -> str:
    """Return what a person's checks of some findings say about the others; "" if nobody checked."""
    found = facts.checked.get(kind)
    return f" {tell_your_check(kind, found)}" if found else ""


def _part(facts: Facts, title: str, kind: str, text: str, blocks: list[str]) -> str:
    """Return the findings of a kind, the first of them shown."""
    total = len(facts.kept[kind])
    if total > len(blocks):
        text += f" Below are the first {len(blocks)}."
    assert facts.findings is not None
    settled = len(facts.findings.keys[kind]) - total
    if settled:
        text += f" You called {html.counted(settled, 'other')} no problem."
    large = kind == "label_errors"
    blocks_shown = _folded(blocks, _OPEN_LABELS if large else _OPEN, "findings large" if large else "findings")
    return f"<h3>{title}</h3>\n<p>{text}</p>\n{blocks_shown}"


def _folded(blocks: list[str], first: int, style: str = "findings") -> str:
    """Return the first findings, and the others below a line that opens them."""
    shown, more = (
        f'<div class="{style}">\n{"".join(each)}</div>\n' if each else "" for each in (blocks[:first], blocks[first:])
    )
    return shown + html.fold(f"{len(blocks) - first} more", more)


def _finding(head: str, items: list[tuple[str, str, str]]) -> str:
    return f'<article class="finding"><p>{head}</p>{html.tiles(items)}</article>\n'


def _contradiction(facts: Facts, positions: Sequence[int]) -> str:
    """Return a badge for copies of one picture that have different labels."""
    told = tell_labels(labels_of(facts.collection, positions))
    return f"<b>{escape(told)}</b><br>" if told else ""


def _name_of(facts: Facts, position: int) -> str:
    """Return what is below a picture: its label, or its id where labels are not what it is about."""
    label = facts.collection.labels[position]
    return html.named(label if facts.names and label is not None else str(facts.collection.ids[position]))
