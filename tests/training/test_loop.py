from __future__ import annotations

import importlib.util
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from imaginate.errors import ConfigError, RunError
from imaginate.training.loop import Trained, fit
from imaginate.training.predict import predict
from imaginate.training.recipes import Recipe

_spec = importlib.util.spec_from_file_location("train_tools", Path(__file__).with_name("conftest.py"))
assert _spec
assert _spec.loader
tools = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tools)


class Killed(Exception):
    pass


def killer(after: int):
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if done >= after:
            raise Killed

    return advance


def same(a: Trained, b: Trained) -> bool:
    left, right = a.model.state_dict(), b.model.state_dict()
    return all(torch.equal(left[k], right[k]) for k in left)


@pytest.mark.parametrize("policy", ["none", "light", "strong"])
def test_a_seed_decides_the_weights_and_nothing_else_does(tmp_path: Path, policy: str) -> None:
    pool = tools.colour_pool(tmp_path)
    plan = tools.tiny_plan(updates=6, augment=policy)
    first = fit(plan, pool, pool, tmp_path / "1", build=tools.tiny_net)
    torch.manual_seed(12345)
    np.random.seed(3)
    second = fit(plan, pool, pool, tmp_path / "2", build=tools.tiny_net)
    other = fit(replace(plan, seed=2), pool, pool, tmp_path / "3", build=tools.tiny_net)
    assert same(first, second)
    assert not same(first, other)


@pytest.mark.parametrize("recipe", [Recipe(batch=8, lr=0.05), Recipe(batch=8, lr=0.05, schedule="plateau", plateau=1)])
def test_killed_anywhere_it_finishes_with_the_same_weights(tmp_path: Path, recipe: Recipe) -> None:
    pool, held = tools.colour_pool(tmp_path), tools.colour_pool(tmp_path, "b", seed=1)
    plan = tools.tiny_plan(recipe=recipe)
    whole = fit(plan, pool, held, tmp_path / "whole", build=tools.tiny_net)
    for after in (3, 9, 20):
        with pytest.raises(Killed):
            fit(plan, pool, held, tmp_path / "cut", build=tools.tiny_net, advance=killer(after))
    cut = fit(plan, pool, held, tmp_path / "cut", build=tools.tiny_net)
    assert same(whole, cut)
    drop = lambda history: [{k: v for k, v in row.items() if k != "seconds"} for row in history]  # noqa: E731
    assert drop(whole.state.history) == drop(cut.state.history)


def test_it_learns_and_returns_the_weights_of_the_best_look(tmp_path: Path) -> None:
    pool, held = tools.colour_pool(tmp_path), tools.colour_pool(tmp_path, "b", seed=1)
    plan = tools.tiny_plan(updates=120)
    trained = fit(plan, pool, held, tmp_path / "s", build=tools.tiny_net)
    measured = float((predict(plan, trained.model, held) == held.label).mean())
    assert measured == max(row["validation"] for row in trained.state.history) == trained.state.best[0]
    assert measured > 0.9


def test_patience_stops_and_another_plan_is_refused(tmp_path: Path) -> None:
    pool = tools.colour_pool(tmp_path)
    frozen = Recipe(batch=8, lr=1e-12, schedule="step", warmup=0.0, patience=2)
    plan = tools.tiny_plan(recipe=frozen, updates=600)
    state = fit(plan, pool, pool, tmp_path / "s", build=tools.tiny_net).state
    assert state.stopped
    assert state.update == state.best_update + 2 * plan.epoch < 600
    with pytest.raises(RunError, match="another training run"):
        fit(replace(plan, seed=9), pool, pool, tmp_path / "s", build=tools.tiny_net)


def test_the_rate_of_plateau_falls_after_its_epochs_however_many_updates_there_are(tmp_path: Path) -> None:
    pool = tools.colour_pool(tmp_path)
    recipe = Recipe(batch=8, lr=1e-12, schedule="plateau", warmup=0.0, plateau=3)
    plan = tools.tiny_plan(recipe=recipe, updates=300)
    history = fit(plan, pool, pool, tmp_path / "s", build=tools.tiny_net).state.history
    assert [row["update"] for row in history] == list(range(6, 301, 6))
    rates = [row["lr"] for row in history]
    best = next(i for i, row in enumerate(history) if row["validation"] == max(r["validation"] for r in history))
    falls = [i for i in range(1, len(rates)) if rates[i] < rates[i - 1]]
    assert falls[0] - best <= 4
    assert all(b - a == 3 for a, b in pairwise(falls))


def test_a_watching_recipe_needs_a_validation_part_and_a_lost_loss_is_said(tmp_path: Path) -> None:
    pool = tools.colour_pool(tmp_path)
    with pytest.raises(ConfigError, match="needs a validation part"):
        fit(tools.tiny_plan(recipe=Recipe(patience=3)), pool, None, tmp_path / "a", build=tools.tiny_net)
    with pytest.raises(ConfigError, match="choose a lower --lr"):
        fit(tools.tiny_plan(recipe=Recipe(batch=8, lr=1e30)), pool, pool, tmp_path / "b", build=tools.tiny_net)
    assert not (tmp_path / "b" / "state.pt").exists()


@pytest.mark.gpu
def test_a_seed_decides_the_weights_on_a_gpu_too(tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    pool, plan = tools.colour_pool(tmp_path), tools.tiny_plan(device="cuda", precision="float32")
    first, second = (fit(plan, pool, pool, tmp_path / name, build=tools.tiny_net) for name in "ab")
    assert same(first, second)


@pytest.mark.parametrize("falling_loss", [True, False])
def test_the_rate_and_the_end_go_by_accuracy_alone_and_the_loss_chooses_among_equals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, falling_loss: bool
) -> None:
    """RET: a tenth after 10 epochs without a better accuracy, stop after 20; a loss that falls by 1e-6 is no better
    accuracy."""
    scores = iter([(0.5, -1.0 + (1e-6 * k if falling_loss else 0.0)) for k in range(100)])
    monkeypatch.setattr("imaginate.training.loop.accuracy", lambda *_: next(scores))
    pool = tools.colour_pool(tmp_path)
    recipe = Recipe(batch=8, lr=0.01, schedule="plateau", warmup=0.0, plateau=10, patience=20)
    plan = tools.tiny_plan(recipe=recipe, updates=600)
    state = fit(plan, pool, pool, tmp_path / "s", build=tools.tiny_net).state
    rates = [row["lr"] for row in state.history]
    assert rates == pytest.approx([0.01] * 11 + [0.001] * 10)  # the fall after epoch 11 shows in epoch 12
    assert state.scale == pytest.approx(0.01), "the second fall comes after epoch 21, where it stops"
    assert state.stopped
    assert state.update == 21 * plan.epoch
    assert state.best_update == (21 if falling_loss else 1) * plan.epoch
