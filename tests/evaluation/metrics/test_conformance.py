"""What every registered metric promises, a new one too, without a change here."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
import re
from collections.abc import Callable
from typing import get_args

import pytest
import torch

from imaginate import registry
from imaginate.evaluation.measure import assess, metric_classes
from imaginate.evaluation.metrics.core.features import Extractor, Features
from imaginate.evaluation.metrics.core.measurement import Findings, Measured, Metric, Need, Sets
from imaginate.settings import Setting, settings_of

NAMES = registry.names("metrics")
EXTRACTOR = Extractor(name="tiny", embed=lambda images: images.flatten(1))


def features(n: int, seed: int, name: str) -> Features:
    rng = torch.Generator().manual_seed(seed)
    labels = [i % 3 for i in range(n)]
    vectors = torch.randn(n, 5, generator=rng) + torch.tensor(labels)[:, None] + (name != "h")
    bits, colours = (torch.rand(n, 64, generator=rng) > 0.5).float(), torch.rand(n, 48, generator=rng)
    return Features(ids=[f"{name}{i}" for i in range(n)], labels=labels, vectors=vectors, bits=bits, colours=colours)


def images(new: int = 30, originals: int = 12, held_out: int = 20, classes: int = 3) -> Measured:
    sets = Sets(originals=features(originals, 1, "o"), new=features(new, 2, "n"), held_out=features(held_out, 3, "h"))
    return Measured(sets=sets, extractor=EXTRACTOR, classes=classes, least=6)


def shuffled(found: Features, seed: int) -> Features:
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(seed))
    return Features(
        ids=[found.ids[i] for i in order], labels=[found.labels[i] for i in order], vectors=found.vectors[order],
        bits=found.bits[order], colours=found.colours[order],
    )  # fmt: skip


def numbers(found: Findings) -> dict[str, float | None]:
    """Every number that a metric found, of the table and of its section."""
    section = {k: v for k, v in (found.section or {}).items() if k != "examples"}
    table = {f"{row['name']} {side}": row[side] for row in found.rows for side in ("value", "originals")}
    return {**table, **section}


def inside(value: float, text: str) -> bool:
    """Whether a number is in a range such as `[0, inf)`, `(0, inf]` or `about [0, inf)`; words are no bounds."""
    match = re.search(r"([\[(])(\S+), (\S+)([\])])", text)
    assert match, text
    low, high = float(match[2]), math.inf if match[3] == "images" else float(match[3])
    slack = 0.5 if text.startswith("about") else 0.0
    above = value > low if match[1] == "(" else value >= low - slack
    return above and value <= high


@pytest.fixture(params=NAMES)
def metric(request: pytest.FixtureRequest) -> Metric:
    return registry.make("metrics", request.param)


def test_there_are_some() -> None:
    assert {"frechet", "kernel", "manifold", "coverage", "vendi", "leaks"} <= set(NAMES)


def test_it_is_a_frozen_dataclass_of_settings_that_says_what_it_needs(metric: Metric) -> None:
    cls = type(metric)
    assert dataclasses.is_dataclass(metric)
    assert cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert {f.name for f in dataclasses.fields(metric)} == {s.name for s in settings_of(cls)}
    assert all(s.rule.help for s in settings_of(cls))
    assert registry.summary(cls).endswith(".") or "(" in registry.summary(cls)
    assert set(cls.needs) <= set(get_args(Need))
    assert isinstance(cls.order, int)
    assert metric.least >= 0
    assert pickle.loads(pickle.dumps(metric)) == metric


def test_it_returns_plain_numbers_inside_their_ranges(metric: Metric) -> None:
    found = metric.measure(images())
    assert numbers(found)
    json.dumps([list(found.rows), found.section], allow_nan=False)
    for row in found.rows:
        assert row.keys() == {"name", "title", "value", "originals", "range", "better", "note"}
        assert row["better"] in ("lower", "higher")
        assert row["value"] is not None
        for side in ("value", "originals"):
            assert row[side] is None or inside(row[side], row["range"]), row


def test_the_same_images_give_the_same_numbers_and_draw_from_nobodys_generator(metric: Metric) -> None:
    state = torch.get_rng_state()
    first, second = numbers(metric.measure(images())), numbers(metric.measure(images()))
    assert first == second
    assert torch.equal(torch.get_rng_state(), state)


def test_the_order_of_the_images_changes_nothing(metric: Metric) -> None:
    given = images(20, 20, 20)  # equal numbers: where subsets are drawn, each is the whole
    sets = Sets(
        originals=shuffled(given.sets.originals, 4), new=shuffled(given.sets.new, 5),
        held_out=shuffled(given.sets.held_out, 6),
    )  # fmt: skip
    before, after = numbers(metric.measure(given)), numbers(metric.measure(dataclasses.replace(given, sets=sets)))
    assert after.keys() == before.keys()
    for name, value in before.items():
        assert after[name] == (None if value is None else pytest.approx(value, rel=1e-6, abs=1e-9)), name


@pytest.mark.parametrize(
    ("lacking", "need"),
    [
        (lambda: images(new=0), "new images"),
        (lambda: images(held_out=0), "held-out images"),
        (lambda: images(classes=1), "two classes"),
    ],
)
def test_without_what_it_needs_it_is_left_out_and_that_is_said(
    metric: Metric, lacking: Callable[[], Measured], need: Need
) -> None:
    given = lacking()
    if need not in metric.needs:
        metric.measure(given)
        return
    found = assess(given.sets, EXTRACTOR, given.classes, [metric])
    assert found["metrics"] == []
    assert any(f"needs {need}" in text and "not measured" in text for text in found["warnings"])


def test_no_two_metrics_share_a_name_or_disagree_on_a_setting() -> None:
    rows = [row["name"] for cls in metric_classes() for row in cls().measure(images()).rows]
    assert len(rows) == len(set(rows))
    known: dict[str, Setting] = {}
    for cls in metric_classes():
        for s in settings_of(cls):
            assert known.setdefault(s.name, s) == s
