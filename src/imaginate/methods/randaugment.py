from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from imaginate.contract import Context, StartsFrom
from imaginate.ops.answers import answer_each
from imaginate.records import Candidate, Request
from imaginate.settings import check, setting


@dataclass(frozen=True, kw_only=True)
class Randaugment:
    """Applies a few random operations (shear, colour, posterise, ...) of one common strength to the seed image.

    Cubuk et al. 2020, sec. 3: N operations drawn uniformly from 14, each at magnitude M. torchvision's operators.
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ()
    paper: ClassVar[str] = "Cubuk et al. 2020, arXiv:1909.13719"

    num_ops: int = setting(2, "N: operations applied one after another", ge=1, le=14, source="sec. 3")
    magnitude: int = setting(9, "M: common strength of the operations", ge=0, le=30, source="sec. 3")
    fill: int = setting(128, "grey level of the pixels that come from outside", ge=0, le=255)

    def __post_init__(self) -> None:
        check(self)

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """(3, h, w) uint8 -> the same size."""
        from torchvision.transforms import v2

        transform = v2.RandAugment(
            num_ops=self.num_ops,
            magnitude=self.magnitude,
            interpolation=v2.InterpolationMode.BILINEAR,
            fill=self.fill,
        )
        return answer_each(requests, lambda request, seed: {"image": _apply(transform, request.image, seed)})


def _apply(transform: Any, image: Any, seed: int) -> Any:
    """The transform on one image under its own seed; the process's generator is left as it was.

    Pillow's operators are several times faster than tensor ones on a CPU, so that the image takes that form.
    """
    import numpy as np
    import torch
    from PIL import Image

    generator = torch.default_generator  # `torch.manual_seed` would seed every device too, a thousand times slower
    before = generator.get_state()
    try:
        generator.manual_seed(seed)
        picture = transform(Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()))
    finally:
        generator.set_state(before)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()
