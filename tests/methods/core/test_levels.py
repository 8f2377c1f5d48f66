"""Where an edit begins: stated, the same for every scheduler under `noise`, refused where it changes nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import imaginate
from imaginate import registry
from imaginate.contract import Edits
from imaginate.errors import ConfigError
from imaginate.models.priors.core.levels import describe_start
from imaginate.models.priors.core.schedulers import SCHEDULERS
from roles import world_for
from worlds import folder

NAMES = [name for name in registry.names("methods") if isinstance(registry.make("methods", name, {}), Edits)]


def test_every_method_that_noises_its_seeds_takes_a_share_of_noise() -> None:
    assert {"sd", "gif-sd", "boomerang", "real-guidance", "da-fusion", "diff-mix", "retrieve-then-edit"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_noise_begins_there_and_is_written(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    world = world_for(name, tmp_path_factory)
    more = {"min_probability": 0} if name == "real-guidance" else {}
    method = registry.make("methods", name, {"steps": 2, "noise": 0.3, **more})
    ask = world.requests if method.starts_from == "sample" else world.class_requests
    given = [c for c in method.expand(ask(name, copies=2), world) if c.failed is None]
    assert given
    assert all(c.info["noise"] == pytest.approx(0.3, abs=0.005) for c in given)
    assert all("strength" not in c.info for c in given)


def test_the_level_is_that_of_every_scheduler(tmp_path_factory: pytest.TempPathFactory) -> None:
    world = world_for("sd", tmp_path_factory)
    asked = world.requests("sd", copies=1)
    seen = {
        float(
            registry.make("methods", "sd", {"steps": steps, "noise": 0.1, "scheduler": s})
            .expand(asked, world)[0]
            .info["noise"]
        )
        for s in (None, *SCHEDULERS)
        for steps in (1, 3)
    }
    assert all(level == pytest.approx(0.1, abs=0.002) for level in seen)


@pytest.mark.parametrize("name", NAMES)
def test_a_start_that_changes_nothing_is_refused(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One step at the lowest level, and no step at all."""
    world = world_for(name, tmp_path_factory)
    word = "strengths" if name in ("da-fusion", "diff-mix") else "strength"
    value: Any = (0.25,) if word == "strengths" else 0.25
    for steps in (2, 4):
        method = registry.make("methods", name, {"steps": steps, word: value, "scheduler": "ddim"})
        with pytest.raises(ConfigError, match="give --noise") as caught:
            describe_start(world.prior, method)
        assert "\n" not in str(caught.value)


def test_plan_and_card_say_where_it_begins(tmp_path: Path) -> None:
    data = str(folder(tmp_path / "data", each=2))
    how: dict[str, Any] = {"method": "sd", "prior": "nano", "copies": 1, "strength": 0.1, "steps": 30}
    said = str(imaginate.plan(data, **how))
    assert "starts at 6.68 % noise (DDIMScheduler, 3 steps, strength 0.1)" in said
    run = imaginate.expand(data, tmp_path / "run", progress=False, **{**how, "noise": 0.25, "steps": 2})
    card = (Path(run.path) / "README.md").read_text()
    assert re.search(r"starts at 2[45]\S* % noise \(DDIMScheduler, 2 steps, noise 0.25\)", card)
    assert {round(v, 2) for v in run.table()["info_noise"].to_pylist() if v is not None} == {0.25}
    with pytest.raises(ConfigError, match="give --noise"):
        imaginate.plan(data, **{**how, "steps": 10})


def test_diff_mix_shares_the_label_by_depth(tmp_path_factory: pytest.TempPathFactory) -> None:
    """s of the label is a share of the schedule, as the paper counts it, whichever way the level is given."""
    world = world_for("diff-mix", tmp_path_factory)
    asked = world.class_requests("diff-mix", copies=1)
    kept = world.prior.scheduler.alphas_cumprod
    for timestep in (299, 699):
        share = float(1 - kept[timestep])
        method = registry.make("methods", "diff-mix", {"steps": 2, "noise": (share,), "gamma": 1.0})
        candidate = method.expand(asked, world)[0]
        assert candidate.soft_label[candidate.label] == pytest.approx((timestep + 1) / 1000, abs=1e-3)


def test_levels_below_the_least_are_no_setting() -> None:
    with pytest.raises(ConfigError, match="noise must be"):
        registry.make("methods", "sd", {"noise": 0.001})
