"""How far the new images are from the real ones, as distributions of features.

Every function takes features `real` (n, d) and `fake` (m, d) of one extractor, any floating type; numbers of different
extractors cannot be compared. FID and KID are torchmetrics', precision and recall torch-fidelity's; density and
coverage, which no maintained library has, are ours.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from imaginate.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

CHUNK = 1024


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """Fréchet distance between two Gaussians fitted to the features (n, d) and (m, d); in [0, inf), 0 is best.

    |mu_r - mu_f|^2 + tr(S_r + S_f - 2 (S_r S_f)^(1/2)), Heusel et al. 2017 ("FID" when the features are Inception's).
    Biased upwards for small samples: compare only at equal counts, and read it with care below `d` images.
    """
    import torch
    from torchmetrics.image.fid import FrechetInceptionDistance

    _check_pair(real, fake, least=2)
    metric = FrechetInceptionDistance(feature=_as_is(real.shape[1]))
    for start in range(0, len(real), CHUNK):
        metric.update(real[start : start + CHUNK].double(), real=True)
    for start in range(0, len(fake), CHUNK):
        metric.update(fake[start : start + CHUNK].double(), real=False)
    return max(0.0, float(torch.as_tensor(metric.compute())))


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

    _check_pair(real, fake, least=2)
    size = min(subset_size, len(real), len(fake))
    if size == len(real) == len(fake):
        subsets = 1  # every subset would be the whole
    with warnings.catch_warnings():  # it warns that it keeps the features, which we hold anyway
        warnings.simplefilter("ignore", UserWarning)
        metric = KernelInceptionDistance(feature=_as_is(real.shape[1]), subsets=subsets, subset_size=size)
    metric.update(real.double(), real=True)
    metric.update(fake.double(), real=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mean, deviation = metric.compute()
    return float(mean), float(deviation)


def precision_recall(real: Tensor, fake: Tensor, *, k: int = 3) -> tuple[float, float]:
    """Precision: share of new images inside the real manifold. Recall: share of real images inside the new one's.

    A manifold is the union of balls around its points, each reaching to the point's k-th neighbour
    (Kynkäänniemi et al. 2019, eq. 1-2). Features (n, d) and (m, d) -> both in [0, 1], 1 is best.
    """
    from torch_fidelity.metric_prc import prc_features_to_metric

    _check_neighbours(real, fake, k)
    found = prc_features_to_metric(
        fake.float(), real.float(), prc_neighborhood=k, prc_batch_size=CHUNK, save_cpu_ram=True, verbose=False
    )
    return float(found["precision"]), float(found["recall"])


def density_coverage(real: Tensor, fake: Tensor, *, k: int = 5) -> tuple[float, float]:
    """Density: in how many real balls a new image lies, over k. Coverage: share of real balls that hold a new image.

    Naeem et al. 2020, eq. 3-4: robust against outliers, where precision and recall are not. The balls are the real
    points', each reaching to its k-th neighbour. Features (n, d) and (m, d) -> density in [0, inf), about 1 for equal
    distributions; coverage in [0, 1].
    """
    import torch

    _check_neighbours(real, fake, k)
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


def _as_is(width: int) -> Module:
    """A module that hands features through: what torchmetrics takes in the place of Inception."""
    import torch

    module = torch.nn.Identity()
    setattr(module, "num_features", width)  # noqa: B010 (a plain assignment is not what Module's type allows)
    return module


def _check_pair(real: Tensor, fake: Tensor, *, least: int) -> None:
    if min(len(real), len(fake)) < least:
        raise ConfigError(f"a distribution needs at least {least} images on each side, got {len(real)} and {len(fake)}")
    if real.shape[1] != fake.shape[1]:
        widths = f"{real.shape[1]} and {fake.shape[1]}"
        raise ConfigError(f"both sides must have features of one extractor, got widths {widths}")


def _check_neighbours(real: Tensor, fake: Tensor, k: int) -> None:
    _check_pair(real, fake, least=2)
    if not 0 < k < min(len(real), len(fake)):
        raise ConfigError(f"k must be in [1, {min(len(real), len(fake)) - 1}] for this many images, got {k}")
