"""How a machine computes a step fastest: found by trial, because no flag of a processor says it."""

from __future__ import annotations

import ctypes
import math
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Arithmetic", "Convolution", "choose", "keep_memory", "machine", "random_state"]

_SMALL = 8  # the largest side of a map that Winograd's algorithm is used on


@dataclass(frozen=True)
class Arithmetic:
    """One way to compute a step.

    Attributes:
        bfloat16: Whether products are in bfloat16.
        channels_last: Whether the weights of convolutions are laid out as their images are, channels last.
        columns: Whether convolutions of small maps get the gradient of their weights from one matrix product.
        winograd: Whether convolutions of small maps multiply less, by Winograd's algorithm, in float32.
        threads: Threads of torch, or 0 to leave them as they are.
    """

    bfloat16: bool = False
    channels_last: bool = True
    columns: bool = False
    winograd: bool = False
    threads: int = 0

    def __str__(self) -> str:
        """Name it for the log, as ``parse`` reads it."""
        words = ["bfloat16" if self.bfloat16 else "float32", f"channels-{'last' if self.channels_last else 'first'}"]
        words += ["columns"] * self.columns + ["winograd"] * self.winograd
        words += [f"threads={self.threads}"] * bool(self.threads)
        return ",".join(words)

    @classmethod
    def parse(cls, text: str) -> Arithmetic:
        """Read what the log printed.

        Raises:
            ValueError: If a word is unknown.
        """
        words = text.split(",")
        threads = next((int(word[8:]) for word in words if word[:8] == "threads=" and word[8:].isdigit()), 0)
        way = cls("bfloat16" in words, "channels-first" not in words, "columns" in words, "winograd" in words, threads)
        if unknown := set(words) - set(str(way).split(",")):
            raise ValueError(f"unknown arithmetic {', '.join(sorted(unknown))}: expected words as in {cls(True)}")
        return way

    def autocast(self, device: torch.device) -> torch.autocast:
        """Return the context in which products are computed."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.bfloat16)

    def lay_out(self, net: nn.Module) -> None:
        """Prepare a network for it, in place."""
        net.to(memory_format=torch.channels_last if self.channels_last else torch.contiguous_format)
        for layer in net.modules():
            if isinstance(layer, Convolution):
                layer.columns, layer.winograd = self.columns, self.winograd


class Convolution(nn.Conv2d):
    """A convolution that may be computed in other ways while it is trained: see ``Arithmetic``."""

    columns = winograd = False

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, H, W) -> (B, n_out, H / stride, W / stride)."""
        if self.winograd and torch.is_grad_enabled() and (tile := self._tile(x)):
            quick: Tensor = _Winograd.apply(x, self.weight, tile)
            return quick
        stride, padding = self.stride[0], int(self.padding[0])
        side = (min(x.shape[-2:]) + 2 * padding - self.kernel_size[0]) // stride + 1
        # Many filters over few places: there the library's own gradient leaves most of the processor idle.
        if not (self.columns and self.bias is None and torch.is_grad_enabled() and 4 * side * side <= len(self.weight)):
            return super().forward(x)
        weight = self.weight
        if torch.is_autocast_enabled(x.device.type):
            dtype = torch.get_autocast_dtype(x.device.type)
            x, weight = x.to(dtype), weight.to(dtype)
        out: Tensor = _ByColumns.apply(x, weight, stride, padding)
        return out

    def _tile(self, x: Tensor) -> int:
        """Return the side of the tiles that Winograd's algorithm cuts ``x`` into, or 0 where it has no place."""
        height, width = x.shape[-2:]
        fits = self.kernel_size == (3, 3) and self.stride == (1, 1) and self.padding == (1, 1) and self.bias is None
        if not fits or max(height, width) > _SMALL:  # on large maps moving the tiles takes longer than it saves
            return 0
        return next((tile for tile in (4, 3) if height % tile == 0 and width % tile == 0), 0)


class _ByColumns(torch.autograd.Function):
    """A convolution, the gradient of its weights as one product with the patches that each filter saw."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, weight, stride=stride, padding=padding)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (gradient,), (x, weight), stride, padding = gradients, ctx.saved_tensors, ctx.stride, ctx.padding
        into_x = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1, [True, False, False]
        )[0]
        n_out, n_in, kernel, _ = weight.shape
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, *[padding] * 4)).contiguous()
        image, row, column, channel = padded.stride()
        (batch, _, height, width), places = gradient.shape, (image, row * stride, column * stride, row, channel)
        patches = padded.as_strided((batch, height, width, kernel, kernel * n_in), places).reshape(
            -1, kernel * kernel * n_in
        )
        into_weight = gradient.permute(1, 0, 2, 3).reshape(n_out, -1) @ patches
        return into_x, into_weight.view(n_out, kernel, kernel, n_in).permute(0, 3, 1, 2), None, None


@cache
def _tile_matrices(tile: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return what takes a padded tile, a filter, and their product there and back, for tiles in rows of pixels.

    The method of Cook and Toom: a tile and a filter are polynomials, multiplied by their values at some points, the
    last of which is infinity. With n = tile + 2 the shapes are (n^2, n^2), (n^2, 9) and (tile^2, n^2).
    """
    points = np.array([0, 1, -1, 2, -0.5][: tile + 1])
    n = tile + 2
    back, filters = np.zeros((tile, n)), np.zeros((n, 3))
    back[:, :-1], filters[:-1] = points ** np.arange(tile)[:, None], points[:, None] ** np.arange(3)
    filters[:-1] /= [[np.prod([p - q for q in points if q != p])] for p in points]
    back[-1, -1] = filters[-1, -1] = 1
    # The tile's own matrix is what makes row i of the result the sum over k of pixel i + k times weight k.
    wanted = [[np.eye(n)[i + k] for k in range(3)] for i in range(tile)]
    pixels = np.linalg.lstsq(np.einsum("ij,jk->ikj", back, filters).reshape(-1, n), np.reshape(wanted, (-1, n)))[0]
    there, filtered, result = (torch.from_numpy(np.kron(each, each)).float() for each in (pixels, filters, back))
    return there, filtered, result


