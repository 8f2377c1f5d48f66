from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from imaginate.contract import Context, StartsFrom
from imaginate.methods.core.answers import Answer, answer_each
from imaginate.records import Candidate, DigitalSource, Request
from imaginate.settings import check, setting


@dataclass(frozen=True, kw_only=True)
class Augmix:
    """Blends the seed image with a mixture of several short chains of operations on it.

    Hendrycks et al. 2020, algorithm 1: `width` chains of 1 to 3 operations, mixed by weights from Dirichlet(alpha), and
    the mixture with the seed image by a weight from Beta(alpha, alpha). torchvision's AugMix. The paper's loss of
    consistency belongs to training, not to making images, and is not part of it.
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ()
    digital_source: ClassVar[DigitalSource] = "algorithmicallyEnhanced"
    paper: ClassVar[str] = "Hendrycks et al. 2020, arXiv:1912.02781"

    severity: int = setting(3, "strength of the operations", ge=1, le=10, source="sec. 3")
    width: int = setting(3, "chains that are mixed", ge=1, le=10, source="sec. 3")
    depth: int = setting(0, "operations in a chain; 0: one to three, drawn", ge=0, le=10, source="sec. 3")
    alpha: float = setting(1.0, "of the Dirichlet and Beta distributions", gt=0, le=32, source="sec. 3")
    all_ops: bool = setting(
        False, "brightness, contrast, colour and sharpness too, which the tests of corruption measure", source="sec. 3"
    )
    fill: int = setting(128, "grey level of the pixels that come from outside", ge=0, le=255)

    def __post_init__(self) -> None:
        check(self)

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """(3, h, w) uint8 -> the same size."""
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms.v2 import AugMix

        from imaginate.methods.core.transforms import transformed

        transform = AugMix(
            severity=self.severity, mixture_width=self.width, chain_depth=self.depth or -1, alpha=self.alpha,
            all_ops=self.all_ops, interpolation=InterpolationMode.BILINEAR, fill=self.fill,
        )  # fmt: skip
        return answer_each(requests, lambda request, seed: Answer(transformed(transform, request.image, seed)))
