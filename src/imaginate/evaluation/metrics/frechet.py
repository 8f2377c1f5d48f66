"""The Fréchet distance (FID), computed by torchmetrics in double precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from imaginate.evaluation.metrics.core.distances import CHUNK, check_pair, features_as_they_are
from imaginate.evaluation.metrics.core.measurement import Findings, Measured, Need, Number, counted, distances
from imaginate.runs import Values

if TYPE_CHECKING:
    from torch import Tensor


OWN = Number(
    name="frechet_distance_own", title="Fréchet distance to the originals (GIF Table 7)", range="[0, inf)",
    better="lower",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Frechet:
    """Distance between two Gaussians fitted to the features (Heusel et al. 2017)."""

    needs: ClassVar[tuple[Need, ...]] = ("new images", "held-out images")
    order: ClassVar[int] = 10
    least: ClassVar[int] = 2

    def measure(self, images: Measured) -> Findings:
        """Of the new images, and of the originals, to the held-out ones."""
        number = Number(name="frechet_distance", title="Fréchet distance (FID)", range="[0, inf)", better="lower")
        found = distances(images, [number], [counted(images)], lambda real, fake: [frechet_distance(real, fake)])
        found = Findings(rows=[*found.rows, _to_originals(images)])
        count, width = len(images.sets.new), images.sets.held_out.vectors.shape[1]
        if not 1 < count < width:
            return found
        warning = (
            f"{count} new images for {width} features: the Fréchet distance is biased upwards, read the kernel distance"
        )
        return Findings(rows=found.rows, warnings=[warning])


def _to_originals(images: Measured) -> Values:
    """The new images against the set's own originals, as GIF Table 7 has it."""
    new, old = images.sets.new, images.sets.originals
    value = frechet_distance(old.vectors, new.vectors) if min(len(new), len(old)) >= 2 else None
    return OWN.row(value, note="the new images against the originals, not the held-out ones")


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """Fréchet distance between two Gaussians fitted to the features (n, d) and (m, d); in [0, inf), 0 is best.

    |mu_r - mu_f|^2 + tr(S_r + S_f - 2 (S_r S_f)^(1/2)), Heusel et al. 2017 ("FID" when the features are Inception's).
    Biased upwards for small samples: compare only at equal counts, and read it with care below `d` images.
    """
    import torch
    from torchmetrics.image.fid import FrechetInceptionDistance

    check_pair(real, fake, least=2)
    metric = FrechetInceptionDistance(feature=features_as_they_are(real.shape[1]))
    for start in range(0, len(real), CHUNK):
        metric.update(real[start : start + CHUNK].double(), real=True)
    for start in range(0, len(fake), CHUNK):
        metric.update(fake[start : start + CHUNK].double(), real=False)
    return max(0.0, float(torch.as_tensor(metric.compute())))
