"""Heads on frozen features: the closed form against a plain loop that fits again without a family."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from imaginate.training.learners.core import heads
from imaginate.training.training_set import TrainingSet, join


def problem(folder: Path, *, spread: float = 1.0, classes: int = 4) -> tuple[torch.Tensor, TrainingSet]:
    """30 originals and two new images of each of the first 20; some new images have two parents."""
    rng = np.random.default_rng(0)
    label = np.concatenate([np.arange(30), np.repeat(np.arange(20), 2)]) % classes
    kin = [np.array([i]) for i in range(30)] + [np.array([i]) for i in range(20) for _ in range(2)]
    kin[31], kin[33] = np.array([0, 4]), np.array([1, 5])
    np.save(folder / "a.npy", np.zeros((70, 4, 4, 3), np.uint8))
    pool = join([(folder / "a.npy", np.arange(70), label, None)], classes)
    own = rng.normal(size=(30, 12))[np.concatenate([np.arange(30), np.repeat(np.arange(20), 2)])]
    features = 1.5 * np.eye(12)[label] + own + 0.1 * spread * rng.normal(size=(70, 12))
    new = np.arange(70) >= 30
    weight = np.where(new, 0.4, 1.0).astype(np.float32)
    return torch.from_numpy(features).float(), replace(pool, new=new, kin=tuple(kin), weight=weight)


def plain(x: torch.Tensor, y: torch.Tensor, w: torch.Tensor, penalty: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted ridge with a free intercept, by the normal equations."""
    mean, middle = (w @ x) / w.sum(), (w @ y) / w.sum()
    a, b = x - mean, y - middle
    weight = torch.linalg.solve(
        a.T @ (w[:, None] * a) + penalty * torch.eye(x.shape[1]).double(), a.T @ (w[:, None] * b)
    )
    return weight, middle - mean @ weight


def test_the_penalty_is_the_best_for_images_left_out_with_all_their_relatives(tmp_path: Path) -> None:
    features, pool = problem(tmp_path)
    head = heads.ridge(features, pool, 4)
    x, y = features.double(), one_hot(torch.from_numpy(pool.label), 4).double()
    assert pool.weight is not None
    w = torch.from_numpy(pool.weight).double()
    a = w.sqrt()[:, None] * (x - (w @ x) / w.sum())
    unit = float((a**2).sum() / 30)
    errors, right = {}, {}
    for penalty in heads.PENALTIES:
        scores = []
        for row in range(30):
            rest = torch.tensor([not set(pool.kin[row]) & set(of) for of in pool.kin])
            weight, bias = plain(x[rest], y[rest], w[rest], penalty * unit)
            scores.append(x[row] @ weight + bias)
        table = torch.stack(scores)
        errors[penalty] = float(((table - y[:30]) ** 2).mean())
        right[penalty] = float((table.argmax(1) == y[:30].argmax(1)).double().mean())
    assert head.penalty == min(errors, key=lambda p: errors[p])
    assert head.accuracy == right[head.penalty]
    weight, bias = plain(x, y, w, head.penalty * unit)
    best = x @ weight + bias
    ours = features @ head.weight.T + head.bias
    scale = float((ours.double() - ours.double().mean()).norm() / (best - best.mean()).norm())
    assert ours.double().numpy() / scale == pytest.approx(best.numpy(), abs=1e-4)


def test_copies_ask_for_no_weaker_penalty(tmp_path: Path) -> None:
    """Of an image that stands there five times, a copy does not predict another."""
    features, pool = problem(tmp_path)
    rows = np.arange(30)
    alone = replace(pool, part=pool.part[rows], row=rows, label=pool.label[rows], new=None, weight=None, kin=())
    five = np.tile(rows, 5)
    copied = replace(
        alone, part=pool.part[five], row=five, label=pool.label[five], kin=tuple(np.array([row]) for row in five)
    )
    once, often = (heads.ridge(features[part.row], part, 4) for part in (alone, copied))
    assert often.penalty == once.penalty
    assert often.accuracy == once.accuracy
    assert often.weight.numpy() == pytest.approx(once.weight.numpy(), rel=1e-3, abs=1e-5)


def test_scores_are_probabilities_by_a_temperature_of_left_out_images(tmp_path: Path) -> None:
    features, pool = problem(tmp_path, spread=4.0)
    head = heads.ridge(features, pool, 4)
    sure = (features @ head.weight.T + head.bias).softmax(1).amax(1).mean()
    assert abs(float(sure) - head.accuracy) < 0.25


def test_a_logistic_head_is_the_minimum_of_its_loss(tmp_path: Path) -> None:
    features, pool = problem(tmp_path)
    head = heads.logistic(features, pool, 4)
    assert head.penalty in heads.LOGISTIC
    assert head.accuracy > 0.5
    unit = float(features.double().std() + 1e-6)
    assert pool.weight is not None
    share = torch.from_numpy(pool.weight / pool.weight.sum())
    weight = (head.weight * unit).requires_grad_()
    logits = features / unit @ weight.T + head.bias
    loss = (share * torch.nn.functional.cross_entropy(logits, torch.from_numpy(pool.label), reduction="none")).sum()
    (loss + head.penalty * (weight**2).sum()).backward()
    assert weight.grad is not None
    assert float(weight.grad.abs().max()) < 2e-3
