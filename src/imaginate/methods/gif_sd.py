"""GIF-SD: guided imagination with Stable Diffusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from imaginate.contract import Context, Level, StartsFrom, levels_of
from imaginate.methods.core import knobs
from imaginate.methods.core.score_names import GUIDED
from imaginate.methods.core.terms import check_terms
from imaginate.records import Candidate, Request, Scalar
from imaginate.settings import check, setting

if TYPE_CHECKING:
    from torch import Tensor

    from imaginate.ops.finite import Finite
    from imaginate.ops.variants import Variant


@dataclass(frozen=True, kw_only=True)
class GifSd:
    """Guided imagination with Stable Diffusion: diffuse the seed under a prompt, then guide the latent's style.

    Zhang et al. 2023 (GIF), Algorithm 2: noise and denoise the seed under a prompt (Eq. 7), perturb the clean latent
    channel-wise inside an eps-ball (Eq. 1), climb S_inf + S_div of the decoded images over z and b (Eq. 2), decode.
    `variant` names the definition: the paper's, the released code's, or ours (ops/variants.py).
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ("guide", "prior:stable-diffusion")
    paper: ClassVar[str] = "Zhang et al. 2023 (GIF-SD)"
    scores: ClassVar[tuple[str, ...]] = GUIDED

    variant: Literal["default", "paper", "released"] = knobs.variant()
    strength: float = knobs.gif_strength()
    noise: float | None = knobs.noise()
    guidance_scale: float = knobs.gif_guidance_scale()
    steps: int = knobs.gif_steps()
    scheduler: str | None = knobs.gif_scheduler()
    eps: float = setting(0.8, "radius of the ball around the diffused latent", gt=0, source="Eq. 1, released code")
    level: Literal["channel", "token", "full"] = knobs.level()
    ascent_steps: int | None = knobs.ascent_steps()
    ascent_step: float | None = knobs.ascent_step()
    terms: tuple[str, ...] = knobs.terms()
    domains: tuple[str, ...] = knobs.domains()
    adjectives: tuple[str, ...] = knobs.adjectives()

    def __post_init__(self) -> None:
        check(self)
        check_terms(self.terms)

    @property
    def levels(self) -> tuple[Level, ...]:
        """Where the copies' diffusions start."""
        return levels_of(self.strength, self.noise)

    @property
    def cautious(self) -> Mapping[str, Any]:
        """Little noise and a small ball, so that a weak prior keeps the class."""
        return {**knobs.little_noise(self.steps, self.noise, self.scheduler), "eps": knobs.SMALL_EPS}

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """All copies of all requests, guided together seed by seed."""
        from imaginate.methods.core.imagination import in_groups

        return in_groups(requests, lambda group: self._expand(group, context))

    def _expand(self, requests: list[Request], context: Context) -> list[Candidate]:
        from imaginate.methods.core.imagination import guided, to_candidates
        from imaginate.methods.core.roles import diffusion_prior
        from imaginate.models.priors.core.levels import level_facts
        from imaginate.ops.pixels import stack
        from imaginate.ops.variants import variant

        prior = diffusion_prior(context)
        definition = variant(self.variant, self.ascent_steps, self.ascent_step)
        pixels = stack([r.image for r in requests], prior.image_size)
        drawn, prompts = self._diffuse(requests, pixels, definition, context)
        info: dict[str, Scalar] = {
            "variant": self.variant,
            **level_facts(prior, self.levels[0], self.steps, self.scheduler),
            "guidance_scale": self.guidance_scale,
            "steps": self.steps,
            "eps": self.eps,
            "ascent_steps": definition.ascent_steps,
        }
        imagined = guided(
            requests, pixels, drawn.values, prior.decode, context, definition, eps=self.eps, level=self.level,
            info=info, prompts=prompts, drawn=drawn, terms=self.terms,
        )  # fmt: skip
        return to_candidates(requests, imagined, context.labels)

    def _diffuse(
        self, requests: list[Request], pixels: Tensor, definition: Variant, context: Context
    ) -> tuple[Finite, list[list[str]]]:
        """Latents of every copy (n k, c, h, w) and their prompts; one diffusion a seed where the variant says so."""
        from imaginate.methods.core.diffusion import Denoising, edit_latents
        from imaginate.methods.core.imagination import all_seeds
        from imaginate.methods.core.prompts import prompts_of
        from imaginate.methods.core.roles import diffusion_prior
        from imaginate.ops.turn import turn

        prior, copies = diffusion_prior(context), len(requests[0].copies)
        prompts = prompts_of(requests, context, self.domains, self.adjectives)
        denoising = Denoising.of(self)
        if not definition.per_copy:
            firsts, seeds = [p[0] for p in prompts], [r.seeds[0] for r in requests]
            once = edit_latents(prior, pixels, firsts, list(self.levels) * len(seeds), seeds, denoising)
            return once.repeat(copies), [[first] * copies for first in firsts]
        seeds = all_seeds(requests)
        pixels = pixels.repeat_interleave(copies, dim=0)
        if definition.turn_seed:
            pixels = turn(pixels, seeds)
        texts = [p for row in prompts for p in row]
        return edit_latents(prior, pixels, texts, list(self.levels) * len(seeds), seeds, denoising), prompts
