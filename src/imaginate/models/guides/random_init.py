"""The control of GIF Table 8: a guide that knows nothing shows how much the guide's knowledge matters."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.models.guides.backbones import load_backbone
from imaginate.records import LabelSpace


class RandomGuide:
    """An untrained network and an untrained linear head, drawn from `seed` (the paper's is torchvision:resnet50)."""

    def __init__(
        self,
        backbone: str,
        labels: LabelSpace,
        *,
        name: str = "",
        device: str = "cpu",
        dtype: torch.dtype | None = None,
        seed: int = 0,
    ) -> None:
        self.name = name or f"random-init:{backbone}"
        self.labels = labels
        self.device = device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._backbone = load_backbone(backbone, device=device, dtype=dtype, pretrained=False)
            self.dim = self._backbone.dim
            # Rows of unit variance times unit-norm features: logits of order one, neither flat nor certain.
            self.weight = torch.randn(len(labels), self.dim).to(device)

    def embed(self, images: Tensor) -> Tensor:
        """(b, 3, h, w) in [0, 1] -> (b, dim) unit-norm, differentiable."""
        return F.normalize(self._backbone.features(images), dim=-1)

    def logits(self, embeddings: Tensor) -> Tensor:
        """(b, dim) -> (b, classes)."""
        return embeddings @ self.weight.T
