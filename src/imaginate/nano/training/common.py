"""The loop that every nano model shares: schedule, mixed precision, EMA, checkpoints, progress.

A model file brings a module and a `loss(step, share) -> scalar`; the loop does the rest. All randomness of a step comes
from `(seed, step)`, so that a run killed at any step and started again ends with the same weights. With `minutes`, the
clock decides how many steps there are: the learning rate then falls with the time spent, and only the weights of one
uninterrupted machine would come again.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from imaginate.errors import ConfigError

REPORT = 50  # steps between two lines of the log
Loss = Callable[[int, float], Tensor]  # (step, share of the training that is over) -> scalar


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and how fast to train; the same for every model."""

    steps: int
    batch: int
    lr: float = 1e-3
    muon_lr: float = 0.0  # > 0: hidden matrices by Muon, the rest by AdamW at lr
    weight_decay: float = 0.05
    muon_decay: float = 0.03
    warmup: int = 100
    ema: float = 0.999
    seed: int = 0
    save_every: float = 180.0  # seconds
    precision: str = "bfloat16"
    minutes: float | None = None  # instead of steps
    wait: float = 0.0  # seconds to wait for models that are being trained at the same time

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise ConfigError(f"steps and batch must be at least 1, got {self.steps} and {self.batch}")
        if self.minutes is not None and self.minutes <= 0:
            raise ConfigError(f"minutes must be above 0, got {self.minutes}")

    def share(self, step: int, seconds: float) -> float:
        """How much of the training is over, from 0 to 1, after `step` steps and `seconds` seconds."""
        return min(step / self.steps if self.minutes is None else seconds / (60 * self.minutes), 1.0)


def plan_for(presets: dict[str, Plan], device: str, **changes: Any) -> Plan:
    """The preset of the device (`cpu` or `cuda`) with the changes that are not None."""
    return replace(presets[device], **{name: value for name, value in changes.items() if value is not None})


def generator(seed: int, step: int, device: str | torch.device = "cpu") -> torch.Generator:
    """A generator for one step's draws on a device, a function of (seed, step) alone."""
    return torch.Generator(device).manual_seed((seed * 1_000_003 + step) % 2**63)


def lr_factor(step: int, plan: Plan, seconds: float = 0.0) -> float:
    """Linear warm-up, then linear decay to zero at the end."""
    if plan.minutes is not None:
        return min((step + 1) / max(plan.warmup, 1), 1 - plan.share(step, seconds))
    return min((step + 1) / max(plan.warmup, 1), (plan.steps - step) / max(plan.steps - plan.warmup, 1), 1.0)


def optimisers(module: nn.Module, plan: Plan) -> list[torch.optim.Optimizer]:
    """AdamW, or Muon (Jordan et al., 2024) on hidden matrices with AdamW on the rest."""
    trained = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    hidden = [p for name, p in trained if plan.muon_lr and p.ndim == 2 and "embed" not in name]
    chosen = {id(p) for p in hidden}
    decayed = [p for _, p in trained if p.ndim > 1 and id(p) not in chosen]
    plain = [p for _, p in trained if p.ndim <= 1 and id(p) not in chosen]
    groups = [{"params": decayed, "weight_decay": plan.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    found: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=plan.lr, betas=(0.9, 0.98), fused=True)]
    if hidden:
        found.append(torch.optim.Muon(hidden, lr=plan.muon_lr, weight_decay=plan.muon_decay, momentum=0.95))
    return found


