"""Controls say whether a study can judge; the yardstick says what an arm is worth in real images."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from imaginate.errors import ConfigError
from imaginate.evaluation import controls
from imaginate.evaluation.answers import Answers
from imaginate.evaluation.arms import parse_arm, parse_arms
from imaginate.evaluation.protocol import protocol_from

N = 600


def answers(accuracy: float, images: int, *, seeds: int = 6, key: int = 0, kind: str = "original") -> Answers:
    """An arm that is right so often, image by image as hard as for every other arm."""
    hard = np.random.default_rng(0).normal(size=N)
    found = Answers([])
    found.label = np.zeros(N, np.int64)
    for seed in range(seeds):
        rng = np.random.default_rng((key, seed))
        own = hard + 0.5 * rng.normal(size=N) + 0.02 * rng.normal()
        found.predicted[seed, 0] = (own > np.quantile(own, accuracy)).astype(np.int64)
        found.units[seed, 0] = {"images": {"original": images, "real": 0, kind: images}}
    return found


def yard(accuracies: tuple[float, ...] = (0.4, 0.5, 0.6, 0.7), **more: Answers) -> dict[str, Answers]:
    names = ("original@0.25", "original@0.5", "original", "real-20")
    return {
        name: answers(a, 10 * 2**i, key=i) for i, (name, a) in enumerate(zip(names, accuracies, strict=True))
    } | more


ARMS = parse_arms(["original", "original@0.25", "original@0.5", "real:20", "duplicate", "online-aug"])


def test_the_yardstick_is_read_as_real_images_also_below_zero() -> None:
    found = yard()
    order = controls.yardstick(ARMS[:4], found)
    assert order == ["original@0.25", "original@0.5", "original", "real-20"]
    for accuracy, more in ((0.65, 40 * 2**0.5 - 40), (0.6, 0.0), (0.45, 10 * 2**0.5 - 40)):
        found["x"] = answers(accuracy, 99, key=9)
        worth = controls.worth("x", "original", order, found, 0.95)
        assert worth is not None
        assert worth["value"] == pytest.approx(more, abs=3)
        assert worth["low"] < more < worth["high"]
    found["x"] = answers(0.2, 99, key=9)
    beyond = controls.worth("x", "original", order, found, 0.95)
    assert beyond is not None
    assert (beyond["value"], beyond["low"], beyond["high"]) == (None, None, -30)
    assert controls.worth("x", "original", order[:1], found, 0.95) is None


def test_the_interval_of_the_worth_covers_the_truth() -> None:
    hits = 0
    for trial in range(60):
        found = {name: answers(a, size, key=100 * trial + i, seeds=4) for i, (name, a, size) in enumerate(
            [("a", 0.5, 20), ("b", 0.6, 40), ("c", 0.7, 80), ("x", 0.65, 99)]
        )}  # fmt: skip
        worth = controls.worth("x", "b", ["a", "b", "c"], found, 0.9)
        assert worth is not None
        low, high = (-np.inf if worth["low"] is None else worth["low"]), worth["high"]
        hits += low <= 40 * 2**0.5 - 40 <= (np.inf if high is None else high)
    assert 0.8 <= hits / 60 <= 1


def test_a_study_judges_only_where_its_controls_do_what_they_must() -> None:
    good = controls.judged(ARMS[:5], yard(duplicate=answers(0.6, 40, key=7)), 0.95)
    assert good is not None
    assert good["can_judge"]
    blind = controls.judged(ARMS[:5], yard((0.6, 0.6, 0.6, 0.6), duplicate=answers(0.6, 40, key=7)), 0.95)
    assert blind is not None
    assert not blind["can_judge"]
    assert "more real images did not show" in blind["fault"]
    wrong = controls.judged(ARMS[:5], yard(duplicate=answers(0.7, 40, key=7)), 0.95)
    assert wrong is not None
    assert "duplicate, which holds no new image, came out as a gain" in wrong["fault"]
    alone = {name: answers(0.5, 10, seeds=1) for name in ("original", "original@0.5")}
    assert controls.judged(parse_arms(["original", "original@0.5"]), alone, 0.95) is None


def test_shares_are_arms_and_wrong_ones_are_refused() -> None:
    arm = parse_arm("original@0.50")
    assert (arm.name, arm.kind, arm.share) == ("original@0.5", "subset", 0.5)
    for wrong in ("original@0", "original@1", "original@x", "original@", "subset"):
        with pytest.raises(ConfigError):
            parse_arm(wrong)


def test_controls_that_make_no_sense_on_the_images_are_not_added(tmp_path: Path, studies: ModuleType) -> None:
    def added(count: int, *specs: str, **settings: object) -> list[str]:
        place = tmp_path / f"{count}"
        data = place if place.exists() else studies.write_folder(place, {"train": count, "test": 2})
        protocol = protocol_from({"data": str(data), "held_out": str(data), "split": "train", **settings})
        return [arm.name for arm in controls.with_controls(parse_arms(list(specs)), protocol)]

    assert added(10, "online-aug") == ["online-aug", "original", "duplicate", "original@0.5", "original@0.25"]
    assert added(2, "original", validation=0) == ["original", "duplicate", "original@0.5"]
    assert added(1, "original") == ["original", "duplicate"]
    assert added(10, "original", "half=original@0.5", shots=4, validation=0) == [
        "original", "half", "duplicate", "original@0.25", "real-4",
    ]  # fmt: skip
    assert "real-4" not in added(10, "original", shots=4, validation=0, held_out_split="rest")
    assert added(10, "original", shots=10, validation=0)[-1] == "original@0.25", "shots leaves no image out"
