"""What the guide itself is worth as a classifier: zero-shot, linear probe, fine-tuning, distillation (GIF Tables 1, 4
and 5). All of them see the study's pixels, at the study's input size, and the same validation part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from imaginate.errors import ConfigError
from imaginate.training.distributed import Team
from imaginate.training.loop import State, fit
from imaginate.training.plan import TrainPlan

if TYPE_CHECKING:
    import torch
    from torch import nn

    from imaginate.evaluation.job import Job
    from imaginate.records import LabelSpace
    from imaginate.training.training_set import TrainingSet

DISTILLED = 0.5  # share of the teacher's probabilities in the target
TEMPERATURE = 4.0
PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
FINE_TUNE_LR = 0.002


def classifier(job: Job, advance: Callable[[int], None], team: Team) -> tuple[nn.Module, State, TrainPlan]:
    """The classifier of a clip-... arm, on normalised images like every other one."""
    guide = guide_of(job.clip, job.labels, job.plan.device)
    if job.kind == "clip-zero-shot":
        model = _headed(guide, *_text_head(guide)).eval()
        advance(job.plan.updates)
        return model, _scored(job, model, 0), job.plan
    if job.kind == "clip-probe":
        model = _probe(guide, job)
        advance(job.plan.updates)
        return model, _scored(job, model, 0), job.plan
    if job.kind == "clip-distill":
        taught = replace(job.train, soft=_taught(guide, job))
        trained = fit(job.plan, taught, job.validation, job.folder, advance=advance, team=team)
        return trained.model, trained.state, job.plan
    gentle = replace(job.plan, recipe=replace(job.plan.recipe, lr=min(FINE_TUNE_LR, job.plan.recipe.peak(True))))
    trained = fit(
        gentle, job.train, job.validation, job.folder, advance=advance, team=team, build=lambda: _tunable(guide)
    )
    return trained.model, trained.state, gentle


def guide_of(clip: str, labels: LabelSpace, device: str) -> Any:
    """The guide that `--clip` names; ConfigError for one that does not classify by text."""
    from imaginate.models.guides import build_guide

    if clip.partition(":")[0] not in ("nano", "clip"):
        raise ConfigError(f"clip must be nano or clip:ID, which classify by text, got {clip!r}")
    return build_guide(clip, labels, device=device)


def _text_head(guide: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """The class texts as a linear layer on unit-norm embeddings: (classes, dim), (classes,)."""
    weight = guide.scale * guide.class_embeddings.float()
    return weight, weight.new_zeros(len(weight))


def _headed(guide: Any, weight: torch.Tensor, bias: torch.Tensor) -> nn.Module:
    """Normalised images -> guide embedding -> linear layer."""
    import torch

    class Head(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = guide.model
            self.head = torch.nn.Linear(weight.shape[1], weight.shape[0])
            with torch.no_grad():
                self.head.weight.copy_(weight)
                self.head.bias.copy_(bias)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            embeddings = guide.embed(denormalise(images))
            with torch.autocast(images.device.type, enabled=False):
                return self.head(embeddings.float())  # type: ignore[no-any-return]

    return Head().to(weight.device)


def denormalise(images: torch.Tensor) -> torch.Tensor:
    """Undo `augment.normalise`: (b, 3, s, s) -> [0, 1]."""
    from imaginate.training.augment import _MEAN, _STD

    mean, std = (images.new_tensor(v).view(1, 3, 1, 1) for v in (_MEAN, _STD))
    return images * std + mean


def _tunable(guide: Any) -> nn.Module:
    """The guide with every image weight free, its head started from the class texts (so that training begins at the
    zero-shot accuracy and not below it)."""
    import copy

    free = copy.copy(guide)
    free.model = copy.deepcopy(guide.model)
    for name, parameter in free.model.named_parameters():
        parameter.requires_grad_(not name.startswith(("text_", "logit_")))
    return _headed(free, *_text_head(guide))


def _scored(job: Job, model: nn.Module, update: int) -> State:
    """A state for a classifier that was not trained by updates."""
    from imaginate.training.predict import accuracy

    best = accuracy(job.plan, model.eval(), job.validation) if job.validation is not None else (-1.0, 0.0)
    return State(update=update, best_update=update, best=best)


def _embed(guide: Any, plan: TrainPlan, pool: TrainingSet) -> torch.Tensor:
    """Embeddings of a pool's images, without augmentation. (n, dim)"""
    import torch

    from imaginate.training.augment import centre

    found = []
    with torch.inference_mode():
        for start in range(0, len(pool), 256):
            rows = np.arange(start, min(start + 256, len(pool)))
            found.append(guide.embed(centre(pool.images(rows).to(plan.device), plan.size)).float().clone())
    return torch.cat(found)


def _probe(guide: Any, job: Job) -> nn.Module:
    """Logistic regression on frozen embeddings by L-BFGS; the L2 penalty is chosen on the validation part."""
    import torch
    import torch.nn.functional as F

    x, y = _embed(guide, job.plan, job.train).clone(), job.train.targets(np.arange(len(job.train))).to(job.plan.device)
    inside = job.validation
    vx = _embed(guide, job.plan, inside) if inside is not None else x
    vy = torch.from_numpy(inside.label) if inside is not None else torch.from_numpy(job.train.label)
    best: tuple[float, Any, Any] = (-1.0, None, None)
    for penalty in PENALTIES:
        weight = torch.zeros(len(job.labels), x.shape[1], device=x.device, requires_grad=True)
        bias = torch.zeros(len(job.labels), device=x.device, requires_grad=True)
        optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

        def closure(w: Any = weight, b: Any = bias, o: Any = optimizer, p: float = penalty) -> Any:
            o.zero_grad()
            loss = F.cross_entropy(10 * x @ w.T + b, y) + p * (w**2).sum()
            torch.autograd.backward(loss)
            return loss

        optimizer.step(closure)
        score = float(((10 * vx @ weight.T + bias).argmax(1).cpu() == vy).float().mean())
        if score > best[0]:
            best = (score, 10 * weight.detach(), bias.detach())
    return _headed(guide, best[1], best[2]).eval()


def _taught(guide: Any, job: Job) -> np.ndarray:
    """Targets of the student: half the label, half the zero-shot teacher at temperature 4, one answer an image.

    A usual distillation (Hinton et al. 2015) warms the student too and asks the teacher about every augmented view;
    here the teacher is asked once, about the image as it is.
    """
    pool = job.train
    teacher = (guide.logits(_embed(guide, job.plan, pool)) / TEMPERATURE).softmax(-1).cpu().numpy()
    labels = np.eye(len(job.labels), dtype=np.float32)[pool.label] if pool.soft is None else pool.soft
    mixed: np.ndarray = (1 - DISTILLED) * labels + DISTILLED * teacher
    return mixed.astype(np.float32)
