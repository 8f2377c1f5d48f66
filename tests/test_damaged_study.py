"""Damaged results of a study: one line that says what is wrong and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imaginate.errors import RunError
from imaginate.evaluation.answers import _read_arrays, read_result
from imaginate.models.adaptations.folder import same_prior
from imaginate.models.weights import difference
from imaginate.reports.read import read_study

GOOD = {
    "arm": "a", "seed": 0, "resample": 0, "kind": "original", "images": {"original": 1, "real": 0}, "seconds": 1,
    "top1": 0.5, "mean_per_class": 0.5,
    "per_class": [0.5, None],
}  # fmt: skip


@pytest.mark.parametrize("text", ["", "[]", "null", "[" * 20_000, '{"arm": "a"}', json.dumps({**GOOD, "top1": None})])
def test_a_damaged_result_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps(GOOD))
    assert read_result(tmp_path) == GOOD
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(RunError, match=r"result.json is damaged: .*; delete .* to train this classifier again"):
        read_result(tmp_path)


@pytest.mark.parametrize("data", [b"", b"PK", b"x" * 999, bytes(4096)])
def test_damaged_predictions_are_one_line(data: bytes, tmp_path: Path) -> None:
    place = tmp_path / "predictions.npz"
    np.savez(place, label=np.zeros(2), predicted=np.ones(2))
    assert set(_read_arrays(place)) == {"label", "predicted"}
    for damaged in (data, place.read_bytes()[:200]):
        place.write_bytes(damaged)
        with pytest.raises(RunError, match=r"predictions.npz is damaged"):
            _read_arrays(place)


@pytest.mark.parametrize(
    "more", [{}, {"corruption": None}, {"corruption": 0.586}, {"corruption": 0, "validation": 0.7}]
)
def test_a_result_of_any_protocol_is_read(more: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps(GOOD | more))
    assert read_result(tmp_path) == GOOD | more


@pytest.mark.parametrize("arms", [None, -1, [[]], "x", {}, [{}], [{"name": "a"}]])
def test_damaged_results_are_one_line(arms: object, tmp_path: Path) -> None:
    found = {"format": "imaginate-study/1", "protocol": {}, "data": {}, "arms": arms}
    (tmp_path / "results.json").write_text(json.dumps(found))
    with pytest.raises(RunError, match=r"results.json is damaged: .*arms"):
        read_study(tmp_path)


def test_what_is_not_known_is_not_the_same_prior() -> None:
    assert not same_prior({}, {"shapes": "x", "probe": [1.0]})
    assert difference({}, {"guide": {"id": "x", "hash": "y"}}) is None
