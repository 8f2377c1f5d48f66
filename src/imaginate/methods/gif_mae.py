"""GIF-MAE: guided imagination with a masked autoencoder. One file a prior: they share the operators in `ops`, but
differ in what is diffused, decoded and perturbed, and in the settings that a person sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from imaginate.contract import Context, StartsFrom
from imaginate.methods.core import knobs
from imaginate.methods.core.score_names import GUIDED
from imaginate.methods.core.terms import check_terms
from imaginate.records import Candidate, Request
from imaginate.settings import check, setting

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class GifMae:
    """Guided imagination in a masked autoencoder's latent: the seed's content in more informative styles.

    Zhang et al. 2023 (GIF), section 4 and appendix B.2: encode unmasked, perturb K copies channel-wise (Eq. 1), climb
    S_inf + S_div of the decoded images over z and b (Eq. 2), decode. `variant` names the definition (ops/variants.py).
    `default` takes out the pattern that a perturbation repeats in every patch (ours, ops/texture.py).
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ("guide", "prior:mae")
    paper: ClassVar[str] = "Zhang et al. 2023 (GIF-MAE)"
    scores: ClassVar[tuple[str, ...]] = GUIDED

    variant: Literal["default", "paper", "released"] = knobs.variant()
    eps: float = setting(0.8, "radius of the ball around the seed's latent", gt=0, source="Eq. 1")
    level: Literal["channel", "token", "full"] = knobs.level()
    ascent_steps: int | None = knobs.ascent_steps()
    ascent_step: float | None = knobs.ascent_step()
    terms: tuple[str, ...] = knobs.terms()
    texture: Literal["remove", "keep"] | None = knobs.texture()

    def __post_init__(self) -> None:
        check(self)
        check_terms(self.terms)

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """All copies of all requests, guided together seed by seed."""
        from imaginate.methods.core.imagination import in_groups

        return in_groups(requests, lambda group: self._expand(group, context))

    def _expand(self, requests: list[Request], context: Context) -> list[Candidate]:
        from imaginate.methods.core.imagination import all_seeds, guided, to_candidates
        from imaginate.methods.core.roles import mae_prior
        from imaginate.ops.pixels import stack
        from imaginate.ops.texture import without_texture
        from imaginate.ops.turn import turn
        from imaginate.ops.variants import variant

        prior, copies = mae_prior(context), len(requests[0].copies)
        definition = variant(self.variant, self.ascent_steps, self.ascent_step)
        smooth = (self.texture or definition.texture) == "remove"
        pixels = stack([r.image for r in requests], prior.image_size)
        repeated = pixels.repeat_interleave(copies, dim=0)  # (n k, 3, s, s)
        if definition.turn_seed:
            repeated = turn(repeated, all_seeds(requests))
        latents = (
            prior.encode(repeated) if definition.turn_seed else prior.encode(pixels).repeat_interleave(copies, dim=0)
        )
        info = {"variant": self.variant, "eps": self.eps, "level": self.level, "ascent_steps": definition.ascent_steps}

        def decode(flat: Tensor) -> Tensor:
            images: Tensor = prior.decode(flat, repeated)
            return without_texture(images, repeated, prior.patch_size) if smooth else images

        imagined = guided(
            requests, pixels, latents, decode, context, definition, eps=self.eps, level=self.level, info=info,
            terms=self.terms,
        )  # fmt: skip
        return to_candidates(requests, imagined, context.labels)
