"""Read safetensors files in place: a header of JSON, then the values of every tensor, one behind the other.

The safetensors package copies every tensor that it reads. Here a tensor is a place in a file: ONNX Runtime maps the
file itself, and only what has to be changed is read.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from operator import index
from pathlib import Path
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.typed import parse_json
from dinoscope.errors import ModelError

__all__ = ["Tensor", "read_tensors"]

# Name in the header -> how NumPy reads it. NumPy has no bfloat16: it is the upper half of a float32.
_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "U8": "|u1",
    "BOOL": "|b1",
}
_LARGEST_HEADER = 100_000_000


@dataclass(frozen=True)
class Tensor:
    """A tensor in a file.

    Attributes:
        file: The file, symbolic links resolved.
        offset: Where its values begin, in bytes from the start of the file.
        kind: Type of its values, as safetensors names it: F32, F16, BF16, ...
        shape: Its shape; values are in row-major order.
    """

    file: Path
    offset: int
    kind: str
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Size of its values in the file."""
        return math.prod(self.shape) * np.dtype(_TYPES[self.kind]).itemsize

    def rows(self, start: int, stop: int) -> Tensor:
        """Return rows ``start`` to ``stop`` of it, without reading them."""
        row = replace(self, shape=self.shape[1:]).bytes
        return replace(self, offset=self.offset + start * row, shape=(stop - start, *self.shape[1:]))

    def read(self) -> NDArray[np.float32]:
        """Return its values as float32, in memory."""
        dtype = np.dtype(_TYPES[self.kind])
        values = np.fromfile(self.file, dtype, math.prod(self.shape), offset=self.offset).reshape(self.shape)
        if self.kind == "BF16":
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(np.float32, copy=False)


def read_tensors(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read the header of a safetensors file: the name of every tensor, and where it is.

    Raises:
        ModelError: If the file is not a safetensors file, or is cut short.
    """
    file = Path(os.path.realpath(path))
    name = Path(path).name
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= min(size - 8, _LARGEST_HEADER):
                raise ModelError(f"{name} is not a safetensors file, or is cut short: its header does not fit into it")
            header: dict[str, _Entry] = parse_json(stream.read(length))
        header.pop("__metadata__", None)
        tensors = {key: _tensor(file, 8 + length, entry) for key, entry in header.items()}
    except OSError as error:
        raise ModelError(f"cannot read the weights {name}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ModelError(f"{name} is not a safetensors file: its header is not what the format asks for") from None
    end = max((each.offset + each.bytes for each in tensors.values()), default=0)
    if end > size:
        raise ModelError(f"{name} is cut short: expected at least {end:,} bytes, got {size:,}; fetch it again")
    return tensors


class _Entry(TypedDict):
    dtype: str
    shape: list[int]
    data_offsets: list[int]


def _tensor(file: Path, start: int, entry: _Entry) -> Tensor:
    begin, end = map(index, entry["data_offsets"])
    tensor = Tensor(file, start + begin, entry["dtype"], tuple(map(index, entry["shape"])))
    if begin < 0 or min(tensor.shape, default=0) < 0 or tensor.bytes != end - begin:
        raise ValueError
    return tensor
