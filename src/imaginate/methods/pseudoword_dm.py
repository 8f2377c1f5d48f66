"""Images of a class from its pseudoword and the denoiser learnt with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from imaginate.contract import Context, StartsFrom
from imaginate.methods.core import knobs
from imaginate.records import Candidate, Request
from imaginate.settings import check


@dataclass(frozen=True, kw_only=True)
class PseudowordDm:
    """Draw a class from its pseudoword, with the denoiser that `imaginate fit pseudoword-dm` tuned together with it.

    RET sections 3.1 and 4.4, circled 9: RET's best diffusion method.
    """

    starts_from: ClassVar[StartsFrom] = "class"
    needs: ClassVar[tuple[str, ...]] = ("prior:stable-diffusion", "adaptation")
    paper: ClassVar[str] = "RET 4.4"

    prompts: str = knobs.templates()
    steps: int = knobs.steps()
    guidance_scale: float = knobs.guidance_scale()
    scheduler: str | None = knobs.scheduler()
    negative: str = knobs.negative()

    def __post_init__(self) -> None:
        check(self)

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """New images of each class from noise."""
        from imaginate.methods.core.diffusion import Denoising, draw_by_words

        denoising = replace(Denoising.of(self), negative=self.negative)
        return draw_by_words(requests, context, "pseudoword-dm", self.prompts, denoising)
