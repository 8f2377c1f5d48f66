"""Pictures of the model cards: grids of images and loss curves, small PNG files."""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def grid(rows: list[Tensor], path: Path, gap: int = 2) -> None:
    """Rows of images (n, 3, h, w) in [0, 1], under one another."""
    from PIL import Image

    padded = [torch.nn.functional.pad(row, (gap, gap, gap, gap), value=1.0) for row in rows]
    lines = [torch.cat(list(row), dim=2) for row in padded]
    pixels = (torch.cat(lines, dim=1).clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(np.ascontiguousarray(pixels)).quantize(256).save(path, optimize=True)


def ranked(x: Tensor, scores: Tensor, names: list[str], path: Path, columns: int = 8) -> None:
    """Images (n, 3, h, w), each above its three best class names."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, columns, figsize=(1.5 * columns, 4.4))
    for axis, image, best in zip(axes.flat, x, scores.topk(3).indices, strict=False):
        axis.imshow(image.permute(1, 2, 0).numpy())
        axis.set_title("\n".join(names[int(i)][:18] for i in best), fontsize=7)
        axis.axis("off")
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def curve(log: Path, path: Path) -> None:
    """The loss of a training log against the step."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if "loss" in row]
    figure, axis = pyplot.subplots(figsize=(5, 2.6))
    axis.plot([row["step"] for row in rows], [row["loss"] for row in rows])
    axis.set_xlabel("step")
    axis.set_ylabel("loss")
    axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    pyplot.close(figure)
