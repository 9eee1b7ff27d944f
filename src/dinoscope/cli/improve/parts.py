"""What is to be looked at before a collection is used: each kind of finding for people, for files and for a sheet."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dinoscope.analysis.cleaning.duplicates import Duplicates
    from dinoscope.analysis.cleaning.leaks import Leak
    from dinoscope.analysis.cleaning.outliers import Outliers
    from dinoscope.analysis.labels.label_errors import LabelErrors, SelfTest
    from dinoscope.collection import Collection
    from dinoscope.plots.sheets import Block
    from dinoscope.stages.cleaning.checks import Checkable

__all__ = ["Part", "examine"]

_EVIDENCE = 5  # neighbours shown beside a finding


@dataclass
class Part:
    """What was found of one kind: lines for people, records for files, blocks for the sheet."""

    title: str
    columns: tuple[str, ...]
    remark: str
    records: list[dict[str, object]] = field(default_factory=list)  # one an image
    lines: list[tuple[str, ...]] = field(default_factory=list)  # one a finding
    briefs: list[str] = field(default_factory=list)  # one a finding: what it is, without its evidence
    blocks: list[Block] = field(default_factory=list)
    moves: list[dict[str, object]] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)
    note: str = ""
    dismissed: int = 0


def examine(
    opened: Collection, wanted: set[str], threshold: float | None, *, calibrate: Sequence[str]
) -> dict[str, Part]:
    """Run what was asked for, in the order of the report; ``calibrate`` is the command that asks about pictures."""
    from dinoscope.stages.cleaning import findings as analysis_findings

    parts: dict[str, Part] = {}
    if wanted & {"duplicates", "leaks"}:
        found = analysis_findings.duplicates(opened, threshold)
        if "duplicates" in wanted:
            parts["duplicates"] = _duplicates(opened, found, threshold is not None, alone="crops" not in wanted)
        if "leaks" in wanted:
            parts["leaks"] = _leaks(opened, found.threshold, analysis_findings.leaks(opened, found))
    if "crops" in wanted:
        parts["crops"] = _crops(opened, threshold)
    if "outliers" in wanted:
        parts["outliers"] = _outliers(opened, analysis_findings.outliers(opened))
    if "label_errors" in wanted:
        parts["label_errors"] = _label_errors(opened, *analysis_findings.label_errors(opened))
    if "pictures" in wanted:
        parts["pictures"] = _pictures(opened, calibrate)
    for part in parts.values():
        if part.dismissed:
            summary, line, more = part.remark.partition("\n")
            part.remark = f"{summary}; {_count(part.dismissed, 'other')} dismissed{line}{more}"
    return parts


def _open(opened: Collection, part: Part, kind: str, found: Sequence[Sequence[int]]) -> list[int]:
    """Return the numbers of the findings that nobody has dismissed, and count the others."""
    from dinoscope.stages.cleaning.findings import not_dismissed

    left = not_dismissed(opened, kind, found)
    part.dismissed = len(found) - len(left)
    return left


def _key(opened: Collection, kind: str, positions: Sequence[int]) -> dict[str, str]:
    from dinoscope.stages.cleaning.findings import finding_key

    return {"key": finding_key(opened, kind, positions)}


def _checked(opened: Collection, kind: Checkable) -> str:
    """Return a line on how many of a list a person's answers show to be right; "" before there are any."""
    from dinoscope.wording.findings import tell_checked

    found = opened.findings_checked(kind)
    return f"\nchecked: {tell_checked(kind, found)}" if found.checked else ""


