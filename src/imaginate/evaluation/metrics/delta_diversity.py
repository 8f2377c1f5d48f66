"""Delta-diversity: how closely the images cover the held-out ones (GIF appendix C)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from imaginate.evaluation.metrics.core.distances import check_finite
from imaginate.evaluation.metrics.core.measurement import Findings, Measured, Need, Number
from imaginate.settings import check, setting

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class DeltaDiversity:
    """The inverse of the radius at which balls around originals and new images cover the held-out ones (GIF app. C)."""

    needs: ClassVar[tuple[Need, ...]] = ("new images", "held-out images")
    order: ClassVar[int] = 60
    least: ClassVar[int] = 0

    cover_quantile: float = setting(0.95, "share of held-out images that the robust cover reaches", gt=0, le=1)

    def __post_init__(self) -> None:
        check(self)

    def measure(self, images: Measured) -> Findings:
        """Of originals and new images together, and of the originals alone."""
        import torch

        sets = images.sets
        old, every = sets.originals.vectors, sets.new.vectors
        if len(sets.originals):
            every = torch.cat([old, every])
        rows = []
        for number, quantile in self._numbers():
            value = cover(every, sets.held_out.vectors, quantile=quantile)[1]
            before = cover(old, sets.held_out.vectors, quantile=quantile)[1] if len(sets.originals) else None
            rows.append(number.row(value, before, "originals and new together; GIF appendix C"))
        return Findings(rows=rows)

    def _numbers(self) -> list[tuple[Number, float]]:
        share = f"{100 * self.cover_quantile:g} %"
        names = {"delta_diversity": "delta-diversity", "delta_diversity_robust": f"delta-diversity, {share}"}
        numbers = [Number(name=n, title=title, range="(0, inf]", better="higher") for n, title in names.items()]
        return list(zip(numbers, (1.0, self.cover_quantile), strict=True))


def cover(points: Tensor, reference: Tensor, *, quantile: float = 1.0) -> tuple[float, float]:
    """Radius at which balls around `points` (n, d) cover `reference` (m, d), and its inverse, the delta-diversity.

    GIF appendix C: delta_min = max_s min_e |s - e|, delta_div = 1 / delta_min; both in [0, inf]. A larger set can only
    lower the radius, so compare an expanded set with the original it contains. `quantile` < 1 is robust to outliers.
    """
    from imaginate.ops.cover import cover_radius, delta_diversity

    check_finite(points, reference)
    return cover_radius(points, reference, quantile=quantile), delta_diversity(points, reference, quantile=quantile)
