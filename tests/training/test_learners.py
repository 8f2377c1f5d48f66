"""The kinds of learner: what each needs, what each does with new images."""

from __future__ import annotations

import importlib.util
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from imaginate import registry
from imaginate.errors import ConfigError, ModelError
from imaginate.training import loop
from imaginate.training.learners import fit, learner_of
from imaginate.training.learners.core import networks
from imaginate.training.loop import Source
from imaginate.training.predict import predict
from imaginate.training.recipes import RECIPES, Recipe
from imaginate.training.training_set import TrainingSet
from imaginate.training.trial import check_network
from imaginate.training.weighting import best_of

_spec = importlib.util.spec_from_file_location("train_tools", Path(__file__).with_name("conftest.py"))
assert _spec
assert _spec.loader
tools = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tools)
colour_pool, tiny_net, tiny_plan = tools.colour_pool, tools.tiny_net, tools.tiny_plan


def with_new(pool: TrainingSet, count: int) -> TrainingSet:
    """The last `count` images of a pool as new ones."""
    return replace(pool, new=np.arange(len(pool)) >= len(pool) - count)


@pytest.mark.parametrize("arch", ["probe:efficientnet-lite0", "scratch:small"])
def test_each_kind_learns_colours_without_a_hub(tmp_path: Path, arch: str) -> None:
    learner = learner_of(arch)
    pool, held = colour_pool(tmp_path, side=64), colour_pool(tmp_path, "held", seed=1, side=64)
    plan = tiny_plan(
        arch=arch, statistics=(learner.mean, learner.std), pretrained=learner.starts_trained, updates=60, size=64,
        recipe=Recipe(batch=16, lr=0.1),
    )  # fmt: skip
    trained = fit(plan, pool, colour_pool(tmp_path, "validation", 12, seed=2, side=64), tmp_path / "out")
    assert (predict(plan, trained.model, held) == held.label).mean() > 0.8


def test_fine_tuning_moves_the_published_weights_and_the_head_faster(tmp_path: Path) -> None:
    learner = learner_of("finetune:efficientnet-lite0")
    plan = tiny_plan(
        arch="finetune:efficientnet-lite0", statistics=(learner.mean, learner.std), pretrained=True, updates=8, epoch=1,
        augment="none", recipe=Recipe(batch=24, lr=0.01),
    )  # fmt: skip
    trained = fit(plan, colour_pool(tmp_path), None, tmp_path / "out")
    losses = [line["loss"] for line in trained.state.history]
    assert losses[0] == pytest.approx(math.log(3), rel=1e-3)
    assert losses[-1] < 0.8 * losses[0]
    start = learner.build(3).state_dict()
    moved = {name: (value - start[name]).abs().max() for name, value in trained.model.named_parameters()}
    assert {name for name, value in moved.items() if value == 0} <= {
        "network.classifier.weight", "network.classifier.bias"  # of ImageNet's classes, which nothing asks for
    }  # fmt: skip


def test_every_kind_has_a_file_and_a_wrong_network_is_named() -> None:
    assert sorted(registry.names("learners")) == ["finetune", "probe", "scratch"]
    assert not learner_of("probe:nano").sees_views
    assert learner_of("resnet50").sees_views
    with pytest.raises(ModelError, match="unknown backbone 'efficientnet-lite1'; did you mean 'efficientnet_lite1'"):
        learner_of("probe:efficientnet-lite1").check()
    with pytest.raises(ModelError, match="timm has no model 'resnet5'"):
        learner_of("finetune:timm:resnet5").check()
    with pytest.raises(ConfigError, match="unknown arch 'smal'"):
        learner_of("smal").check()


def test_fine_tuning_starts_from_a_head_that_says_nothing() -> None:
    model = learner_of("finetune:efficientnet-lite0").build(5)
    logits = model.eval()(torch.rand(2, 3, 64, 64))
    assert torch.equal(logits, torch.zeros(2, 5))
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1]))
    assert loss.item() == pytest.approx(math.log(5))
    torch.autograd.backward(torch.nn.functional.cross_entropy(model(torch.rand(2, 3, 64, 64)), torch.tensor([0, 1])))
    assert all(p.requires_grad for p in model.parameters())
    frozen = learner_of("probe:efficientnet-lite0").build(5)
    assert [name for name, p in frozen.named_parameters() if p.requires_grad] == ["head.weight", "head.bias"]


def test_small_is_a_residual_network_and_the_first_one_keeps_its_name() -> None:
    def size(arch: str) -> int:
        return sum(p.numel() for p in learner_of(arch).build(10).parameters())

    assert 1_000_000 < size("small") < 1_600_000
    assert size("small-v0") < 500_000


def test_the_last_updates_see_originals_alone(tmp_path: Path) -> None:
    pool = with_new(colour_pool(tmp_path), 32)
    stream = Source(tiny_plan(updates=20, finish=0.3), pool)
    rows = [stream.indices(update) for update in range(20)]
    assert stream.turn == 14
    assert any((row >= 16).any() for row in rows[:14])
    assert all((row < 16).all() for row in rows[14:])
    plain = Source(tiny_plan(updates=20), pool)
    assert all(np.array_equal(plain.indices(k), rows[k]) for k in range(14))


