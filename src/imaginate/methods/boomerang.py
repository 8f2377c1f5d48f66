"""Local sampling: a little noise and back, without any guidance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from imaginate.contract import Context, Level, StartsFrom, levels_of
from imaginate.methods.core import knobs
from imaginate.records import Candidate, Request
from imaginate.settings import check, setting


@dataclass(frozen=True, kw_only=True)
class Boomerang:
    """Noise a seed part of the way and denoise it without a prompt: a neighbour on the image manifold.

    Luzi et al. 2022 (Boomerang); RET section 4.2, circled 10. The noise level t_Boom / T is the only knob: near 0 the
    seed comes back, at 1 the sample is global (Luzi et al. show 200 to 800 of 1000 on Stable Diffusion, with a prompt).
    Guidance-free as in RET: the unconditional prediction alone. RET saw only slight distortions of the seeds; it does
    not give its level, and 0.3 is ours.
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ("prior:stable-diffusion",)
    paper: ClassVar[str] = "Luzi et al. 2022; RET 4.2"

    strength: float = setting(0.3, "noise level t_Boom / T", gt=0, le=1)
    noise: float | None = knobs.noise()
    steps: int = setting(50, "denoising steps of the whole schedule, of which strength x steps are done", ge=1)
    scheduler: str | None = knobs.scheduler()

    def __post_init__(self) -> None:
        check(self)

    @property
    def levels(self) -> tuple[Level, ...]:
        """Where the copies' diffusions start."""
        return levels_of(self.strength, self.noise)

    @property
    def cautious(self) -> Mapping[str, Any]:
        """Little noise, so that a weak prior keeps the class."""
        return knobs.little_noise(self.steps, self.noise, self.scheduler)

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """Every copy: its seed noised and denoised without a prompt."""
        from imaginate.methods.core.diffusion import Denoising, candidates, copies, edit_seeds
        from imaginate.methods.core.roles import diffusion_prior
        from imaginate.models.priors.core.levels import level_facts

        wanted = copies(requests)
        denoising = Denoising(steps=self.steps, guidance_scale=1.0, scheduler=self.scheduler)
        prior = diffusion_prior(context)
        drawn = edit_seeds(prior, wanted, [""] * len(wanted), list(self.levels) * len(wanted), denoising)
        facts = level_facts(prior, self.levels[0], self.steps, self.scheduler)
        return candidates(wanted, drawn, info=[facts] * len(wanted))
