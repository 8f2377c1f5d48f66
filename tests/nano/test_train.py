"""The training loop of the nano models: resuming, schedules, data order, and the parts with an equation."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from imaginate.errors import ConfigError
from imaginate.nano.training import captions, common, data

PLAN = common.Plan(steps=8, batch=4, lr=1e-2, muon_lr=0.02, warmup=2, ema=0.9, precision="float32")


class Toy(nn.Module):
    """Two layers, with noise in the forward pass as the real models have."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(x)) + 0.1 * torch.randn(len(x), 8))


def toy_loss(model: Toy, stop_at: int | None = None):
    def loss(step: int, share: float) -> torch.Tensor:
        if step == stop_at:
            raise KeyboardInterrupt
        x = torch.randn(4, 6, generator=common.generator(0, step))
        return (model(x) - x[:, :2]).square().mean()

    return loss


@pytest.mark.parametrize("killed_at", [1, 5])
def test_a_killed_training_ends_with_the_same_weights(tmp_path: Path, killed_at: int) -> None:
    whole, parts = Toy(), Toy()
    expected = common.fit(whole, toy_loss(whole), PLAN, tmp_path / "whole").shadow
    every = common.replace(PLAN, save_every=0.0)
    with pytest.raises(KeyboardInterrupt):
        common.fit(parts, toy_loss(parts, killed_at), every, tmp_path / "parts")
    again = Toy()
    got = common.fit(again, toy_loss(again), every, tmp_path / "parts").shadow
    for name, value in expected.items():
        assert torch.equal(value, got[name]), name
    for (name, value), other in zip(whole.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(value, other), name


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    model = Toy()
    first = common.fit(model, toy_loss(model), PLAN, tmp_path).shadow
    second = common.fit(Toy(), toy_loss(model, stop_at=0), PLAN, tmp_path).shadow
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_log_tells_every_start_and_the_last_step(tmp_path: Path) -> None:
    model = Toy()
    common.fit(model, toy_loss(model), PLAN, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[0]["start"] == 0
    assert rows[-1]["step"] == PLAN.steps


def test_learning_rate_rises_then_falls_to_nearly_zero() -> None:
    plan = common.Plan(steps=100, batch=1, warmup=10)
    factors = [common.lr_factor(step, plan) for step in range(100)]
    assert factors.index(max(factors)) == 9
    assert max(factors) == 1.0
    assert all(a > b for a, b in itertools.pairwise(factors[10:]))
    assert 0 < factors[-1] < 0.02


def test_minutes_end_a_training_by_the_clock_and_its_rate_falls_with_it(tmp_path: Path) -> None:
    plan = common.replace(PLAN, minutes=0.02)
    model = Toy()
    common.fit(model, toy_loss(model), plan, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert 1.2 <= rows[-1]["seconds"] < 3
    assert rows[-1]["step"] > plan.steps
    assert common.lr_factor(100, plan, 0.6) == pytest.approx(0.5)
    assert common.lr_factor(0, plan, 0.0) == pytest.approx(0.5)  # warming up


@pytest.mark.parametrize("minutes", [0.0, -1.0])
def test_a_training_without_time_is_refused(minutes: float) -> None:
    with pytest.raises(ConfigError, match="minutes must be above 0"):
        common.Plan(steps=1, batch=1, minutes=minutes)


def test_a_plan_without_steps_is_refused() -> None:
    with pytest.raises(ConfigError, match="steps and batch must be at least 1, got 0 and 4"):
        common.Plan(steps=0, batch=4)


def test_every_epoch_shows_every_image_once() -> None:
    count, batch = 10, 4
    seen = np.concatenate([data.picks_of_step(count, batch, 0, step) for step in range(5)])
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert list(seen[:10]) != list(seen[10:])


def test_a_crop_of_a_plain_image_is_plain_and_in_range() -> None:
    level = torch.rand(6, 3, 1, 1)
    out = data.crop_flip(level.expand(6, 3, 16, 16), 0.2, torch.Generator().manual_seed(0), size=8)
    torch.testing.assert_close(out, level.expand(6, 3, 8, 8))


def test_crops_are_windows_of_the_image_mirrored_half_of_the_time() -> None:
    ramp = torch.linspace(0, 1, 32).expand(400, 3, 32, 32)  # brightness is the horizontal position
    out = data.crop_flip(ramp, 0.3, torch.Generator().manual_seed(0), size=32)
    slope = out[:, 0, 16, 24] - out[:, 0, 16, 8]
    assert 0.4 < float((slope < 0).float().mean()) < 0.6
    assert float(slope.abs().max()) <= 16 / 31 + 1e-3  # never wider than the image
    assert float(slope.abs().min()) >= 0.4 * 16 / 31  # never narrower than sqrt(0.3 * 3 / 4) of it


def test_crops_do_not_depend_on_the_rest_of_the_run() -> None:
    x = torch.rand(3, 3, 16, 16)
    torch.manual_seed(1)
    first = data.crop_flip(x, 0.3, common.generator(5, 7), size=8)
    torch.manual_seed(2)
    assert torch.equal(first, data.crop_flip(x, 0.3, common.generator(5, 7), size=8))
    assert not torch.equal(first, data.crop_flip(x, 0.3, common.generator(5, 8), size=8))


def test_captions_name_every_synonym_and_need_no_wordnet() -> None:
    own = captions.build([("n01443537", ["goldfish", "Carassius auratus"])], None)[0]
    assert "a photo of a goldfish" in own
    assert "a photo of a Carassius auratus" in own
    assert captions.draw([own], 0, 3) == captions.draw([own], 0, 3)


def test_wordnet_line_is_read_as_its_manual_says() -> None:
    line = b'00000003 05 n 02 gold_fish 0 Carassius 0 002 @ 00000000 n 0000 ~ 00000009 n 0000 | small fish; "x"  \n'
    assert captions.synset(b"..." + line, 3) == ("gold fish", 0, "small fish")
