"""The guide as a classifier, with a made-up guide whose embedding is the mean colour."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from imaginate.evaluation import clip_baselines
from imaginate.evaluation.job import Job
from imaginate.records import LabelSpace
from imaginate.training import loop
from imaginate.training.distributed import SOLO
from imaginate.training.plan import TrainPlan
from imaginate.training.predict import predict
from imaginate.training.recipes import Recipe
from imaginate.training.training_set import TrainingSet, join

NAMES = ("red", "green", "blue")


class ColourGuide:
    """Class texts are the colours, two of them swapped: zero-shot must be wrong on those, and training must mend it."""

    scale = 20.0
    dim = 3

    def __init__(self) -> None:
        self.model = torch.nn.Conv2d(3, 3, 1, bias=False)
        with torch.no_grad():
            self.model.weight.copy_(torch.eye(3).view(3, 3, 1, 1))
        self.model.requires_grad_(False)
        self.class_embeddings = torch.eye(3)[[1, 0, 2]]

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(self.model(images).mean((2, 3)).float(), dim=-1)

    def logits(self, embeddings: torch.Tensor) -> torch.Tensor:
        return self.scale * embeddings @ self.class_embeddings.T


def pool_of(folder: Path, name: str, seed: int, count: int = 30) -> TrainingSet:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    pixels = rng.integers(0, 100, (count, 8, 8, 3)).astype(np.uint8)
    pixels[np.arange(count), :, :, labels] += 100
    np.save(folder / f"{name}.npy", pixels)
    return join([(folder / f"{name}.npy", np.arange(count), labels, None)], 3)


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    torch.set_num_threads(1)
    guide = ColourGuide()
    monkeypatch.setattr(clip_baselines, "guide_of", lambda *_: guide)
    plan = TrainPlan(
        arch="small", classes=3, size=8, recipe=Recipe(batch=10, lr=0.05), updates=40, epoch=3, seed=0,
        precision="float32",
    )  # fmt: skip
    pools = [pool_of(tmp_path, name, seed) for seed, name in enumerate(("train", "inside", "held"))]
    return Job(
        arm="clip", kind="clip-zero-shot", seed=0, resample=0, plan=plan, train=pools[0], validation=pools[1],
        held_out=pools[2], folder=tmp_path / "unit", images={}, labels=LabelSpace.of(NAMES),
    )  # fmt: skip


def accuracy(job: Job, kind: str) -> tuple[float, Any]:
    trained, plan = clip_baselines.train(replace(job, kind=kind), lambda count: None, SOLO)
    model, state = trained.model, trained.state
    return float((predict(plan, model, job.held_out) == job.held_out.label).mean()), state


def test_zero_shot_believes_the_texts_and_training_mends_them(job: Job) -> None:
    zero, state = accuracy(job, "clip-zero-shot")
    assert zero == pytest.approx(1 / 3)
    assert state.update == 0
    assert accuracy(job, "clip-probe")[0] == 1.0
    guide = clip_baselines.guide_of(job.clip, job.labels, "cpu")
    before = guide.model.weight.clone()
    tuned, state = accuracy(job, "clip-finetune")
    assert tuned > zero
    assert state.update == 40
    assert torch.equal(guide.model.weight, before)


def test_fine_tuning_starts_at_the_zero_shot_answers(job: Job) -> None:
    guide = clip_baselines.guide_of(job.clip, job.labels, "cpu")
    still = replace(job.plan, recipe=replace(job.plan.recipe, lr=1e-12, weight_decay=0.0), updates=1)
    zero, _ = accuracy(job, "clip-zero-shot")
    assert accuracy(replace(job, plan=still), "clip-finetune")[0] == zero
    assert all(not p.requires_grad for p in guide.model.parameters())


def test_a_student_learns_from_its_teacher_on_every_view_at_one_temperature(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half the cross-entropy with the labels, half the one with the teacher's answer on the same view, both sides at
    temperature 4, times 16."""
    guide = clip_baselines.guide_of(job.clip, job.labels, "cpu")
    asked, losses = [], []
    logits, update = type(guide).logits, loop._update

    def answers(self: Any, embedded: torch.Tensor) -> torch.Tensor:
        asked.append(logits(self, embedded))
        return asked[-1]

    def watched(plan: Any, model: torch.nn.Module, *rest: Any) -> torch.Tensor:
        inputs: list[torch.Tensor] = []
        with model.register_forward_hook(lambda _, given, out: inputs.append(out.detach())):
            losses.append((float(update(plan, model, *rest)), inputs[0], job.train.label[rest[1]]))
        return torch.tensor(losses[-1][0])

    monkeypatch.setattr(type(guide), "logits", answers)
    monkeypatch.setattr(loop, "_update", watched)
    accuracy(replace(job, kind="clip-distill", plan=replace(job.plan, updates=3)), "clip-distill")
    assert len(asked) == len(losses) == 3
    assert not torch.equal(asked[0], asked[1])
    for teacher, (loss, student, label) in zip(asked, losses, strict=True):
        hard = torch.nn.functional.cross_entropy(student.float(), torch.from_numpy(label))
        wanted = (teacher / 4).softmax(-1)
        soft = -(wanted * (student.float() / 4).log_softmax(-1)).sum(1).mean()
        assert loss == pytest.approx(float(0.5 * hard + 0.5 * 16 * soft), rel=1e-4)
