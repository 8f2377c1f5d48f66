"""Stable Diffusion without guidance: the baseline of GIF's table 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from imaginate.contract import Context, Level, StartsFrom, levels_of
from imaginate.methods.core import knobs
from imaginate.records import Candidate, Request
from imaginate.settings import check, setting


@dataclass(frozen=True, kw_only=True)
class Sd:
    """Plain img2img: noise the seed to some strength, denoise it under a prompt of its class.

    Zhang et al. 2023 (GIF), baseline "SD"; SDEdit (Meng et al. 2021). Prompt by GIF Eq. 7, one draw a copy. With `eps`,
    the diffused latent is also perturbed at random and projected (Eq. 1): GIF-SD without its guidance.
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ("prior:stable-diffusion",)
    paper: ClassVar[str] = "Meng et al. 2022; Zhang et al. 2023"

    strength: float = knobs.gif_strength()
    noise: float | None = knobs.noise()
    guidance_scale: float = knobs.gif_guidance_scale()
    steps: int = knobs.gif_steps()
    scheduler: str | None = knobs.gif_scheduler()
    eps: float | None = setting(
        None, "radius of a random latent perturbation; none leaves it out", gt=0, source="Eq. 1"
    )
    domains: tuple[str, ...] = knobs.domains()
    adjectives: tuple[str, ...] = knobs.adjectives()

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
        """All copies of all requests, each its own prompt and diffusion."""
        from imaginate.methods.core.imagination import in_groups

        return in_groups(requests, lambda group: self._expand(group, context))

    def _expand(self, requests: list[Request], context: Context) -> list[Candidate]:
        from imaginate.methods.core.diffusion import Denoising, edit_latents
        from imaginate.methods.core.imagination import Imagined, all_seeds, grid, to_candidates
        from imaginate.methods.core.prompts import prompts_of
        from imaginate.methods.core.roles import diffusion_prior
        from imaginate.models.priors.core.levels import level_facts
        from imaginate.ops.guidance import inside
        from imaginate.ops.perturb import draw
        from imaginate.ops.pixels import stack

        prior, seeds, copies = diffusion_prior(context), all_seeds(requests), len(requests[0].copies)
        pixels = stack([r.image for r in requests], prior.image_size).repeat_interleave(copies, dim=0)
        prompts = prompts_of(requests, context, self.domains, self.adjectives)
        denoising = Denoising.of(self)
        texts = [p for row in prompts for p in row]
        drawn = edit_latents(prior, pixels, texts, list(self.levels) * len(seeds), seeds, denoising)
        latents = drawn.values
        if self.eps is not None:
            z, b = (t.to(latents) for t in draw(seeds, latents.shape[1:], "channel"))
            latents = inside(latents, z, b, self.eps)
        info = {
            **level_facts(prior, self.levels[0], self.steps, self.scheduler),
            "guidance_scale": self.guidance_scale,
            "steps": self.steps,
        }
        images = grid(prior.decode(latents), requests)
        return to_candidates(requests, Imagined(images=images, prompts=prompts, drawn=drawn, info=info), context.labels)
