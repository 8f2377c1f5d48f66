"""The page "which method when": advice in words, next to it what the miniature laboratory measured, whatever it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

HEAD = """# Which method when

The numbers are those of the [miniature laboratory](results.md) ({studies}):
small data, small priors, measured with intervals, wins or not. They say how methods behave in that corner. Measure on
your own data before you believe any of them:
[`imaginate compare`](compare.md) takes an hour, and the answer is yours.

Each number is the difference to the originals in points of top-1 accuracy: **bold** a gain, *italic* a loss, after
Holm's correction over the arms of a study; plain: no difference shown.

"""
# What a reader has, what to try first, why; the arms of the laboratory that say whether; and for which learners.
ADVICE = (
    (
        "more real images of the same kind, without labels",
        "`retrieval` with `--score head`",
        "real images bring content that nothing else has; a head on your images chooses them better than a query does "
        "(`-own`: a pool of the dataset's own unlabelled images among 25,000 others). Count every class alike where "
        "some get many images and others few",
        ("retrieval-head", "retrieval-head-own", "retrieval-seeds", "retrieval-seeds-own", "retrieval"),
        "any",
    ),
    (
        "a pool of other pictures",
        "first `imaginate plan`: it says for how many classes the pool has anything near",
        "a pool that lacks the classes brings wrong labels; a head (`--score head`) leaves out what it takes for none "
        "of them",
        ("retrieval-head-pure-own", "retrieval"),
        "any",
    ),
    (
        "a network that you train whole",
        "`randaugment --select informative`",
        "chosen copies have cost nothing but time",
        ("randaugment-selective", "randaugment"),
        "other than a probe",
    ),
    (
        "a linear probe on frozen features",
        "nothing, or retrieval",
        "a probe sees each image once: views of the same image tell it little",
        ("trivialaugment", "augmix", "cutout", "gridmask"),
        "a probe",
    ),
    (
        "a GPU and a prior that knows your subject",
        "`gif-sd` or `da-fusion` after `imaginate fit`",
        "the papers' gains are with priors of full size; the laboratory's are miniature",
        ("gif-sd", "gif-mae", "sd", "mae"),
        "any",
    ),
    (
        "classes that the prior does not know",
        "`imaginate fit textual-inversion`, then the method of the same name",
        "a name that the prior never read draws something else; a pseudoword is learnt from your images",
        ("textual-inversion", "pseudoword-dm", "prompt-clip"),
        "any",
    ),
    (
        "runs of several methods",
        "`mix`",
        "it takes what is predicted to help, and refuses where the choice is predicted to harm",
        ("mix",),
        "any",
    ),
)
LEARNERS = {
    "probe": "probe", "balanced": "probe, classes alike", "finetune": "fine-tuned",
    "tuned": "fine-tuned at 64 px, classes alike", "scratch": "from scratch",
}  # fmt: skip
TAIL = """
Rules of thumb:

- **Ask for labels first.** More real images of your classes: {real}.
- **A guide that is near chance cannot guide.** `plan` measures it; begin with `prototypes:efficientnet-lite0`.
- **Compare with `duplicate`**: {duplicate}. What does not beat it has added size and no information.
- **No cheap number replaces the study**: {predictors}.
"""
PREDICTORS = ("influence", "consistency", "kernel_distance", "vendi", "coverage")
ENOUGH = 8  # arms from which on a rank correlation is worth a word


def choose_page(found: dict[str, Any]) -> str:
    """The page, from what `lab.json` holds."""
    studies = dict(_studies(found))
    rows = ["| you have | try first | why | measured |", "| --- | --- | --- | --- |"]
    for have, first, why, arms, learners in ADVICE:
        asked = {name: one for name, one in studies.items() if learners in ("any", _kind(name))}
        rows.append(f"| {have} | {first} | {why} | {_measured(asked, arms)} |")
    tail = TAIL.format(
        real=_joined(_each(studies, lambda arm: arm["name"].startswith("real-"))),
        duplicate=_joined(_each(studies, lambda arm: arm["name"] == "duplicate")),
        predictors=_best_predictor(studies),
    )
    return HEAD.format(studies="; ".join(studies) or "no study yet") + "\n".join(rows) + "\n" + tail


def _studies(found: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every study that can judge, by its target and learner."""
    for target in found["targets"].values():
        for learner, record in target["learners"].items():
            can_judge = record["arms"] and (record["controls"] or {}).get("can_judge", True)
            if can_judge and learner in LEARNERS:
                yield f"{target['title']}, {LEARNERS[learner]}", record


def _kind(study: str) -> str:
    """Of which kind the learner of a study is."""
    return (
        "a probe" if study.endswith((f", {LEARNERS['probe']}", f", {LEARNERS['balanced']}")) else "other than a probe"
    )


def _measured(studies: dict[str, dict[str, Any]], names: tuple[str, ...]) -> str:
    """Each arm that some study has, with its differences."""
    parts = []
    for name in names:
        each = _each(studies, lambda arm, name=name: arm["name"] == name)
        parts += [f"`{name}` {_joined(each)}"] if each else []
    return "<br>".join(parts) or "not measured yet"


def _each(studies: dict[str, dict[str, Any]], is_asked: Any) -> list[str]:
    """The differences of the arms that are asked for, a text a study."""
    return [
        f"{_points(arm['difference'])} ({title})"
        for title, record in studies.items()
        for arm in record["arms"]
        if arm["difference"] and is_asked(arm)
    ]


def _points(gap: dict[str, Any]) -> str:
    """A difference in points, marked as in the results."""
    words = f"{100 * gap['mean']:+.1f}"
    p = gap["p_holm"] if gap.get("p_holm") is not None else gap["p"]
    is_shown = p is not None and p < 0.05
    mark = {"gain": "**", "loss": "*"}.get(gap["verdict"], "") if is_shown else ""
    return f"{mark}{words}{mark}"


def _joined(each: list[str]) -> str:
    return ", ".join(each) or "not measured yet"


def _best_predictor(studies: dict[str, dict[str, Any]]) -> str:
    """The cheap predictor that ranks the methods of a study best, and how well."""
    from scipy.stats import spearmanr

    ranked = []
    for title, record in studies.items():
        arms = [arm for arm in record["arms"] if arm["predictors"] and arm["difference"]]
        for name in PREDICTORS:
            rows = [(arm["predictors"].get(name), arm["difference"]["mean"]) for arm in arms]
            pairs = [row for row in rows if row[0] is not None]
            rho = float(spearmanr(*zip(*pairs, strict=True)).statistic) if len(pairs) >= ENOUGH else float("nan")
            if rho == rho:
                words = f"{name.replace('_', ' ')}, with a rank correlation of {rho:+.2f} over {len(pairs)} arms"
                ranked.append((abs(rho), f"{words} ({title})"))
    return f"the best of {len(PREDICTORS)} predictors was {max(ranked)[1]}" if ranked else "none was measured yet"
