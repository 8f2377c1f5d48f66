from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from imaginate.contract import Context, StartsFrom
from imaginate.methods.core.answers import Answer, answer_each
from imaginate.records import Candidate, DigitalSource, Image, Request
from imaginate.settings import check, setting

if TYPE_CHECKING:
    from imaginate.methods.core.operators import Operator


@dataclass(frozen=True, kw_only=True)
class Randaugment:
    """Applies a few random operations (shear, colour, posterise, ...) of one common strength to the seed image.

    Cubuk et al. 2020, sec. 3: N operations drawn uniformly from 14, each at magnitude M. torchvision's operators.
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ()
    digital_source: ClassVar[DigitalSource] = "algorithmicallyEnhanced"
    paper: ClassVar[str] = "Cubuk et al. 2020, arXiv:1909.13719"

    num_ops: int = setting(2, "N: operations applied one after another", ge=1, le=14, source="sec. 3")
    magnitude: int = setting(9, "M: common strength of the operations", ge=0, le=30, source="sec. 3")
    fill: int = setting(128, "grey level of the pixels that come from outside", ge=0, le=255)

    def __post_init__(self) -> None:
        check(self)

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """(3, h, w) uint8 -> the same size."""
        from imaginate.methods.core.operators import operators

        pairs = operators(self.magnitude, self.fill)
        return answer_each(requests, lambda request, seed: Answer(self._apply(pairs, request.image, seed)))

    def _apply(self, pairs: Sequence[tuple[Operator, Operator]], image: Image, seed: int) -> Image:
        """The draws are those of torchvision's RandAugment after `torch.manual_seed(seed)`, from a generator apart."""
        import numpy as np
        import torch

        generator = torch.Generator().manual_seed(seed)
        pixels = untouched = np.ascontiguousarray(image.numpy())
        for _ in range(self.num_ops):
            drawn = int(torch.randint(len(pairs), (), generator=generator))
            forward, backward = pairs[drawn]
            turned = forward is not backward and float(torch.rand((), generator=generator)) <= 0.5
            pixels = (backward if turned else forward)(pixels)
        return image.clone() if pixels is untouched else torch.from_numpy(pixels)
