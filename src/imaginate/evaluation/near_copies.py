"""New images that show another image, though nothing says what they were made from: whole, mirrored, or a crop of it.

Three tests. Hashes (`training.leaks`). Grey thumbnails, looked for in the other image over a grid of crops and then
aligned more finely: how far the aligned pixels correlate. The cosine of frozen features. The borders of the last two
rise to what other pictures reach among themselves: those of the training images in the held-out ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imaginate.files import replace_file, short_hash
from imaginate.training.leaks import overlap
from imaginate.training.pixel_cache import PixelCache

if TYPE_CHECKING:
    from torch import Tensor

BACKBONE = "nano"
ALIGNED, COSINE = 0.95, 0.97  # the least borders
CALIBRATION = 200  # training images that say how close other pictures come
SIDE, FINE = 8, 24  # of the thumbnails that are compared with every crop, and of those that are aligned
CROPS = (
    (1.0, 1),
    (0.87, 3),
    (0.75, 4),
    (0.65, 5),
    (0.55, 6),
)  # a crop's share of the side, and how many of them in a row
NEAREST = 3  # other images that are aligned with each new one
CHUNK = 256
STEPS = ((0.08, -1.0), (0.04, 0.6), (0.02, 0.8), (0.01, 0.9))  # of the alignment, and from what it is worth one


@dataclass(frozen=True, kw_only=True)
class Borders:
    """From which correlation of aligned pixels, and from which cosine of features, two images are one picture."""

    aligned: float = ALIGNED
    cosine: float = COSINE


def near_copies(new: PixelCache, other: PixelCache, borders: Borders) -> dict[int, tuple[int, ...]]:
    """Row of a usable new image -> the rows of the usable other images that it shows."""
    found: dict[int, set[int]] = {}
    for i, j in overlap(new, other).pairs:
        found.setdefault(i, set()).add(j)
    rows, others = np.flatnonzero(new.usable), np.flatnonzero(other.usable)
    if len(rows) and len(others):
        for values, places, border in _compared(new, rows, other, others, borders):
            for a, b in np.argwhere(values >= border):
                found.setdefault(int(rows[a]), set()).add(int(others[places[a, b]]))
    return {i: tuple(sorted(js)) for i, js in sorted(found.items())}


def borders_of(train: PixelCache, held: PixelCache) -> Borders:
    """The borders under which no training image of a sample, but those that are copies, shows a held-out image."""
    rows = np.flatnonzero(train.usable)
    rows = rows[np.linspace(0, len(rows) - 1, min(CALIBRATION, len(rows))).astype(int)]
    copies = {i for i, _ in overlap(train.only(rows), held).pairs}
    rows, others = np.array([i for i in rows if i not in copies], int), np.flatnonzero(held.usable)
    if not len(rows) or not len(others):
        return Borders()
    reached = [np.quantile(values.max(1), 0.995) for values, *_ in _compared(train, rows, held, others, Borders())]
    aligned, cosine = (float(value) for value in reached)
    return Borders(aligned=min(0.999, max(ALIGNED, aligned)), cosine=min(0.999, max(COSINE, cosine)))


def _compared(
    new: PixelCache, rows: np.ndarray, other: PixelCache, others: np.ndarray, borders: Borders
) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """By pixels and by features: how alike (n, k), to which of the others (n, k), and from where on it is a copy."""
    import torch

    a, b = _grey(new, rows), _grey(other, others)
    there, back = _aligned(a, b), _aligned(b, a)
    values, places = there
    turned: dict[int, list[tuple[float, int]]] = {}
    for j, (scores, targets) in enumerate(zip(*back, strict=True)):
        for score, i in zip(scores.tolist(), targets.tolist(), strict=True):
            turned.setdefault(i, []).append((score, j))
    best = [max(turned.get(i, [(-1.0, 0)])) for i in range(len(a))]
    values = np.concatenate([values, np.array([[score] for score, _ in best])], 1)
    places = np.concatenate([places, np.array([[j] for _, j in best])], 1)
    yield values, places, borders.aligned
    theirs = features(other)[others]
    cosines = torch.maximum(features(new)[rows] @ theirs.T, features(new, mirror=True)[rows] @ theirs.T)
    top = cosines.topk(min(NEAREST, len(others)), dim=1)
    yield top.values.numpy(), top.indices.numpy(), borders.cosine


def _grey(store: PixelCache, rows: np.ndarray) -> Tensor:
    """(n, s, s) float, in the order of the rows."""
    import torch

    pixels = store.pixels()
    return torch.from_numpy(np.stack([pixels[row].mean(-1, dtype=np.float32) for row in rows]))


def _aligned(a: Tensor, b: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Images a (n, s, s) looked for in images b (m, s, s): the correlations with the nearest ones and their places."""
    import torch

    views = _views()
    query = _standard(_small(a, SIDE))
    score, place, view = (torch.full((len(a), 0), fill) for fill in (-1.0, 0, 0))
    for start in range(0, len(b), CHUNK):
        part = b[start : start + CHUNK]
        best, which = torch.full((len(a), len(part)), -2.0), torch.zeros(len(a), len(part), dtype=torch.long)
        for number, theta in enumerate(views):
            found = query @ _standard(_cropped(part, *theta.tolist())).T
            which = torch.where(found > best, number, which)
            best = torch.maximum(best, found)
        index = torch.arange(start, start + len(part)).expand(len(a), -1)
        score, place, view = (torch.cat(pair, 1) for pair in ((score, best), (place, index), (view, which)))
        order = score.topk(min(NEAREST, score.shape[1]), dim=1).indices
        score, place, view = (x.gather(1, order) for x in (score, place, view))
    out = [_refined(a, b[place[:, k].long()], views[view[:, k].long()]) for k in range(place.shape[1])]
    return torch.stack(out, 1).numpy(), place.long().numpy()


