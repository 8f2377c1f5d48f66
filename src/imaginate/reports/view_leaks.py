"""What must be apart and was not: held-out images among the training, new or validation images, and what was done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from imaginate.reports import words
from imaginate.reports.read import View
from imaginate.runs import Facts

IN_HEADER = 4
OTHERS = {"held_out": "a held-out image", "train": "a training image"}


def leak_view(leak: Facts | None, arms: Sequence[Facts], protocol: Facts) -> View | None:
    """What was compared, what was found in each place, and whether it was left in; None for a study without a check."""
    if not leak:
        return None
    left_in = bool(leak.get("allowed")) and not protocol.get("drop_leak")
    runs = leak.get("runs") or {}
    found = [
        _originals(leak, left_in),
        *(_run(_called(path, arms), facts, left_in) for path, facts in runs.items()),
        _validation(leak.get("validation") or {}, left_in),
    ]
    found = [line for line in found if line]
    return {
        "checked": _checked(leak, len(runs)),
        "found": found,
        "header": found[:IN_HEADER],
        "more": max(0, len(found) - IN_HEADER),
        "left_in": left_in,
        "real": _real(leak.get("real") or {}),
        "examples": leak.get("examples") or [],
    }


def _checked(leak: Facts, runs: int) -> str:
    train, held = leak.get("compared") or (None, None)
    new = f" and the new images of {words.count(runs, 'run')}" if runs else ""
    return f"{words.number(train)} training images{new} were compared with {words.number(held)} held-out images."


def _originals(leak: Facts, left_in: bool) -> str:
    if not _pairs(leak):
        return ""
    done = f"{words.count(leak.get('removed') or 0, 'held-out image')} left out of the measurement"
    return f"Training images and held-out images: {_pairs(leak)}; {'left in' if left_in else done}."


def _run(title: str, facts: Facts, left_in: bool) -> str:
    if not _pairs(facts):
        return ""
    removed = facts.get("removed") or 0
    done = f"{words.count(removed, 'new image')} left out of training" if removed else ""
    rest = "" if removed else "the held-out images that they show are not measured"
    return f"New images of {title} and held-out images: {_pairs(facts)}; {'left in' if left_in else done or rest}."


def _validation(facts: Facts, left_in: bool) -> str:
    shown = [f"{words.count(facts[key], 'pair')} with {OTHERS[key]}" for key in ("held_out", "train") if facts.get(key)]
    done = "left in" if left_in else f"{words.count(facts.get('removed') or 0, 'validation image')} left out"
    return f"Validation images: {words.listed(shown)}; {done}." if shown else ""


def _real(facts: Facts) -> str:
    """`facts`: counts by the reason in words, such as `shows a held-out image`."""
    shown = [f"{words.number(n)} that {reason.replace('shows', 'show', 1)}" for reason, n in facts.items() if n]
    return f"Of the further real images, {words.listed(shown)} were left out." if shown else ""


def _pairs(facts: Facts) -> str:
    """`1 pair the same, 3 nearly the same`; empty where neither was found."""
    same, near = facts.get("same") or 0, facts.get("near") or 0
    if same and near:
        return f"{words.count(same, 'pair')} the same, {words.number(near)} nearly the same"
    return f"{words.count(same or near, 'pair')} {'the same' if same else 'nearly the same'}" if same or near else ""


def _called(path: str, arms: Sequence[Facts]) -> str:
    """The titles of the arms that use a run, or the run's folder where none is measured yet."""
    titles = [str(arm["title"]) for arm in arms if arm.get("run") == path]
    return words.listed(titles, 3) if titles else PurePath(path).name


def elsewhere_view(arms: Sequence[Facts]) -> list[View]:
    """The arms whose images another tool made: what was left out of each, and the classes that no name matched."""
    return [
        {
            "title": arm["title"],
            "numbers": [facts[key] for key in ("images", "held_out", "validation", "training", "unmatched_images")],
            "unmatched": list(facts["unmatched"]),
            "without": words.listed(facts["without"], IN_HEADER) if facts["without"] else "none",
            "doubt": facts["doubt"],
        }
        for arm in arms
        if (facts := arm.get("elsewhere"))
    ]
