from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest

from dinoscope.base.typed import Within, mismatch


@dataclass
class Point:
    x: float
    name: str | None


class Thing(TypedDict):
    count: Annotated[int, Within(1, 10)]
    kind: Literal["a", "b"]
    points: list[Point]
    pair: NotRequired[tuple[int, str]]
    more: NotRequired[dict[str, bool]]


WHOLE: dict[str, Any] = {"count": 1, "kind": "a", "points": [{"x": 1, "name": None}]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"newer": object(), "pair": [1, "x"], "more": {"y": True}}, None),
        ({"count": True}, "count should be a whole number, got True"),
        ({"count": 2**70}, f"count should be a whole number, got {2**70}"),
        ({"count": 0}, "count should be from 1 to 10, got 0"),
        ({"kind": "c"}, "kind should be 'a' or 'b', got 'c'"),
        ({"points": {}}, "points should be a list, got an object"),
        ({"points": [{"x": 1}]}, "points.0.name is missing"),
        ({"points": [{"x": "1", "name": None}]}, "points.0.x should be a number, got '1'"),
        ({"points": [{"x": float("nan"), "name": None}]}, "points.0.x should be a number, got nan"),
        ({"points": [{"x": 1, "name": 3}]}, "points.0.name should be a text or null, got 3"),
        ({"points": [3]}, "points.0 should be an object, got 3"),
        ({"pair": [1]}, "pair should be a list of 2, got a list of 1"),
        ({"more": {"y": 1}}, "more.y should be true or false, got 1"),
    ],
)
def test_the_first_thing_that_is_of_another_type_is_named(change, said):
    found = mismatch({**WHOLE, **change}, Thing)
    assert found == said


def test_results_may_hold_what_is_no_number():
    assert mismatch([float("inf")], list[float], nan=True) is None
    assert mismatch([float("inf")], list[float]) is not None
    assert mismatch({}, Thing) == "count is missing"
