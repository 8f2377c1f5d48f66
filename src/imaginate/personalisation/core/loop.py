"""One training loop for every technique: steps that can be repeated bit by bit, and a state that can be gone on from.

All draws of a step come from hash(seed, step): a killed fit resumes to the weights that it would have reached.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from imaginate.errors import ModelError
from imaginate.models.checkpoints import DTYPES
from imaginate.ops.chunks import is_out_of_memory
from imaginate.ops.noise import stream, substream
from imaginate.personalisation.core.images import Images
from imaginate.personalisation.core.objective import Loss
from imaginate.personalisation.core.optimiser import RowAdam
from imaginate.personalisation.core.plan import FitPlan, Learner


class Trainer:
    """The learnt tensors, their optimisers and their running mean; `train_epoch` and `validate` move them along."""

    def __init__(self, learner: Learner, objective: Loss, images: Images, plan: FitPlan, device: str) -> None:
        self.learner, self.objective, self.images, self.plan, self.device = learner, objective, images, plan, device
        self.parameters = learner.parameters()
        self.optimisers = _optimisers(learner)
        self.mean = {name: p.detach().clone() for name, p in self.parameters.items()} if plan.ema > 0 else {}
        self.scaler = torch.amp.GradScaler(device.split(":")[0], enabled=plan.precision == "float16")
        self.step = 0

    def train_epoch(self, epoch: int, done: int, total: float) -> Iterator[tuple[int, float]]:
        """Steps `done` and onwards of an epoch: yields (steps done in the epoch, summed loss of that step's images)."""
        for number, micro in enumerate(self.images.epoch(self.plan, epoch)):
            if self.plan.max_steps is not None and self.step >= self.plan.max_steps:
                return
            if number >= done:
                total += self._step(micro)
                yield number + 1, total

    def _step(self, micro: list[list[int]]) -> float:
        """One optimiser step over some forward passes; returns the summed loss of its images."""
        generator = stream(self.plan.seed, f"step/{self.step}")
        count, total = sum(map(len, micro)), 0.0
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        try:
            for rows in micro:
                total += self._pass(rows, generator, count)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            size = f"batch {self.plan.batch}"
            raise ModelError(f"out of memory with {size}: use a smaller --batch and a larger --accumulate") from error
        if not math.isfinite(total):
            raise ModelError(f"the loss is {total} at step {self.step}: use a smaller learning rate or float32")
        self._update()
        self.step += 1
        return total

    def _pass(self, rows: list[int], generator: torch.Generator, count: int) -> float:
        """Forward and backward of some of the `count` images of a step; returns their summed loss."""
        batch = self.images.batch(rows, generator, self.device)
        noise, levels = self.objective.draw(batch, generator)
        with self.autocast():
            condition = self.learner.condition(batch, generator)
            loss = self.objective.loss(batch, condition, noise, levels).sum() / count
        torch.autograd.backward(self.scaler.scale(loss))
        return float(loss.detach()) * count

    def _update(self) -> None:
        for optimiser in self.optimisers:
            self.scaler.unscale_(optimiser)
            if self.plan.clip > 0 and not isinstance(optimiser, RowAdam):
                parameters = [p for group in optimiser.param_groups for p in group["params"]]
                torch.nn.utils.clip_grad_norm_(parameters, self.plan.clip)
            self.scaler.step(optimiser)
        self.scaler.update()
        if self.mean:
            decay = min(self.plan.ema, (1 + self.step) / (10 + self.step))
            with torch.no_grad():
                for name, p in self.parameters.items():
                    self.mean[name].lerp_(p.detach(), 1 - decay)

    @torch.no_grad()
    def validate(self) -> float | None:
        """The mean loss of the held-out images, at the same noise in every epoch; None where nothing is held out."""
        rows, plan, total = self.images.held_out, self.plan, 0.0
        for start in range(0, len(rows), plan.batch):
            chosen = rows[start : start + plan.batch]
            seeds = [substream(plan.seed, f"image/{row}") for row in chosen]
            for draw in range(plan.draws):
                generator = stream(plan.seed, f"validation/{start}/{draw}")
                batch = self.images.batch(chosen, generator, self.device)
                noise, levels = self.objective.fixed(batch, draw, plan.draws, seeds)
                with self.autocast():
                    condition = self.learner.condition(batch, generator)
                    total += float(self.objective.loss(batch, condition, noise, levels).sum())
        return total / (len(rows) * plan.draws) if rows else None

    def autocast(self) -> torch.autocast:
        """The working precision."""
        kind = DTYPES[self.plan.precision]
        return torch.autocast(self.device.split(":")[0], dtype=kind, enabled=self.plan.precision != "float32")

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the learnt tensors are their running mean (where one is kept)."""
        if not self.mean:
            yield
            return
        raw = {name: p.detach().clone() for name, p in self.parameters.items()}
        self._put(self.mean)
        try:
            yield
        finally:
            self._put(raw)

    def state(self) -> dict[str, Any]:
        """All that the next step depends on."""
        return {
            "step": self.step,
            "parameters": {name: p.detach() for name, p in self.parameters.items()},
            "mean": self.mean,
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "scaler": self.scaler.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        if {n: p.shape for n, p in state["parameters"].items()} != {n: p.shape for n, p in self.parameters.items()}:
            raise ModelError("the saved state of this fit does not fit the prior's shapes")
        self.step = int(state["step"])
        self._put(state["parameters"])
        for name in self.mean:
            self.mean[name].copy_(state["mean"][name])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.scaler.load_state_dict(state["scaler"])

    @torch.no_grad()
    def _put(self, values: dict[str, torch.Tensor]) -> None:
        for name, p in self.parameters.items():
            p.copy_(values[name])


def _optimisers(learner: Learner) -> list[torch.optim.Optimizer]:
    optimisers: list[torch.optim.Optimizer] = []
    for group in learner.groups.values():
        parameters = list(group.parameters.values())
        if group.table:
            optimisers.append(RowAdam(parameters, lr=group.rate))
        else:
            optimisers.append(torch.optim.AdamW(parameters, lr=group.rate, weight_decay=group.weight_decay))
    return optimisers


def rate(stated: float, at_batch: int, plan: FitPlan) -> float:
    """The learning rate for this plan's batch: square-root scaling keeps the gradient's variance (RET 3.2).

    >>> rate(1e-3, 4, FitPlan(batch=16, accumulate=4))
    0.004
    """
    return stated * math.sqrt(plan.batch * plan.accumulate / at_batch) if plan.scale_rate else stated


def now() -> float:
    """A clock for the history."""
    return time.perf_counter()
