from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from imaginate.contract import Context, StartsFrom
from imaginate.errors import ConfigError
from imaginate.methods.core.answers import Answer, answer_each
from imaginate.records import Candidate, DigitalSource, Request
from imaginate.settings import check, setting

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Gridmask:
    """Covers a regular grid of squares: never all of an object, never none of it.

    Chen et al. 2020, sec. 3.2: a mask of period d in [d_min, d_max], offset (delta_x, delta_y) in [0, d), in which each
    d x d cell keeps everything but one square of side d - ceil(r d), r the kept share of a side; the whole mask is
    turned by an angle. The paper's periods [96, 224] are for 224 px; here they are shares of the shorter side.
    Covered pixels are grey where the paper has zero after normalisation.
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ()
    digital_source: ClassVar[DigitalSource] = "algorithmicallyEnhanced"
    paper: ClassVar[str] = "Chen et al. 2020, arXiv:2001.04086"

    ratio: float = setting(0.6, "r: the share of each cell's side that is kept", gt=0, lt=1, source="eq. 2")
    period_min: float = setting(0.43, "smallest period, as a share of the shorter side", gt=0, le=2, source="sec. 4.1")
    period_max: float = setting(1.0, "largest period, as a share of the shorter side", gt=0, le=2, source="sec. 4.1")
    rotate: float = setting(
        360.0, "largest angle by which the mask is turned, in degrees", ge=0, le=360, source="sec. 4.1"
    )
    fill: int = setting(128, "grey level of the covered squares", ge=0, le=255)

    def __post_init__(self) -> None:
        check(self)
        if self.period_min > self.period_max:
            raise ConfigError(f"period_min must be at most period_max ({self.period_max:g}), got {self.period_min:g}")

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """(3, h, w) uint8 -> the same size, a grid of squares covered."""
        return answer_each(requests, self._answer)

    def _answer(self, request: Request, seed: int) -> Answer:
        import torch

        height, width = request.image.shape[-2:]
        covered = self.mask(height, width, random.Random(seed))
        fill = torch.tensor(self.fill, dtype=request.image.dtype)
        return Answer(torch.where(covered, fill, request.image))

    def mask(self, height: int, width: int, rng: random.Random) -> Tensor:
        """(height, width) bool, True where the image is covered."""
        import torch

        short = min(height, width)
        period = max(2, round(rng.uniform(self.period_min, self.period_max) * short))
        square = period - math.ceil(self.ratio * period)
        shift_x, shift_y = rng.randrange(period), rng.randrange(period)
        angle = math.radians(rng.uniform(0, self.rotate))
        y = torch.arange(height, dtype=torch.float32)[:, None] - (height - 1) / 2
        x = torch.arange(width, dtype=torch.float32)[None, :] - (width - 1) / 2
        u = torch.round(x * math.cos(angle) + y * math.sin(angle)) + shift_x
        v = torch.round(y * math.cos(angle) - x * math.sin(angle)) + shift_y
        return (u % period < square) & (v % period < square)