class Ema:
    """Exponential moving average of the weights, its decay warmed up as (1 + t) / (10 + t)."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.shadow = {k: v.detach().clone() for k, v in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move the shadow towards the weights; integer buffers are copied."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        values = module.state_dict()
        moved = [name for name, value in values.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.shadow[name] for name in moved], [values[name] for name in moved], weight)
        for name in values.keys() - set(moved):
            self.shadow[name].copy_(values[name])


def fit(
    module: nn.Module, loss: Loss, plan: Plan, out: Path, *, before: Callable[[float, "Ema"], None] | None = None
) -> Ema:
    """Train `module` to the plan's end, from the checkpoint in `out` if there is one; returns the averaged weights."""
    device = next(module.parameters()).device
    opts, ema = optimisers(module, plan), Ema(module, plan.ema)
    start, spent = _restore(out / "checkpoint.pt", module, opts, ema)
    log, began, saved, losses = out / "log.jsonl", time.monotonic(), time.monotonic(), list[Tensor]()
    _append(log, {"start": start, "plan": asdict(plan), "threads": torch.get_num_threads()})
    module.train()
    step, now = start, began
    while (share := plan.share(step, spent + now - began)) < 1:
        torch.manual_seed((plan.seed << 32) + step)
        if before:
            before(share, ema)
        _set_lr(opts, plan, lr_factor(step, plan, spent + now - began))
        with torch.autocast(device.type, torch.bfloat16, enabled=plan.precision == "bfloat16"):
            value = loss(step, share)
        value.backward()
        nn.utils.clip_grad_norm_([p for p in module.parameters() if p.requires_grad], 1.0)
        for opt in opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        ema.update(module, step)
        losses.append(value.detach())
        step, now = step + 1, time.monotonic()
        over = plan.share(step, spent + now - began)
        if len(losses) == REPORT or over == 1:
            mean = float(torch.stack(losses).mean())  # the only wait for the device
            _report(log, step, plan, mean, (step - start) / (time.monotonic() - began), over, spent + now - began)
            losses.clear()
        if now - saved > plan.save_every or over == 1:
            _save(out / "checkpoint.pt", module, opts, ema, step, spent + now - began)
            saved = time.monotonic()
    return ema


def averaged(module: nn.Module, ema: Ema) -> nn.Module:
    """The module with the averaged weights loaded, in eval mode."""
    module.load_state_dict(ema.shadow)
    return module.eval()


def is_finished(folder: Path) -> bool:
    """Whether a model is saved there: its configuration is written first, its weights a moment later."""
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))


def describe(plan: Plan, **more: Any) -> dict[str, Any]:
    """The plan and what else a model card must say, as plain values."""
    threads = torch.get_num_threads()
    cpu = f"{threads} CPU thread{'' if threads == 1 else 's'}"
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else cpu
    return asdict(plan) | more | {"torch": torch.__version__, "device": device}


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole or not at all."""
    part = path.with_name(f"{os.getpid()}-{path.name}")
    part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def _set_lr(opts: Sequence[torch.optim.Optimizer], plan: Plan, factor: float) -> None:
    """Write this step's learning rates into the optimisers."""
    for opt in opts:
        base = plan.muon_lr if isinstance(opt, torch.optim.Muon) else plan.lr
        for group in opt.param_groups:
            group["lr"] = base * group.get("scale", 1.0) * factor


def _report(log: Path, step: int, plan: Plan, loss: float, rate: float, share: float, spent: float) -> None:
    """One line to the terminal and one to the log: step, loss, images a second, minutes left."""
    from rich import print as show

    left = (plan.steps - step) / rate / 60 if plan.minutes is None else (1 - share) * plan.minutes
    of = f"/{plan.steps}" if plan.minutes is None else f" ({share:.0%})"
    show(f"step {step}{of} loss {loss:.4f} {rate * plan.batch:.0f} images/s {left:.1f} min left", flush=True)
    row = {
        "step": step,
        "loss": round(loss, 5),
        "images_per_s": round(rate * plan.batch, 1),
        "seconds": round(spent, 1),
    }
    _append(log, row)


def _append(log: Path, row: dict[str, Any]) -> None:
    """One JSON line at the end of the log."""
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _save(
    path: Path, module: nn.Module, opts: Sequence[torch.optim.Optimizer], ema: Ema, step: int, seconds: float
) -> None:
    """Write a checkpoint whole or not at all."""
    state = {
        "module": module.state_dict(),
        "opts": [opt.state_dict() for opt in opts],
        "ema": ema.shadow,
        "step": step,
        "seconds": seconds,
    }
    part = path.with_name(f"{os.getpid()}-{path.name}")
    torch.save(state, part)
    part.replace(path)


def _restore(path: Path, module: nn.Module, opts: Sequence[torch.optim.Optimizer], ema: Ema) -> tuple[int, float]:
    """Load the checkpoint if there is one; (steps done, seconds spent)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for stale in path.parent.glob(f"*-{path.name}"):
        with contextlib.suppress(FileNotFoundError):
            stale.unlink()
    if not path.is_file():
        return 0, 0.0
    state = torch.load(path, weights_only=True, map_location=next(module.parameters()).device)
    module.load_state_dict(state["module"])
    for opt, saved in zip(opts, state["opts"], strict=True):
        opt.load_state_dict(saved)
    ema.shadow = state["ema"]
    return int(state["step"]), float(state["seconds"])
