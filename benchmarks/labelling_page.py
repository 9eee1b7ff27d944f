"""A person labels photographs in the page, by keys alone: ``python -m benchmarks.labelling_page PHOTOS --shots DIR``.

PHOTOS is a folder of photographs in folders of their labels. So many of them, drawn by chance, are copied into one flat
folder, embedded without labels, and opened in Chromium at the panel of `dinoscope label`. A program plays the person:
it knows the truth, presses keys and never uses the pointer, until every image has a label. It prints how many keys that
took, how long the page took from a key to the next question with its picture, and how many labels are right.

``--batches`` answers questions about batches of look-alikes, too: the person reaches that switch with the Tab key.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from dinoscope.collection import Collection
from dinoscope.embedding.pipeline import embed_source
from dinoscope.models.encoder import Encoder
from dinoscope.sources.opening import open_source
from tests.labeller import label_all
from tests.watched import Visit, opened_browser, served

_WINDOW = (1440, 900)
_ENDINGS = (".jpg", ".jpeg", ".png", ".webp")


def main() -> None:
    """Play the person and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unknown", type=int, default=25, help="put off one of so many questions at first; 0: none")
    parser.add_argument("--batches", action="store_true")
    parser.add_argument("--shots", type=Path, help="a folder for pictures of the window, one every 50 answers")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        path, truth = embed_flat(arguments.photos, Path(place), arguments.images, arguments.model, arguments.seed)
        with served(path) as address, opened_browser() as browser:
            see = Visit(browser, address, _WINDOW).go("#panel=label&by=mine")
            play(see, path, truth, arguments)
            see.close()
            assert see.mistakes == []


def embed_flat(photos: Path, place: Path, count: int, model: str, seed: int) -> tuple[Path, dict[int, str]]:
    """Copy photographs into one folder and embed them; return the collection, and the label of each row."""
    files = sorted(each for each in photos.rglob("*") if each.suffix.lower() in _ENDINGS)
    drawn = np.random.default_rng(seed).choice(len(files), min(count, len(files)), replace=False)
    labels = {}
    (place / "flat").mkdir()
    for number, at in enumerate(drawn):
        name = f"{number:04}{files[at].suffix.lower()}"
        shutil.copyfile(files[at], place / "flat" / name)
        labels[name] = files[at].parent.name
    path = place / "flat.dino"
    embed_source(open_source(str(place / "flat")), path, Encoder(model))
    opened = Collection(path)
    return path, {int(row): labels[str(name)] for row, name in zip(opened.rows, opened.ids, strict=True)}


def play(see: Visit, path: Path, truth: dict[int, str], arguments: argparse.Namespace) -> None:
    """Label every image, and print what that took."""
    reached = 0
    if arguments.batches:
        while see.page.evaluate("document.activeElement.type") != "checkbox":
            see.page.keyboard.press("Tab")
            reached += 1
        see.page.keyboard.press("Space")
        reached += 1
    if arguments.shots:
        arguments.shots.mkdir(parents=True, exist_ok=True)

    def keep(answers: int) -> None:
        if arguments.shots and (answers in (1, 10) or answers % 50 == 0):
            see.page.screenshot(path=arguments.shots / f"answer-{answers:04}.png")

    begun = time.perf_counter()
    work = label_all(see, truth, unknown=arguments.unknown, after=keep)
    seconds = time.perf_counter() - begun
    if arguments.shots:
        see.page.screenshot(path=arguments.shots / "done.png")
    opened = Collection(path)
    right = sum(truth[int(row)] == label for row, label in zip(opened.rows, opened.annotations().labels, strict=True))
    asked = work.questions
    print("| images | questions | of them batches | put off at first | keys | of them typed letters | labels right |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print(
        f"| {len(truth)} | {asked.total()} | {asked['batch']} | {asked['unknown']} | {work.keys.total() + reached} | "
        f"{work.keys['typed']} | {right} |"
    )
    waits = np.asarray(work.seconds) * 1000
    print(f"\n{work.right} of {work.proposed} proposals were right; {seconds:.0f} s from first to last question.")
    print(f"From a key to the next question: {np.median(waits):.0f} ms, 95% within {np.percentile(waits, 95):.0f} ms.")
    print(f"Keys: {dict(work.keys)}")


if __name__ == "__main__":
    main()
