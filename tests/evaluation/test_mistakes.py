from __future__ import annotations

import numpy as np
import pytest

from imaginate.evaluation.answers import Answers
from imaginate.evaluation.mistakes import changed, confusion, most_wrong

NAMES = ("a", "b", "c")


def arm(predicted: list[list[int]], label: list[int], probability: list[list[float]] | None = None) -> Answers:
    found = Answers([])
    found.label = np.array(label)
    for seed, said in enumerate(predicted):
        found.predicted[seed, 0] = np.array(said)
        found.units[seed, 0] = {}
        if probability is not None:
            found.probability[seed, 0] = np.array(probability[seed])[:, None]
    return found


LABEL = [0] * 6 + [1] * 6
BEFORE = arm([[0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]] * 3, LABEL)
LOST = [[0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 1]]  # of the six images of a, in three seeds
AFTER = arm([[*LOST[0], 1, 1, 1, 1, 1, 2], [*LOST[1], *[1] * 6], [*LOST[2], *[1] * 6]], LABEL)


def test_the_confusions_that_changed_most_come_first_with_their_intervals() -> None:
    found = confusion(AFTER, BEFORE, AFTER.keys, NAMES, 0.95)
    first, second = found["pairs"]
    assert (first["class"], first["called"], second["class"], second["called"]) == ("a", "b", "b", "c")
    assert first["change"] == pytest.approx(8 / 18)
    assert first["low"] < 8 / 18 < first["high"] <= 1
    assert found["table"][0] == pytest.approx([10 / 18, 8 / 18, 0], abs=1e-6)
    assert np.array(found["change"]).sum(1) == pytest.approx(0, abs=1e-5)
    alone = confusion(AFTER, None, AFTER.keys, NAMES, 0.95)
    assert [(row["share"], row["change"]) for row in alone["pairs"]] == [
        (pytest.approx(8 / 18), None),
        (pytest.approx(1 / 18), None),
    ]
    assert confusion(BEFORE, BEFORE, BEFORE.keys, NAMES, 0.95)["pairs"] == []


def test_the_most_wrong_images_are_those_that_most_classifiers_miss_the_surest_first() -> None:
    sure = [[0.5] * 4 + [0.6, 0.9] + [0.5] * 6] * 3
    found = most_wrong(
        arm([a.tolist() for a in AFTER.predicted.values()], LABEL, sure),
        BEFORE,
        AFTER.keys,
        [f"i{n}" for n in range(12)],
        NAMES,
    )
    assert [row["id"] for row in found] == ["i5", "i4", "i3", "i11"]
    assert [row["called"] for row in found] == ["b", "b", "b", "c"]
    assert [row["wrong"] for row in found] == pytest.approx([1, 1, 2 / 3, 1 / 3])
    assert found[0]["confidence"] == pytest.approx(0.9)
    assert {row["reference"] for row in found} == {0.0}
    assert most_wrong(BEFORE, None, BEFORE.keys, ["x"] * 12, NAMES) == []


def test_what_is_gained_is_what_the_other_side_loses() -> None:
    ids = [f"i{n}" for n in range(12)]
    found = changed(AFTER, BEFORE, AFTER.keys, ids, NAMES)
    assert found["gained"] == []
    assert [(row["id"], row["called"]) for row in found["lost"]] == [
        ("i4", "b"),
        ("i5", "b"),
        ("i3", "b"),
        ("i11", "c"),
    ]
    assert [row["wrong"] - row["reference"] for row in found["lost"]] == pytest.approx([1, 1, 2 / 3, 1 / 3])
    turned = changed(BEFORE, AFTER, AFTER.keys, ids, NAMES)
    assert [row["id"] for row in turned["gained"]] == [row["id"] for row in found["lost"]]
    assert changed(AFTER, None, AFTER.keys, ids, NAMES) == {"gained": [], "lost": []}
