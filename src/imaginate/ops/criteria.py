"""What makes a new image worth having (GIF eqs. 5 and 6): it keeps the seed's class, is harder to classify than the
seed, and differs from the other copies.

All functions are differentiable, work on logits (never on probabilities: `log` of a rounded zero) and keep their
components apart, so that each can be logged, weighted or switched off.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.errors import ConfigError

Anchor: TypeAlias = Literal["predicted", "given"]
Mean: TypeAlias = Literal["feature", "mixture"]

# Unit-norm features of a few hundred dimensions have entries around 0.04: their softmax at temperature 1 is flat and
# the paper's diversity is about 1e-4. 0.01 is the inverse of CLIP's own learnt logit scale, and brings it to order one.
SHARP = 0.01


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


def diversity(features: Tensor, *, temperature: float = 1.0, mean: Mean = "feature") -> Tensor:
    """Sample diversity, GIF eq. 6: KL(softmax(f') || softmax(mean of the k copies)), (b, k, d) -> (b, k), each >= 0.

    `temperature` 1 with `mean="feature"` is the paper's form. On unit-norm features it is inert (about 1e-4);
    `temperature=SHARP` makes it as large as the other terms.
    `mean="mixture"` compares with the mean of the softmaxed copies (the parts of the Jensen-Shannon divergence), which
    is at most log k, so that no copy can win by diversity alone.
    """
    if not temperature > 0:
        raise ConfigError(f"temperature must be > 0, got {temperature!r}")
    if mean not in get_args(Mean):
        raise ConfigError(f"mean must be one of feature, mixture, got {mean!r}")
    log_p = F.log_softmax(features / temperature, dim=-1)
    if mean == "feature":
        log_q = F.log_softmax(features.mean(dim=1, keepdim=True) / temperature, dim=-1)
    else:
        log_q = torch.logsumexp(log_p, dim=1, keepdim=True) - math.log(features.shape[1])
    return (log_p.exp() * (log_p - log_q)).sum(dim=-1)
