"""What the guide itself is worth as a classifier: zero-shot, linear probe, fine-tuning, distillation (GIF Tables 1, 4
and 5). The guide sees images at its own resolution; the student of a distillation sees them at the study's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from imaginate.errors import ConfigError
from imaginate.training.augment import IMAGENET, denormalise
from imaginate.training.distributed import Team
from imaginate.training.learners import learner_of
from imaginate.training.loop import State, Teacher, Trained, fit
from imaginate.training.plan import TrainPlan

if TYPE_CHECKING:
    import torch
    from torch import nn

    from imaginate.evaluation.job import Job
    from imaginate.models.guides.core.preprocess import Preprocess
    from imaginate.records import LabelSpace
    from imaginate.training.training_set import TrainingSet

DISTILLED = 0.5  # share of the teacher's probabilities in the target
TEMPERATURE = 4.0
PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
FINE_TUNE_LR = 0.002


@runtime_checkable
class TextClassifier(Protocol):
    """A guide that classifies images by the texts of the classes, with the network that embeds them."""

    model: nn.Module
    preprocess: Preprocess
    class_embeddings: torch.Tensor  # (classes, dim), unit norm

    @property
    def scale(self) -> torch.Tensor | float:
        """What a cosine is multiplied by to be a logit."""
        ...

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """(b, 3, h, w) in [0, 1] -> (b, dim), unit norm."""
        ...

    def logits(self, embeddings: torch.Tensor) -> torch.Tensor:
        """(b, dim) -> (b, classes)."""
        ...


def train(job: Job, advance: Callable[[int], None], team: Team) -> tuple[Trained, TrainPlan]:
    """The classifier of a clip-... arm, on normalised images like every other one, and the plan that it was trained
    by."""
    guide = guide_of(job.clip, job.labels, job.plan.device)
    own = job.clip_size or job.plan.size
    if job.kind == "clip-distill":
        return _distilled(guide, job, own, advance, team), job.plan
    plan = replace(job.plan, size=own, statistics=IMAGENET)
    job = replace(job, plan=plan)
    if job.kind in ("clip-zero-shot", "clip-probe"):
        model = _headed(guide, *_text_head(guide)).eval() if job.kind == "clip-zero-shot" else _probe(guide, job)
        advance(plan.updates)
        return Trained(model=model, state=_scored(job, model)), plan
    gentle = replace(plan, recipe=replace(plan.recipe, lr=min(FINE_TUNE_LR, plan.recipe.peak(True))))
    trained = fit(
        gentle, job.train, job.validation, job.folder, advance=advance, team=team, build=lambda: _tunable(guide)
    )
    return trained, gentle


def guide_of(clip: str, labels: LabelSpace, device: str) -> TextClassifier:
    """The guide that `--clip` names; ConfigError for one that does not classify by text."""
    from imaginate.models.guides import build_guide

    if clip.partition(":")[0] in ("nano", "clip"):
        guide: object = build_guide(clip, labels, device=device)
        if isinstance(guide, TextClassifier):
            return guide
    raise ConfigError(f"clip must be nano or clip:ID, which classify by text, got {clip!r}")


def input_size(guide: TextClassifier) -> int:
    """The side of the square that a guide sees."""
    crop = guide.preprocess.crop
    if crop is not None:
        return crop[0]
    size = guide.preprocess.size
    return size if isinstance(size, int) else size[0] if size else 224


def _distilled(guide: TextClassifier, job: Job, side: int, advance: Callable[[int], None], team: Team) -> Trained:
    """A student of the study's architecture that learns the labels and what the guide says of every augmented view,
    both at one temperature (Hinton et al. 2015). The views are made at the guide's resolution, and made smaller (or
    larger) for the student."""
    plan, learner = job.plan, learner_of(job.plan.arch, pretrained=job.plan.pretrained)
    teacher = Teacher(
        logits=lambda views: guide.logits(guide.embed(views)), size=side, temperature=TEMPERATURE, share=DISTILLED
    )
    return fit(
        plan, job.train, job.validation, job.folder, advance=advance, team=team, teacher=teacher,
        build=lambda: learner.build(plan.classes, seed=plan.seed),
    )  # fmt: skip


def _text_head(guide: TextClassifier) -> tuple[torch.Tensor, torch.Tensor]:
    """The class texts as a linear layer on unit-norm embeddings: (classes, dim), (classes,)."""
    weight = guide.scale * guide.class_embeddings.float()
    return weight, weight.new_zeros(len(weight))


def _headed(guide: TextClassifier, weight: torch.Tensor, bias: torch.Tensor) -> nn.Module:
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


def _tunable(guide: TextClassifier) -> nn.Module:
    """The guide with every image weight free, its head started from the class texts (so that training begins at the
    zero-shot accuracy and not below it)."""
    import copy

    free = copy.copy(guide)
    free.model = copy.deepcopy(guide.model)
    for name, parameter in free.model.named_parameters():
        parameter.requires_grad_(not name.startswith(("text_", "logit_")))
    return _headed(free, *_text_head(guide))


def _scored(job: Job, model: nn.Module) -> State:
    """A state for a classifier that was not trained by updates."""
    from imaginate.training.predict import accuracy

    best = accuracy(job.plan, model.eval(), job.validation) if job.validation is not None else (-1.0, 0.0)
    return State(best=best)


def _embed(guide: TextClassifier, plan: TrainPlan, pool: TrainingSet) -> torch.Tensor:
    """Embeddings of a pool's images, without augmentation. (n, dim)"""
    import torch

    from imaginate.training.augment import centre

    found = []
    with torch.inference_mode():
        for start in range(0, len(pool), 256):
            rows = np.arange(start, min(start + 256, len(pool)))
            found.append(guide.embed(centre(pool.images(rows).to(plan.device), plan.size)).float().clone())
    return torch.cat(found)


def _probe(guide: TextClassifier, job: Job) -> nn.Module:
    """Logistic regression on frozen embeddings by L-BFGS; the L2 penalty is chosen on the validation part."""
    import torch

    inside = job.validation or job.train
    x, y = _embed(guide, job.plan, job.train), job.train.targets(np.arange(len(job.train))).to(job.plan.device)
    vx, vy = _embed(guide, job.plan, inside) if job.validation else x, torch.from_numpy(inside.label)
    best: tuple[float, torch.Tensor, torch.Tensor] | None = None
    for penalty in PENALTIES:
        weight, bias = _regression(x, y, len(job.labels), penalty)
        score = float(((vx @ weight.T + bias).argmax(1).cpu() == vy).float().mean())
        if best is None or score > best[0]:
            best = (score, weight, bias)
    assert best is not None
    return _headed(guide, best[1], best[2]).eval()


def _regression(x: torch.Tensor, y: torch.Tensor, classes: int, penalty: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings (n, dim), labels (n,) or soft ones (n, classes) -> weights (classes, dim), biases (classes,)."""
    import torch
    import torch.nn.functional as F

    weight = torch.zeros(classes, x.shape[1], device=x.device, requires_grad=True)
    bias = torch.zeros(classes, device=x.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(10 * x @ weight.T + bias, y) + penalty * (weight**2).sum()
        torch.autograd.backward(loss)
        return loss

    optimizer.step(closure)
    return 10 * weight.detach(), bias.detach()
