"""Precision and recall of manifolds, computed by torch-fidelity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from imaginate.evaluation.metrics.core.distances import CHUNK, check_neighbours
from imaginate.evaluation.metrics.core.measurement import Findings, Measured, Need, Number, counted, distances
from imaginate.settings import check, setting

if TYPE_CHECKING:
    from torch import Tensor

NUMBERS = (
    Number(name="precision", title="precision", range="[0, 1]", better="higher"),
    Number(name="recall", title="recall", range="[0, 1]", better="higher"),
)


@dataclass(frozen=True, kw_only=True)
class Manifold:
    """Share of new images inside the real manifold, and of real ones inside the new (Kynkäänniemi et al. 2019)."""

    needs: ClassVar[tuple[Need, ...]] = ("new images", "held-out images")
    order: ClassVar[int] = 30

    manifold_neighbours: int = setting(3, "k of precision and recall", ge=1, source="Kynkäänniemi et al. 2019")

    def __post_init__(self) -> None:
        check(self)

    @property
    def least(self) -> int:
        """A point, and its k neighbours."""
        return self.manifold_neighbours + 1

    def measure(self, images: Measured) -> Findings:
        """Of the new images, and of the originals, against the held-out ones."""
        k = self.manifold_neighbours
        notes = [f"k = {k}", "; ".join(filter(None, [f"k = {k}", counted(images)]))]
        return distances(images, NUMBERS, notes, lambda real, fake: precision_recall(real, fake, k=k))


def precision_recall(real: Tensor, fake: Tensor, *, k: int = 3) -> tuple[float, float]:
    """Precision: share of new images inside the real manifold. Recall: share of real images inside the new one's.

    A manifold is the union of balls around its points, each reaching to the point's k-th neighbour
    (Kynkäänniemi et al. 2019, eq. 1-2). Features (n, d) and (m, d) -> both in [0, 1], 1 is best.
    """
    from torch_fidelity.metric_prc import prc_features_to_metric

    check_neighbours(real, fake, k)
    found = prc_features_to_metric(
        fake.float(), real.float(), prc_neighborhood=k, prc_batch_size=CHUNK, save_cpu_ram=True, verbose=False
    )
    return float(found["precision"]), float(found["recall"])
