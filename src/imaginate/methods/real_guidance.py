"""Seeds edited under their class's name, kept where the guide agrees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from imaginate.contract import Context, Level, StartsFrom, levels_of
from imaginate.errors import ConfigError
from imaginate.methods.core import knobs
from imaginate.records import Candidate, Request
from imaginate.settings import check, setting

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class RealGuidance:
    """Edit each seed under a prompt of its class, and drop what the guide does not take for that class.

    He et al. 2022 ("Is synthetic data from generative models ready for image recognition?"): real guidance is SDEdit
    from few-shot images instead of noise. The released code (github.com/CVMI-Lab/SyntheticData) runs GLIDE at scale 3
    and starts at step 50, 40, 35, 20 or 15 of 100 for 1, 2, 4, 8 or 16 shots (README, src/glide/glide_fsl.py); its CLIP
    filter, used for zero-shot images, keeps a probability above 1 / classes
    (src/classifier-tuning/src/select_glide_ims_by_clip.py). Strength 0.5, prompt and scale 7.5 are those of this
    baseline on Stable Diffusion in DA-Fusion's code (semantic_aug/augmentations/real_guidance.py).
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ("prior:stable-diffusion", "guide")
    paper: ClassVar[str] = "He et al. 2022, arXiv:2210.07574"
    scores: ClassVar[tuple[str, ...]] = ("class_probability",)

    strength: float = setting(
        0.5,
        "how much of the seed is noised away; He et al. use 0.4, 0.35, 0.2, 0.15 for 2, 4, 8, 16 shots",
        gt=0,
        le=1,
        source="He et al. for 1 shot; DA-Fusion's baseline",
    )
    noise: float | None = knobs.noise()
    prompt: str = setting(
        "a photo of a {class}", "{class} is the display name, {name} all synonyms", source="DA-Fusion's baseline"
    )
    min_probability: float | None = setting(
        None,
        "smallest guide probability of the class; none is 1 / classes, 0 keeps all",
        ge=0,
        lt=1,
        source="He et al., CLIP filter of the released code",
    )
    steps: int = setting(50, "denoising steps at strength 1", ge=1)
    guidance_scale: float = setting(7.5, "weight of classifier-free guidance", ge=1, source="DA-Fusion's baseline")
    scheduler: str | None = knobs.scheduler()

    def __post_init__(self) -> None:
        check(self)
        if not ("{class}" in self.prompt or "{name}" in self.prompt):
            raise ConfigError(f"prompt must hold {{class}} or {{name}}, got {self.prompt!r}")

    @property
    def levels(self) -> tuple[Level, ...]:
        """Where the copies' diffusions start."""
        return levels_of(self.strength, self.noise)

    @property
    def cautious(self) -> Mapping[str, Any]:
        """Little noise, so that a weak prior keeps the class."""
        return knobs.little_noise(self.steps, self.noise, self.scheduler)

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """Every copy edited; those that the guide refuses come back as failed, with their probability."""
        from imaginate.methods.core.diffusion import Denoising, candidates, copies, edit_seeds
        from imaginate.methods.core.roles import diffusion_prior
        from imaginate.models.priors.core.levels import level_facts
        from imaginate.prompts.naming import class_name

        wanted = copies(requests)
        infos = [context.labels[c.label] for c in wanted]
        prompts = [
            self.prompt.replace("{class}", class_name(i)).replace("{name}", class_name(i, synonyms=True)) for i in infos
        ]
        denoising = Denoising.of(self)
        prior = diffusion_prior(context)
        drawn = edit_seeds(prior, wanted, prompts, list(self.levels) * len(wanted), denoising)
        found = _probabilities(context, drawn.values, [c.label for c in wanted])
        least = 1 / len(context.labels) if self.min_probability is None else self.min_probability
        return candidates(
            wanted,
            drawn,
            prompts=prompts,
            info=[level_facts(prior, self.levels[0], self.steps, self.scheduler)] * len(wanted),
            scores=[{"class_probability": p} for p in found],
            failed=["guide does not see the class" if p < least else None for p in found],
        )


def _probabilities(context: Context, images: torch.Tensor, labels: list[int]) -> list[float]:
    """The guide's probability of each image's class; an image that is no number gets 0."""
    import torch

    with torch.no_grad():
        logits = context.guide.logits(context.guide.embed(images.nan_to_num(0).clamp(0, 1)))
        return [float(row[label]) for row, label in zip(logits.softmax(-1), labels, strict=True)]
