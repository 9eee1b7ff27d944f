"""The command line's `classify` and `evaluate`: images named by their neighbours, and how good that is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dinoscope.cli.options import (
    CollectionPath,
    JsonOption,
    LabelsOption,
    ModelOption,
    WeightsOption,
    chosen_options,
    open_collection,
    output_option,
    write_picture,
)

if TYPE_CHECKING:
    from dinoscope.analysis.labels.classifier import Classifier, Verdict
    from dinoscope.analysis.labels.evaluation import Evaluation
    from dinoscope.analysis.labels.multilabel import MultiLabelEvaluation
    from dinoscope.analysis.labels.scoring import LabelScore
    from dinoscope.collection import Collection

__all__ = ["classify", "evaluate"]

_SHOWN = 3  # neighbours in a line of the table
_PAIRS = 8  # mixed-up pairs in the table
_LABELS = 30  # labels in the table
KOption = Annotated[int, typer.Option("-k", min=1, help="Number of neighbours that vote.")]
LevelOption = Annotated[float, typer.Option(help="How often the list of possible labels must hold the right one.")]
RefuseOption = Annotated[float, typer.Option(help="Share of images of the known kind that may be called unknown.")]


def classify(
    collection: CollectionPath,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Image files.")],
    k: KOption = 20,
    set_level: LevelOption = 0.9,
    refuse: RefuseOption = 0.05,
    model: ModelOption = None,
    labels_from: LabelsOption = "source",
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name images by their nearest labelled neighbours, and say how sure that is, or that they are unknown."""
    import numpy as np

    from dinoscope.cli.terminal import print_json, print_table, say, suggest, tell
    from dinoscope.errors import ImageError
    from dinoscope.wording.labels import tell_coverage

    opened = open_collection(collection, model, labels_from)
    # before a model is loaded: there may be no labels
    judge = opened.classifier(k=k, coverage=set_level, abstain=refuse)
    vectors, failures = {}, {}
    for image in images:
        try:
            vectors[image] = opened.query_vector(image, weights)
        except ImageError as error:
            failures[image] = error
    if not vectors:
        raise next(iter(failures.values()))
    stacked = np.stack(list(vectors.values()))
    found = dict(zip(vectors, opened.classify(stacked, k=k, coverage=set_level, abstain=refuse), strict=True))
    if as_json:
        print_json(
            [
                {"image": str(image), **_as_json(opened, found[image], judge)}
                if image in found
                else {"image": str(image), "error": str(failures[image])}
                for image in images
            ]
        )
        return
    print_table(
        ("image", "label", "probability", f"could be ({set_level:.0%} sure)", "farther out than", "nearest"),
        [(image.name, *_cells(opened, verdict)) for image, verdict in found.items()],
        right=(2, 4),
    )
    if told := tell_coverage(judge):
        tell(told)
    for failure in failures.values():
        say(f"could not be read: {failure}")
    suggest("search", collection, next(iter(found)), "--why", *chosen_options(model))


def evaluate(
    collection: CollectionPath,
    split: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="A split, named by the training images; leave-one-out; or auto: test or val, if there is one.",
        ),
    ] = "auto",
    output: Annotated[
        Path | None, output_option(help="Folder of the pictures; by default 'evaluation' in the collection.")
    ] = None,
    k: KOption = 20,
    set_level: LevelOption = 0.9,
    refuse: RefuseOption = 0.05,
    model: ModelOption = None,
    labels_from: LabelsOption = "source",
    as_json: JsonOption = False,
) -> None:
    """Say how often neighbours name images right, which labels they mix up, and whether the probabilities are true."""
    from dinoscope.cli.terminal import print_json, say, suggest, working
    from dinoscope.plots.evaluation import evaluation_figures

    opened = open_collection(collection, model, labels_from)
    if any(opened.label_sets):
        _evaluate_sets(opened.evaluate_sets(split, k=k), as_json)
        return
    found = opened.evaluate(split, k=k, coverage=set_level, abstain=refuse)
    paths = []
    with working("drawing the pictures"):
        pictures = evaluation_figures(found)
    for name, picture in pictures.items():
        path = (output or opened.path / "evaluation") / name
        if not write_picture(path, picture, asked=output is not None):
            break
        paths.append(path)
    if as_json:
        print_json({**_evaluation_as_json(opened, found), "pictures": [str(path) for path in paths]})
        return
    _print_evaluation(opened, found)
    for path in paths:
        say(f"picture: {path}")
    suggest("clean", collection, "--label-errors", *chosen_options(model, labels_from))


def _evaluate_sets(found: MultiLabelEvaluation, as_json: bool) -> None:
    from dataclasses import asdict

    from dinoscope.cli.terminal import print_json, print_table, say

    if as_json:
        print_json(asdict(found))
        return
    say("images may have several labels: the measures of one label (accuracy, calibration, confusions) are left out")
    meaning = (
        f"average precision of a label, mean of {len(found.labels):,} labels, of {found.images:,} images, "
        f"{found.method}; by chance {found.chance:.3f}"
    )
    print_table(("measure", "value", "meaning"), [("mAP", f"{found.mean:.3f}", meaning)], right=(1,))
    rows = [(each.label, f"{each.images:,}", f"{each.average_precision:.3f}") for each in found.labels[:_LABELS]]
    print_table(("label", "images", "average precision"), rows, right=(1, 2))
    if len(rows) < len(found.labels):
        typer.echo(f"the {len(rows)} most frequent labels, of {len(found.labels):,}; --json has all of them")


