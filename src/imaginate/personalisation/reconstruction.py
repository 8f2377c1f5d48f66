"""The unCLIP decoder tuned to reconstruct the dataset from its image embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from imaginate.settings import check, setting

if TYPE_CHECKING:
    import torch

    from imaginate.personalisation.core.plan import Learner, Task


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """Tune the unCLIP decoder to give an image back from its own CLIP embedding.

    GIF appendix B.6: "DALL-E2 is fine-tuned based on image reconstruction" before it expands medical images. The image
    encoder stays frozen; some images train the unconditional half, so that guidance keeps working.
    """

    family: ClassVar[str] = "unclip"
    trains_weights: ClassVar[bool] = True
    paper: ClassVar[str] = "GIF B.6"

    mode: Literal["lora", "full"] = setting("full", "what of the decoder learns: low-rank updates, or all of it")
    rank: int = setting(8, "rank of the low-rank updates", ge=1)
    unconditional: float = setting(0.1, "share of images trained without their embedding", ge=0, lt=1)
    guidance_scale: float = setting(4.0, "weight of classifier-free guidance in the sheets", ge=1, source="GIF D.1")
    learning_rate: float | None = setting(
        None, "for a batch of 1, before scaling; none is 1e-4 for lora, 2e-6 for full", gt=0
    )
    epochs: int = setting(40, "at most", ge=1)
    keep_first: int = setting(3, "first epochs whose checkpoints are all kept", ge=0)

    def __post_init__(self) -> None:
        check(self)

    def build(self, task: Task) -> Learner:
        """The decoder's denoiser learns."""
        from imaginate.personalisation.core.embedded import Embedded
        from imaginate.personalisation.core.loop import rate
        from imaginate.personalisation.core.networks import UNET_TARGETS, as_unclip, low_rank, whole
        from imaginate.personalisation.core.plan import Group, Learner

        embedded, prior = Embedded(task, self.unconditional), as_unclip(task.prior)
        if self.mode == "lora":
            part = low_rank(
                prior.denoiser, lambda m: setattr(prior, "denoiser", m), rank=self.rank, targets=UNET_TARGETS,
                seed=task.plan.seed,
            )  # fmt: skip
        else:
            part = whole(prior.denoiser)
        stated = self.learning_rate or (1e-4 if self.mode == "lora" else 2e-6)
        decay = 1e-2 if self.mode == "full" else 0.0
        group = Group(part.parameters, rate(stated, 1, task.plan), weight_decay=decay)

        def save(folder: Path) -> None:
            part.save(folder / prior.denoiser_part)

        def draw(rows: Sequence[int], seeds: Sequence[int], steps: int) -> torch.Tensor:
            return prior.generate(embedded.of(rows), guidance_scale=self.guidance_scale, steps=steps, seeds=seeds)

        return Learner({"decoder": group}, embedded.condition, save, draw=draw, close=part.close)