def _duplicates(opened: Collection, found: Duplicates, asked: bool, *, alone: bool) -> Part:
    from dinoscope.plots.sheets import Block, Tile
    from dinoscope.stages.cleaning.copies import keep_first
    from dinoscope.stages.cleaning.findings import labels_of
    from dinoscope.wording.findings import NO_CROPS, tell_labels

    limit = f"{found.threshold:.2f}"
    how = "asked for"
    if not asked:
        fit = opened.threshold_fit()
        how = f"by {fit.answers} answers" if fit.enough else "suggested by the collection"
    part = Part(
        "duplicates",
        ("score", "keep", "because it is", "and the same picture"),
        "",
        note="green: the image to keep; score: how far the least similar pair stands out from what else "
        "looks like it, 1 is an exact copy",
    )
    left = _open(opened, part, "duplicates", found.groups)
    extra = sum(len(found.groups[at]) - 1 for at in left)
    part.remark = f"{_count(extra, 'image')} of {_count(len(left), 'group')} could go" if extra else "none found"
    part.remark += f" (threshold {limit}, {how})"
    if how.startswith("suggested"):
        part.remark += "; 'dinoscope calibrate' asks you what is the same"
    if alone:  # crops have a list of their own otherwise
        part.remark += f"\n{NO_CROPS}"
    part.facts = {"threshold": found.threshold, "suggested": found.suggested, "groups": len(left)}
    mixed = sum(len(labels_of(opened, found.groups[at])) > 1 for at in left)
    if mixed:
        part.remark += f"\n{_count(mixed, 'group')} with two labels or more: check these first"
    for number, chosen in enumerate(left, 1):
        group, score = found.groups[chosen], found.scores[chosen]
        contradiction = tell_labels(labels_of(opened, group))
        keeper, (_, why) = group[0], keep_first(opened, group)
        exact = {at: found.copy_of[at] == found.copy_of[keeper] for at in group}
        for at in group:
            action = "keep" if at == keeper else "remove"
            width, height = opened.sizes[at].tolist()
            part.records.append(
                {
                    "group": number,
                    **_who(opened, at),
                    "action": action,
                    "exact": bool(exact[at]) and at != keeper,
                    "score": round(score, 4),
                    "width": width,
                    "height": height,
                    "reason": why if at == keeper else None,
                    **_key(opened, "duplicates", group),
                }
            )
            if at != keeper:
                reason = "exact copy" if exact[at] else f"near-duplicate (score {score:.3f}); the one kept is {why}"
                part.moves.append(_move(opened, "remove", at, reason, keeper))
        others = _some([_name(opened, at) for at in group[1:]])
        others += f". {contradiction}" if contradiction else ""
        part.lines.append((f"{score:.3f}", _name(opened, keeper), why, others))
        brief = f"{score:.3f}  keep {_name(opened, keeper)}, not {_some([_name(opened, at) for at in group[1:]], 1)}"
        part.briefs.append(f"{brief}. {contradiction}" if contradiction else brief)
        tiles = tuple(
            Tile(
                at,
                (
                    opened.ids[at],
                    "x".join(map(str, opened.sizes[at].tolist())) + (" copy" if exact[at] and at != keeper else ""),
                ),
                "keep" if at == keeper else "none",
            )
            for at in group
        )
        head = f"{number} · {contradiction or f'score {score:.3f}'}{_and_more(len(group))} · kept: {why}"
        part.blocks.append(Block(head, tiles))
    return part


def _leaks(opened: Collection, threshold: float, leaks: tuple[Leak, ...]) -> Part:
    from dinoscope.base.splits import split_roles
    from dinoscope.plots.sheets import Block, Tile
    from dinoscope.stages.cleaning.findings import labels_of
    from dinoscope.wording.findings import tell_labels

    part = Part("leaks", ("score", "splits", "images"), "left out: the images are not in two splits or more")
    if len({split for split in opened.splits if split is not None}) < 2:
        return part
    left = _open(opened, part, "leaks", [leak.positions for leak in leaks])
    part.remark = f"{_count(len(left), 'picture')} in more than one split" if left else "none found"
    part.facts = {"threshold": threshold, "groups": len(left)}
    part.note = "the same picture in several splits; red: in train, the one to take out"
    roles = split_roles(opened.splits)
    for number, chosen in enumerate(left, 1):
        leak = leaks[chosen]
        keeper = next((at for at in leak.positions if roles.get(opened.splits[at]) != "train"), leak.positions[0])
        for at in leak.positions:
            key = _key(opened, "leaks", leak.positions)
            part.records.append({"group": number, **_who(opened, at), "score": round(leak.score, 4), **key})
            if at != keeper:
                reason = f"also in {opened.splits[keeper]} (score {leak.score:.3f})"
                part.moves.append(_move(opened, "remove", at, reason, keeper))
        names = [f"{_name(opened, at)} [{opened.splits[at]}]" for at in leak.positions]
        contradiction = tell_labels(labels_of(opened, leak.positions))
        told = _some(names) + (f". {contradiction}" if contradiction else "")
        part.lines.append((f"{leak.score:.3f}", ", ".join(leak.splits), told))
        part.briefs.append(f"{leak.score:.3f}  {_some(names, 2)}")
        tiles = tuple(
            Tile(
                at, (opened.ids[at], opened.splits[at]), "doubt" if roles.get(opened.splits[at]) == "train" else "none"
            )
            for at in leak.positions
        )
        part.blocks.append(Block(f"{number} · score {leak.score:.3f}{_and_more(len(tiles))}", tiles))
    return part


