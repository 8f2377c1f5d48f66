"""Images of a class from its learnt conditioning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from imaginate.contract import Context, StartsFrom
from imaginate.methods.core import knobs
from imaginate.records import Candidate, Request
from imaginate.settings import check


@dataclass(frozen=True, kw_only=True)
class FtConditioning:
    """Draw a class from the one conditioning that `imaginate fit ft-conditioning` learnt for it.

    RET sections 3.1 and 4.4, circled 5: the denoiser is the prior's own, the text embedding is optimised on the class's
    seed images. RET found images close to the dataset but noisy and without backgrounds.
    """

    starts_from: ClassVar[StartsFrom] = "class"
    needs: ClassVar[tuple[str, ...]] = ("prior:stable-diffusion", "adaptation")
    paper: ClassVar[str] = "RET 4.4"

    steps: int = knobs.steps()
    guidance_scale: float = knobs.guidance_scale()
    scheduler: str | None = knobs.scheduler()
    negative: str = knobs.negative()

    def __post_init__(self) -> None:
        check(self)

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """New images of each class from noise."""
        from imaginate.methods.core.diffusion import Denoising, draw_by_vectors

        denoising = replace(Denoising.of(self), negative=self.negative)
        return draw_by_vectors(requests, context, "ft-conditioning", denoising)
