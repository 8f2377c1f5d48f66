"""A classifier tried on made-up images before any real one is read: what cannot work, and what an update costs."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imaginate.errors import ConfigError
from imaginate.files import first_line
from imaginate.training.augment import augment, normalise, stored_size
from imaginate.training.learners import Learner, learner_of
from imaginate.training.plan import TrainPlan, autocast, optimizer_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

ENOUGH = 1.0  # seconds of updates that are measured
MOST = 4  # of them, at most


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds of one update, of one image without a gradient, and the most bytes that were held meanwhile."""

    update: float
    image: float
    memory: int


def check_network(plan: TrainPlan) -> nn.Module:
    """The untrained network, after one update. ConfigError in one line where it cannot be trained at this size and
    batch: a transformer at another size than its own, a batch of one under batch normalisation."""
    learner = learner_of(plan.arch, pretrained=plan.pretrained)
    learner.check()
    alone = plan.recipe.batch == 1
    try:
        model = learner.build(max(2, plan.classes), untrained=True).to(plan.device)
        _step(plan, learner, model, 1 if alone else 2)
        return model
    except (RuntimeError, ValueError, AssertionError, IndexError, TypeError) as error:
        if "more than 1 value per channel" in str(error):
            raise ConfigError(
                f"{plan.arch} cannot be trained with a batch of {plan.recipe.batch} at {plan.size} px: its batch "
                "normalisation needs more than one value a channel; use a larger --batch or --image-size"
            ) from None
        own = f"; its own size is --image-size {learner.size}" if learner.size != plan.size else ""
        raise ConfigError(f"{plan.arch} cannot be trained at {plan.size} px: {first_line(error)}{own}") from None


def measure_pace(plan: TrainPlan) -> Pace:
    """What training by this plan costs on this machine, by a few updates on made-up images; what cannot be trained is
    refused. Torch's random numbers are as before."""
    import torch

    learner = learner_of(plan.arch, pretrained=plan.pretrained)
    plan = replace(plan, classes=max(2, plan.classes))
    with torch.random.fork_rng(devices=[]):
        model = check_network(plan).to(memory_format=torch.channels_last)
        update = _timed(lambda: _step(plan, learner, model, plan.recipe.batch)) if learner.sees_views else 0.0
        count = 64
        images = torch.zeros(count, 3, plan.size, plan.size, device=plan.device)
        images = images.contiguous(memory_format=torch.channels_last)
        model.eval()

        def embed() -> None:
            with torch.inference_mode(), autocast(plan):
                model(images).sum().item()

        image = _timed(embed) / count
    return Pace(update=update, image=image, memory=_memory(plan.device))


def _step(plan: TrainPlan, learner: Learner, model: nn.Module, batch: int) -> None:
    """One update on white images, or for a frozen network one forward pass."""
    import torch
    import torch.nn.functional as F

    from imaginate.ops.depthwise import quick_depthwise

    side = stored_size(plan.size)
    images = torch.full((batch, 3, side, side), 255, dtype=torch.uint8)
    views = augment(images, plan.size, plan.augment if learner.sees_views else "none", 0).to(plan.device)
    x = normalise(views, plan.statistics).contiguous(memory_format=torch.channels_last)
    if not learner.sees_views:
        with torch.inference_mode(), autocast(plan):
            model.eval()(x)
        return
    with autocast(plan), quick_depthwise():
        logits = model.train()(x)
    loss = F.cross_entropy(logits.float(), torch.zeros(batch, dtype=torch.int64, device=plan.device))
    optimizer = optimizer_of(model, plan)
    torch.autograd.backward(loss)
    optimizer.step()
    float(loss.detach())  # waits for the device


def _timed(work: Callable[[], None]) -> float:
    """Seconds of one call, after one to warm up."""
    work()
    start, count = time.perf_counter(), 0
    while count < MOST and (count == 0 or time.perf_counter() - start < ENOUGH):
        work()
        count += 1
    return (time.perf_counter() - start) / count


def _memory(device: str) -> int:
    """The most bytes that this process has held, on the device where that is a GPU."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held if sys.platform == "darwin" else held * 1024
