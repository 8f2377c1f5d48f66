"""What new images may be worth without training: right signs on features where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imaginate.evaluation import predictors as p

NONE: frozenset[str] = frozenset()


def world(each: int, seed: int, *, shift: float = 0.0) -> tuple[torch.Tensor, np.ndarray]:
    """Images of three classes around three directions, as unit features."""
    rng = np.random.default_rng(seed)
    label = np.arange(3 * each) % 3
    x = 1.0 * np.eye(3, 12)[(label + shift).astype(int) % 3] + 0.6 * rng.normal(size=(len(label), 12))
    return torch.from_numpy(x / np.linalg.norm(x, axis=1, keepdims=True)).float(), label


def test_right_images_help_wrong_ones_harm_and_copies_of_the_held_back_are_not_used() -> None:
    real, own = world(6, 0)
    ids = [str(i) for i in range(len(own))]
    found = {}
    for name, shift in (("right", 0.0), ("wrong", 1.0)):
        fake, labels = world(40, 1, shift=shift)
        found[name] = p.influence(real, own, fake, labels, [NONE] * len(labels), ids, 3)
        assert (p.consistency(real, own, fake, labels, 3) > 0.6) is (name == "right")
    assert found["right"] > 0.01 > 0 > found["wrong"]
    copies = p.influence(real, own, real, own, [frozenset([name]) for name in ids], ids, 3)
    leaked = p.influence(real, own, real, own, [NONE] * len(ids), ids, 3)
    assert leaked > copies + 0.05, "copies of held-back originals would look like a gain"
    assert abs(copies) < 0.05


def test_the_head_is_the_weighted_ridge_of_a_loop() -> None:
    x, label = world(5, 3)
    x, label = x[:13], label[:13]  # classes of 5, 4 and 4
    head = p._ridge(x, label, 3)
    rows = np.c_[x.double().numpy(), np.ones(13)]
    weight = np.array([13 / (3 * np.sum(label == c)) for c in label])
    penalty = p.RIDGE * 13 * float((x.double() ** 2).sum(1).mean()) / 12
    gram = sum(w * np.outer(r, r) for w, r in zip(weight, rows, strict=True)) + penalty * np.eye(13)
    right = sum(w * np.outer(r, np.eye(3)[c]) for w, r, c in zip(weight, rows, label, strict=True))
    assert head.numpy() == pytest.approx(np.linalg.solve(gram, right))