def _refined(a: Tensor, b: Tensor, theta: Tensor) -> Tensor:
    """The correlation of each image with the best crop of another around one crop; what stays far below a copy's is not
    refined to the end. Shapes (n, s, s), (n, 4) -> (n,)"""
    target = _standard(_small(a, FINE))
    best = (_standard(_cut(b, theta, FINE)) * target).sum(1)
    for width, floor in STEPS:
        rows = (best >= floor).nonzero()[:, 0]
        if len(rows):
            theta[rows], best[rows] = _stepped(target[rows], b[rows], theta[rows], best[rows], width)
    return best


def _stepped(target: Tensor, b: Tensor, middle: Tensor, best: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """The best of the crops that are one step away in side, x or y, and what it reaches."""
    import torch

    theta = middle.clone()
    for move in torch.cartesian_prod(*[torch.tensor([-width, 0.0, width])] * 3):
        moved = middle.clone()
        moved[:, 0] = (middle[:, 0] + move[0]).clamp(0.4, 1)
        limit = 1 - moved[:, 0]
        for axis in (1, 2):
            moved[:, axis] = torch.minimum(torch.maximum(middle[:, axis] + move[axis], -limit), limit)
        found = (_standard(_cut(b, moved, FINE)) * target).sum(1)
        theta = torch.where((found > best)[:, None], moved, theta)
        best = torch.maximum(best, found)
    return theta, best


@cache
def _views() -> Tensor:
    """(v, 4): side, middle (x, y) in [-1, 1] and mirror (1 or -1) of every crop that is tried."""
    import torch

    found = []
    for side, count in CROPS:
        places = np.linspace(side - 1, 1 - side, count) if count > 1 else [0.0]
        found += [[side, x, y, mirror] for y in places for x in places for mirror in (1.0, -1.0)]
    return torch.tensor(found, dtype=torch.float32)


def _cropped(images: Tensor, side: float, x: float, y: float, mirror: float) -> Tensor:
    """The same crop of every image, to whole pixels. (n, s, s) -> (n, SIDE, SIDE)"""
    size = images.shape[-1]
    left, top, width = (round(size * share) for share in ((1 + x - side) / 2, (1 + y - side) / 2, side))
    found = _small(images[:, top : top + width, left : left + width], SIDE)
    return found.flip(-1) if mirror < 0 else found


def _cut(images: Tensor, theta: Tensor, size: int) -> Tensor:
    """One crop of each image, (n, s, s) and (n, 4) -> (n, size, size)"""
    import torch
    import torch.nn.functional as F

    grid = torch.zeros(len(images), 2, 3)
    grid[:, 0, 0], grid[:, 1, 1] = theta[:, 0] * theta[:, 3], theta[:, 0]
    grid[:, :, 2] = theta[:, 1:3]
    fine = F.affine_grid(grid, [len(images), 1, 2 * size, 2 * size], align_corners=False)
    return F.avg_pool2d(F.grid_sample(images[:, None], fine, align_corners=False), 2)[:, 0]


def _small(images: Tensor, size: int) -> Tensor:
    import torch.nn.functional as F

    return F.interpolate(images[:, None], size=(size, size), mode="area")[:, 0]


def _standard(images: Tensor) -> Tensor:
    """(n, s, s) -> (n, s * s) of mean 0 and length 1; 0 for an image of one grey."""
    flat = images.flatten(1)
    flat = flat - flat.mean(1, keepdim=True)
    return flat / flat.norm(dim=1, keepdim=True).clamp_min(1e-3)  # type: ignore[no-any-return]


def features(store: PixelCache, rows: np.ndarray | None = None, *, mirror: bool = False) -> Tensor:
    """Of the frozen network, for all rows or some, (n, dim) of length 1; kept next to the pixels."""
    import torch

    some = "" if rows is None else f"-{short_hash(rows.tolist())}"
    path = store.path.with_name(f"{store.path.stem}-{BACKBONE}{'-mirrored' if mirror else ''}{some}.npy")
    if not path.exists():
        found = _embedded(store, np.arange(len(store)) if rows is None else rows, mirror)

        def write(partial: Path) -> None:
            with partial.open("wb") as file:
                np.save(file, found)

        replace_file(path, write)
    return torch.from_numpy(np.load(path))


def _embedded(store: PixelCache, rows: np.ndarray, mirror: bool) -> np.ndarray:
    import torch
    import torch.nn.functional as F

    from imaginate.models.guides.core.backbones import load_backbone

    backbone, pixels = load_backbone(BACKBONE), store.pixels()
    parts = [np.zeros((0, backbone.dim), np.float32)]
    with torch.inference_mode():
        for start in range(0, len(rows), 64):
            batch = torch.from_numpy(np.stack([pixels[row] for row in rows[start : start + 64]]))
            batch = batch.permute(0, 3, 1, 2) / 255
            parts.append(F.normalize(backbone.features(batch.flip(-1) if mirror else batch), dim=1).numpy())
    return np.concatenate(parts)
