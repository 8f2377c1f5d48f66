"""Seeds edited under their class's name, kept where the guide agrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from imaginate.contract import Context, StartsFrom
from imaginate.errors import ConfigError
from imaginate.records import Candidate, Request
from imaginate.settings import check, setting

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class RealGuidance:
    """Edit each seed under a prompt of its class, and drop what the guide does not take for that class.

    He et al. 2022 ("Is synthetic data from generative models ready for image recognition?"): real guidance is SDEdit
    from few-shot images instead of noise; its CLIP filter drops images of low zero-shot confidence. The paper's
    threshold is not told: by default an image must be more probable than chance (1 / classes). Its t0 depends on the
    shots; 0.5 is what DA-Fusion uses for this baseline.
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ("prior:stable-diffusion", "guide")
    paper: ClassVar[str] = "He et al. 2022, arXiv:2210.07574"

    strength: float = setting(0.5, "how much of the seed is noised away", gt=0, le=1, source="DA-Fusion's baseline")
    prompt: str = setting(
        "a photo of a {class}", "{class} is the display name, {name} all synonyms", source="He et al."
    )
    min_probability: float | None = setting(
        None,
        "smallest guide probability of the class; none is 1 / classes, 0 keeps all",
        ge=0,
        lt=1,
        source="CLIP filter",
    )
    steps: int = setting(50, "denoising steps at strength 1", ge=1)
    guidance_scale: float = setting(
        7.5, "weight of classifier-free guidance", ge=1, source="Stable Diffusion's default"
    )
    scheduler: str | None = setting(None, "noise scheduler; none is the checkpoint's own")

    def __post_init__(self) -> None:
        check(self)
        if not ("{class}" in self.prompt or "{name}" in self.prompt):
            raise ConfigError(f"prompt must hold {{class}} or {{name}}, got {self.prompt!r}")

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """Every copy edited; those that the guide refuses come back as failed, with their probability."""
        from imaginate.models.generate import Sampler, candidates, copies, from_seeds
        from imaginate.ops.prompt_sets import full_name

        wanted = copies(requests)
        infos = [context.labels[c.label] for c in wanted]
        prompts = [self.prompt.replace("{class}", i.title).replace("{name}", full_name(i)) for i in infos]
        how = Sampler(steps=self.steps, guidance_scale=self.guidance_scale, scheduler=self.scheduler)
        images = from_seeds(context.prior, wanted, prompts, [self.strength] * len(wanted), how)
        found = _probabilities(context, images, [c.label for c in wanted])
        least = 1 / len(context.labels) if self.min_probability is None else self.min_probability
        return candidates(
            wanted,
            images,
            prompts=prompts,
            info=[{"strength": self.strength}] * len(wanted),
            scores=[{"class_probability": p} for p in found],
            failed=["guide does not see the class" if p < least else None for p in found],
        )


def _probabilities(context: Context, images: torch.Tensor, labels: list[int]) -> list[float]:
    """The guide's probability of each image's class; an image that is no number gets 0."""
    import torch

    with torch.no_grad():
        logits = context.guide.logits(context.guide.embed(images.nan_to_num(0).clamp(0, 1)))
        return [float(row[label]) for row, label in zip(logits.softmax(-1), labels, strict=True)]