def test_a_new_image_counts_by_its_weight(tmp_path: Path) -> None:
    pool = with_new(colour_pool(tmp_path), 40)
    rows = np.arange(len(pool))
    logits = torch.randn(len(pool), 3, generator=torch.Generator().manual_seed(0))
    each = torch.nn.functional.cross_entropy(logits, torch.from_numpy(pool.label), reduction="none")
    weighted = loop._loss(logits, pool.weighted(0.25), rows, 0.0)
    assert float(weighted) == pytest.approx(float((each[:8].sum() + 0.25 * each[8:].sum()) / (8 + 10)), rel=1e-5)
    assert pool.weighted(1.0) is pool


def test_balanced_classes_have_the_same_sum_of_weights(tmp_path: Path) -> None:
    whole = with_new(colour_pool(tmp_path), 40)
    pool = replace(whole, label=np.where(whole.label == 1, 0, whole.label))  # 32 of one class, 16 of the other
    for base in (pool, pool.weighted(0.25)):
        weight = base.balanced().weight
        assert weight is not None
        sums = np.bincount(pool.label, weights=weight)
        assert sums == pytest.approx([24, 0, 24])
        one = pool.label == 0
        before = np.ones(len(pool)) if base.weight is None else base.weight
        assert weight[one] / weight[one][0] == pytest.approx(before[one] / before[one][0])


def test_the_weight_is_chosen_on_the_validation_part(tmp_path: Path) -> None:
    """New images with wrong labels: the smaller their weight the better."""
    pool = colour_pool(tmp_path, count=96)
    wrong = with_new(replace(pool, label=np.where(np.arange(96) >= 48, (pool.label + 1) % 3, pool.label)), 48)
    validation = colour_pool(tmp_path, "validation", 30, seed=3)
    plan = tiny_plan(updates=40)

    def train(some: TrainingSet, place: Path) -> loop.Trained:
        return loop.fit(plan, some, validation, place, build=tiny_net)

    trained, weight = best_of((0.05, 1.0), wrong, tmp_path / "out", True, train)
    assert weight == 0.05
    assert trained.state.best[0] > 0.8
    with pytest.raises(ConfigError, match="needs a validation part"):
        best_of((0.05, 1.0), wrong, tmp_path / "out", False, train)


def test_published_weights_get_their_own_normalisation_and_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A white picture reaches test_vit, whose weights want mean and deviation 0.5, as 1."""
    import timm
    from PIL import Image

    from imaginate.training.classifier import train

    create, seen = timm.create_model, []

    def offline(name: str, pretrained: bool = False, **options: Any) -> torch.nn.Module:
        model = create(name, pretrained=False, **options)
        model.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
        return model

    monkeypatch.setattr(timm, "create_model", offline)
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), "white").save(tmp_path / "data" / name)
    settings: dict[str, Any] = {"arch": "test_vit", "updates": 1, "batch": 2, "online_aug": "none", "validation": 0.0}
    found = train(tmp_path / "data", tmp_path / "out", pretrained=True, progress=False, device="cpu", **settings)
    assert found["image_size"] == 160
    assert seen[-1].shape[-2:] == (160, 160)
    assert seen[-1].numpy() == pytest.approx(1.0)
    train(tmp_path / "data", tmp_path / "drawn", image_size=160, progress=False, device="cpu", **settings)
    assert float(seen[-1].max()) == pytest.approx((1 - 0.406) / 0.225)


@pytest.mark.parametrize(
    ("arch", "size", "batch", "message"),
    [
        ("resnet10t", 32, 1, "resnet10t cannot be trained with a batch of 1 at 32 px"),
        ("test_vit", 100, 2, "test_vit cannot be trained at 100 px: .*its own size is --image-size"),
    ],
)
def test_a_network_that_cannot_be_trained_so_is_refused_in_one_line(
    arch: str, size: int, batch: int, message: str
) -> None:
    plan = tiny_plan(arch=arch, size=size, recipe=Recipe(batch=batch, lr=0.01))
    with pytest.raises(ConfigError, match=message) as error:
        check_network(plan)
    assert "\n" not in str(error.value)


def test_the_schedules_of_guided_imagination_go_by_data_set() -> None:
    """100 epochs at batch 256; rate 0.1 or 0.01, cosine with Nesterov momentum, or a tenth at epochs 21 and 31."""
    rates = {"gif": 0.1, "gif-medical": 0.01, "gif-step": 0.01, "gif-flowers": 0.1}
    for name, rate in rates.items():
        recipe = RECIPES[name]
        assert (recipe.epochs, recipe.batch, recipe.momentum, recipe.weight_decay) == (100, 256, 0.9, 1e-4)
        assert recipe.peak(False) == rate
        is_step = name in ("gif-step", "gif-flowers")
        assert (recipe.schedule, recipe.nesterov) == (("step", False) if is_step else ("cosine", True))
        at = [recipe.factor(epoch, 100) for epoch in (0, 20, 21, 30, 31, 99)]
        if is_step:
            assert at == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_classifiers_that_are_fitted_side_by_side_load_a_backbone_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[str] = []

    def load(spec: str, **_: Any) -> object:
        loads.append(spec)
        time.sleep(0.05)
        return object()

    monkeypatch.setattr(networks, "load_backbone", load)
    monkeypatch.setattr(networks, "_width", lambda backbone, side: side)
    with ThreadPoolExecutor(4) as threads:
        found = set(threads.map(lambda _: networks._frozen("side by side", "cpu", 64), range(4)))
    assert (len(loads), len(found)) == (1, 1)
