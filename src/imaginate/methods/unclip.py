"""An unCLIP decoder without guidance: image variations, standing for the "DALL-E2" baseline of GIF's table 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from imaginate.contract import Context, StartsFrom
from imaginate.methods.core import knobs
from imaginate.records import Candidate, Request
from imaginate.settings import check, setting


@dataclass(frozen=True, kw_only=True)
class Unclip:
    """Image variations: the seed's CLIP embedding, decoded again from other noise.

    Zhang et al. 2023 (GIF), baseline "DALL-E2" (Ramesh et al. 2022), with open decoders (Karlo, SD 2.1 unCLIP). With
    `eps`, the embedding is also perturbed at random and projected (Eq. 1): GIF-DALLE without its guidance.
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ("prior:unclip",)
    paper: ClassVar[str] = "Ramesh et al. 2022; Zhang et al. 2023 (GIF, baseline DALL-E2)"

    guidance_scale: float = knobs.unclip_guidance_scale()
    steps: int = knobs.unclip_steps()
    scheduler: str | None = knobs.unclip_scheduler()
    eps: float | None = setting(None, "radius of a random perturbation; none leaves it out", gt=0, source="Eq. 1")

    def __post_init__(self) -> None:
        check(self)

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """All copies of all requests, each decoded from its own noise."""
        from imaginate.methods.core.imagination import in_groups

        return in_groups(requests, lambda group: self._expand(group, context))

    def _expand(self, requests: list[Request], context: Context) -> list[Candidate]:
        from imaginate.methods.core.diffusion import Denoising, draw_from_embeddings
        from imaginate.methods.core.imagination import Imagined, all_seeds, grid, to_candidates
        from imaginate.methods.core.roles import unclip_prior
        from imaginate.ops.guidance import inside
        from imaginate.ops.perturb import draw
        from imaginate.ops.pixels import stack

        prior, seeds, copies = unclip_prior(context), all_seeds(requests), len(requests[0].copies)
        pixels = stack([r.image for r in requests], prior.view)
        latents = prior.encode(pixels).repeat_interleave(copies, dim=0)  # (n k, dim)
        if self.eps is not None:
            z, b = (t.to(latents) for t in draw(seeds, latents.shape[1:], "full"))
            latents = inside(latents, z, b, self.eps)
        denoising = Denoising.of(self)
        drawn = draw_from_embeddings(prior, latents, seeds, denoising)
        info = {"guidance_scale": self.guidance_scale, "steps": self.steps, "eps": self.eps}
        imagined = Imagined(images=grid(drawn.values, requests), drawn=drawn, info=info)
        return to_candidates(requests, imagined, context.labels)
