from __future__ import annotations

import math
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
class FlipCrop:
    """Crops a random part, scales it back and flips half of the images: the plain control of every comparison.

    Szegedy et al. 2015, sec. 6 (random resized crop: area and aspect ratio drawn at random), with a milder smallest
    area, since small data cannot afford crops without their object.
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ()
    digital_source: ClassVar[DigitalSource] = "algorithmicallyEnhanced"
    paper: ClassVar[str] = "Szegedy et al. 2015, arXiv:1409.4842"

    area: float = setting(
        0.5, "smallest share of the image's area that a crop keeps", gt=0, le=1, source="sec. 6 has 0.08"
    )
    aspect: float = setting(4 / 3, "largest change of the aspect ratio, either way", ge=1, le=4, source="sec. 6")
    flip: float = setting(0.5, "probability of a horizontal flip", ge=0, le=1)

    def __post_init__(self) -> None:
        check(self)

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """(3, h, w) uint8 -> the same size."""
        return answer_each(requests, self._answer)

    def _answer(self, request: Request, seed: int) -> Answer:
        return Answer(self.crop(request.image, random.Random(seed)))

    def crop(self, image: Tensor, rng: random.Random) -> Tensor:
        """(3, h, w) uint8 -> one random crop of it, at the same size."""
        from torchvision.transforms.v2 import functional as tvf

        height, width = image.shape[-2:]
        area = rng.uniform(self.area, 1)
        stretch = math.sqrt(math.exp(rng.uniform(-math.log(self.aspect), math.log(self.aspect))))
        crop_h = min(height, max(1, round(height * math.sqrt(area) / stretch)))
        crop_w = min(width, max(1, round(width * math.sqrt(area) * stretch)))
        top, left = rng.randint(0, height - crop_h), rng.randint(0, width - crop_w)
        out: Tensor = tvf.resized_crop(image, top, left, crop_h, crop_w, [height, width], antialias=True)
        return out.flip(-1) if rng.random() < self.flip else out
