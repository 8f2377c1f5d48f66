"""One learnt conditioning a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from imaginate.settings import check, setting

if TYPE_CHECKING:
    from imaginate.personalisation.core.plan import Learner, Task


@dataclass(frozen=True, kw_only=True)
class FtConditioning:
    """Learn one conditioning (a ready text embedding) a class; the whole prior stays frozen.

    RET sections 3.1 and 4.4, circled 5: started from the encoded "A photo of {name}." without white space, trained on
    the reconstruction objective. RET searched the learning rate and does not give it; the default is what Imagic
    (Kawar et al. 2022, implementation details) uses for the same tensor of Stable Diffusion, on one image at a time.
    Of SDXL, SD3 and FLUX.1 the pooled embedding learns with the text embedding: their denoisers take both.
    """

    family: ClassVar[str] = "stable-diffusion"
    trains_weights: ClassVar[bool] = False
    paper: ClassVar[str] = "RET 4.4"

    learning_rate: float = setting(2e-3, "for a batch of 1, before scaling", gt=0, source="Imagic on Stable Diffusion")
    epochs: int = setting(40, "at most", ge=1, source="RET 3.2")
    keep_first: int = setting(3, "first epochs whose checkpoints are all kept", ge=0, source="RET 3.2")

    def __post_init__(self) -> None:
        check(self)

    def build(self, task: Task) -> Learner:
        """Only the table of conditionings learns."""
        from imaginate.personalisation.core.loop import rate
        from imaginate.personalisation.core.plan import Group, Learner
        from imaginate.personalisation.core.vectors import Vectors

        vectors = Vectors(task)
        group = Group(vectors.parameters(), rate(self.learning_rate, 1, task.plan), table=True)
        return Learner({"conditioning": group}, vectors.condition, vectors.save)
