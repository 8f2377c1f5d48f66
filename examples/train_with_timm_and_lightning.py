"""A run as training data in a loop of your own: timm's network and transforms, torchvision's reader.

    imaginate expand flowers/ flowers-x5/ --method randaugment --copies 5
    python examples/train_with_timm_and_lightning.py flowers-x5/ --epochs 3

A run is an image folder, so that every reader of folders takes it. The validation part is cut by `seed_image` (never at
random: a copy of a validation image in the training part measures memory), and has originals alone.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import pyarrow.parquet as pq
import timm
import torch
from torch.utils.data import DataLoader, Subset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2


def parts(run: str, share: float = 0.2) -> tuple[set[str], set[str]]:
    """File names to train on, and to validate on: by the hash of each seed, so that they stay when the run grows."""
    rows = pq.read_table(f"{run}/metadata.parquet", columns=["file_name", "seed_image", "method"]).to_pylist()
    train, validation = set(), set()
    for row in rows:
        seed = row["seed_image"] or row["file_name"]
        if int(hashlib.sha256(seed.encode()).hexdigest(), 16) % 1000 >= 1000 * share:
            train.add(row["file_name"])
        elif row["method"] is None:
            validation.add(row["file_name"])
    return train, validation


def loaders(run: str, size: int, batch: int) -> tuple[DataLoader, DataLoader, int]:
    """Batches of both parts, (b, 3, size, size) in [0, 1] and labels, and the number of classes."""
    crop = [v2.RandomResizedCrop(size, scale=(0.5, 1)), v2.RandomHorizontalFlip()]
    plain = [v2.Resize(size), v2.CenterCrop(size)]
    tensor = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    chosen = []
    for names, steps in zip(parts(run), (crop, plain), strict=True):
        folder = ImageFolder(f"{run}/images", transform=v2.Compose([*steps, *tensor]))
        wanted = {str(Path(run, name).absolute()) for name in names}
        rows = [i for i, (path, _) in enumerate(folder.samples) if str(Path(path).absolute()) in wanted]
        chosen.append(Subset(folder, rows))
    classes = len(ImageFolder(f"{run}/images").classes)
    return DataLoader(chosen[0], batch, shuffle=True, drop_last=False), DataLoader(chosen[1], batch), classes


def accuracy(model: torch.nn.Module, batches: DataLoader) -> float:
    """The share of images whose class is said."""
    model.eval()
    with torch.no_grad():
        found = [(model(x).argmax(1) == y).float() for x, y in batches]
    return float(torch.cat(found).mean()) if found else float("nan")


def train(model: torch.nn.Module, batches: DataLoader, epochs: int, rate: float) -> None:
    """A plain loop; with Lightning the same step is `training_step` of a LightningModule."""
    optimizer = torch.optim.AdamW(model.parameters(), rate)
    for _ in range(epochs):
        model.train()
        for x, y in batches:
            loss = torch.nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def train_with_lightning(model: torch.nn.Module, batches: DataLoader, epochs: int, rate: float) -> None:
    """The same by Lightning's Trainer (`pip install lightning`)."""
    import lightning

    class Classifier(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> torch.Tensor:
            x, y = batch
            return torch.nn.functional.cross_entropy(self.model(x), y)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), rate)

    lightning.Trainer(max_epochs=epochs, logger=False, enable_checkpointing=False).fit(Classifier(), batches)


def main() -> None:
    """Train on a run, then say what was reached on the seeds that were set aside."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--network", default="resnet18", help="any of timm's")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--pretrained", action="store_true", help="start from the hub's weights")
    parser.add_argument("--lightning", action="store_true")
    args = parser.parse_args()
    batches, held_back, classes = loaders(args.run, args.size, args.batch)
    model = timm.create_model(args.network, pretrained=args.pretrained, num_classes=classes)
    (train_with_lightning if args.lightning else train)(model, batches, args.epochs, args.rate)
    print(f"{accuracy(model, held_back):.1%} of {len(held_back.dataset)} seeds that were set aside")


if __name__ == "__main__":
    main()
