"""The numbers of the model cards, as plain functions of loaded models and images.

Everything is measured on Tiny-ImageNet's val images (or on samples), on the models as they are shipped, loaded through
`from_pretrained`. Nothing here chooses anything.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

TEMPLATES = (
    "a photo of a {}",
    "this is a photo of a {}",
    "an image of a {}",
    "a close-up photo of a {}",
    "a photo of a small {}",
    "a photo of a large {}",
)
Scores = Callable[[Tensor], Tensor]  # images (b, 3, 64, 64) in [0, 1] -> class scores (b, 200)


def features(output: Any) -> Tensor:
    """The embedding in what `get_image_features` or `get_text_features` returns: a tensor, or an output since 5.0."""
    found: Tensor = output if isinstance(output, Tensor) else output.pooler_output
    return found


@torch.no_grad()
def class_vectors(model: Any, tok: Any, names: list[str], templates: tuple[str, ...]) -> Tensor:
    """Zero-shot classifier (classes, d): the mean of each class's unit caption embeddings, normalised again."""
    parts = []
    for template in templates:
        ids = tok([template.format(name) for name in names], padding=True, truncation=True, return_tensors="pt")
        parts.append(F.normalize(features(model.get_text_features(**ids)).float(), dim=-1))
    return F.normalize(torch.stack(parts).mean(0), dim=-1)


@torch.no_grad()
def image_vectors(model: Any, processor: Any, x: Tensor, batch: int = 250) -> Tensor:
    """Unit image embeddings (n, d) of x (n, 3, 64, 64) in [0, 1]."""
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (processor.image_mean, processor.image_std))
    seen = [features(model.get_image_features(pixel_values=(p - mean) / std)) for p in x.split(batch)]
    return F.normalize(torch.cat(seen).float(), dim=-1)


def top(scores: Tensor, y: Tensor, k: int) -> float:
    """Share of rows whose label is among the k best scores."""
    return float((scores.topk(k, dim=1).indices == y[:, None]).any(1).float().mean())


def psnr(a: Tensor, b: Tensor) -> float:
    """Mean over images of 10 log10(1 / squared error), both (n, 3, h, w) in [0, 1]."""
    error = (a - b).square().mean((1, 2, 3)).clamp(min=1e-10)
    return float((-10 * error.log10()).mean())


@torch.no_grad()
def mae_reconstruct(model: Any, x: Tensor, mean: list[float], std: list[float], ratio: float = 0.0) -> Tensor:
    """What the decoder paints for x (b, 3, 64, 64) in [0, 1] with a share of patches masked."""
    m, s = (torch.tensor(v).view(1, 3, 1, 1) for v in (mean, std))
    model.config.mask_ratio = ratio
    patches = (model.config.image_size // model.config.patch_size) ** 2
    noise = torch.rand(len(x), patches, generator=torch.Generator().manual_seed(0))
    painted = model((x - m) / s, noise=noise).logits
    return (model.unpatchify(painted) * s + m).clamp(0, 1)  # type: ignore[no-any-return]


@torch.no_grad()
def vae_reconstruct(vae: Any, x: Tensor) -> Tensor:
    """Decode the posterior's mean of x (b, 3, 64, 64) in [0, 1]."""
    return (vae.decode(vae.encode(x * 2 - 1).latent_dist.mode()).sample / 2 + 0.5).clamp(0, 1)  # type: ignore[no-any-return]


def frechet(a: Tensor, b: Tensor) -> float:
    """Fréchet distance of two sets of features (n, d) and (m, d) taken as Gaussian (Heusel et al., 2017, eq. 6)."""
    a, b = a.double(), b.double()
    cov_a, cov_b = torch.cov(a.T), torch.cov(b.T)
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    return float((a.mean(0) - b.mean(0)).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross)


def judged(scores: Scores, x: Tensor, y: Tensor) -> dict[str, float]:
    """Share of images x (n, 3, 64, 64) whose label the judge ranks first, and among its first five."""
    with torch.no_grad():
        s = torch.cat([scores(part) for part in x.split(100)])
    return {"top1": top(s, y, 1), "top5": top(s, y, 5)}


def rate(work: Callable[[], Any], count: int, repeats: int = 3) -> dict[str, float]:
    """Items a second of processor time, all threads added up: the best of several calls of `work`, which handles
    `count` items. Other work on the machine does not blur it, as it does the clock."""
    work()
    spent = []
    for _ in range(repeats):
        used = time.process_time()
        work()
        spent.append(time.process_time() - used)
    return {"per_processor_second": count / min(spent), "threads": torch.get_num_threads()}
