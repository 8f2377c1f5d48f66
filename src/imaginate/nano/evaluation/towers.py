"""Measurements of nano-clip and nano-mae."""

from pathlib import Path
from typing import Any

import torch

from imaginate import nano
from imaginate.nano.evaluation import measure, sheets
from imaginate.nano.training import common, data
from imaginate.nano.training.mae import PATCH, REACH, move, seams


def clip(root: Path, folder: Path, count: int, sheet: Path) -> dict[str, Any]:
    """Zero-shot accuracy on val, with one template and with several; images a second."""
    from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

    model = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
    tok, processor = AutoTokenizer.from_pretrained(folder), AutoImageProcessor.from_pretrained(folder)
    images = data.load(root, "val")
    x, y = images.batch(data.picks_of_step(len(images), min(count, len(images)), 0, 0))
    seen = measure.image_vectors(model, processor, x)
    one = measure.class_vectors(model, tok, nano.labels(), measure.TEMPLATES[:1])
    several = measure.class_vectors(model, tok, nano.labels(), measure.TEMPLATES)
    sheets.ranked(x, seen @ several.T, nano.labels(), sheet)
    return {
        "val_images": len(y),
        "zero_shot_top1": measure.top(seen @ several.T, y, 1),
        "zero_shot_top5": measure.top(seen @ several.T, y, 5),
        "zero_shot_top1_one_template": measure.top(seen @ one.T, y, 1),
        "target_top1": {"cpu": 0.45, "gpu": 0.55},
        "images": measure.rate(lambda: measure.image_vectors(model, processor, x[:128]), 128),
    }


def mae(root: Path, folder: Path, count: int, sheet: Path) -> dict[str, Any]:
    """PSNR of the reconstruction with no patch masked and with 75 % masked; images a second."""
    from transformers import AutoImageProcessor, ViTMAEForPreTraining

    model = ViTMAEForPreTraining.from_pretrained(folder, dtype=torch.float32).eval()
    processor = AutoImageProcessor.from_pretrained(folder)
    mean, std = list(processor.image_mean), list(processor.image_std)
    images = data.load(root, "val")
    x, _ = images.batch(data.picks_of_step(len(images), min(count, 1000, len(images)), 0, 0))
    seen = torch.cat([measure.mae_reconstruct(model, p, mean, std) for p in x.split(100)])
    guessed = torch.cat([measure.mae_reconstruct(model, p, mean, std, 0.75) for p in x.split(100)])
    sheets.grid([x[:10], seen[:10], guessed[:10]], sheet)
    return {
        "val_images": len(x),
        "psnr_unmasked_db": measure.psnr(seen, x),
        "psnr_masked_75_db": measure.psnr(guessed, x),
        "border_step_error_perturbed": border_step(model, x[:200], mean, std),
        "target_psnr_db": {"cpu": 22, "gpu": 24},
        "images": measure.rate(lambda: measure.mae_reconstruct(model, x[:100], mean, std), 100),
    }


@torch.no_grad()
def border_step(model: Any, x: torch.Tensor, mean: list[float], std: list[float]) -> float:
    """How far the steps over the borders between patches are from the image's own, root mean square in [0, 1], where
    gif-mae's perturbation (radius 0.8, channel by channel, seed 0) has moved the latents: what is seen as a grid."""
    m, s = (torch.tensor(v).view(1, 3, 1, 1) for v in (mean, std))
    model.config.mask_ratio = model.vit.embeddings.config.mask_ratio = 0.0
    patches = (data.SIZE // PATCH) ** 2
    f = model.vit((x - m) / s, noise=torch.arange(float(patches)).expand(len(x), -1)).last_hidden_state
    rng = common.generator(0, 0)
    z, b = torch.rand(len(x), 1, f.shape[-1], generator=rng), torch.randn(len(x), 1, f.shape[-1], generator=rng)
    moved = move(f, z, b, torch.tensor(REACH))
    painted = model.unpatchify(model.decoder(moved, torch.arange(patches).expand(len(x), -1)).logits)
    return float(seams((painted * s + m).clamp(0, 1), x).sqrt())
