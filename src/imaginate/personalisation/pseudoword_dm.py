"""A pseudoword a class and the denoiser together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from imaginate.settings import check, setting

if TYPE_CHECKING:
    from imaginate.personalisation.core.plan import Learner, Task


@dataclass(frozen=True, kw_only=True)
class PseudowordDm:
    """Learn a pseudoword a class together with the whole denoiser: RET's best diffusion method.

    RET sections 3.2 and 4.4, circled 9: textual inversion (Gal et al. 2022) and Imagic's denoiser tuning at once, on
    the whole dataset. RET searched the learning rates and does not give them: the words' is as in `textual-inversion`,
    and of SDXL a word is a row in each of two tables as there.
    """

    family: ClassVar[str] = "stable-diffusion"
    trains_weights: ClassVar[bool] = True
    paper: ClassVar[str] = "RET 4.4"

    learning_rate: float = setting(5e-4, "of the pseudowords, for a batch of 1, before scaling", gt=0)
    denoiser_rate: float = setting(
        5e-7, "of the denoiser, for a batch of 1, before scaling", gt=0, source="Imagic on Stable Diffusion"
    )
    epochs: int = setting(40, "at most", ge=1, source="RET 3.2")
    keep_first: int = setting(3, "first epochs whose checkpoints are all kept", ge=0, source="RET 3.2")

    def __post_init__(self) -> None:
        check(self)

    def build(self, task: Task) -> Learner:
        """The pseudowords' embeddings and the denoiser learn."""
        from imaginate.personalisation.core.loop import rate
        from imaginate.personalisation.core.networks import freeze, save_whole, unfreeze
        from imaginate.personalisation.core.plan import Group, Learner
        from imaginate.personalisation.core.pseudowords import Words

        words, unet = Words(task), task.prior.denoiser
        part = task.prior.denoiser_part

        def save(folder: Path) -> None:
            words.save(folder)
            save_whole(unet, folder / part)

        def close() -> None:
            words.close()
            freeze(unet)

        groups = {
            "words": Group(words.parameters(), rate(self.learning_rate, 1, task.plan), table=True),
            "denoiser": Group(unfreeze(unet), rate(self.denoiser_rate, 1, task.plan), weight_decay=1e-2),
        }
        return Learner(groups, words.condition, save, close=close, words=words.mapping())
