"""What is watched while training: k-NN accuracy of the teacher and the effective rank of its features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pretraining.arithmetic import Arithmetic

__all__ = ["effective_rank", "features", "knn_accuracy"]


@torch.no_grad()
def features(
    backbone: torch.nn.Module, images: Tensor, size: int, batch: int = 500, arithmetic: Arithmetic | None = None
) -> Tensor:
    """Embed images (N, C, H, W) uint8 resized to ``size``; L2-normalised image features (N, dim)."""
    arithmetic = arithmetic or Arithmetic()
    was_training = backbone.training
    backbone.eval()
    out = []
    for part in images.split(batch):
        x = part.float() / 255
        x = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
        if x.shape[-1] != size:
            x = F.interpolate(x, (size, size), mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)
        with arithmetic.autocast(x.device):
            out.append(F.normalize(backbone(x)[0].float(), dim=1))
    backbone.train(was_training)
    return torch.cat(out)


def knn_accuracy(
    references: Tensor,
    reference_labels: Tensor,
    queries: Tensor,
    labels: Tensor,
    k: int = 20,
    temperature: float = 0.07,
) -> float:
    """k-NN accuracy by the DINO protocol (Caron et al. 2021): votes weighted exp(cosine / temperature)."""
    classes, right = int(reference_labels.max()) + 1, 0
    for part, truth in zip(queries.split(1000), labels.split(1000), strict=True):
        similarity, index = (part @ references.T).topk(min(k, len(references)), 1)
        votes = torch.zeros(len(part), classes, device=part.device)
        votes.scatter_add_(1, reference_labels.to(part.device)[index], (similarity / temperature).exp())
        right += int((votes.argmax(1).cpu() == truth.cpu()).sum())
    return right / len(queries)


def effective_rank(vectors: Tensor) -> float:
    """Exponential of the entropy of the normalised singular values (Roy and Vetterli 2007); 1 in a full collapse."""
    singular = torch.linalg.svdvals((vectors - vectors.mean(0)).float())
    p = singular / singular.sum().clamp_min(1e-12)
    return float(torch.exp(-(p * p.clamp_min(1e-12).log()).sum()))
