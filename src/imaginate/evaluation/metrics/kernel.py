"""The kernel distance (KID), computed by torchmetrics in double precision."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from imaginate.evaluation.metrics.core.distances import check_pair, features_as_they_are
from imaginate.evaluation.metrics.core.measurement import Findings, Measured, Need, Number, distances
from imaginate.settings import check, setting

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """Squared maximum mean discrepancy under a cubic kernel, unbiased (Bińkowski et al. 2018)."""

    needs: ClassVar[tuple[Need, ...]] = ("new images", "held-out images")
    order: ClassVar[int] = 20
    least: ClassVar[int] = 2

    subsets: int = setting(10, "random subsets of the kernel distance", ge=1, source="Bińkowski et al. 2018")
    subset_size: int = setting(1000, "images in each of them, at most", ge=2)

    def __post_init__(self) -> None:
        check(self)

    def measure(self, images: Measured) -> Findings:
        """Of the new images, and of the originals, to the held-out ones: the mean over the subsets."""
        number = Number(name="kernel_distance", title="kernel distance (KID)", range="about [0, inf)", better="lower")
        return distances(images, [number], ["unbiased"], lambda real, fake: [self._mean(real, fake)])

    def _mean(self, real: Tensor, fake: Tensor) -> float:
        return kernel_distance(real, fake, subsets=self.subsets, subset_size=self.subset_size)[0]


def kernel_distance(
    real: Tensor, fake: Tensor, *, subsets: int = 10, subset_size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Squared maximum mean discrepancy of features (n, d) and (m, d) under the kernel (x.y / d + 1)^3: mean and
    deviation over random subsets.

    Bińkowski et al. 2018 ("KID" when the features are Inception's). Unbiased: it may be a little below 0, the best.
    Subsets are drawn with their own seed; sets smaller than `subset_size` are used at the size of the smaller one.
    """
    import torch
    from torchmetrics.image.kid import KernelInceptionDistance

    check_pair(real, fake, least=2)
    size = min(subset_size, len(real), len(fake))
    if size == len(real) == len(fake):
        subsets = 1  # every subset would be the whole
    with warnings.catch_warnings():  # it warns that it keeps the features, which we hold anyway
        warnings.simplefilter("ignore", UserWarning)
        metric = KernelInceptionDistance(feature=features_as_they_are(real.shape[1]), subsets=subsets, subset_size=size)
    metric.update(real.double(), real=True)
    metric.update(fake.double(), real=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mean, deviation = metric.compute()
    return float(mean), float(deviation)
