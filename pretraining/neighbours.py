"""Which images are each other's nearest neighbours: without labels, the likeliest to show the same kind of thing."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["mutual"]


@torch.no_grad()
def mutual(vectors: Tensor, count: int = 5) -> Tensor:
    """Find for each image those of its nearest that have it among their own nearest.

    Args:
        vectors: (N, D), rows of length 1.
        count: How many nearest of each are looked at.

    Returns:
        Their rows, int32 (N, count): as often as it takes to fill the row, or the image's own where there are none.
    """
    own = torch.arange(len(vectors), device=vectors.device)[:, None]
    similar = ((vectors[rows[:, 0]] @ vectors.T).scatter(1, rows, -2.0) for rows in own.split(1000))
    nearest = torch.cat([each.topk(count, 1).indices for each in similar])
    both = torch.stack([(nearest[of] == own).any(1) for of in nearest.T], 1)
    first, found = torch.sort(both.int(), dim=1, descending=True, stable=True).indices, both.sum(1, keepdim=True)
    chosen = nearest.gather(1, first.gather(1, torch.arange(count, device=own.device) % found.clamp_min(1)))
    return torch.where(found > 0, chosen, own).int()