def _crops(opened: Collection, threshold: float | None) -> Part:
    from dinoscope.cli.terminal import counting
    from dinoscope.plots.sheets import Block, Tile

    with counting("images looked into, and compared") as show:
        found = opened.crops(threshold=threshold, on_progress=show)
    part = Part("crops", ("score", "image", "shows of it", "the whole picture"), "")
    pairs = list(zip(found.parts.tolist(), found.wholes.tolist(), strict=True))
    left = _open(opened, part, "crops", pairs)
    part.remark = f"{_count(len(left), 'image')} may be a part of another one" if left else "none found"
    part.note = "the part, and beside it the whole picture; score: correlation with its place there, 1 is the same"
    for number, chosen in enumerate(left, 1):
        at, whole = pairs[chosen]
        score, share = float(found.scores[chosen]), float(found.shares[chosen])
        key = _key(opened, "crops", [at, whole])
        whole_of = {"whole": int(opened.rows[whole]), "whole_id": opened.ids[whole]}
        part.records.append(
            {"rank": number, **_who(opened, at), **whole_of, "score": round(score, 4), "share": round(share, 4), **key}
        )
        part.moves.append(_move(opened, "review", at, f"a part of another picture (score {score:.2f})", whole))
        part.lines.append((f"{score:.2f}", _name(opened, at), f"{share:.0%}", _name(opened, whole)))
        part.briefs.append(f"{score:.2f}  {_name(opened, at)}: {share:.0%} of {_name(opened, whole)}")
        tiles = (Tile(at, (opened.ids[at], opened.label_text(at)), "doubt"), Tile(whole, (opened.ids[whole], "")))
        part.blocks.append(Block(f"{number} · score {score:.2f} · {share:.0%} of the other", tiles))
    return part


def _outliers(opened: Collection, found: Outliers) -> Part:
    from dinoscope.plots.sheets import Block, Tile

    part = Part("outliers", ("factor", "image", "label", "its nearest"), "left out: fewer than three images")
    if len(opened) < 3:
        return part
    left = _open(opened, part, "outliers", found.positions[:, None].tolist())
    far = "far from all others (local outlier factor, 1 is typical)"
    part.remark = f"{_count(len(left), 'image')} {far}" if left else "none found"
    part.remark += _checked(opened, "outliers")
    part.note = (
        "red: the image; beside it its nearest; factor: how much farther it is from them than they are from theirs, "
        "1 is typical"
    )
    for number, chosen in enumerate(left, 1):
        at, near = int(found.positions[chosen]), found.neighbors[chosen, :_EVIDENCE].tolist()
        factor = float(found.factors[at])
        part.records.append(
            {
                "rank": number,
                **_who(opened, at),
                "factor": round(factor, 4),
                "z_score": round(float(found.z_scores[at]), 2),
                "neighbors": _rows(opened, near),
                **_key(opened, "outliers", [at]),
            }
        )
        part.moves.append(_move(opened, "review", at, f"outlier (factor {factor:.2f})"))
        part.lines.append(
            (
                f"{factor:.2f}",
                _name(opened, at),
                opened.label_text(at),
                _some([_name(opened, each) for each in near], 3),
            )
        )
        part.briefs.append(f"{factor:.2f}  {_name(opened, at)}")
        tiles = [Tile(at, (opened.ids[at], opened.label_text(at)), "doubt")]
        tiles += [Tile(each, (opened.ids[each], opened.label_text(each))) for each in near[:3]]
        part.blocks.append(Block(f"{number} · factor {factor:.2f}", tuple(tiles)))
    return part


def _label_errors(opened: Collection, found: LabelErrors | None, test: SelfTest | None) -> Part:
    from dinoscope.plots.sheets import Block, Tile
    from dinoscope.wording.findings import LABELS_ORDER, tell_few, tell_self_test

    few = tell_few(opened.labels)
    part = Part(
        "labels to check",
        ("share", "image", "label", "suggested", "labels of its nearest"),
        f"left out: fewer than two labels with {'three images or more' if few else 'images'}" + (few and f"\n{few}"),
    )
    if any(opened.label_sets):
        part.remark = "left out: images may have several labels, and this list is for one label per image"
    if found is None:
        return part
    left = _open(opened, part, "label_errors", found.positions[:, None].tolist())
    part.remark = f"{_count(len(left), 'label')} contradicted by the nearest neighbours" if left else "none found"
    part.remark += f"\n{LABELS_ORDER}" if len(left) > 1 else ""
    if test is not None:
        part.facts = {"self_test": vars(test)}
        part.remark += "\nself-test: " + tell_self_test(test).replace(". ", ".\n")
    part.remark += f"\n{few}" if few else ""
    part.remark += _checked(opened, "label_errors")
    part.note = "red: the image, with its label and what its neighbours say; beside it the nearest, with their labels"
    for number, chosen in enumerate(left):
        at, share = int(found.positions[chosen]), float(found.probabilities[chosen])
        suggested, voters = str(found.suggested[chosen]), found.neighbors[chosen].tolist()[:_EVIDENCE]
        votes = [str(opened.labels[each]) for each in voters]
        part.records.append(
            {
                "rank": number + 1,
                **_who(opened, at),
                "suggested": suggested,
                "probability": round(share, 4),
                "score": round(float(found.scores[chosen]), 4),
                "neighbors": _rows(opened, voters),
                "neighbor_labels": " | ".join(votes),
                **_key(opened, "label_errors", [at]),
            }
        )
        move = _move(opened, "relabel", at, f"{share:.0%} of the neighbours' votes")
        part.moves.append({**move, "label": opened.labels[at], "suggested": suggested})
        part.lines.append((f"{share:.0%}", _name(opened, at), str(opened.labels[at]), suggested, _tally(votes)))
        part.briefs.append(f"{share:.0%}  {_name(opened, at)}: {opened.labels[at]}, or {suggested}?")
        tiles = [Tile(at, (opened.labels[at], f"or {suggested}?"), "doubt")]
        tiles += [Tile(each, (vote, opened.ids[each])) for each, vote in zip(voters[:3], votes, strict=False)]
        part.blocks.append(Block(f"{number + 1} · {_name(opened, at)}: {share:.0%} for {suggested}", tuple(tiles)))
    return part


