from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from imaginate.contract import Context, StartsFrom
from imaginate.methods.core.answers import Answer, answer_each
from imaginate.records import Candidate, DigitalSource, Request
from imaginate.settings import check, setting


@dataclass(frozen=True, kw_only=True)
class Trivialaugment:
    """Applies one random operation at a random strength to the seed image: nothing to tune.

    Müller & Hutter 2021, sec. 3, the wide space of table 6: one of 14 operations, its strength drawn uniformly from 31.
    torchvision's TrivialAugmentWide.
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ()
    digital_source: ClassVar[DigitalSource] = "algorithmicallyEnhanced"
    paper: ClassVar[str] = "Müller & Hutter 2021, arXiv:2103.10158"

    fill: int = setting(128, "grey level of the pixels that come from outside", ge=0, le=255)

    def __post_init__(self) -> None:
        check(self)

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """(3, h, w) uint8 -> the same size."""
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms.v2 import TrivialAugmentWide

        from imaginate.methods.core.transforms import transformed

        transform = TrivialAugmentWide(interpolation=InterpolationMode.BILINEAR, fill=self.fill)
        return answer_each(requests, lambda request, seed: Answer(transformed(transform, request.image, seed)))
