"""Losses that learn at this scale: SimDINO and DINO, with a teacher, and EMP-SSL, without one."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

__all__ = ["LOSSES", "DinoLoss", "EmpSslLoss", "SimDinoLoss", "coding_rate"]


def coding_rate(z: Tensor, eps: float = 0.05) -> Tensor:
    """Return how much room the rows of ``z`` fill: high when they spread over all directions, low in a collapse.

    ``(p + m) / (p m) * 1/2 logdet(I + p / (m eps) z'z)`` of Wu et al. 2025 (SimDINO, arXiv 2502.10385), for z (m, p)
    with rows of length 1; ``1/2 logdet`` is the sum of the logs of the Cholesky factor's diagonal, in float32.
    """
    m, p = z.shape
    z = z.float()
    gram = torch.eye(p, device=z.device) + p / (m * eps) * z.T @ z
    return (p + m) / (p * m) * torch.linalg.cholesky(gram).diagonal().log().sum()


class SimDinoLoss(nn.Module):
    """SimDINO: views of an image agree (cosine), images stay apart (coding rate). No prototypes, no centring."""

    prototypes = 0
    global_views = 2

    def __init__(self, expansion: float = 0.25) -> None:
        """Keep ``expansion``, the weight of the coding rate."""
        super().__init__()
        self.expansion = expansion

    def forward(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, float]:
        """Compare every teacher view with every other student view.

        Args:
            student: (views, B, p), the global views first, rows of length 1.
            teacher: (global views, B, p), rows of length 1.

        Returns:
            The loss, and the mean cosine between views (it rises steadily in a healthy run).
        """
        n_global = len(teacher)
        cosines = [
            (teacher[g] * student[v]).sum(-1).mean() for g in range(n_global) for v in range(len(student)) if g != v
        ]
        agreement = torch.stack(cosines).mean()
        # The student's view carries the gradient; averaged with the teacher's, as the two halves of one batch.
        spread = torch.stack([coding_rate((student[g] + teacher[g]) / 2) for g in range(n_global)]).mean()
        return -agreement - self.expansion * spread, agreement.item()


class DinoLoss(nn.Module):
    """DINO (Caron et al. 2021): the student predicts the teacher's centred and sharpened prototype scores."""

    prototypes = 2048
    global_views = 2
    center: Tensor

    def __init__(
        self, student_temperature: float = 0.1, teacher_temperature: float = 0.04, momentum: float = 0.9
    ) -> None:
        """Keep the temperatures; the first batch sets the centre."""
        super().__init__()
        self.student_temperature, self.teacher_temperature = student_temperature, teacher_temperature
        self.momentum = momentum
        self.register_buffer("center", torch.zeros(1, self.prototypes))

    def forward(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, float]:
        """Cross-entropy between every teacher view and every other student view.

        Args:
            student: Scores (views, B, prototypes), the global views first.
            teacher: Scores (global views, B, prototypes).

        Returns:
            The loss, and the share of image pairs of views whose highest prototype is the same.
        """
        if not self.center.any():  # else the first target is what all images share, and the student runs after it
            self.center.copy_(teacher.detach().mean((0, 1)).unsqueeze(0))
        target = F.softmax((teacher - self.center) / self.teacher_temperature, dim=-1)
        log_student = F.log_softmax(student / self.student_temperature, dim=-1)
        pairs = [(g, v) for g in range(len(teacher)) for v in range(len(student)) if g != v]
        loss = torch.stack([-(target[g] * log_student[v]).sum(-1).mean() for g, v in pairs]).mean()
        agreement = torch.stack([(target[g].argmax(-1) == student[v].argmax(-1)).float().mean() for g, v in pairs])
        with torch.no_grad():
            self.center.lerp_(teacher.mean((0, 1)).unsqueeze(0), 1 - self.momentum)
        return loss, agreement.mean().item()


class EmpSslLoss(nn.Module):
    """EMP-SSL (Tong et al. 2023, arXiv 2304.03977): many small crops of an image agree with their mean.

    The target is the student's own, so there is no global view and no pass of a teacher: in the same time the loss
    sees several times as many crops of an image.
    """

    prototypes = 0
    global_views = 0

    def __init__(self, expansion: float = 0.5) -> None:
        """Keep ``expansion``, the weight of the coding rate."""
        super().__init__()
        self.expansion = expansion

    def forward(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, float]:
        """Compare every view with the direction of the mean of all views of its image.

        Args:
            student: (views, B, p), rows of length 1.
            teacher: Not looked at.

        Returns:
            The loss, and the mean cosine between a view and that mean: 1 / sqrt(views) or so for views that have
            nothing in common, since each is a part of the mean.
        """
        mean = F.normalize(student.mean(0), dim=-1)
        agreement = (student * mean).sum(-1).mean()
        spread = torch.stack([coding_rate(view, eps=0.2) for view in student]).mean()
        return -agreement - self.expansion * spread, agreement.item()


# One row a loss: what the command line offers is this table.
LOSSES: dict[str, Callable[[float], DinoLoss | EmpSslLoss | SimDinoLoss]] = {
    "simdino": SimDinoLoss,
    "dino": lambda _: DinoLoss(),
    "emp-ssl": EmpSslLoss,
}
