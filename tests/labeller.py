"""A person who labels in the explorer by keys alone, and knows the truth: for the tests, and for the benchmark."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.watched import Visit


@dataclass
class Work:
    """What a person did.

    Attributes:
        keys: How often each key was pressed, by what it did.
        questions: How many questions were answered, by their kind: "one", "batch", and "unknown" for those put off.
        proposed: To how many of the answers about one image there was a proposal.
        right: How many of these proposals were right.
        seconds: Of each question, from the key that ended the answer until the next question was there.
    """

    keys: Counter[str] = field(default_factory=Counter)
    questions: Counter[str] = field(default_factory=Counter)
    proposed: int = 0
    right: int = 0
    seconds: list[float] = field(default_factory=list)


def label_all(
    see: Visit, truth: Mapping[int, str], *, unknown: int = 0, after: Callable[[int], None] = lambda _: None
) -> Work:
    """Answer every question of the panel "Label" until there is none.

    Args:
        see: The explorer with the panel open. The pointer is never used.
        truth: The label of each row.
        unknown: Put every so many-th question about one image off when it first comes; 0 for none.
        after: Called with the number of questions that were answered, such as to keep a picture.

    Returns:
        What it took.
    """
    work, put_off = Work(), set[int]()
    before = ""
    while True:
        now = _question(see, before)
        if now is None:
            return work
        before = now["state"]
        rows: list[int] = now["rows"]
        labels = {truth[row] for row in rows}
        single = not now["batch"]
        asked = work.questions["one"] + work.questions["unknown"] + 1
        if single and unknown and asked % unknown == 0 and rows[0] not in put_off:
            put_off.add(rows[0])
            kind = "unknown"
            _press(see, work, "0", "I do not know")
        elif not single:
            kind = "batch"
            fits = labels == {now["proposal"]}
            _press(see, work, *(("Enter", "accept") if fits else ("0", "not all")))
        else:
            kind = "one"
            work.proposed += now["proposal"] is not None
            work.right += now["proposal"] in labels
            _name(see, work, labels.pop(), now)
        begun = time.perf_counter()
        work.questions[kind] += 1
        _question(see, before)
        work.seconds.append(time.perf_counter() - begun)
        after(work.questions.total())


def _name(see: Visit, work: Work, label: str, now: dict[str, Any]) -> None:
    """Give the label with as few keys as there are."""
    if label == now["proposal"] and now["likely"]:
        _press(see, work, "Enter", "accept")
    elif label in now["labels"][:9]:
        _press(see, work, str(now["labels"].index(label) + 1), "a digit")
    else:
        for count in range(1, len(label) + 1):
            _press(see, work, label[count - 1], "typed")
            if label in now["labels"] and _completed(see) == label:
                break
        _press(see, work, "Enter" if _completed(see) == label else "Shift+Enter", "typed")


def _completed(see: Visit) -> str | None:
    """What Enter gives now, by the words below the field."""
    found = re.match(
        "Enter gives \N{LEFT DOUBLE QUOTATION MARK}(.*?)\N{RIGHT DOUBLE QUOTATION MARK}",
        see.panel.locator(".typed p").inner_text(),
    )
    return found[1] if found else None


def _press(see: Visit, work: Work, key: str, what: str) -> None:
    see.page.keyboard.press(key)
    work.keys[what] += 1


def _question(see: Visit, before: str) -> dict[str, Any] | None:
    """The question that follows another one, once its picture is there; None when every image has a label."""
    found: Any = see.page.wait_for_function(_NEXT, arg=before, polling=10).json_value()
    return None if found["done"] else found


# the question as the page shows it: `state` differs from that of every question before
_NEXT = """(before) => {
  const pane = document.querySelector(".panel .pane");
  const text = (name) => pane?.querySelector(name)?.textContent.trim() ?? "";
  if (text("h2") === "Every image has a label.") return {done: true};
  if (!pane || pane.querySelector(".answered")) return false;
  const picture = pane.querySelector("img.picture");
  const many = [...pane.querySelectorAll(".many [aria-label], .many img")];
  const rows = picture
    ? [Number(picture.src.split("/images/")[1].split("/")[0])]
    : many.map((each) => Number(/\\d+/.exec(each.getAttribute("aria-label") ?? each.alt)[0]));
  if (rows.length === 0 || (picture && !(picture.complete && picture.naturalWidth > 0))) return false;
  const batch = pane.querySelector("h2").textContent.startsWith("Are all");
  const said = /^(Likely|Perhaps) (.*) \\(/.exec(text(".said"));
  const state = `${rows} ${text(".numbers")} ${text("h2")} ${batch}`;
  if (state === before) return false;
  const labels = [...pane.querySelectorAll(".keys .word")].map((each) => each.textContent);
  return {done: false, rows, batch, proposal: said ? said[2] : null, likely: said?.[1] === "Likely", labels, state};
}"""
