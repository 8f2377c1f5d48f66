"""What else guidance may climb: terms of the learner itself, each with a weight, added to S of GIF (Eq. 2).

entropy      + H(p), where the learner is undecided (Deliberate Practice, Askari-Hemmat et al. 2025)
loss         - log p_y, where it is wrong of the given class (guidance by the learner's loss)
prototypes   - (|e - m|^2 + min_g |e - m_g|^2), m the mean of the class, m_g those of its groups (DistDiff, Zhu et al.
             2024, hierarchical prototypes)
chamfer      - (min_r |e - r| + mean_r min_j |e_j - r|), r the seed images of the class (Chamfer guidance, Dall'Asen et
             al. 2025): its mean over the copies j is minus the Chamfer distance between copies and seeds

e is the guide's embedding of a copy, unit norm. Every term is (n, k), to be raised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.ops.informativeness import entropy
from imaginate.ops.kmeans import kmeans

GROUPS = 3  # of a class, DistDiff's number


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The weight of each term; 0 leaves it out."""

    entropy: float = 0.0
    loss: float = 0.0
    prototypes: float = 0.0
    chamfer: float = 0.0

    @property
    def compares(self) -> bool:
        """Whether a term compares copies with the seed images of their class."""
        return bool(self.prototypes or self.chamfer)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The weighted terms for n seeds: their labels (n,), and of the class of each its prototypes (p, d), the mean
    first, and its seed images (r, d); both empty where no term compares."""

    weights: Weights
    labels: Tensor
    prototypes: Sequence[Tensor] = ()
    seeds: Sequence[Tensor] = ()

    def values(self, logits: Tensor, embeddings: Tensor) -> Tensor:
        """Logits (n, k, c) and embeddings (n, k, d) of the copies -> their weighted sum, (n, k)."""
        w = self.weights
        total = torch.zeros_like(logits[..., 0])
        if w.entropy:
            total = total + w.entropy * entropy(logits)
        if w.loss:
            total = total + w.loss * loss(logits, self.labels)
        if w.prototypes:
            total = total - w.prototypes * prototype_distance(embeddings, self.prototypes)
        return total - w.chamfer * chamfer(embeddings, self.seeds) if w.chamfer else total


def loss(logits: Tensor, labels: Tensor) -> Tensor:
    """-log p_y: logits (n, k, c), labels (n,) -> (n, k)."""
    index = labels.to(logits.device).view(-1, 1, 1).expand(*logits.shape[:2], 1)
    return -F.log_softmax(logits, dim=-1).gather(-1, index).squeeze(-1)


def prototype_distance(embeddings: Tensor, prototypes: Sequence[Tensor]) -> Tensor:
    """|e - m|^2 + min_g |e - m_g|^2: (n, k, d) and n prototypes (p, d), the mean first -> (n, k). A class without
    groups has its mean in their place."""
    rows = []
    for copies, own in zip(embeddings, prototypes, strict=True):
        away = (copies.unsqueeze(1) - own.to(copies).unsqueeze(0)).square().sum(-1)  # (k, p)
        rows.append(away[:, 0] + (away[:, 1:] if away.shape[1] > 1 else away).amin(1))
    return torch.stack(rows)


def chamfer(embeddings: Tensor, seeds: Sequence[Tensor]) -> Tensor:
    """min_r |e - r| + mean_r min_j |e_j - r|: (n, k, d) and the n seed images (r, d) -> (n, k). The second part is
    that of all copies of a seed together."""
    rows = []
    for copies, own in zip(embeddings, seeds, strict=True):
        away = _distances(copies, own.to(copies))  # (k, r)
        rows.append(away.amin(1) + away.amin(0).mean())
    return torch.stack(rows)


def prototypes_of(embeddings: Tensor, groups: int = GROUPS) -> Tensor:
    """The mean of a class (n, d), then the means of its groups (k-means), where it has two images a group:
    (1 + groups, d), else (1, d)."""
    mean = embeddings.mean(0, keepdim=True)
    if len(embeddings) < 2 * groups:
        return mean
    member = kmeans(embeddings, groups)
    return torch.cat([mean, *(embeddings[member == g].mean(0, keepdim=True) for g in range(groups))])


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean, (k, d) and (r, d) -> (k, r), with a gradient also where two are the same (a root of 0 has none)."""
    return ((a.unsqueeze(1) - b.unsqueeze(0)).square().sum(-1) + 1e-12).sqrt()
