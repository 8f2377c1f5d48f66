"""A new image should keep the seed's class and be harder to classify than the seed (GIF eq. 5).

All functions are differentiable, work on logits (never on probabilities: `log` of a rounded zero) and keep their
components apart, so that each can be logged, weighted or switched off.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.errors import ConfigError

Anchor: TypeAlias = Literal["predicted", "given"]


class Informativeness(NamedTuple):
    """The two parts of eq. 5, each (b, k): `kept` in [0, 1], `gain` in [-log c, log c] (nats)."""

    kept: Tensor
    gain: Tensor

    @property
    def total(self) -> Tensor:
        """Eq. 5 itself, (b, k)."""
        return self.kept + self.gain


def entropy(logits: Tensor) -> Tensor:
    """How undecided a prediction is: -sum p log p in nats, (..., c) -> (...) in [0, log c]."""
    log_p = F.log_softmax(logits, dim=-1)
    p = log_p.exp()
    return -torch.where(p == 0, torch.zeros_like(p), p * log_p).sum(dim=-1)


def informativeness(
    seed_logits: Tensor, copy_logits: Tensor, labels: Tensor | None = None, *, anchor: Anchor = "predicted"
) -> Informativeness:
    """Class-maintained informativeness, GIF eq. 5: s'_j + (H(s') - H(s)), j the class predicted for the seed.

    `seed_logits`: (b, c); `copy_logits`: (b, k, c); `labels`: (b,) int64, used by `anchor="given"` only.
    `predicted` is the paper's form: the seed's prediction anchors the copy even where the guide is wrong (GIF B.5).
    `given` anchors on the true label: where the guide misreads the seed, the copy is pulled towards its real class.
    """
    if anchor not in get_args(Anchor):
        raise ConfigError(f"anchor must be one of predicted, given, got {anchor!r}")
    if anchor == "given" and labels is None:
        raise ConfigError("anchor 'given' needs the labels of the seeds, got none")
    target = seed_logits.argmax(dim=-1) if anchor == "predicted" or labels is None else labels
    probabilities = F.softmax(copy_logits, dim=-1)
    index = target.view(-1, 1, 1).expand(*copy_logits.shape[:2], 1)
    kept = probabilities.gather(-1, index).squeeze(-1)
    return Informativeness(kept, entropy(copy_logits) - entropy(seed_logits).unsqueeze(1))
