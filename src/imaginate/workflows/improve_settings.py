"""How an improvement spends, chooses and stops; apart from the loop, so that the command line reads it quickly."""

from __future__ import annotations

from dataclasses import dataclass

from imaginate.errors import ConfigError
from imaginate.settings import check, setting


@dataclass(frozen=True, kw_only=True)
class Improvement:
    """How `imaginate improve` spends, chooses and stops. Its fields are its flags."""

    methods: tuple[str, ...] = setting(
        (), "methods that make candidates (default: retrieval with a pool, else randaugment and trivialaugment)"
    )
    runs: tuple[str, ...] = setting((), "runs of the same dataset whose images are candidates too")
    budget: int | None = setting(
        None, "new images that a round may add (default: as many as there are originals)", ge=1
    )
    offers: int = setting(4, "candidates that are made for each image that a round may add", ge=1, le=100)
    share: float = setting(0.8, "share of the mistakes whose classes are spent on", gt=0, le=1)
    rounds: int = setting(5, "rounds at most", ge=1, le=100)
    folds: int = setting(5, "parts of the originals that are judged in turn", ge=2, le=50)
    repeats: int = setting(3, "cuts into folds, by which it is seen how much depends on the cut", ge=2, le=50)
    level: float = setting(0.95, "level of the intervals", gt=0.5, lt=1)
    guide: str | None = setting(
        None, "guide that judges the class of candidates and gives the features of the choice (default: that "
        "of the pool, else the probe of the classifier's backbone)",
    )  # fmt: skip
    prior: str | None = setting(None, "prior for methods that need one: nano, or a checkpoint's id or folder")
    pool: str | None = setting(None, "retrieval pool written by `imaginate pool build`")
    adaptation: str | None = setting(None, "adaptation folder written by `imaginate fit`")
    fit: str | None = setting(
        None, "technique by which each round fits --prior to its weak classes, for the methods that take it"
    )
    fit_steps: int | None = setting(None, "steps of each fit (default: as many as `imaginate fit` takes)", ge=1)
    held_out: str | None = setting(None, "dataset on which the classifier is measured once, before and after")
    held_out_split: str | None = setting(None, "split of the held-out dataset")
    seed: int = setting(0, "of the cuts and of all draws", ge=0)

    def __post_init__(self) -> None:
        check(self)
        if self.fit and self.adaptation:
            raise ConfigError("fit makes an adaptation in each round: leave out --adaptation, or --fit")
        if self.fit_steps and not self.fit:
            raise ConfigError("fit_steps is of --fit, which is not given: leave it out")

    @property
    def sources(self) -> tuple[str, ...]:
        """The methods that make candidates."""
        if self.methods:
            return self.methods
        return ("retrieval",) if self.pool else () if self.runs else ("randaugment", "trivialaugment")
