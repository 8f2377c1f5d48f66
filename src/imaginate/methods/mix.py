"""Images of several runs, chosen by what they change for a classifier: a run of the best of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from imaginate.contract import Context, StartsFrom
from imaginate.methods.core.score_names import INFLUENCE
from imaginate.records import Candidate, Request
from imaginate.settings import check, setting

if TYPE_CHECKING:
    from imaginate.methods.core.mixing import Choice


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Chooses among the new images of several runs (augmented, imagined, personalised, retrieved) by their influence.

    Ours, after Koh & Liang 2017: the influence of an image is the change of the log loss of a ridge head on the guide's
    features, over seed images that are held back, if the image were trained on; `ops.influence` has the equation. The
    seeds are held back in `folds` turns, and an image that comes from a held-back seed says nothing on it. After every
    `step` images of each class all influences are computed anew, so that more of the same helps less and less. What
    would harm is not taken: a class may end short, or empty. Where the first rounds would not help on seeds that
    neither chose nor fitted them, nothing is written, unless by `force`. Copy i of a class is choice i. With few seeds
    the choice fits them too closely: of 100 seeds of Imagenette-S it was predicted to help and cost 2.5 points
    (docs/results.md), so measure it by `compare` before you trust it.
    """

    starts_from: ClassVar[StartsFrom] = "class"
    needs: ClassVar[tuple[str, ...]] = ("guide",)
    paper: ClassVar[str] = "ours"
    scores: ClassVar[tuple[str, ...]] = INFLUENCE

    runs: tuple[str, ...] = setting((), "the runs to choose from (default: the images of the dataset itself)")
    folds: int = setting(5, "parts of the seeds that are held back in turn", ge=3, le=50)
    step: int = setting(4, "images of each class that are taken before every influence is computed anew", ge=1)
    weight: float = setting(1.0, "weight of a new image in the head, where a seed has 1", gt=0, le=10)
    alike: float = setting(0.98, "a cosine with a taken image of its class from which on one is left", gt=0, le=1.01)
    coverage: float = setting(
        0.0, "share of the order that goes by how much of its class's offers an image covers, the rest by influence",
        ge=0, le=1, source="Lin & Bilmes 2011, facility location",
    )  # fmt: skip
    only: tuple[str, ...] = setting((), "the classes of which images are taken (default: all)")
    force: bool = setting(False, "write the least harmful images even where they are predicted to harm")

    def __post_init__(self) -> None:
        check(self)

    def prepare(self, context: Context) -> None:
        """Chooses, so that an expansion that is predicted to harm is refused before the first image is written."""
        from imaginate.methods.core.mixing import offered

        offered(self._choice(), context).check()

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """Choice i of the class as copy i, (3, h, w) uint8; fewer where a class has no more that help."""
        from imaginate.methods.core.mixing import offered

        found = offered(self._choice(), context)
        return [candidate for request in requests for candidate in found.answers(request)]

    def _choice(self) -> Choice:
        from imaginate.methods.core.mixing import Choice

        return Choice(
            runs=self.runs, folds=self.folds, step=self.step, weight=self.weight, alike=self.alike,
            coverage=self.coverage, only=self.only, force=self.force,
        )  # fmt: skip
