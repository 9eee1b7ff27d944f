"""Random views of whole batches at once, on the device where the images are.

One ``grid_sample`` does crop, flip, rotation and resize together; colour is a per-image affine map. Nothing here
loops over images, so that augmentation stays a small part of a step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Views", "composed", "random_views"]


@dataclass(frozen=True)
class Views:
    """How one kind of view (global or local) is drawn.

    Attributes:
        size: Side of the view in pixels.
        scale: Range of the crop's share of the image's area.
        rotation: Largest rotation either way, in degrees.
        jitter: Strength of brightness, contrast, saturation and gamma changes, 0 for none.
        greyscale: Share of the views that lose their colour.
        erase: Share of the views with one random rectangle set to noise.
        ratio: Largest ratio of the crop's sides, either way.
        flip: Share of the views that are mirrored, left to right.
        hue: Largest turn of the colours either way, in degrees.
    """

    size: int
    scale: tuple[float, float]
    rotation: float = 0.0
    jitter: float = 0.4
    greyscale: float = 0.0
    erase: float = 0.0
    ratio: float = 4 / 3
    flip: float = 0.5
    hue: float = 0.0


def random_views(images: Tensor, views: Views) -> Tensor:
    """Draw one random view of every image.

    Args:
        images: uint8 (B, C, H, W), C 1 or 3; one channel is repeated to three.
        views: The distribution to draw from.

    Returns:
        float32 (B, 3, size, size) in 0..1.
    """
    n, device = len(images), images.device
    grid = _crop_grid(n, images.shape[1], views, device)
    crops = F.grid_sample(images.float() / 255, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    crops = crops.clamp(0, 1)
    if crops.shape[1] == 1:
        crops = crops.expand(-1, 3, -1, -1)
        crops = _brightness(crops, views.jitter)
    else:
        crops = _colour(_brightness(crops, views.jitter), views)
    return _erase(crops, views.erase) if views.erase else crops


def composed(images: Tensor, chosen: Tensor, grounds: Tensor | None = None) -> Tensor:
    """Put what is on some of the images on other surroundings.

    Two views of a thing then show it before two backgrounds, and only the thing can agree. Nobody says where in the
    image the thing is: of a photograph an upright ellipse in the middle is taken, with a soft edge; of a grey picture
    on black all that is not black, in a random colour.

    Args:
        images: uint8 (B, C, H, W).
        chosen: Which of them, bool (B,).
        grounds: Photographs to take the surroundings from, uint8 (M, 3, h, w); by default the other images.

    Returns:
        uint8 (B, C, H, W), C 3 where grey pictures were put on photographs.
    """
    n, device = int(chosen.sum()), images.device
    if not n or (images.shape[1] == 1 and grounds is None):
        return images
    grounds = images if grounds is None else grounds
    under = grounds[torch.randint(len(grounds), (n,), device=device)].float()
    over, (height, width) = images[chosen].float(), images.shape[-2:]
    if under.shape[-2:] != (height, width):
        under = F.interpolate(under, (height, width), mode="bilinear", antialias=True, align_corners=False)
    if images.shape[1] == 1:
        inside = (over / 16).clamp(0, 1)
        over = over * _uniform(3 * n, 0.4, 1, device).view(n, 3, 1, 1)
        images = images.expand(-1, 3, -1, -1).clone()
    else:
        y = torch.linspace(-1, 1, height, device=device)[:, None] / _uniform(n, 0.6, 0.95, device).view(n, 1, 1)
        x = torch.linspace(-1, 1, width, device=device) / _uniform(n, 0.6, 0.95, device).view(n, 1, 1)
        inside = ((1 - (x * x + y * y)) * 4 + 0.5).clamp(0, 1)[:, None]
        images = images.clone()
    images[chosen] = (inside * over + (1 - inside) * under).round().clamp(0, 255).to(torch.uint8)
    return images


def _uniform(n: int, low: float, high: float, device: torch.device) -> Tensor:
    return torch.empty(n, device=device).uniform_(low, high)


def _crop_grid(n: int, channels: int, views: Views, device: torch.device) -> Tensor:
    """Sampling grid (N, size, size, 2) of a random resized crop with flip and rotation."""
    area = _uniform(n, *views.scale, device)
    ratio = torch.exp(_uniform(n, -math.log(views.ratio), math.log(views.ratio), device))
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    flip = (torch.rand(n, device=device) < 1 - views.flip).float() * 2 - 1  # -1 mirrors
    angle = _uniform(n, -views.rotation, views.rotation, device) * math.pi / 180
    theta = torch.zeros(n, 2, 3, device=device)
    theta[:, 0, 0], theta[:, 0, 1] = width * angle.cos() * flip, -height * angle.sin()
    theta[:, 1, 0], theta[:, 1, 1] = width * angle.sin() * flip, height * angle.cos()
    theta[:, 0, 2] = _uniform(n, -1, 1, device) * (1 - width)
    theta[:, 1, 2] = _uniform(n, -1, 1, device) * (1 - height)
    return F.affine_grid(theta, [n, channels, views.size, views.size], align_corners=False)


def _brightness(x: Tensor, jitter: float) -> Tensor:
    """Gamma, contrast about the image's mean, and gain, each drawn per image."""
    n, device = len(x), x.device
    gamma = torch.exp(_uniform(n, -jitter, jitter, device)).view(n, 1, 1, 1)
    gain = _uniform(n, 1 - jitter, 1 + jitter, device).view(n, 1, 1, 1)
    contrast = _uniform(n, 1 - jitter / 2, 1 + jitter / 2, device).view(n, 1, 1, 1)
    x = x.clamp_min(1e-4).pow(gamma) * gain
    mean = x.mean((1, 2, 3), keepdim=True)
    return ((x - mean) * contrast + mean).clamp(0, 1)


