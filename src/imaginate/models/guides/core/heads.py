"""What guides that train on the seed images share: a linear classifier, and the part of the images that judges it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.errors import DataError
from imaginate.records import LabelSpace, Relatives

PATIENCE, MOST_STEPS, LEARNING_RATE, WEIGHT_DECAY = 40, 2000, 0.05, 1e-3


@dataclass(frozen=True)
class Head:
    """A linear classifier: logits = embeddings @ weight.T + bias. `accuracy`: on the validation part, or NaN."""

    weight: Tensor
    bias: Tensor
    accuracy: float
    steps: int

    def __call__(self, embeddings: Tensor) -> Tensor:
        return embeddings @ self.weight.T + self.bias


def validation_part(
    labels: Tensor, seed: int, share: float = 0.2, *, ids: Sequence[str] = (), relatives: Relatives | None = None
) -> Tensor:
    """Which images are held out, (n,) bool: a fifth of each class, at least one; none where a class has under three.

    Where the images are a run, its originals are held out and not what was made from them, as long as there are any.
    """
    rng = torch.Generator().manual_seed(seed)
    held = torch.zeros(len(labels), dtype=torch.bool)
    new = relatives.new if relatives else frozenset()
    original = torch.tensor([key not in new for key in ids] if new else [True] * len(labels))
    for label in sorted(set(labels.tolist())):
        members = ((labels == label) & original).nonzero().flatten()
        count = max(1, round(share * len(members))) if len(members) >= 3 else 0
        held[members[torch.randperm(len(members), generator=rng)[:count]]] = True
    return held


def unrelated(held: Tensor, ids: Sequence[str], relatives: Relatives) -> Tensor:
    """Which images may be learnt from, (n,) bool: not held out, and of no common ancestor with one that is."""
    if not relatives.names:
        return ~held
    related = relatives.related_to(key for key, inside in zip(ids, held.tolist(), strict=True) if inside)
    return torch.tensor([key not in related for key in ids])


def train_head(features: Tensor, labels: Tensor, held: Tensor, classes: int) -> Head:
    """Full-batch AdamW from zero weights; the step with the lowest validation loss wins.

    Without a validation part (every class has fewer than three images) it stops after 100 steps.
    """
    weight = torch.zeros(classes, features.shape[1], device=features.device, requires_grad=True)
    bias = torch.zeros(classes, device=features.device, requires_grad=True)
    optimiser = torch.optim.AdamW([weight, bias], lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    some = bool(held.any())
    best, best_loss, waited = (weight.detach().clone(), bias.detach().clone(), 0), float("inf"), 0
    for step in range(1, (MOST_STEPS if some else 100) + 1):
        optimiser.zero_grad()
        F.cross_entropy(features[~held] @ weight.T + bias, labels[~held]).backward()
        optimiser.step()
        with torch.no_grad():
            loss = float(F.cross_entropy(features[held] @ weight.T + bias, labels[held])) if some else -float(step)
        if loss < best_loss - 1e-5:
            best, best_loss, waited = (weight.detach().clone(), bias.detach().clone(), step), loss, 0
        elif (waited := waited + 1) >= PATIENCE:
            break
    head = Head(best[0], best[1], float("nan"), best[2])
    right = (head(features[held]).argmax(dim=-1) == labels[held]).float()
    return Head(head.weight, head.bias, float(right.mean()) if some else float("nan"), head.steps)


def check_every_class(counts: Tensor, labels: LabelSpace, guide: str) -> None:
    """Raises DataError that names the classes without a readable image."""
    empty = [labels[i].name for i, n in enumerate(counts.tolist()) if n == 0]
    if empty:
        shown = ", ".join(empty[:5]) + (", ..." if len(empty) > 5 else "")
        raise DataError(f"guide {guide}: no readable seed image for {len(empty)} of {len(labels)} classes ({shown})")
