"""The networks: a small residual network, a small vision transformer with a convolutional stem, and their head."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from pretraining.arithmetic import Convolution

__all__ = ["BACKBONES", "Head", "ResNet", "ViT", "build_backbone", "in_cells", "spread"]

# Mean and standard deviation of the input in 0..1: those of ImageNet, as in the whole DINO family.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def _conv(n_in: int, n_out: int, stride: int, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        Convolution(n_in, n_out, kernel, stride, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    """x + two convolutions of x."""

    def __init__(self, dim: int) -> None:
        """Make the two convolutions, ``dim`` channels in and out."""
        super().__init__()
        self.body = nn.Sequential(_conv(dim, dim, 1), _conv(dim, dim, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, dim, H, W) -> (B, dim, H, W)."""
        out: Tensor = x + self.body(x)
        return out


class Normalize(nn.Module):
    """Pixels 0..1 to the network's input, inside the network: one place, and the exported file carries it."""

    def __init__(self) -> None:
        """Hold mean and standard deviation as buffers that are not saved."""
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in 0..1 -> the same, centred and scaled."""
        out: Tensor = (x - self.mean) / self.std
        return out


def in_cells(maps: Tensor, side: int) -> Tensor:
    """Describe a map by its means in side x side cells, each averaged with the cell that a mirror image has there.

    A pixel on a border counts for both sides by its area, so every size has its cells. One cell is the mean of all.

    Args:
        maps: (B, C, H, W).
        side: Rows of cells, and columns.

    Returns:
        (B, C * half * side), half of the columns, rounded up.
    """
    rows, columns = (_overlaps(length, side, maps) for length in maps.shape[-2:])
    halves = (columns + columns.flip(1))[:, : (side + 1) // 2] / 2
    return ((maps @ halves).transpose(2, 3) @ rows).flatten(1)


def spread(maps: Tensor) -> Tensor:
    """Say how much each channel of maps (B, C, H, W) varies over the places: its standard deviation, (B, C)."""
    return maps.std((2, 3), correction=0)


def _overlaps(length: int, side: int, like: Tensor) -> Tensor:
    """Return the share of each of ``length`` pixels in the mean of each cell (length, side)."""
    pixel = torch.arange(length, device=like.device, dtype=like.dtype)[:, None] / length
    cell = torch.arange(side, device=like.device, dtype=like.dtype) / side
    inside = torch.minimum(pixel + 1 / length, cell + 1 / side) - torch.maximum(pixel, cell)
    return inside.clamp_min(0) * side


class ResNet(nn.Module):
    """A residual network of four stages for images of 24 to 96 pixels; its map of 1/8 size is its "patch tokens".

    On CPU budgets (minutes, not days) it learns several times faster than a transformer of the same size.
    """

    def __init__(
        self, width: int = 32, depths: tuple[int, int, int] = (1, 1, 1), *, strided: bool = False, layout: bool = True
    ) -> None:
        """Make the stages.

        Args:
            width: Channels of the first stage; the next three have 2, 4 and 8 times as many.
            depths: Residual blocks in those three.
            strided: Begin with the second stage.
            layout: Whether ``features`` say where in the image things are: for images of one thing each, in its place.
        """
        super().__init__()
        self.dim = 8 * width
        self.normalize = Normalize()
        # A strided stem skips the stage at full resolution, a quarter of all the time on a CPU.
        layers: list[nn.Module] = [] if strided else [_conv(3, width, 1)]
        for stage, depth in enumerate(depths):
            first = strided and stage == 0
            layers.append(_conv(3, 2 * width, 2, kernel=4) if first else _conv(width << stage, width << (stage + 1), 2))
            layers += [Residual(width << (stage + 1)) for _ in range(depth)]
        self.stages = nn.Sequential(*layers)

        self.before_last = max(at for at, layer in enumerate(layers) if not isinstance(layer, Residual))
        # What ``features`` gives: how many numbers each part has, and how much it weighs in the projection.
        self.cells = 4 if layout else 1
        self.parts: tuple[tuple[int, float], ...]
        if layout:
            self.parts = ((4 * width * self.cells * ((self.cells + 1) // 2), 2.0), (self.dim, 1.0))
        else:
            self.parts = ((4 * width, 1.0), (4 * width, 1.0), (self.dim, 1.0), (self.dim, 1.0))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, 3, H, W) in 0..1 -> image feature (B, dim) and patch tokens (B, H/8 * W/8, dim)."""
        _, x = self._maps(x)
        return x.mean((2, 3)), x.flatten(2).transpose(1, 2)

    def features(self, x: Tensor) -> Tensor:
        """Describe images (B, 3, H, W) for the projection: the map before the last stage, and the last one.

        The loss sees the mean of the last map alone, and asks of it to forget where things are. What tells images
        apart is more in the map before it, and in how much a map varies; see "What was tried" in README.md. With the
        layout the map before comes in cells; without it, each map gives its mean and its spread. The mean of the last
        map comes last.

        Returns:
            (B, D), in ``parts``.
        """
        before, last = self._maps(x)
        spreads = [] if self.cells > 1 else [spread(before), spread(last)]
        return torch.cat([in_cells(before, self.cells), *spreads, last.mean((2, 3))], 1)

    def _maps(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the maps of 1/4 and 1/8 of the images' size."""
        before = self.stages[: self.before_last](self.normalize(x).contiguous(memory_format=torch.channels_last))
        return before, self.stages[self.before_last :](before)


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, dim: int, heads: int) -> None:
        """Make attention with ``heads`` heads and an MLP of four times ``dim``."""
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, dim) -> (B, T, dim)."""
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, d))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class ViT(nn.Module):
    """A small vision transformer: a convolutional stem to 1/8 size, a class token, ``depth`` blocks."""

    def __init__(self, dim: int = 192, depth: int = 6, heads: int = 3, grid: int = 8) -> None:
        """Make stem, tokens and blocks; ``grid`` is the side of the learned position embedding in tokens."""
        super().__init__()
        self.dim, self.grid = dim, grid
        self.normalize = Normalize()
        self.stem = nn.Sequential(
            _conv(3, dim // 4, 2), _conv(dim // 4, dim // 2, 2), nn.Conv2d(dim // 2, dim, 3, 2, 1)
        )
        self.cls = nn.Parameter(torch.zeros(1, 1, dim))
        self.position = nn.Parameter(torch.zeros(1, dim, grid, grid))
        nn.init.trunc_normal_(self.cls, std=0.02)
        nn.init.trunc_normal_(self.position, std=0.02)
        self.blocks = nn.Sequential(*(Block(dim, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.parts: tuple[tuple[int, float], ...] = ((dim, 1.0),)

    def features(self, x: Tensor) -> Tensor:
        """Describe images (B, 3, H, W) for the projection: the class token (B, dim)."""
        return self(x)[0]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, 3, H, W) in 0..1 -> class token (B, dim) and patch tokens (B, H/8 * W/8, dim)."""
        x = self.stem(self.normalize(x))
        position = self.position
        if x.shape[-2:] != position.shape[-2:]:  # local views
            position = F.interpolate(position, x.shape[-2:], mode="bicubic", align_corners=False)
        tokens = torch.cat([self.cls.expand(len(x), -1, -1), (x + position).flatten(2).transpose(1, 2)], 1)
        tokens = self.norm(self.blocks(tokens))
        return tokens[:, 0], tokens[:, 1:]


