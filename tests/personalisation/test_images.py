"""Encoded once: what the cache holds is what the prior's encoder says, and damaged images are counted, not hidden."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from imaginate.data import open_dataset
from imaginate.errors import DataError
from imaginate.personalisation.core.images import prepare, square
from imaginate.personalisation.core.plan import FitPlan

Make = Callable[[], Any]


def test_latents_are_those_of_the_prior(make_prior: Make, dataset: str, tmp_path: Path) -> None:
    prior, data, plan = make_prior(), open_dataset(dataset), FitPlan(held_out=0.25)
    made = prepare(data, prior, plan, tmp_path, "key", progress=False)
    pixels = square(data.image(7), prior.image_size)[None]
    for flip, view in enumerate((pixels, pixels.flip(-1))):
        posterior = prior.vae.encode(view * 2 - 1).latent_dist
        scale = prior.vae.config.scaling_factor
        np.testing.assert_allclose(made.mean[7, flip], posterior.mean[0].detach().numpy() * scale, rtol=2e-3, atol=1e-4)
        np.testing.assert_allclose(made.std[7, flip], posterior.std[0].detach().numpy() * scale, rtol=2e-3, atol=1e-4)
    assert len(made.held_out) == 3
    assert sorted(made.train + made.held_out) == list(range(15))
    assert made.labels[made.held_out].tolist() == [0, 1, 2]


def test_the_encoder_runs_once(make_prior: Make, dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prior, data = make_prior(), open_dataset(dataset)
    first = prepare(data, prior, FitPlan(), tmp_path, "key", progress=False)
    monkeypatch.setattr(prior, "posterior", lambda *_: pytest.fail("encoded again"))
    again = prepare(data, prior, FitPlan(), tmp_path, "key", progress=False)
    assert np.array_equal(first.mean, again.mean)
    with pytest.raises(pytest.fail.Exception):
        prepare(data, prior, FitPlan(), tmp_path, "another prior", progress=False)


def test_an_epoch_sees_every_training_image_once(make_prior: Make, dataset: str, tmp_path: Path) -> None:
    plan = FitPlan(batch=2, accumulate=2, held_out=0.25)
    made = prepare(open_dataset(dataset), make_prior(), plan, tmp_path, "key", progress=False)
    steps = list(made.epoch(plan, 0))
    assert len(steps) == made.steps(plan) == 3
    assert sorted(row for step in steps for micro in step for row in micro) == made.train
    assert steps != list(made.epoch(plan, 1))
    assert steps == list(made.epoch(plan, 0))


def test_damaged_images_are_counted_and_an_empty_class_is_refused(
    make_prior: Make, dataset: str, tmp_path: Path
) -> None:
    copy = shutil.copytree(dataset, tmp_path / "data")
    (copy / "tench" / "0.png").write_bytes(b"no image")
    made = prepare(open_dataset(str(copy)), make_prior(), FitPlan(), tmp_path / "a", "key", progress=False)
    assert sum(made.skipped.values()) == 1
    assert len(made.labels) == 14
    assert torch.equal(made.image(made.train[0]), made.dataset.image(made.index[made.train[0]]))
    for number in range(1, 5):
        (copy / "tench" / f"{number}.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="class 'tench' has no"):
        prepare(open_dataset(str(copy)), make_prior(), FitPlan(), tmp_path / "b", "key", progress=False)


def test_a_class_of_one_image_trains_on_it(make_prior: Make, dataset: str, tmp_path: Path) -> None:
    copy = shutil.copytree(dataset, tmp_path / "data")
    for number in range(1, 5):
        (copy / "tench" / f"{number}.png").unlink()
    made = prepare(open_dataset(str(copy)), make_prior(), FitPlan(held_out=0.3), tmp_path / "a", "key", progress=False)
    assert 1 not in made.labels[made.held_out].tolist()


def test_copies_and_descendants_of_held_out_images_are_not_trained_on(
    make_prior: Make, dataset: str, tmp_path: Path
) -> None:
    """Of a run, originals are held out; a copy under another name is on the side of its image."""
    from imaginate import expand

    run, plan = tmp_path / "run", FitPlan(held_out=0.25)
    expand(dataset, str(run), method="duplicate", copies=2, progress=False)
    made = prepare(open_dataset(str(run)), make_prior(), plan, tmp_path / "a", "key", progress=False)
    pictures = [made.image(row).numpy().tobytes() for row in range(len(made.labels))]
    assert made.labels[made.held_out].tolist() == [0, 1, 2]
    assert not {pictures[row] for row in made.held_out} & {pictures[row] for row in made.train}
    assert len(made.train) == 45 - 9
    copy = shutil.copytree(dataset, tmp_path / "data")
    for number in range(5):
        shutil.copy(copy / "tench" / f"{number}.png", copy / "tench" / f"{number} (1).png")
    made = prepare(open_dataset(str(copy)), make_prior(), plan, tmp_path / "b", "key", progress=False)
    pictures = [made.image(row).numpy().tobytes() for row in range(len(made.labels))]
    assert not {pictures[row] for row in made.held_out} & {pictures[row] for row in made.train}
    assert sorted(made.labels[made.held_out].tolist()) == [0, 1, 1, 2]
