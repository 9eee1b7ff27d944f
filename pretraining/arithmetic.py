"""How a machine computes a step fastest: found by trial, because no flag of a processor says it."""

from __future__ import annotations

import ctypes
import math
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Arithmetic", "Convolution", "choose", "keep_memory", "machine"]


@dataclass(frozen=True)
class Arithmetic:
    """One way to compute a step.

    Attributes:
        bfloat16: Whether products are in bfloat16.
        channels_last: Whether the weights of convolutions are laid out as their images are, channels last.
        columns: Whether convolutions of small maps get the gradient of their weights from one matrix product.
        threads: Threads of torch, or 0 to leave them as they are.
    """

    bfloat16: bool = False
    channels_last: bool = True
    columns: bool = False
    threads: int = 0

    def __str__(self) -> str:
        """Name it for the log, as ``parse`` reads it."""
        words = ["bfloat16" if self.bfloat16 else "float32", f"channels-{'last' if self.channels_last else 'first'}"]
        words += ["columns"] * self.columns + [f"threads={self.threads}"] * bool(self.threads)
        return ",".join(words)

    @classmethod
    def parse(cls, text: str) -> Arithmetic:
        """Read what the log printed.

        Raises:
            ValueError: If a word is unknown.
        """
        words = text.split(",")
        threads = next((int(word[8:]) for word in words if word[:8] == "threads=" and word[8:].isdigit()), 0)
        way = cls("bfloat16" in words, "channels-first" not in words, "columns" in words, threads)
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
                layer.columns = self.columns


class Convolution(nn.Conv2d):
    """A convolution whose weights may get their gradient from a matrix product: see ``Arithmetic.columns``."""

    columns = False

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, H, W) -> (B, n_out, H / stride, W / stride)."""
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
    with _random_state(device):
        for bfloat16 in (False, True):
            for channels_last in (True, False):
                trial(Arithmetic(bfloat16, channels_last, threads=threads))
        trial(replace(min(took, key=took.__getitem__), columns=True))
        if threads > 1:
            trial(replace(min(took, key=took.__getitem__), threads=1))
            torch.set_num_threads(threads)
    best = min(took, key=took.__getitem__)
    each = "; ".join(f"{way} {1000 * seconds:.0f} ms" for way, seconds in took.items())
    report(f"arithmetic: {best} (tried: {each})")
    return best


@contextmanager
def _random_state(device: torch.device) -> Iterator[None]:
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
