"""What a reader of a study should hold against its numbers, one line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from imaginate.errors import some
from imaginate.evaluation import statistics
from imaginate.evaluation.answers import Answers
from imaginate.evaluation.arms import Arm
from imaginate.evaluation.protocol import Protocol
from imaginate.runs import Facts

NAMES = {"imagenet-c": "ImageNet-C", "cifar-c": "CIFAR-C"}


def warnings(
    protocol: Protocol, arms: Sequence[Arm], measured: Mapping[str, Answers], rows: Sequence[Facts]
) -> list[str]:
    """All of them, in the order in which they are printed."""
    found = [
        f"{row['name']} has {row['ratio']:g} new images for each original and not the {row['asked_ratio']:g} asked for"
        for row in rows
        if row["asked_ratio"] is not None and abs(row["ratio"] - row["asked_ratio"]) > 0.02 * row["asked_ratio"]
    ]
    found += [f"{row['name']} has no training image of {some(row['lacks'])}" for row in rows if row["lacks"]]
    found += _bounded(rows)
    found += _thin(rows) + _outgrown(rows)
    if protocol.reference not in measured:
        found.append(f"no arm is called {protocol.reference!r}, so nothing is compared with it")
    if protocol.seeds == 1:
        found.append("one seed: no verdict; its intervals are over images alone")
    elif protocol.seeds < 3:
        found.append("fewer than 3 seeds: the spread between seeds is hardly known")
    if protocol.severities:
        found.append(
            f"corruptions are those of {NAMES[protocol.corruption_constants]} at {protocol.size} pixels: the same "
            "severity is another one at another size or with other constants, so these accuracies compare only with "
            "others of both"
        )
    if not protocol.learner.sees_views and any(arm.path or arm.kind in ("duplicate", "online-aug") for arm in arms):
        found.append(
            f"{protocol.arch} sees each image once: it credits what new images show, and sees harm; only a learner of "
            "features (finetune, from scratch) can be helped by augmentation"
        )
    if protocol.online_aug == "strong" and any(arm.kind == "online-aug" for arm in arms):
        found.append("online-aug is the same as original when --online-aug is strong for every arm")
    if protocol.allow_leak:
        found.append("held-out images were allowed among the training images: the accuracies are too high")
    return found


def measured_on(where: str) -> list[str]:
    """The classes that the held-out images do not show; `where` is empty where they show all."""
    return [f"every accuracy is measured {where}"] if where else []


def _thin(rows: Sequence[Facts]) -> list[str]:
    """Classes of too few held-out images for what is said of them."""
    few = [row["class"] for row in (rows[0]["per_class"] if rows else []) if row["held_out"] < statistics.FEW]
    if not few:
        return []
    return [
        f"{len(few)} classes have fewer than {statistics.FEW} held-out images, such as {few[0]}: nothing can be said "
        "of each, and the interval of the mean over classes is too narrow"
    ]


def _outgrown(rows: Sequence[Facts]) -> list[str]:
    """A run that is much larger than `duplicate`, which was measured before it."""
    sizes = {row["name"]: row["images"]["total"] for row in rows if row["kind"] == "duplicate"}
    if not sizes:
        return []
    alike, size = max(sizes.items(), key=lambda item: item[1])
    larger = [row for row in rows if row["kind"] == "run" and row["images"]["total"] > 1.5 * size]
    if not larger:
        return []
    times = max(round(row["images"]["synthetic"] / row["images"]["original"]) for row in larger)
    return [
        f"{larger[0]['name']} is larger than {alike}, which was measured before it: "
        f"--arm duplicate:{times} has its size"
    ]


def _bounded(rows: Sequence[Facts]) -> list[str]:
    """What the accuracies would be over all classes, at worst and at best, where some classes have no images."""
    known = [row for row in rows if row["bounds"]]
    if not known:
        return []
    each = [f"{r['name']} {100 * r['bounds']['worst']:.1f} to {100 * r['bounds']['best']:.1f} %" for r in known]
    return [
        "over all classes, with the held-out images of classes without images all wrong or all right, top-1 is "
        + some(each, len(each))
    ]