class _Winograd(torch.autograd.Function):
    """A 3 x 3 convolution in tiles (Lavin and Gray 2016, arXiv 1509.09308): a third to a quarter of the products."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, tile: int) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            out, tiles = _in_tiles(x.float(), weight, tile)
        ctx.save_for_backward(tiles, weight)
        ctx.tile = tile
        return out.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (gradient,), (tiles, weight), tile = gradients, ctx.saved_tensors, ctx.tile
        _, filtered, result = (each.to(gradient.device) for each in _tile_matrices(tile))
        batch, n_out, height, width = gradient.shape
        cut = gradient.float().permute(0, 2, 3, 1).reshape(batch, height // tile, tile, width // tile, tile, n_out)
        cut = result.T @ cut.permute(2, 4, 0, 1, 3, 5).reshape(tile * tile, -1)
        into_weight = filtered.T @ torch.bmm(tiles.mT, cut.view(len(tiles), -1, n_out)).flatten(1)
        into_x, _ = _in_tiles(gradient.float(), weight.flip(2, 3).transpose(0, 1), tile)
        return into_x.to(gradient.dtype), into_weight.view(3, 3, -1, n_out).permute(3, 2, 0, 1), None


def _in_tiles(x: Tensor, weight: Tensor, tile: int) -> tuple[Tensor, Tensor]:
    """Convolve (B, n_in, H, W); return that and the tiles that the gradient of the weights needs."""
    there, filtered, result = (each.to(x.device) for each in _tile_matrices(tile))
    (batch, n_in, height, width), n = x.shape, tile + 2
    rows, columns = height // tile, width // tile
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1)).contiguous()
    image, row, column, _ = padded.stride()
    places = (row, column, image, row * tile, column * tile, 1)
    tiles = padded.as_strided((n, n, batch, rows, columns, n_in), places).reshape(n * n, -1)
    tiles = (there @ tiles).view(n * n, -1, n_in)
    filters = (filtered @ weight.permute(2, 3, 1, 0).reshape(9, -1)).view(n * n, n_in, -1)
    out = (result @ torch.bmm(tiles, filters).flatten(1)).view(tile, tile, batch, rows, columns, -1)
    return out.permute(2, 3, 0, 4, 1, 5).reshape(batch, height, width, -1).permute(0, 3, 1, 2), tiles


def choose(
    device: torch.device,
    step: Callable[[Arithmetic], object],
    report: Callable[[str], None] = print,
    clock: Callable[[], float] = time.perf_counter,
) -> Arithmetic:
    """Time a step in each way and return the fastest.

    Precision and layout are tried together, as each depends on the other; the rest on the best of those.

    Args:
        device: Where the steps run; threads are tried on a processor alone.
        step: Makes one step in the given way, on copies: it must leave the run as it was.
        report: Gets one line, with every trial's time.
        clock: Seconds, for the tests.
    """
    took: dict[Arithmetic, float] = {}

    def trial(way: Arithmetic) -> None:
        best = math.inf
        for _ in range(3):
            began = clock()
            step(way)
            if device.type == "cuda":
                torch.cuda.synchronize()
            best = min(best, clock() - began)
            if best > 2 * min(took.values(), default=math.inf):
                break  # a precision that the processor imitates takes minutes
        took[way] = best

    threads = torch.get_num_threads() if device.type == "cpu" else 0
    with random_state(device):
        for bfloat16 in (False, True):
            for channels_last in (True, False):
                trial(Arithmetic(bfloat16, channels_last, threads=threads))
                if bfloat16 and took[Arithmetic(True, threads=threads)] > 2 * min(took.values()):
                    break  # imitated: no layout helps
        trial(Arithmetic(winograd=True, threads=threads))
        trial(replace(min(took, key=took.__getitem__), columns=True))
        if threads > 1:
            trial(replace(min(took, key=took.__getitem__), threads=1))
            torch.set_num_threads(threads)
    best = min(took, key=took.__getitem__)
    each = "; ".join(f"{way} {1000 * seconds:.0f} ms" for way, seconds in took.items())
    report(f"arithmetic: {best} (tried: {each})")
    return best


@contextmanager
def random_state(device: torch.device) -> Iterator[None]:
    """Leave the random numbers as they were."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


def machine(device: torch.device) -> str:
    """Name the processor, so that a run that moves to another one tries anew."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {torch.get_num_threads()} threads"


def keep_memory() -> None:
    """Keep freed memory instead of returning it to the system: a third more steps a minute on a processor.

    Every step frees and asks again for the same hundreds of megabytes, and the system fills each page with zeros anew.
    Does nothing where the C library is not glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    for option, value in ((-1, 2**31 - 1), (-2, 2**28), (-4, 0)):  # M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX
        mallopt(option, value)