def _pictures(opened: Collection, calibrate: Sequence[str]) -> Part:
    from dinoscope.base.types import PICTURE_KINDS
    from dinoscope.plots.sheets import Block, Tile
    from dinoscope.stages.cleaning.findings import poor_pictures
    from dinoscope.stages.cleaning.pictures import SMALL, from_thumbnails, without_lines
    from dinoscope.wording.findings import counted_pictures, tell_are, tell_poor_picture, tell_without_lines

    found, fits = poor_pictures(opened)
    part = Part("poor pictures", ("kind", "image", "what was measured"), "")
    left = set(_open(opened, part, "pictures", found.positions[:, None].tolist()))
    shown = [number for number in range(len(found.positions)) if number in left]
    names = [PICTURE_KINDS[found.kinds[number]] for number in shown]
    counts = [counted_pictures(names.count(kind), kind) for kind in PICTURE_KINDS if kind in names]
    part.remark = ", ".join(counts) or "none found"
    told = [kind for kind, fit in fits.items() if fit.enough]
    if told:
        part.remark += f"\nby your answers: {', '.join(map(tell_are, told))}"
    elif names:
        command = shlex.join([*calibrate, "--kind", names[0].replace(" ", "-")])
        part.remark += f"\n'{command}' asks you which pictures are {tell_are(names[0])}"
    if found.common:
        common = " and ".join(map(tell_are, found.common))
        part.remark += f"\nmore than a quarter of the pictures are {common}: that is their style"
    if from_thumbnails(opened) and opened.sizes.max() > SMALL:
        part.remark += "\nmeasured on small copies, where slight blur does not show"
    if missing := without_lines(opened):
        part.remark += f"\n{tell_without_lines(missing)}"
    part.note = "the worst of each kind first"
    part.facts = {"common": list(found.common), "by_answers": told}
    for number, kind in zip(shown, names, strict=True):
        at, value = int(found.positions[number]), float(found.values[number])
        measured = tell_poor_picture(kind, value)
        key = _key(opened, "pictures", [at])
        part.records.append({"kind": kind, **_who(opened, at), "value": round(value, 4), "told": measured, **key})
        part.moves.append(_move(opened, "review", at, f"{kind}: {measured}"))
        part.lines.append((kind, _name(opened, at), measured))
        part.briefs.append(f"{kind}: {_name(opened, at)}")
    for kind in PICTURE_KINDS:
        tiles = [
            Tile(int(found.positions[number]), (opened.ids[found.positions[number]], ""))
            for number, name in zip(shown, names, strict=True)
            if name == kind
        ]
        if tiles:
            part.blocks.append(Block(counted_pictures(len(tiles), kind), tuple(tiles)))
    return part


def _move(opened: Collection, action: str, at: int, reason: str, keeper: int | None = None) -> dict[str, object]:
    move = {"action": action, "row": int(opened.rows[at]), "id": opened.ids[at], "content": opened.contents[at]}
    move |= {"reason": reason, "keeper": None}
    if keeper is not None:
        move |= {"keeper": int(opened.rows[keeper]), "keeper_id": opened.ids[keeper]}
        move["keeper_content"] = opened.contents[keeper]
    return move


def _who(opened: Collection, at: int) -> dict[str, object]:
    return {"row": int(opened.rows[at]), "id": opened.ids[at], "label": opened.labels[at], "split": opened.splits[at]}


def _name(opened: Collection, at: int) -> str:
    return f"{opened.ids[at]} (row {opened.rows[at]})"


def _rows(opened: Collection, positions: Sequence[int]) -> str:
    return " ".join(str(opened.rows[at]) for at in positions)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _some(names: Sequence[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _and_more(count: int) -> str:
    return f", {count} images" if count > 2 else ""


def _tally(votes: Sequence[str]) -> str:
    from collections import Counter

    return ", ".join(f"{count} {vote}" for vote, count in Counter(votes).most_common())
