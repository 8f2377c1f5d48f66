"""A guide that can be worked out by hand, and a context around it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from imaginate.errors import ConfigError, ImageError
from imaginate.records import Candidate, LabelSpace, Request, Sample

LABELS = LabelSpace.of(["red", "green", "blue"])


class ColourGuide:
    """Embedding: the mean colour, unit norm. Classes: the three axes, temperature 0.2."""

    name, labels, dim, device = "colour", LABELS, 3, "cpu"

    def __init__(self) -> None:
        self.seen = 0

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        self.seen += len(images)
        return F.normalize(images.mean(dim=(2, 3)), dim=-1)

    def logits(self, embeddings: torch.Tensor) -> torch.Tensor:
        return 5.0 * embeddings


class Stored:
    """An image source that is never read."""

    def read(self) -> bytes:
        raise ImageError("not stored")


class Toy:
    """Builds candidates, requests and contexts out of plain colours."""

    def __init__(self) -> None:
        self.labels = LABELS
        self.made_guide = ColourGuide()

    def colour(self, r: float, g: float, b: float, size: int = 20) -> torch.Tensor:
        plain = torch.tensor([float(r), float(g), float(b)]).view(3, 1, 1).expand(3, size, size)
        return plain.clone()

    def picture(self, seed: int, size: int = 48) -> torch.Tensor:
        coarse = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
        full = F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=False)[0].clamp(0, 1)
        return (full * 255).round().to(torch.uint8)

    def request(self, image: torch.Tensor | None, label: int = 0, key: str = "s0") -> Request:
        sample = None if image is None else Sample(id=key, label=label, source=Stored())
        return Request(key=key, label=label, copies=(0,), seeds=(0,), sample=sample, image=image)

    def candidate(self, image: torch.Tensor, label: int = 0, copy: int = 0, key: str = "s0") -> Candidate:
        return Candidate(key=key, label=label, copy=copy, seed=copy, image=image)

    def context(self, images: list[torch.Tensor] = (), labels: list[int] = (), *, guide: object = "colour") -> object:
        class Samples:
            def __len__(self) -> int:
                return len(images)

            def sample(self, index: int) -> Sample:
                return Sample(id=f"s{index}", label=labels[index], source=Stored())

            def image(self, index: int) -> torch.Tensor:
                return images[index]

        if guide is None:
            return NoGuide()
        made = self.made_guide if guide == "colour" else guide
        return SimpleNamespace(labels=LABELS, samples=Samples(), device="cpu", guide=made)


class NoGuide:
    labels, device = LABELS, "cpu"

    @property
    def guide(self) -> object:
        raise ConfigError("needs a guide")


@pytest.fixture
def toy() -> Toy:
    """Plain colours, a guide that reads them, and the records around them."""
    return Toy()
