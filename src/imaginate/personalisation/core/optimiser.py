"""Adam for tables whose rows are classes: a class that is not in the batch is left alone.

With ordinary Adam the momentum of an absent class keeps moving it, and its step count runs on. Here every row keeps its
own count, so that all classes of a dataset, fitted in one run, learn exactly as if each were fitted alone.
Kingma & Ba 2015 per row; the same idea as the lazy updates of sparse Adam, with the bias correction per row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch


class RowAdam(torch.optim.Optimizer):
    """Adam over the rows (first axis) of each parameter that have a gradient; no weight decay."""

    def __init__(
        self, parameters: Iterable[Any], lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One update of the rows whose gradient is not zero."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, p.grad, group)

    def _update(self, p: torch.Tensor, gradient: torch.Tensor, group: dict[str, Any]) -> None:
        state = self.state[p]
        if not state:
            state["steps"] = torch.zeros(len(p), device=p.device)
            state["mean"] = torch.zeros_like(p)
            state["square"] = torch.zeros_like(p)
        rows = gradient.flatten(1).ne(0).any(1).nonzero().flatten()
        if len(rows) == 0:
            return
        (first, second), g = group["betas"], gradient[rows]
        state["steps"][rows] += 1
        state["mean"][rows] = state["mean"][rows].lerp(g, 1 - first)
        state["square"][rows] = state["square"][rows].lerp(g * g, 1 - second)
        count = state["steps"][rows].view(-1, *[1] * (p.ndim - 1))
        mean = state["mean"][rows] / (1 - first**count)
        square = state["square"][rows] / (1 - second**count)
        p[rows] -= group["lr"] * mean / (square.sqrt() + group["eps"])
