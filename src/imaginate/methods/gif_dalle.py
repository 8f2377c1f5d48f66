"""GIF-DALLE: guided imagination with an unCLIP decoder standing for DALL-E2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from imaginate.contract import Context, Guide, StartsFrom, UnclipPrior
from imaginate.errors import ConfigError
from imaginate.methods.core import knobs
from imaginate.methods.core.score_names import GUIDED
from imaginate.methods.core.terms import check_terms, terms_for
from imaginate.records import Candidate, Request, Scalar
from imaginate.settings import check, setting

if TYPE_CHECKING:
    from torch import Tensor

    from imaginate.ops.guidance import Climb


@dataclass(frozen=True, kw_only=True)
class GifDalle:
    """Guided imagination in CLIP's image-embedding space: guide the embedding, then let an unCLIP decoder draw it.

    Zhang et al. 2023 (GIF), Algorithm 1: perturb K copies of the seed's embedding inside an eps-ball (Eq. 1), climb
    S_inf + S_div of the embeddings themselves over z and b (Eq. 2), decode. The unit of eps is the spread of the
    seed's embedding, for that of encoders differs a hundredfold. DALL-E2 has no public weights; Karlo or SD 2.1 unCLIP
    stand for it. The guide must be the CLIP of the decoder's own image encoder. The scores before and after guidance
    are both of embeddings; what the guide sees in images is recorded apart, of seed and copy.
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ("guide", "prior:unclip")
    paper: ClassVar[str] = "Zhang et al. 2023 (GIF-DALLE)"
    scores: ClassVar[tuple[str, ...]] = GUIDED

    variant: Literal["default", "paper", "released"] = knobs.variant()
    guidance_scale: float = knobs.unclip_guidance_scale()
    steps: int = knobs.unclip_steps()
    scheduler: str | None = knobs.unclip_scheduler()
    eps: float = setting(
        0.3,
        "radius of the ball around the seed's embedding, in units of its own spread (the deviation of its entries)",
        gt=0,
        source="ours; GIF D.1 has 0.1, of another encoder",
    )
    ascent_steps: int | None = knobs.ascent_steps()
    ascent_step: float | None = knobs.ascent_step()
    terms: tuple[str, ...] = knobs.terms()
    unguided: bool = setting(
        False,
        "draw each copy without guidance as well and say what the guide sees in that image; twice the time",
        source="ours",
    )

    def __post_init__(self) -> None:
        check(self)
        check_terms(self.terms)

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """All copies of all requests, guided together seed by seed."""
        from imaginate.methods.core.imagination import in_groups

        return in_groups(requests, lambda group: self._expand(group, context))

    def _expand(self, requests: list[Request], context: Context) -> list[Candidate]:
        from imaginate.methods.core.diffusion import Denoising, draw_from_embeddings
        from imaginate.methods.core.imagination import (
            Imagined,
            all_seeds,
            climb_in_units,
            embedding_score,
            encoded_logits,
            grid,
            spreads,
            to_candidates,
        )
        from imaginate.methods.core.roles import unclip_prior
        from imaginate.ops.pixels import stack
        from imaginate.ops.turn import turn
        from imaginate.ops.variants import variant

        prior, guide, seeds = unclip_prior(context), context.guide, all_seeds(requests)
        copies = len(requests[0].copies)
        definition = variant(self.variant, self.ascent_steps, self.ascent_step)
        pixels = stack([r.image for r in requests], prior.view)
        encoded = prior.encode(pixels)
        _check_space(guide, prior, pixels, encoded)
        repeated = pixels.repeat_interleave(copies, dim=0)
        latents = (
            prior.encode(turn(repeated, seeds)) if definition.turn_seed else encoded.repeat_interleave(copies, dim=0)
        )
        of_seeds = encoded_logits(guide, encoded)
        score = embedding_score(guide, of_seeds, definition, terms_for(self.terms, requests, context))
        units = spreads(encoded)
        found = climb_in_units(requests, latents, units, score, definition, eps=self.eps)
        denoising = Denoising.of(self)
        drawn = draw_from_embeddings(prior, found.latents.flatten(0, 1), seeds, denoising)
        start = found.start.flatten(0, 1)
        unguided = draw_from_embeddings(prior, start, seeds, denoising).values if self.unguided else None
        imagined = Imagined(
            images=grid(drawn.values, requests),
            climb=found,
            seed_predicted=of_seeds.argmax(dim=-1),
            predicted=found.after.predicted,
            drawn=drawn,
            own=self._own(requests, found, encoded, {"before": unguided, "after": drawn.values}, pixels, context),
            info={
                "variant": self.variant,
                "guidance_scale": self.guidance_scale,
                "steps": self.steps,
                "eps": self.eps,
                "ascent_steps": definition.ascent_steps,
            },
        )
        return to_candidates(requests, imagined, context.labels)

    def _own(
        self,
        requests: Sequence[Request],
        found: Climb,
        encoded: Tensor,
        images: Mapping[str, Tensor | None],
        pixels: Tensor,
        context: Context,
    ) -> list[dict[str, Scalar]]:
        """Of each copy: the radius and its way as shares, and what the guide sees in the images of seed and copy."""
        from imaginate.methods.core.imagination import seed_logits, spreads
        from imaginate.ops.informativeness import informativeness

        guide, names, copies = context.guide, context.labels.names, len(requests[0].copies)
        of_seeds = seed_logits(guide, pixels.to(encoded.device))
        radii = [self.eps * float(unit) for unit in spreads(encoded)]
        rows: list[dict[str, Scalar]] = [
            {
                "radius": round(radii[i], 4),
                "moved_of_eps": round(float(found.moves[i, j]) / radii[i], 4),
                "image_seed_class": names[int(of_seeds[i].argmax())],
            }
            for i in range(len(requests))
            for j in range(copies)
        ]
        for when, drawn in images.items():
            if drawn is None:
                continue
            logits = seed_logits(guide, drawn)
            parts = informativeness(of_seeds, logits.view(len(requests), copies, -1))
            for n, row in enumerate(rows):
                row[f"image_class_{when}"] = names[int(logits[n].argmax())]
                row[f"image_kept_{when}"] = round(float(parts.kept.flatten()[n]), 4)
                row[f"image_entropy_gain_{when}"] = round(float(parts.gain.flatten()[n]), 4)
        return rows


def _check_space(guide: Guide, prior: UnclipPrior, pixels: Tensor, encoded: Tensor) -> None:
    """ConfigError unless the guide embeds images where the prior does: GIF-DALLE scores the prior's embeddings."""
    import torch

    rule = f"the guide must be the CLIP of {prior.name}'s image encoder, {guide.name}"
    if guide.dim != encoded.shape[1]:
        raise ConfigError(f"{rule} has {guide.dim} dimensions in place of {encoded.shape[1]}")
    with torch.no_grad():
        seen = guide.embed(pixels.to(encoded.device)).float()
    alike = float(torch.nn.functional.cosine_similarity(seen, encoded, dim=1).mean())
    if alike < 0.7:
        raise ConfigError(f"{rule} embeds the seeds elsewhere (cosine {alike:.2f})")
