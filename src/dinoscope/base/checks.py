"""Checks of arguments. A check of an array returns it ready for use."""

from __future__ import annotations

import inspect
import math
import numbers
import os
from collections.abc import Callable, Collection, Sequence
from functools import wraps
from typing import Any, TypeGuard, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.base.text import did_you_mean
from dinoscope.errors import InputError

__all__ = [
    "check_arguments",
    "check_choice",
    "check_count",
    "check_labels",
    "check_methods",
    "check_positions",
    "check_settings",
    "check_vectors",
    "is_list_of_whole",
    "shown",
]

Function = TypeVar("Function", bound=Callable[..., Any])
Class = TypeVar("Class", bound=type)


def check_vectors(vectors: ArrayLike, name: str = "vectors", *, at_least: int = 1) -> NDArray[np.floating]:
    """Check that ``vectors`` is a finite real matrix with enough rows.

    Args:
        vectors: Array (N, D), one row per item.
        name: What the messages call it.
        at_least: The fewest rows that make sense.

    Returns:
        The same array when it is float32 or float64, else a float32 (float64 for wide numbers) copy, (N, D).

    Raises:
        InputError: It is not numeric, not two-dimensional, too short, without columns, or holds NaN or infinity.
    """
    array = _as_array(vectors, name, "(N, D)")
    if array.dtype.kind not in "fiu":
        raise InputError(f"{name} must hold real numbers, got dtype {array.dtype}; pass a float32 array (N, D)")
    if array.ndim != 2 or array.shape[1] == 0:
        raise InputError(f"{name} must have shape (N, D), got {array.shape}; pass one row per item")
    if len(array) < at_least:
        raise InputError(f"{name} must have at least {at_least} rows, got {len(array)}; add items")
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64 if array.dtype.itemsize > 4 else np.float32)
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        bad = np.flatnonzero(~finite)
        raise InputError(
            f"{name} must be finite, got NaN or infinity in {len(bad)} of {len(array)} rows (first: row {bad[0]}); "
            "drop or recompute those rows"
        )
    return array


def check_labels(labels: ArrayLike, count: int | None = None, name: str = "labels") -> NDArray[np.generic]:
    """Check that ``labels`` has one integer, boolean or string per item.

    Args:
        labels: Array (N,). No value is special: leave out what has no label before the call.
        count: The N expected, or None for any.
        name: What the messages call it.

    Returns:
        The labels (N,), strings as a NumPy string array.

    Raises:
        InputError: It has the wrong shape or length, or holds anything else (floats, None, a mixture).
    """
    array = _as_array(labels, name, "(N,)")
    if array.dtype.kind == "U" and not isinstance(labels, np.ndarray):
        array = np.asarray(labels, object)  # otherwise a number or NaN among strings would have become a string as well
    if array.dtype.kind == "O" and all(isinstance(each, str) for each in array.flat):
        array = array.astype(np.str_)
    if array.ndim != 1:
        raise InputError(f"{name} must have shape (N,), got {array.shape}; pass one label per item")
    if count is not None and len(array) != count:
        raise InputError(f"{name} must have one entry per item, expected {count}, got {len(array)}")
    if array.dtype.kind not in "iubUS":
        raise InputError(
            f"{name} must be integers or strings, got dtype {array.dtype}; filter out missing labels first"
        )
    return array


