"""The judge of samples: a classifier that shares nothing with the models that it judges.

It is not shipped. Two kinds, by the device that trains it:

- `cuda`: timm's ResNet-18-D at 64 px, the usual way;
- `cpu`: whitened patches and ridge regression (Coates, Lee and Ng, 2011), which needs no gradient and minutes:
  filters are whitened random patches, features are soft-thresholded responses averaged over quadrants, and the 200
  linear scores are the closed-form solution on one-hot labels.

Its own accuracy on val stands beside every number that it yields.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imaginate.nano.train import common, data
from imaginate.nano.train.mae import normalise

PRESETS = {
    "cpu": common.Plan(steps=1, batch=128),
    "cuda": common.Plan(steps=8000, batch=512, lr=2e-3, muon_lr=0.0, warmup=300, ema=0.999),
}
FILTERS, SIDE = 512, 6  # how many patches of which side, on images of 32 px
THRESHOLD, RIDGE, EPS = 0.5, 30.0, 0.1
CLASSES = 200


class Patches(nn.Module):
    """Whitened-patch features and linear scores: (b, 3, 64, 64) in [0, 1] -> (b, 200)."""

    def __init__(self, filters: int = FILTERS) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(filters, 3, SIDE, SIDE))
        self.register_buffer("bias", torch.zeros(filters))
        self.register_buffer("mean", torch.zeros(8 * filters))
        self.register_buffer("std", torch.ones(8 * filters))
        self.register_buffer("scores", torch.zeros(8 * filters, CLASSES))
        self.register_buffer("offset", torch.zeros(CLASSES))

    def features(self, x: Tensor) -> Tensor:
        """(b, 8 filters): responses above and below the threshold, averaged over four quadrants."""
        x = contrast(F.avg_pool2d(x, 2))
        with torch.autocast(x.device.type, torch.bfloat16):
            r = F.conv2d(x, self.weight, self.bias, stride=2)  # type: ignore[arg-type]
        both = [F.adaptive_avg_pool2d(F.relu(signed - THRESHOLD), 2) for signed in (r, -r)]
        return torch.cat(both, 1).flatten(1).float()

    def forward(self, x: Tensor) -> Tensor:
        """Class scores; their softmax at this scale is not a calibrated probability."""
        return (self.features(x) - self.mean) / self.std @ self.scores + self.offset  # type: ignore[operator]


def contrast(x: Tensor) -> Tensor:
    """Zero mean and unit deviation per image."""
    return (x - x.mean((1, 2, 3), keepdim=True)) / (x.std((1, 2, 3), keepdim=True) + 0.05)


def whitened_filters(x: Tensor, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Filters (count, 3, s, s) and bias that whiten a patch and project it on `count` whitened patches of x."""
    patches = F.unfold(contrast(F.avg_pool2d(x, 2)), SIDE).transpose(1, 2).flatten(0, 1)
    patches = patches[torch.randperm(len(patches), generator=rng)[:50_000]]
    centre = patches.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov((patches - centre).T))
    white = vectors @ torch.diag((values + EPS * values.mean()).rsqrt()) @ vectors.T
    chosen = (patches[:count] - centre) @ white
    rows = chosen / chosen.norm(dim=1, keepdim=True) @ white
    return rows.view(count, 3, SIDE, SIDE), -rows @ centre


@torch.no_grad()
def solve(judge: Any, images: data.Images, batch: int) -> None:
    """Fill the judge: filters, feature scale, ridge regression on +1 / 0 labels, images and mirror images together."""
    first, _ = images.batch(data.picks_of_step(len(images), 2000, 7, 0))
    judge.weight, judge.bias = whitened_filters(first, len(judge.weight), torch.Generator().manual_seed(7))
    sample = torch.cat([judge.features(part) for part in first.split(batch)])
    judge.mean, judge.std = sample.mean(0), sample.std(0) + 1e-3
    d = sample.shape[1]
    gram, cross, totals = torch.zeros(d, d), torch.zeros(d, CLASSES), torch.zeros(CLASSES)
    for step in range(len(images) // batch):
        x, y = images.batch(data.picks_of_step(len(images), batch, 7, step))
        f = (judge.features(x if step % 2 else x.flip(-1)) - judge.mean) / judge.std
        gram += f.T @ f
        cross += f.T @ F.one_hot(y, CLASSES).float()
        totals += torch.bincount(y, minlength=CLASSES)
    gram.diagonal().add_(RIDGE * gram.diagonal().mean() / 1000)
    judge.scores, judge.offset = torch.linalg.solve(gram, cross), totals / totals.sum()


def build(kind: str) -> Any:
    """An untrained judge of kind `patches` or `network`."""
    if kind == "patches":
        return Patches()
    import timm

    return timm.create_model("resnet18d", pretrained=False, num_classes=CLASSES)


def train(root: Path, out: Path, plan: common.Plan, device: str) -> None:
    """Train the kind that fits the device; save weights and the accuracy on val."""
    from safetensors.torch import save_model

    torch.manual_seed(plan.seed)
    images = data.load(root, "train")
    kind = "network" if device == "cuda" else "patches"
    judge = build(kind).to(device)
    if kind == "patches":
        solve(judge, images, plan.batch)
    else:
        common.averaged(judge, common.fit(judge, network_loss(judge, images, plan, device), plan, out))
    save_model(judge, str(out / "judge.safetensors"))
    scores = accuracy(load(out, kind), data.load(root, "val"))
    common.write_json(out / "judge.json", {"kind": kind, "val_top1": scores, **common.describe(plan)})


def network_loss(judge: Any, images: data.Images, plan: common.Plan, device: str) -> common.Loss:
    """Cross-entropy on cropped, flipped images."""

    def loss(step: int) -> Tensor:
        x, y = images.batch(data.picks_of_step(len(images), plan.batch, plan.seed, step))
        x = data.crop_flip(x, 0.3, common.generator(plan.seed, step))
        return F.cross_entropy(judge(normalise(x).to(device)).float(), y.to(device), label_smoothing=0.1)

    return loss


def load(folder: Path, kind: str) -> Any:
    """A trained judge: a function from images (b, 3, 64, 64) in [0, 1] to scores (b, 200), on the CPU."""
    from safetensors.torch import load_model

    judge = build(kind)
    load_model(judge, str(folder / "judge.safetensors"))
    judge.eval()
    return judge if kind == "patches" else lambda x: judge(normalise(x))


@torch.no_grad()
def accuracy(judge: Any, images: data.Images, batch: int = 250) -> float:
    """Share of images whose label the judge ranks first."""
    right = 0
    for step in range(len(images) // batch):
        x, y = images.batch(data.picks_of_step(len(images), batch, 0, step))
        right += int((judge(x).argmax(1) == y).sum())
    return right / (len(images) // batch * batch)
