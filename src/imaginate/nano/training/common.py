"""The loop that every nano model shares: schedule, mixed precision, EMA, checkpoints, progress.

A model file brings a module, its optimisers and a `loss(step) -> scalar`; the loop does the rest. All randomness of a
step comes from `(seed, step)`, so that a run killed at any step and started again ends with the same weights.
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

Loss = Callable[[int], Tensor]


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

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise ConfigError(f"steps and batch must be at least 1, got {self.steps} and {self.batch}")


def plan_for(presets: dict[str, Plan], device: str, **changes: Any) -> Plan:
    """The preset of the device (`cpu` or `cuda`) with the changes that are not None."""
    return replace(presets[device], **{name: value for name, value in changes.items() if value is not None})


def generator(seed: int, step: int) -> torch.Generator:
    """A generator for one step's draws on the CPU, a function of (seed, step) alone."""
    return torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**63)


def lr_factor(step: int, plan: Plan) -> float:
    """Linear warm-up, then linear decay to zero at the last step."""
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
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                self.shadow[name].lerp_(value, weight)
            else:
                self.shadow[name].copy_(value)


def fit(
    module: nn.Module, loss: Loss, plan: Plan, out: Path, *, before: Callable[[int, "Ema"], None] | None = None
) -> Ema:
    """Train `module` until `plan.steps`, from the checkpoint in `out` if there is one; returns the averaged weights."""
    device = next(module.parameters()).device
    opts, ema = optimisers(module, plan), Ema(module, plan.ema)
    start, spent = _restore(out / "checkpoint.pt", module, opts, ema)
    log, began, saved, sum_loss, count = out / "log.jsonl", time.monotonic(), time.monotonic(), 0.0, 0
    _append(log, {"start": start, "plan": asdict(plan), "threads": torch.get_num_threads()})
    module.train()
    for step in range(start, plan.steps):
        torch.manual_seed((plan.seed << 32) + step)
        if before:
            before(step, ema)
        _set_lr(opts, plan, step)
        with torch.autocast(device.type, torch.bfloat16, enabled=plan.precision == "bfloat16"):
            value = loss(step)
        value.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        for opt in opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        ema.update(module, step)
        sum_loss, count = sum_loss + float(value.detach()), count + 1
        now = time.monotonic()
        if count == 50 or step + 1 == plan.steps:
            rate = (step + 1 - start) / (now - began)
            _report(log, step + 1, plan, sum_loss / count, rate, spent + now - began)
            sum_loss, count = 0.0, 0
        if now - saved > plan.save_every or step + 1 == plan.steps:
            _save(out / "checkpoint.pt", module, opts, ema, step + 1, spent + now - began)
            saved = time.monotonic()
    return ema


def averaged(module: nn.Module, ema: Ema) -> nn.Module:
    """The module with the averaged weights loaded, in eval mode."""
    module.load_state_dict(ema.shadow)
    return module.eval()


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


def _set_lr(opts: Sequence[torch.optim.Optimizer], plan: Plan, step: int) -> None:
    """Write this step's learning rates into the optimisers."""
    for opt in opts:
        base = plan.muon_lr if isinstance(opt, torch.optim.Muon) else plan.lr
        for group in opt.param_groups:
            group["lr"] = base * group.get("scale", 1.0) * lr_factor(step, plan)


def _report(log: Path, step: int, plan: Plan, loss: float, rate: float, spent: float) -> None:
    """One line to the terminal and one to the log: step, loss, images a second, minutes left."""
    from rich import print as show

    left = (plan.steps - step) / rate / 60
    show(f"step {step}/{plan.steps} loss {loss:.4f} {rate * plan.batch:.0f} images/s {left:.1f} min left", flush=True)
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
