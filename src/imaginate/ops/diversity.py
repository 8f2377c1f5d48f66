"""The copies of one seed should differ from one another (GIF eq. 6)."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.errors import ConfigError

Mean: TypeAlias = Literal["feature", "mixture"]

# Unit-norm features of a few hundred dimensions have entries around 0.04: their softmax at temperature 1 is flat and
# the paper's diversity is about 1e-4. 0.01 is the inverse of CLIP's own learnt logit scale, and brings it to order one.
SHARP = 0.01


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
