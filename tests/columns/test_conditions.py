"""Conditions on columns: what they mean, what is refused and where, and that no text breaks the parser."""

import operator
import random

import numpy as np
import pytest

from dinoscope.columns import Column, parse_condition
from dinoscope.columns.conditions import Sets
from dinoscope.columns.parsing import MARK
from dinoscope.errors import InputError

DAY = 86400.0
NEW_YEAR_2024 = 19723 * DAY
NAN = float("nan")


def objects(*values):
    found = np.empty(len(values), object)
    found[:] = values
    return found


COLUMNS: dict[str, Column | Sets] = {
    "width": Column("number", np.asarray([1, 2, NAN, 4, -3.5])),
    "date": Column("date", np.asarray([NEW_YEAR_2024 - 1, NEW_YEAR_2024, NEW_YEAR_2024 + 152 * DAY + 45000, NAN, 0])),
    "camera": Column("category", objects("X", "Y's", None, "X", "and")),
    "note": Column("text", objects("A Dress", None, "red", "dress 5", "")),
    "sold": Column("boolean", np.asarray([1.0, 0, NAN, 1, 0])),
    "tag": Sets(objects(("a",), (), ("a", "b"), ("b",), ())),
    "label": Sets(objects(("a",), (), ("a", "b"), ("b",), ()), none_is_missing=True),
    "focal length": Column("number", np.asarray([1.0, 2, 3, 4, 5])),
}


def places(condition):
    return np.flatnonzero(parse_condition(condition).matches(COLUMNS)).tolist()


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("width > 1", [1, 3]),
        ("width>=1", [0, 1, 3]),
        ("width < -3", [4]),
        ("width == 2.0", [1]),
        ("width <> 2", [0, 3, 4]),
        ("width != 2", [0, 3, 4]),
        ("not width = 2", [0, 3, 4]),
        ("width in (1, 4)", [0, 3]),
        ("width not in (1, 4)", [1, 4]),
        ("width is missing", [2]),
        ("not (width is missing)", [0, 1, 3, 4]),
        ("width is not missing", [0, 1, 3, 4]),
        ("date > 2024", []),
        ("date >= 2024", [1, 2]),
        ("date = 2024", [1, 2]),
        ("date = 2024-06", [2]),
        ("date = 2024-06-01", [2]),
        ("date = '2024-06-01 12:30'", [2]),
        ("date > '2024-06-01 12:30'", []),
        ("date >= '2024-06-01 12:30:00'", [2]),
        ("date = 2024-06-01T12:30:01", []),
        ("date < 2024", [0, 4]),
        ("date <= 2023-12", [0, 4]),
        ("date <= 2023-12-30", [4]),
        ("date < 9999", [0, 1, 2, 4]),
        ("date <= 9999-12", [0, 1, 2, 4]),
        ("camera = X", [0, 3]),
        ('camera = "X"', [0, 3]),
        ("camera = 'Y''s'", [1]),
        ("camera != 'X'", [1, 4]),
        ("camera = 'and'", [4]),
        ("camera contains y", [1]),
        ("camera not contains 'x'", [1, 4]),
        ("note contains 'DRESS'", [0, 3]),
        ("not note contains dress", [2, 4]),
        ("sold", [0, 3]),
        ("not sold", [1, 4]),
        ("sold = no or width is missing", [1, 2, 4]),
        ("sold != true", [1, 4]),
        ("tag = a", [0, 2]),
        ("tag != a", [1, 3, 4]),
        ("label = a", [0, 2]),
        ("label != a", [3]),
        ("not label = a", [3]),
        ("label not in (a, b)", []),
        ("label not contains b", [0]),
        ("label is missing", [1, 4]),
        ("tag in (a, b) and not tag = a", [3]),
        ("tag contains B", [2, 3]),
        ("tag is missing", [1, 4]),
        ('"focal length" > 4', [4]),
        ("`focal length` > 4", [4]),
        ("'focal length' > 4", [4]),
        ("WIDTH > 3 AND Camera = X", [3]),
        ("width > 3 or width < 2 and camera = X", [0, 3]),
        ("(width > 3 or width < 2) and camera = X", [0, 3]),
        ("(width > 3 or width < 2) and not camera = X", [4]),
        ("not not width > 3", [3]),
        ("width > 3 or camera = 'X'", [0, 3]),
        ("width > 0 or camera is missing", [0, 1, 2, 3]),
    ],
)
def test_what_a_condition_means(condition, expected):
    assert places(condition) == expected


