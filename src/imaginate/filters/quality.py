"""Images that no one should train on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from imaginate.contract import Context
from imaginate.records import Candidate, Request, Verdict
from imaginate.settings import check, setting

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Keeps an image that is large enough, not blank and not blurred away.

    Blank: the grey values hardly vary. Blurred: neither do they vary between neighbours (standard deviation of the
    Laplacian, after Pech-Pacheco et al. 2000). The score is that sharpness; the limits are low on purpose.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    needs_seed: ClassVar[bool] = False
    scope: ClassVar[Literal["candidate", "run"]] = "candidate"

    side: int = setting(16, "smallest side in pixels", ge=1)
    contrast: float = setting(0.02, "smallest standard deviation of the grey values in [0, 1]", ge=0, le=1)
    sharpness: float = setting(0.004, "smallest standard deviation of the Laplacian of the grey values", ge=0)

    def __post_init__(self) -> None:
        check(self)

    def judge(self, candidates: Sequence[Candidate], requests: Sequence[Request], context: Context) -> list[Verdict]:
        """One verdict a candidate; `too small`, `nan pixels`, `blank` or `blurred`."""
        from imaginate.ops.batching import map_images

        large = [n for n, one in enumerate(candidates) if min(one.image.shape[-2:]) >= self.side]
        verdicts = [Verdict(keep=False, reason="too small")] * len(candidates)
        found = map_images(measures, [candidates[n].image for n in large]).tolist() if large else []
        for n, (contrast, sharpness) in zip(large, found, strict=True):
            verdicts[n] = self._verdict(contrast, sharpness)
        return verdicts

    def _verdict(self, contrast: float, sharpness: float) -> Verdict:
        if contrast != contrast:
            return Verdict(keep=False, reason="nan pixels")
        if contrast < self.contrast:
            return Verdict(keep=False, reason="blank", score=sharpness)
        if sharpness < self.sharpness:
            return Verdict(keep=False, reason="blurred", score=sharpness)
        return Verdict(keep=True, score=sharpness)


def measures(images: Tensor) -> Tensor:
    """(b, 3, h, w) in [0, 1] -> (b, 2): standard deviation of the grey values of each, and of their Laplacian
    (4-neighbour), which is 0 where no pixel has four neighbours."""
    import torch

    grey = images.float().mean(dim=1)
    inner = grey[:, 1:-1, 1:-1]
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    laplacian = (around - 4 * inner).flatten(1)
    contrast = grey.flatten(1).std(dim=1, correction=0)
    sharpness = laplacian.std(dim=1, correction=0) if laplacian.shape[1] else torch.zeros_like(contrast)
    return torch.stack([contrast, sharpness], dim=1)