def check_positions(positions: ArrayLike, count: int) -> NDArray[np.int64]:
    """Check that ``positions`` are places in an array of ``count`` items; one of them is a list of one.

    Raises:
        InputError: They are not whole numbers, or outside the range.
    """
    array = np.atleast_1d(_as_array(positions, "positions", "(M,)"))
    if array.size == 0 and array.ndim == 1:
        return np.empty(0, np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu" or array.min() < 0 or array.max() >= count:
        raise InputError(f"positions must be whole numbers from 0 to {count - 1}, got {shown(positions)}")
    return array.astype(np.int64)


def check_count(value: object, name: str, *, at_least: int = 1, at_most: int | None = None, why: str = "") -> int:
    """Check that ``value`` is a whole number in a range.

    Args:
        value: The number.
        name: What the message calls it.
        at_least: Smallest allowed.
        at_most: Largest allowed, or None.
        why: Where the upper limit comes from, put in brackets into the message.

    Returns:
        The number as a plain int.

    Raises:
        InputError: It is not an integer or outside the range.
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        whole = int(value)
        if whole >= at_least and (at_most is None or whole <= at_most):
            return whole
    limit = (
        f"{at_least} or more" if at_most is None else f"between {at_least} and {at_most}{f' ({why})' if why else ''}"
    )
    raise InputError(f"{name} must be a whole number, {limit}; got {shown(value)}")


def check_choice(value: object, name: str, known: Collection[str], *, what: str = "") -> None:
    """Check that ``value`` is a known name.

    Args:
        value: The name.
        name: What the message calls it.
        known: The names.
        what: What is allowed besides the names, for the message.

    Raises:
        InputError: It is another name, or no text.
    """
    if not isinstance(value, str) or value not in known:
        near = did_you_mean(str(value), known)
        raise InputError(f"{name} must be one of {', '.join(known)}{what}, got {shown(value)}{near}")


def check_arguments(function: Function) -> Function:
    """Let a function check the types of its arguments against its annotations.

    Whole numbers, numbers, texts, ``bool``, lists of these, and ``None`` beside them are known; NumPy's numbers are
    numbers. The function itself checks arguments with other annotations, and the ranges of numbers.
    """
    signature = inspect.signature(function)
    known = {name: kinds for name, each in signature.parameters.items() if (kinds := _kinds(each.annotation))}

    @wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        for name in known.keys() & given.keys():
            if not any(_TYPES[kind][0](given[name]) for kind in known[name]):
                expected = " or ".join(_TYPES[kind][1] for kind in known[name])
                raise InputError(f"{name} must be {expected}, got {shown(given[name])}")
        return function(*args, **kwargs)

    return checked  # type: ignore[return-value]


def check_methods(kind: Class) -> Class:
    """Let all public methods of a class check their arguments; see ``check_arguments``."""
    for name, member in list(vars(kind).items()):
        if inspect.isfunction(member) and not name.startswith("_"):
            setattr(kind, name, check_arguments(member))
    return kind


def check_settings(settings: object, name: str, kind: type) -> None:
    """Check that ``settings``, where they are given, are a dictionary with no other names than a typed one has.

    Raises:
        InputError: They are something else.
    """
    known = sorted(kind.__annotations__)
    if settings is not None and (not isinstance(settings, dict) or not settings.keys() <= set(known)):
        raise InputError(f"{name} must be a dictionary of {', '.join(known)}, got {shown(settings)}")


def is_list_of_whole(value: object) -> TypeGuard[Sequence[int]]:
    """Tell whether a value is a list or an array (N,) of whole numbers."""
    return _list_of(_is_whole)(value)


def shown(value: object) -> str:
    """Return a value for a message: on one line, shortened if it is long."""
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array {value.shape}"
    text = " ".join(repr(value).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _kinds(annotation: object) -> list[str]:
    """Return the names of the types that an annotation, which is a text, allows; none where it names an unknown one."""
    names = str(annotation).split(" | ")
    return names if all(name in _TYPES for name in names) else []


def _is_whole(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    is_real = isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)
    return is_real and abs(value) < _LARGEST and math.isfinite(value)  # type: ignore[arg-type]


def _list_of(check: Callable[[object], bool]) -> Callable[[object], bool]:
    def is_list(value: object) -> bool:
        if isinstance(value, np.ndarray):
            return value.ndim == 1 and all(map(check, value))
        return isinstance(value, Sequence) and not isinstance(value, str | bytes) and all(map(check, value))

    return is_list


def _is_text(value: object) -> bool:
    return isinstance(value, str)


_SHOWN = 60  # letters of a value in a message
_LARGEST = 1e300
_TYPES: dict[str, tuple[Callable[[object], bool], str]] = {
    "int": (_is_whole, "a whole number"),
    "float": (_is_number, "a finite number"),
    "bool": (lambda value: isinstance(value, bool | np.bool_), "True or False"),
    "str": (_is_text, "a text"),
    "os.PathLike[str]": (lambda value: isinstance(value, os.PathLike), "a path"),
    "None": (lambda value: value is None, "None"),
    "Sequence[int]": (_list_of(_is_whole), "a list of whole numbers"),
    "Sequence[float]": (_list_of(_is_number), "a list of finite numbers"),
    **dict.fromkeys(("Method", "ClusterMethod", "Space", "Metric", "Engine"), (_is_text, "a text")),
    "Sequence[str]": (_list_of(_is_text), "a list of texts"),
    "Sequence[Method]": (_list_of(_is_text), "a list of texts"),
}


def _as_array(values: ArrayLike, name: str, shape: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError:  # lists of different lengths
        raise InputError(f"{name} must have shape {shape}, got lists of different lengths; make them equal") from None
