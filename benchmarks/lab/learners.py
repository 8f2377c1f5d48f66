"""The kinds of learner of the laboratory, each with a study of its own in every target."""

from __future__ import annotations

from dataclasses import dataclass

MAIN = (
    "randaugment", "cutout", "mae", "gif-mae", "sd", "gif-sd", "retrieval", "retrieval-seeds", "retrieval-head",
    "retrieval-seeds-own", "retrieval-head-own", "retrieval-head-pure-own", "prompt-simple", "textual-inversion",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LabLearner:
    """`flags` of `imaginate compare`; `arms`: the runs that take part, None for all; `by_updates`: whether the target's
    number of updates is its budget; `corrupted`: measured on corrupted images, for claim C9 alone, on these `targets`
    (None: all)."""

    name: str
    title: str
    flags: tuple[str, ...]
    arms: tuple[str, ...] | None = None
    by_updates: bool = True
    corrupted: bool = False
    targets: tuple[str, ...] | None = None


LEARNERS = {
    learner.name: learner
    for learner in (
        LabLearner(
            name="probe", title="probe", flags=("--arch", "probe:efficientnet-lite0", "--seeds", "11"), by_updates=False
        ),
        LabLearner(
            name="balanced", title="probe, every class alike", by_updates=False,
            flags=("--arch", "probe:efficientnet-lite0", "--seeds", "11", "--class-weights", "balanced"),
            arms=(
                "randaugment", "retrieval-seeds", "retrieval-head", "retrieval-seeds-own", "retrieval-head-own",
                "retrieval-head-pure-own", "mae", "gif-mae", "gif-mae-lite", "gif-mae-terms", "sd", "diff-ii",
            ),
            targets=("tiny-5", "tiny-10", "flowers102-5", "caltech101-5", "imagenette"),
        ),
        LabLearner(
            name="tuned", title="fine-tuned at 64 px, every class alike",
            flags=(
                "--arch", "finetune:efficientnet-lite0", "--seeds", "5", "--image-size", "64",
                "--class-weights", "balanced", "--no-controls",
            ),
            arms=("randaugment", "retrieval-seeds", "retrieval-head", "retrieval-seeds-own", "retrieval-head-own"),
            targets=("tiny-5", "flowers102-5", "caltech101-5", "imagenette"),
        ),
        LabLearner(
            name="finetune", title="fine-tuned", arms=MAIN,
            flags=("--arch", "finetune:efficientnet-lite0", "--seeds", "3", "--image-size", "96"),
        ),
        LabLearner(
            name="scratch", title="from scratch", arms=MAIN,
            flags=("--arch", "small", "--seeds", "3", "--image-size", "48", "--no-controls"),
        ),
        LabLearner(
            name="robustness", title="probe, corrupted images", by_updates=False, corrupted=True,
            arms=("randaugment", "gif-mae", "gif-sd", "retrieval-head", "retrieval-head-own"),
            targets=("imagenette", "tiny-5"),
            flags=(
                "--arch", "probe:efficientnet-lite0", "--seeds", "5",
                "--corruptions", "3", "--corruption-images", "100",
            ),
        ),
    )
}  # fmt: skip