# One row a backbone: what the command line offers is this table.
BACKBONES: dict[str, Callable[[], ResNet | ViT]] = {
    "resnet-tiny": lambda: ResNet(8),  # for the tests
    "resnet-tiny-strided": lambda: ResNet(8, strided=True, layout=False),  # likewise
    "resnet-32": lambda: ResNet(32),
    "resnet-48": lambda: ResNet(48),
    "resnet-32-deep": lambda: ResNet(32, (1, 2, 2)),
    "resnet-32-strided": lambda: ResNet(32, (1, 2, 2), strided=True, layout=False),
    "resnet-32-light": lambda: ResNet(32, (0, 2, 2), strided=True, layout=False),
    "vit-tiny": lambda: ViT(32, 2, 2, 4),  # for the tests
    "vit-192": lambda: ViT(192, 6, 3),
    "vit-256": lambda: ViT(256, 8, 4),
}


def build_backbone(name: str) -> ResNet | ViT:
    """Make a backbone by its name.

    Raises:
        ValueError: If there is no such backbone.
    """
    if name not in BACKBONES:
        raise ValueError(f"unknown backbone {name!r}: expected one of {', '.join(BACKBONES)}")
    return BACKBONES[name]()


class Head(nn.Module):
    """The projection that the loss sees and the shipped file leaves out.

    For SimDINO: three layers to ``out`` dimensions, L2-normalised. For DINO: the same behind a standardisation of the
    features, then a weight-normalised layer to ``prototypes`` scores. Without the standardisation an untrained network
    gives nearly one vector for all images, centring makes of that a uniform target, and DINO never leaves it.
    """

    def __init__(self, dim: int, *, hidden: int = 1024, out: int = 256, prototypes: int = 0) -> None:
        """Make the layers; ``prototypes`` 0 leaves the last one out."""
        super().__init__()
        self.norm = nn.BatchNorm1d(dim, affine=False) if prototypes else None
        self.mlp = nn.Sequential(
            nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, out)
        )
        self.last = nn.Linear(out, prototypes, bias=False) if prototypes else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, dim) -> (B, out), each row of length 1; or scores (B, prototypes)."""
        if self.norm is not None:
            x = self.norm(x.float())
        z = F.normalize(self.mlp(x).float(), dim=-1)
        if self.last is None:
            return z
        with torch.autocast(z.device.type, enabled=False):  # scores are divided by 0.04: bfloat16 is too coarse
            return F.linear(z, F.normalize(self.last.weight.float(), dim=-1))
