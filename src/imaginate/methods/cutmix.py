from __future__ import annotations

import math
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
class Cutmix:
    """Pastes a rectangle of a random other image into the seed, and shares the label by area.

    Yun et al. 2019, eqs. 1 and 2: l ~ Beta(alpha, alpha), a box of area 1 - l with a uniform centre, clipped at the
    border; the label's weights are the areas after clipping. The seed keeps the larger part here (l is mirrored below
    1/2), so that the image's folder is its main class.
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ()
    digital_source: ClassVar[DigitalSource] = "composite"
    paper: ClassVar[str] = "Yun et al. 2019, arXiv:1905.04899"

    alpha: float = setting(1.0, "both parameters of the kept area's Beta distribution", gt=0, le=32, source="sec. 3.1")

    def __post_init__(self) -> None:
        check(self)

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """(3, h, w) uint8 -> the same size, with a soft label over all classes."""
        return answer_each(requests, lambda request, seed: self._answer(request, random.Random(seed), context))

    def _answer(self, request: Request, rng: random.Random, context: Context) -> Answer:
        height, width = request.image.shape[-2:]
        kept = rng.betavariate(self.alpha, self.alpha)
        top, bottom, left, right = _box(height, width, max(kept, 1 - kept), rng)
        other, label, name = draw_partner(context.samples, rng, height, width)
        image = request.image.clone()
        image[:, top:bottom, left:right] = other[:, top:bottom, left:right]
        weight = 1 - (bottom - top) * (right - left) / (height * width)
        return Answer(
            image,
            mixed_label(len(context.labels), request.label, label, weight),
            {"partner": name, "weight": weight},
        )


def _box(height: int, width: int, kept: float, rng: random.Random) -> tuple[int, int, int, int]:
    """Eq. 2: top, bottom, left, right of a box of area (1 - kept) h w around a uniform centre, clipped."""
    side = math.sqrt(1 - kept)
    box_height, box_width = int(height * side), int(width * side)
    y, x = rng.randrange(height), rng.randrange(width)
    top, left = y - box_height // 2, x - box_width // 2
    return max(0, top), min(height, top + box_height), max(0, left), min(width, left + box_width)
