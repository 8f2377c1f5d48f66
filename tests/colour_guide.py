"""A guide that needs no weights: what tests of the pool search and build with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.records import LabelSpace

COLOURS = {"red": (0.9, 0.1, 0.1), "green": (0.1, 0.9, 0.1), "blue": (0.1, 0.1, 0.9)}


def coloured(name: str, number: int) -> np.ndarray:
    """(24, 24, 3) uint8: a picture in shades of one colour, different for every number."""
    draw = np.random.default_rng([number, len(name)])
    base = np.asarray(COLOURS[name])[None, None] * 255
    return (base + draw.normal(0, 25, (4, 4, 3))).clip(0, 255).astype(np.uint8).repeat(6, 0).repeat(6, 1)


class ColourGuide:
    """Image -> its coarse colours, centred and normalised; text -> the colour that it names. `seed` turns the space."""

    def __init__(self, labels: LabelSpace | None = None, *, name: str = "colour", seed: int = 0, dim: int = 12) -> None:
        self.name, self.dim, self.device = name, dim, "cpu"
        self.labels = labels or LabelSpace.of(tuple(COLOURS))
        self.embedded = 0
        draw = torch.Generator().manual_seed(seed)
        self._turn = torch.linalg.qr(torch.randn(12, 12, generator=draw))[0][:, :dim]

    def embed(self, images: Tensor) -> Tensor:
        self.embedded += len(images)
        x = F.adaptive_avg_pool2d(images.float(), 2) - 0.4
        return F.normalize(x.flatten(1) @ self._turn, dim=-1)

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        return torch.cat([self._text(text.lower()) for text in texts])

    def _text(self, text: str) -> Tensor:
        colour = next((value for name, value in COLOURS.items() if name in text), (0.5, 0.5, 0.5))
        before = self.embedded
        out = self.embed(torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, 4, 4))
        self.embedded = before
        return out

    def logits(self, embeddings: Tensor) -> Tensor:
        return 20 * embeddings @ self.embed_text(list(self.labels.titles)).T


class SentenceGuide(ColourGuide):
    """Sentences point away from all pictures, as those of real guides do."""

    def embed_text(self, texts: list[str]) -> torch.Tensor:
        draw = torch.Generator().manual_seed(3)
        return torch.nn.functional.normalize(torch.randn(len(texts), self.dim, generator=draw))
