"""Conditioning and denoiser together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from imaginate.settings import check, setting

if TYPE_CHECKING:
    from imaginate.personalisation.core.plan import Learner, Task


@dataclass(frozen=True, kw_only=True)
class Imagic:
    """Learn one conditioning a class together with the whole denoiser.

    RET sections 3.2 and 4.4, circled 7, after Imagic (Kawar et al. 2022), which optimises the embedding first and the
    denoiser afterwards on a single image (Stable Diffusion: 1000 steps at 2e-3, then 1500 at 5e-7; Imagen: 100 at 1e-3,
    then 1500); RET trains both jointly on the dataset and does not give its rates. The loss kept falling while images
    got worse after 8 epochs, so the first 8 epochs are kept and one is chosen by accuracy (`--select-by accuracy`).
    Of SDXL text and pooled embedding learn, as in `ft-conditioning`.
    """

    family: ClassVar[str] = "stable-diffusion"
    trains_weights: ClassVar[bool] = True
    paper: ClassVar[str] = "RET 4.4; Kawar et al. 2022"

    learning_rate: float = setting(
        2e-3, "of the conditionings, for a batch of 1, before scaling", gt=0, source="Imagic on Stable Diffusion"
    )
    denoiser_rate: float = setting(
        5e-7, "of the denoiser, for a batch of 1, before scaling", gt=0, source="Imagic on Stable Diffusion"
    )
    epochs: int = setting(8, "at most", ge=1, source="RET 3.2")
    keep_first: int = setting(8, "first epochs whose checkpoints are all kept", ge=0, source="RET 3.2")

    def __post_init__(self) -> None:
        check(self)

    def build(self, task: Task) -> Learner:
        """The table of conditionings and the denoiser learn."""
        from imaginate.personalisation.core.loop import rate
        from imaginate.personalisation.core.networks import freeze, save_whole, unfreeze
        from imaginate.personalisation.core.plan import Group, Learner
        from imaginate.personalisation.core.vectors import Vectors

        vectors, unet = Vectors(task), task.prior.denoiser
        part = task.prior.denoiser_part

        def save(folder: Path) -> None:
            vectors.save(folder)
            save_whole(unet, folder / part)

        groups = {
            "conditioning": Group(vectors.parameters(), rate(self.learning_rate, 1, task.plan), table=True),
            "denoiser": Group(unfreeze(unet), rate(self.denoiser_rate, 1, task.plan), weight_decay=1e-2),
        }
        return Learner(groups, vectors.condition, save, close=lambda: freeze(unet))
