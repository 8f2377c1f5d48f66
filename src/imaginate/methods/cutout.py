from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from imaginate.contract import Context, StartsFrom
from imaginate.methods.core.answers import Answer, answer_each
from imaginate.records import Candidate, DigitalSource, Request
from imaginate.settings import check, setting

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Cutout:
    """Covers one square, anywhere, with a flat grey: the network must use the rest of the image.

    DeVries & Taylor 2017, sec. 3.2: the centre of the square is uniform over the image, so that part of the square
    may fall outside. Their zero after normalisation is grey here, since images leave as plain pixels.
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ()
    digital_source: ClassVar[DigitalSource] = "algorithmicallyEnhanced"
    paper: ClassVar[str] = "DeVries & Taylor 2017, arXiv:1708.04552"

    size: float = setting(0.5, "side of the square, as a share of the shorter side", gt=0, le=1, source="sec. 3.2")
    fill: int = setting(128, "grey level of the square", ge=0, le=255)

    def __post_init__(self) -> None:
        check(self)

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """(3, h, w) uint8 -> the same size, one square covered."""
        return answer_each(requests, self._answer)

    def _answer(self, request: Request, seed: int) -> Answer:
        return Answer(self.cover(request.image, random.Random(seed)))

    def cover(self, image: Tensor, rng: random.Random) -> Tensor:
        """(3, h, w) uint8 -> a copy with the square covered."""
        height, width = image.shape[-2:]
        side = max(1, round(self.size * min(height, width)))
        top, left = rng.randrange(height) - side // 2, rng.randrange(width) - side // 2
        out = image.clone()
        out[:, max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)] = self.fill
        return out
