"""What every step that takes arrays asks of them; each check returns the array ready for use."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.errors import InputError

__all__ = ["check_count", "check_labels", "check_vectors"]


def check_vectors(vectors: ArrayLike, name: str = "vectors", *, at_least: int = 1) -> NDArray[np.floating]:
    """Check that ``vectors`` is a finite real matrix with enough rows.

    Args:
        vectors: Array (N, D), one row an item.
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
        raise InputError(f"{name} must have shape (N, D), got {array.shape}; pass one row an item")
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
    """Check that ``labels`` is one integer, boolean or string an item.

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
        array = np.asarray(labels, object)  # else a number or NaN among strings would have become a string as well
    if array.dtype.kind == "O" and all(isinstance(each, str) for each in array.flat):
        array = array.astype(np.str_)
    if array.ndim != 1:
        raise InputError(f"{name} must have shape (N,), got {array.shape}; pass one label an item")
    if count is not None and len(array) != count:
        raise InputError(f"{name} must have one entry an item, expected {count}, got {len(array)}")
    if array.dtype.kind not in "iubUS":
        raise InputError(
            f"{name} must be integers or strings, got dtype {array.dtype}; filter out missing labels first"
        )
    return array


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
        InputError: It is no integer or outside the range.
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        whole = int(value)
        if whole >= at_least and (at_most is None or whole <= at_most):
            return whole
    limit = (
        f"{at_least} or more" if at_most is None else f"between {at_least} and {at_most}{f' ({why})' if why else ''}"
    )
    raise InputError(f"{name} must be a whole number, {limit}; got {value!r}")


def _as_array(values: ArrayLike, name: str, shape: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError:  # lists of different lengths
        raise InputError(f"{name} must have shape {shape}, got lists of different lengths; make them equal") from None
