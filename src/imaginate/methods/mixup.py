from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from imaginate.contract import Context, StartsFrom
from imaginate.methods.core.answers import Answer, answer_each
from imaginate.methods.core.partners import draw_partner, mixed_label
from imaginate.records import Candidate, DigitalSource, Request
from imaginate.settings import check, setting


@dataclass(frozen=True, kw_only=True)
class Mixup:
    """Blends the seed image with a random other one, and their labels in the same proportion.

    Zhang et al. 2018, sec. 2: x = l x_i + (1 - l) x_j, y = l y_i + (1 - l) y_j, l ~ Beta(alpha, alpha). The seed keeps
    the larger part here (l is mirrored below 1/2), so that the image's folder is its main class.
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ()
    digital_source: ClassVar[DigitalSource] = "composite"
    paper: ClassVar[str] = "Zhang et al. 2018, arXiv:1710.09412"

    alpha: float = setting(0.2, "both parameters of the weight's Beta distribution", gt=0, le=32, source="sec. 3.1")

    def __post_init__(self) -> None:
        check(self)

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """(3, h, w) uint8 -> the same size, with a soft label over all classes."""
        return answer_each(requests, lambda request, seed: self._answer(request, random.Random(seed), context))

    def _answer(self, request: Request, rng: random.Random, context: Context) -> Answer:
        import torch

        height, width = request.image.shape[-2:]
        weight = rng.betavariate(self.alpha, self.alpha)
        weight = max(weight, 1 - weight)
        other, label, name = draw_partner(context.samples, rng, height, width)
        return Answer(
            torch.lerp(other.float(), request.image.float(), weight).round_().to(torch.uint8),
            mixed_label(len(context.labels), request.label, label, weight),
            {"partner": name, "weight": weight},
        )
