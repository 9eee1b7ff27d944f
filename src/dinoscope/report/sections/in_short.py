"""The report's first section: the collection in five points."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from dinoscope.report import html
from dinoscope.wording.findings import tell_your_check
from dinoscope.wording.in_short import in_short as tell_in_short

if TYPE_CHECKING:
    from dinoscope.report.facts import Facts

__all__ = ["in_short"]


def in_short(facts: Facts) -> str:
    """Return what it is, whether the map can be trusted, duplicates, labels to check, and the next step."""
    found = facts.findings
    copies = 0 if found is None else sum(len(found.duplicates.groups[at]) - 1 for at in facts.kept["duplicates"])
    told = tell_in_short(
        facts.collection,
        quality=facts.quality,
        explanation=facts.explanation,
        kept=None if found is None else facts.kept,
        copies=copies,
        dismissed={kind: len(keys) - len(facts.kept[kind]) for kind, keys in found.keys.items()} if found else {},
        checked=tell_your_check("label_errors", checked) if (checked := facts.checked.get("label_errors")) else "",
    )
    lines = "".join(
        f'<li class="{"next" if each.command else each.tone}"><b class="text">{escape(each.verdict)}</b> '
        f'<span class="text">{escape(each.text)}</span>'
        f"{f'<code>{escape(each.command)}</code>' if each.command else ''}</li>\n"
        for each in told
    )
    return html.section("in-short", "In short", "", f'<ul class="points">\n{lines}</ul>')
