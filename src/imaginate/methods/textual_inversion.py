"""Images of a class from its pseudoword."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from imaginate.contract import Context, StartsFrom
from imaginate.methods.core import knobs
from imaginate.records import Candidate, Request
from imaginate.settings import check


@dataclass(frozen=True, kw_only=True)
class TextualInversion:
    """Draw a class from the pseudoword that `imaginate fit textual-inversion` learnt for it, in varied prompts.

    RET sections 3.1 and 4.4, circled 8; Gal et al. 2022. Templates are drawn with replacement from the 27 of Gal et
    al.'s appendix.
    """

    starts_from: ClassVar[StartsFrom] = "class"
    needs: ClassVar[tuple[str, ...]] = ("prior:stable-diffusion", "adaptation")
    paper: ClassVar[str] = "Gal et al. 2022; RET 4.4"

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
        return draw_by_words(requests, context, "textual-inversion", self.prompts, denoising)