def _cells(collection: Collection, verdict: Verdict) -> tuple[str, ...]:
    """Return a verdict as the cells of a table."""
    nearest = ", ".join(
        f"{voter.label} {voter.similarity:.2f} (row {collection.rows[voter.position]})"
        for voter in verdict.voters[:_SHOWN]
    )
    outer = "" if verdict.percentile != verdict.percentile else f"{verdict.percentile:.0f}% of {verdict.label}"
    if verdict.unknown:
        return f"unknown (nearest: {verdict.label})", "", "", outer, nearest
    return str(verdict.label), f"{verdict.probability:.0%}", ", ".join(map(str, verdict.prediction_set)), outer, nearest


def _as_json(collection: Collection, verdict: Verdict, judge: Classifier) -> dict[str, object]:
    neighbors = [
        {
            "row": int(collection.rows[each.position]),
            "id": collection.ids[each.position],
            "label": each.label,
            "similarity": each.similarity,
        }
        for each in verdict.voters
    ]
    return {
        "label": verdict.label,
        "probability": verdict.probability,
        "unknown": verdict.unknown,
        "familiarity": verdict.p_value,
        "percentile": verdict.percentile,
        "set": list(verdict.prediction_set),
        "set_level": judge.coverage,
        "set_measured": None if judge.measured != judge.measured else judge.measured,
        "measured_on": judge.measured_on,
        "neighbors": neighbors,
    }


def _print_evaluation(collection: Collection, found: Evaluation) -> None:
    from dinoscope.cli.terminal import print_table, tell
    from dinoscope.wording.labels import tell_calibration

    low, high = found.interval
    common = max(each.images for each in found.labels) / max(1, len(found.positions))
    tell(
        f"Neighbours name {found.accuracy:.1%} of {len(found.positions):,} images correctly ({found.method}). With "
        f"other images it would be {low:.1%} to {high:.1%}, in 95 of 100 cases. Always naming the most common label "
        f"gives {common:.1%}."
    )
    tell(f"Calibration error {found.calibrated.error:.3f}: {tell_calibration(found)}.")
    tell(
        f"Logarithmic loss {found.log_loss:.3f}, {found.log_loss_votes:.3f} without calibration. It says how wrong the "
        "probabilities are, and 0 is best."
    )
    tell(
        f"The right label is in its set of candidates for {found.coverage:.1%} of these images. You asked for "
        f"{found.set_level:.0%}. A set has {found.set_size:.1f} labels on average."
    )
    tell(f"{found.refused:.1%} of these images are called unknown, though all are of a known kind.")
    labels = _most_mistaken(found)
    print_table(
        ("label", "images", "precision", "recall"),
        [(each.label, f"{each.images:,}", _share(each.precision), _share(each.recall)) for each in labels],
        right=(1, 2, 3),
    )
    if len(labels) < len(found.labels):
        tell(f"the {len(labels)} labels with the most mistakes, of {len(found.labels):,}; --json has all of them")
    print_table(
        ("true label", "given", "images", "of its label", "for example rows"),
        [
            (
                each.true,
                each.predicted,
                f"{each.images:,}",
                f"{each.share:.1%}",
                ", ".join(str(collection.rows[position]) for position in each.examples),
            )
            for each in found.confusions[:_PAIRS]
        ],
        right=(2, 3),
    )
    best = max(found.sweep, key=lambda each: each.accuracy)
    used = found.accuracy
    tell(
        f"These settings name {used:.1%} correctly. The best ones that were tried name {best.accuracy:.1%} (-k "
        f"{best.k}). --json has all of them."
    )


def _most_mistaken(found: Evaluation) -> list[LabelScore]:
    """Return the labels that take part in the most mistakes, in their order; all where they are few."""
    mistakes: Counter[str] = Counter()
    for pair in found.confusions:
        mistakes[pair.true] += pair.images
        mistakes[pair.predicted] += pair.images
    worst = sorted((each for each in found.labels if each.images), key=lambda each: -mistakes[each.label])[:_LABELS]
    shown = {each.label for each in worst}
    return [each for each in found.labels if each.label in shown]


def _share(value: float) -> str:
    return "" if value != value else f"{value:.3f}"


def _evaluation_as_json(collection: Collection, found: Evaluation) -> dict[str, object]:
    def bins(name: str) -> dict[str, object]:
        one = getattr(found, name)
        return {
            "error": one.error,
            "images": one.images.tolist(),
            "claimed": one.claimed.tolist(),
            "right": one.right.tolist(),
        }

    from dinoscope.analysis.labels.evaluation import MOST_COUNTED

    pairs = [
        {**vars(each), "examples": [int(collection.rows[position]) for position in each.examples]}
        for each in found.confusions
    ]
    return {
        "method": found.method,
        "images": len(found.positions),
        "accuracy": found.accuracy,
        "interval": list(found.interval),
        "log_loss": found.log_loss,
        "log_loss_votes": found.log_loss_votes,
        "set_level": found.set_level,
        "coverage": found.coverage,
        "set_size": found.set_size,
        "refused": found.refused,
        "names": [str(name) for name in found.names],
        # labels times labels; with more of them "labels" and "confusions" hold the same without the zeros
        "counts": found.counts.tolist() if len(found.names) <= MOST_COUNTED else None,
        "labels": [vars(each) for each in found.labels],
        "confusions": pairs,
        "reliability": {"votes": bins("votes"), "calibrated": bins("calibrated")},
        # the name for an infinite temperature, which JSON does not know
        "sweep": [
            {**vars(each), "temperature": "alike" if each.temperature == float("inf") else each.temperature}
            for each in found.sweep
        ],
    }
