"""The judge of samples: a classifier that shares nothing with the models that it judges, and is not shipped.

timm's ResNet-18-D on a GPU, ResNet-10-T on a CPU, resolution growing as in nano-clip's training. Its own accuracy on
val is written with every number that it yields.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.nano.training import clip, common, data
from imaginate.nano.training.mae import normalise

PRESETS = {
    "cpu": common.Plan(steps=900, batch=256, lr=3e-3, warmup=50, ema=0.99),
    "cuda": common.Plan(steps=8000, batch=512, lr=2e-3, warmup=100, ema=0.998),
}
NETWORKS = {"cpu": "resnet10t", "cuda": "resnet18d"}
CLASSES = 200


def build(kind: str) -> Any:
    """An untrained judge: a timm network of that name."""
    import timm

    return timm.create_model(kind, pretrained=False, num_classes=CLASSES)


def train(root: Path, out: Path, plan: common.Plan, device: str) -> None:
    """Train the network that fits the device; save weights and the accuracy on val."""
    from safetensors.torch import save_model

    torch.manual_seed(plan.seed)
    images = data.load(root, "train").on(device)
    kind = NETWORKS[device]
    judge = build(kind).to(device, memory_format=torch.channels_last)

    def loss(step: int, share: float) -> Tensor:
        x, y = images.batch(data.picks_of_step(len(images), plan.batch, plan.seed, step))
        x = data.crop_flip(x, 0.35, common.generator(plan.seed, step, device), clip.size_at(share))
        x = normalise(x).to(memory_format=torch.channels_last)
        return F.cross_entropy(judge(x).float(), y, label_smoothing=0.1)

    common.averaged(judge, common.fit(judge, loss, plan, out))
    save_model(judge, str(out / "judge.safetensors"))
    scores = accuracy(load(out, kind), data.load(root, "val"))
    common.write_json(out / "judge.json", {"kind": kind, "val_top1": scores, **common.describe(plan)})


def load(folder: Path, kind: str) -> Any:
    """A trained judge: a function from images (b, 3, 64, 64) in [0, 1] to scores (b, 200), on the CPU."""
    from safetensors.torch import load_model

    judge = build(kind)
    load_model(judge, str(folder / "judge.safetensors"))
    judge.eval()
    return lambda x: judge(normalise(x))


@torch.no_grad()
def accuracy(judge: Any, images: data.Images, batch: int = 250) -> float:
    """Share of images whose label the judge ranks first."""
    right = 0
    for step in range(len(images) // batch):
        x, y = images.batch(data.picks_of_step(len(images), batch, 0, step))
        right += int((judge(x).argmax(1) == y).sum())
    return right / (len(images) // batch * batch)
