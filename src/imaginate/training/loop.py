"""Training of one classifier: the same number of updates for everyone, model selection on the validation part only,
exact after a kill, deterministic on one kind of machine.

An update is a pure function of the state and of its number: which images (`Stream`), which of their children, which
augmentation and which dropout all come from the seed and the update number. The state is saved at some of the
checks on the validation part, so that a kill loses at most one such span and changes nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imaginate.errors import ConfigError
from imaginate.files import derive_seed, short_hash
from imaginate.tracking import log as track
from imaginate.training import checkpoint
from imaginate.training.augment import augment, normalise
from imaginate.training.checkpoint import Weights
from imaginate.training.distributed import SOLO, Team
from imaginate.training.plan import TrainPlan, autocast, optimizer_of, repeatable
from imaginate.training.predict import accuracy
from imaginate.training.recipes import check_watched
from imaginate.training.sampler import Stream
from imaginate.training.training_set import TrainingSet

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass
class State:
    """How far a training run is; all of it is saved."""

    update: int = 0
    best_update: int = 0
    best: tuple[float, float] = (-1.0, 0.0)  # validation accuracy, minus validation loss
    better_at: int = 0  # update of the last better accuracy: what `patience` counts from
    since: int = 0  # the same, or the last fall of the learning rate: what `plateau` counts from
    scale: float = 1.0  # `plateau`'s factor on the learning rate
    stopped: bool = False
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A network that is learnt from: views (b, 3, size, size) in [0, 1] -> logits (b, classes), the temperature of both
    sides, and its share of the loss."""

    logits: Callable[[torch.Tensor], torch.Tensor]
    size: int
    temperature: float
    share: float


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The classifier with the best validation accuracy, and how it came about."""

    model: nn.Module
    state: State


def fit(
    plan: TrainPlan,
    train: TrainingSet,
    validation: TrainingSet | None,
    folder: Path,
    *,
    build: Callable[[], nn.Module],
    advance: Callable[[int], None] = lambda _: None,
    team: Team = SOLO,
    teacher: Teacher | None = None,
) -> Trained:
    """Train to the end, from wherever an earlier call was stopped. `build` makes the classifier; with a `teacher`, it
    also learns what the teacher says of every view.

    Raises ConfigError where the recipe waits for a validation part that is missing, or the loss is no number any more.
    """
    import torch

    check_watched(plan.recipe, validation is not None)
    torch.set_flush_denormal(True)
    with torch.random.fork_rng(), repeatable(plan.device):
        model = build().to(plan.device).to(memory_format=torch.channels_last)
        optimizer = optimizer_of(model, plan)
        key = short_hash([replace(plan, device=plan.device.partition(":")[0]), len(train), *train.identity])
        state, best = checkpoint.resume(folder, key, State, model, optimizer)
        advance(state.update)
        worker = team.wrap(model)
        stream = Source(plan, train)
        saved = state.update
        while state.update < plan.updates and not state.stopped:
            target = min(plan.updates, (state.update // plan.period + 1) * plan.period)
            _period(plan, worker, optimizer, stream, train, state, target, advance, team, teacher)
            if team.main:
                best = _validate(plan, model, validation, state, best)
                last = state.history[-1]
                track({name: last.get(name) for name in ("loss", "lr", "validation")}, state.update)
                if state.update - saved >= plan.span or state.update == plan.updates or state.stopped:
                    checkpoint.save(folder, key, state, model, optimizer, best)
                    saved = state.update
            vars(state).update(team.shared(vars(state)))
        model.load_state_dict(best)
    return Trained(model=model.eval(), state=state)


class Source:
    """Which rows are seen at which update: all of them, and towards the end the originals alone, where that is asked
    for and there are any (as SWAT and DisCL finish)."""

    def __init__(self, plan: TrainPlan, train: TrainingSet) -> None:
        self._all = Stream(len(train), plan.recipe.batch, plan.seed)
        self._originals = train.originals if plan.finish else np.array([], np.int64)
        self._last = Stream(len(self._originals), plan.recipe.batch, derive_seed("finish", plan.seed))
        self.turn = round(plan.updates * (1 - plan.finish)) if len(self._originals) else plan.updates

    def indices(self, update: int) -> np.ndarray:
        """The rows of the batch of one update. (batch,) int64"""
        if update < self.turn:
            return self._all.indices(update)
        return self._originals[self._last.indices(update)]  # type: ignore[no-any-return]


def _period(
    plan: TrainPlan,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    stream: Source,
    train: TrainingSet,
    state: State,
    target: int,
    advance: Callable[[int], None],
    team: Team,
    teacher: Teacher | None,
) -> None:
    """Updates up to `target`, and one line of history about them."""
    start, first, total = time.perf_counter(), state.update, 0.0
    model.train()
    losses = []
    for update in range(state.update, target):
        rate = plan.recipe.peak(plan.pretrained) * plan.recipe.factor(update, plan.updates) * state.scale
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("times", 1.0)
        rows = stream.indices(update)
        if update < stream.turn:  # at the end, originals alone are seen
            rows = train.substitute(rows, derive_seed("children", plan.seed, update))
        losses.append(_update(plan, model, optimizer, rows, train, update, team, teacher))
        advance(1)
    total = sum(float(x) for x in losses)
    if not math.isfinite(total):
        raise ConfigError(
            f"the loss is {total} after {target} updates at a learning rate of {rate:g}: choose a lower --lr"
        )
    state.update = target
    state.seconds += time.perf_counter() - start
    state.history.append(
        {
            "update": target,
            "epoch": round(target * plan.recipe.batch / len(train), 3),
            "loss": total / max(1, target - first),
            "lr": rate,
            "seconds": round(state.seconds, 2),
        }
    )


def _update(
    plan: TrainPlan,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    rows: np.ndarray,
    train: TrainingSet,
    update: int,
    team: Team,
    teacher: Teacher | None,
) -> torch.Tensor:
    """One optimizer step; returns the loss, not yet read from the device."""
    import torch
    import torch.nn.functional as F

    from imaginate.ops.depthwise import quick_depthwise

    rows = team.part(rows)
    torch.manual_seed(derive_seed("model", plan.seed, update, team.rank))
    side = plan.size if teacher is None else teacher.size
    views = augment(train.images(rows), side, plan.augment, derive_seed("augment", plan.seed, update, team.rank))
    views = views.to(plan.device)
    images = views if side == plan.size else F.interpolate(views, size=plan.size, mode="bilinear", antialias=True)
    images = normalise(images, plan.statistics).contiguous(memory_format=torch.channels_last)
    with autocast(plan), quick_depthwise():
        logits = model(images).float()
    loss = _loss(logits, train, rows, plan.recipe.smoothing)
    if teacher is not None:
        loss = (1 - teacher.share) * loss + teacher.share * _distilled(logits, teacher, views)
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    optimizer.step()
    return loss.detach()


def _loss(logits: torch.Tensor, train: TrainingSet, rows: np.ndarray, smoothing: float) -> torch.Tensor:
    """Cross-entropy, each image by its weight."""
    import torch
    import torch.nn.functional as F

    targets = train.targets(rows).to(logits.device)
    if train.weight is None:
        return F.cross_entropy(logits, targets, label_smoothing=smoothing)
    each = F.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="none")
    weight = torch.from_numpy(train.weight[rows]).to(each)
    return (weight * each).sum() / weight.sum()


def _distilled(logits: torch.Tensor, teacher: Teacher, views: torch.Tensor) -> torch.Tensor:
    """Cross-entropy with the teacher's answer on the same view, both at its temperature, times its square (Hinton et
    al. 2015), so that the gradient keeps its size."""
    import torch
    import torch.nn.functional as F

    with torch.no_grad():
        taught = (teacher.logits(views).float() / teacher.temperature).softmax(-1)
    return F.cross_entropy(logits / teacher.temperature, taught) * teacher.temperature**2


def _validate(
    plan: TrainPlan, model: nn.Module, validation: TrainingSet | None, state: State, best: Weights
) -> Weights:
    """Score the validation part, keep the weights if they are the best so far, decide on the rate and on stopping.

    The rate and the end go by accuracy alone (RET section 3); the loss only decides between weights of equal accuracy.
    """
    if validation is None:
        state.best_update = state.update
        return checkpoint.copy_of(model)
    score = accuracy(plan, model, validation)
    state.history[-1]["validation"] = score[0]
    if score[0] > state.best[0]:
        state.better_at = state.since = state.update
    elif plan.recipe.schedule == "plateau" and state.update - state.since >= plan.recipe.plateau * plan.epoch:
        state.scale, state.since = state.scale / 10, state.update
    if score > state.best:
        state.best, state.best_update = score, state.update
        best = checkpoint.copy_of(model)
    patience = plan.recipe.patience
    state.stopped = patience is not None and state.update - state.better_at >= patience * plan.epoch
    return best
