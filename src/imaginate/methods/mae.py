"""A masked autoencoder without guidance: the baseline of GIF's table 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from imaginate.contract import Context, StartsFrom
from imaginate.methods.core import knobs
from imaginate.records import Candidate, Request
from imaginate.settings import check, setting


@dataclass(frozen=True, kw_only=True)
class Mae:
    """Random variations of a masked autoencoder's latent: encode unmasked, perturb, decode.

    Zhang et al. 2023 (GIF), baseline "MAE": Eq. 1 with random z and b. `level` "channel" changes style, "token" content
    (appendix B.2, where token noise comes out noisy), "full" every entry alone.
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ("prior:mae",)
    paper: ClassVar[str] = "Zhang et al. 2023 (GIF, baseline MAE)"

    eps: float = setting(0.8, "radius of the ball around the seed's latent", gt=0, source="Eq. 1")
    level: Literal["channel", "token", "full"] = setting("channel", "entries that share a draw", source="GIF B.2")
    texture: Literal["remove", "keep"] = setting("remove", knobs.TEXTURE, source="ours")

    def __post_init__(self) -> None:
        check(self)

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """All copies of all requests: K random perturbations of each seed's latent."""
        from imaginate.methods.core.imagination import in_groups

        return in_groups(requests, lambda group: self._expand(group, context))

    def _expand(self, requests: list[Request], context: Context) -> list[Candidate]:
        from imaginate.methods.core.imagination import Imagined, all_seeds, grid, to_candidates
        from imaginate.methods.core.roles import mae_prior
        from imaginate.ops.guidance import inside
        from imaginate.ops.perturb import draw
        from imaginate.ops.pixels import stack
        from imaginate.ops.texture import without_texture

        prior, seeds, copies = mae_prior(context), all_seeds(requests), len(requests[0].copies)
        pixels = stack([r.image for r in requests], prior.image_size)
        latents = prior.encode(pixels).repeat_interleave(copies, dim=0)  # (n k, tokens, width)
        z, b = (t.to(latents) for t in draw(seeds, latents.shape[1:], self.level))
        repeated = pixels.repeat_interleave(copies, dim=0)
        images = prior.decode(inside(latents, z, b, self.eps), repeated)
        images = without_texture(images, repeated, prior.patch_size) if self.texture == "remove" else images
        imagined = Imagined(images=grid(images, requests), info={"eps": self.eps, "level": self.level})
        return to_candidates(requests, imagined, context.labels)