def _colour(x: Tensor, views: Views) -> Tensor:
    """Saturation, hue, a small random mixing of the channels, and loss of all colour in a share of the views."""
    n, device = len(x), x.device
    grey = (x * torch.tensor([0.299, 0.587, 0.114], device=device).view(1, 3, 1, 1)).sum(1, keepdim=True)
    saturation = _uniform(n, 1 - 2 * views.jitter, 1 + 2 * views.jitter, device).clamp_min(0)
    saturation = torch.where(torch.rand(n, device=device) < views.greyscale, 0.0, saturation).view(n, 1, 1, 1)
    mix = torch.eye(3, device=device) + torch.randn(n, 3, 3, device=device) * 0.1 * views.jitter
    mix = mix / mix.sum(2, keepdim=True)  # keeps grey grey
    if views.hue:
        mix = mix @ _turns(_uniform(n, -views.hue, views.hue, device) * math.pi / 180)
    colour = torch.einsum("nij,njhw->nihw", mix, x - grey)
    return (grey + saturation * colour).clamp(0, 1)


def _turns(angle: Tensor) -> Tensor:
    """Matrices (N, 3, 3) that turn colours about the grey axis."""
    third, side = (1 - angle.cos()) / 3, angle.sin() / math.sqrt(3)
    rows = [torch.roll(torch.stack([angle.cos() + third, third - side, third + side], 1), k, 1) for k in range(3)]
    return torch.stack(rows, 1)


def _erase(x: Tensor, share: float) -> Tensor:
    """Set one random rectangle (a fifth of the side to half of it) to grey noise, in a share of the views."""
    n, size, device = len(x), x.shape[-1], x.device
    half = _uniform(n, 0.1, 0.25, device) * size * (torch.rand(n, device=device) < share)
    centre_x, centre_y = _uniform(n, 0, size, device), _uniform(n, 0, size, device)
    axis = torch.arange(size, device=device) + 0.5
    inside_x = (axis - centre_x[:, None]).abs() < half[:, None]
    inside_y = (axis - centre_y[:, None]).abs() < half[:, None]
    mask = (inside_y[:, :, None] & inside_x[:, None, :])[:, None]
    return torch.where(mask, torch.rand_like(x[:, :1]), x)
