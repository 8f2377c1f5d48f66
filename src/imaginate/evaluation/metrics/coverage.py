"""Density and coverage. No maintained library has them; the balls are found by `torch.cdist` and `kthvalue`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from imaginate.evaluation.metrics.core.distances import CHUNK, check_neighbours
from imaginate.evaluation.metrics.core.measurement import Findings, Measured, Need, Number, counted, distances
from imaginate.settings import check, setting

if TYPE_CHECKING:
    from torch import Tensor

NUMBERS = (
    Number(name="density", title="density", range="[0, inf)", better="higher"),
    Number(name="coverage", title="coverage", range="[0, 1]", better="higher"),
)


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """In how many real balls a new image is, and how many real balls hold one (Naeem et al. 2020)."""

    needs: ClassVar[tuple[Need, ...]] = ("new images", "held-out images")
    order: ClassVar[int] = 40

    neighbours: int = setting(5, "k of density and coverage", ge=1, source="Naeem et al. 2020")

    def __post_init__(self) -> None:
        check(self)

    @property
    def least(self) -> int:
        """A point, and its k neighbours."""
        return self.neighbours + 1

    def measure(self, images: Measured) -> Findings:
        """Of the new images, and of the originals, against the held-out ones."""
        k = self.neighbours
        notes = [f"k = {k}", "; ".join(filter(None, [f"k = {k}", counted(images)]))]
        return distances(images, NUMBERS, notes, lambda real, fake: density_coverage(real, fake, k=k))


def density_coverage(real: Tensor, fake: Tensor, *, k: int = 5) -> tuple[float, float]:
    """Density: in how many real balls a new image is, over k. Coverage: share of real balls that hold a new image.

    Naeem et al. 2020, eq. 3-4: robust against outliers, where precision and recall are not. The balls are the real
    points', each reaching to its k-th neighbour. Features (n, d) and (m, d) -> density in [0, inf), about 1 for equal
    distributions; coverage in [0, 1].
    """
    import torch

    check_neighbours(real, fake, k)
    radii = _neighbour_radii(real.double(), k)  # (n,)
    inside = torch.zeros((), dtype=torch.float64)
    covered = torch.zeros(len(real), dtype=torch.bool)
    for start in range(0, len(fake), CHUNK):
        near = _distances(real.double(), fake[start : start + CHUNK].double()) < radii[:, None]  # (n, chunk)
        inside += near.sum()
        covered |= near.any(dim=1)
    return float(inside / (k * len(fake))), float(covered.double().mean())


def _neighbour_radii(points: Tensor, k: int) -> Tensor:
    """Distance from each point (n, d) to its k-th neighbour, itself not counted: (n,)."""
    import torch

    parts = [
        _distances(points[start : start + CHUNK], points).kthvalue(k + 1, dim=1).values
        for start in range(0, len(points), CHUNK)
    ]
    return torch.cat(parts)


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances (n, m) between rows of (n, d) and (m, d), by differences, not by the less exact product."""
    import torch

    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
