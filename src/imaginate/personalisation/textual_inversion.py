"""A pseudoword a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from imaginate.settings import check, setting

if TYPE_CHECKING:
    from imaginate.personalisation.core.plan import Learner, Task


@dataclass(frozen=True, kw_only=True)
class TextualInversion:
    """Learn a pseudoword a class, read in prompt templates; the whole prior stays frozen.

    Gal et al. 2022; RET sections 3.2 and 4.4, circled 8: started from the last word of the class's first name (the
    mean of its tokens), trained with the 27 templates of Gal et al.'s appendix drawn at random. The rate is that of
    diffusers' examples/textual_inversion/README.md, which scales it linearly with the batch, here by the square root
    (RET 3.2); Gal et al. use 5e-3 on another model (LDM), scaled linearly too. Of SDXL, SD3 and FLUX.1 a word
    is a row in the table of each text encoder, and all learn, at one rate.
    """

    family: ClassVar[str] = "stable-diffusion"
    trains_weights: ClassVar[bool] = False
    paper: ClassVar[str] = "Gal et al. 2022; RET 4.4"

    learning_rate: float = setting(5e-4, "for a batch of 1, before scaling", gt=0, source="diffusers' example, README")
    epochs: int = setting(40, "at most", ge=1, source="RET 3.2")
    keep_first: int = setting(3, "first epochs whose checkpoints are all kept", ge=0, source="RET 3.2")

    def __post_init__(self) -> None:
        check(self)

    def build(self, task: Task) -> Learner:
        """Only the pseudowords' embeddings learn."""
        from imaginate.personalisation.core.loop import rate
        from imaginate.personalisation.core.plan import Group, Learner
        from imaginate.personalisation.core.pseudowords import Words

        words = Words(task)
        group = Group(words.parameters(), rate(self.learning_rate, 1, task.plan), table=True)
        return Learner({"words": group}, words.condition, words.save, close=words.close, words=words.mapping())