@pytest.mark.parametrize(
    ("condition", "reason", "at"),
    [
        ("", "the condition is empty", 0),
        ("   ", "the condition is empty", 0),
        ("wwidth > 1", "there is no column 'wwidth'; did you mean 'width'", 0),
        ("xyz > 1", "there is no column 'xyz'; there are width, date, camera", 0),
        ("width > 3 and hheight = 2", "there is no column 'hheight'", 14),
        ("width >", "expected a value", 7),
        ("width > and", "expected a value", 8),
        ("width > abc", "column 'width' holds numbers, and 'abc' is none", 8),
        ("width > nan", "holds numbers, and 'nan' is none", 8),
        ("width > 'a", "this quotation mark has no end", 8),
        ("width ! 3", "this sign means nothing here", 6),
        ("width in 3", "expected an opening bracket", 9),
        ("width in (3", "expected a comma or a closing bracket", 11),
        ("width in ()", "expected a value", 10),
        ("width is 3", "expected 'missing'", 9),
        ("width not > 3", "expected 'in' or 'contains'", 10),
        ("(width > 3", "expected 'and', 'or' or a closing bracket", 10),
        ("width > 3)", "expected 'and', 'or' or the end", 9),
        ("width > 3 4", "expected 'and', 'or' or the end", 10),
        ("focal length > 3", 'put a name with spaces in "double quotes"', 6),
        ("and width", "expected the name of a column", 0),
        ("not", "expected the name of a column", 3),
        ("camera < 3", "holds texts: compare them with", 0),
        ("tag < 3", "holds texts: compare it with", 0),
        ("tag", "holds texts: compare it with", 0),
        ("width", "is of kind number: compare it with a value", 0),
        ("width contains 2", "'contains' is for texts", 0),
        ("date > 2024-13", "'2024-13' is not a date", 7),
        ("date = 0000", "'0000' is not a date", 7),
        ("date = yesterday", "'yesterday' is not a date", 7),
        ("sold > yes", "holds yes and no", 7),
        ("sold = maybe", "holds yes and no", 7),
        ("(" * 200 + "width > 3" + ")" * 200, "nested more than 100 deep", 100),
    ],
)
def test_what_is_refused_and_where(condition, reason, at):
    with pytest.raises(InputError) as found:
        places(condition)
    told = str(found.value)
    assert reason in told
    assert "\n" not in told
    assert told.endswith(f"(letter {at + 1}: {condition[max(0, at - 50) : at]}{MARK}{condition[at : at + 50]})")


def test_a_condition_is_a_text_of_some_length():
    with pytest.raises(InputError, match="at most 10,000 letters"):
        parse_condition("width > 1 or " * 1000)
    with pytest.raises(InputError, match="a condition is a text, got int"):
        parse_condition(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(300))
def test_no_text_breaks_the_parser(seed):
    """Pieces of conditions in any order, with letters changed: a result of the right shape, or one clear error."""
    noise = random.Random(seed)
    pieces = [
        *COLUMNS,
        "and",
        "or",
        "not",
        "in",
        "is",
        "contains",
        "missing",
        "(",
        ")",
        ",",
        "=",
        "<",
        ">=",
        "!=",
        "'",
        '"',
    ]
    pieces += [
        "`",
        "2024",
        "2024-05",
        "-1e300",
        "1e999",
        "x",
        "\0",
        "\u202e",
        "é",
        "'a''b'",
        "\n",
        "\ud800",
        "\U0001d518",
        "__import__",
    ]
    text = " ".join(noise.choice(pieces) for _ in range(noise.randrange(1, 14)))
    for _ in range(noise.randrange(3)):
        at = noise.randrange(len(text) + 1)
        text = text[:at] + noise.choice(pieces)[:1] + text[at + noise.randrange(2) :]
    told = None
    try:
        found = parse_condition(text).matches(COLUMNS)
        assert found.dtype.kind == "b"
        assert found.shape == (5,)
    except InputError as error:
        told = str(error)
    assert told is None or (told.count(MARK) >= 1 and "\n" not in told)


@pytest.mark.parametrize("seed", range(100))
def test_random_conditions_mean_what_python_says(seed):
    """Trees of comparisons, against an evaluation image by image in which a missing value is neither true nor false."""
    noise = random.Random(seed)
    signs = {
        "=": operator.eq,
        "!=": operator.ne,
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
    }
    values = {"width": COLUMNS["width"].values, "focal length": COLUMNS["focal length"].values}

    def make(depth):
        kind = noise.choice(["test", "not", "and", "or"]) if depth else "test"
        if kind == "test":
            name, sign, number = noise.choice(list(values)), noise.choice(list(signs)), noise.randrange(-4, 6)
            told = [None if np.isnan(each) else signs[sign](each, number) for each in values[name]]
            return f'"{name}" {sign} {number}', told
        first, known = make(depth - 1)
        if kind == "not":
            return f"not ({first})", [None if each is None else not each for each in known]
        second, others = make(depth - 1)
        stops = kind == "or"  # what settles it, whatever the other is
        both = [
            stops if stops in pair else None if None in pair else not stops for pair in zip(known, others, strict=True)
        ]
        return f"({first}) {kind} ({second})", both

    text, told = make(4)
    assert places(text) == [at for at, each in enumerate(told) if each]
