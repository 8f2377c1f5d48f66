"""The control of GIF Table 8: a guide that knows nothing shows how much the guide's knowledge matters."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.contract import GuideSetup
from imaginate.models import checkpoints
from imaginate.models.guides.core.backbones import load_backbone


class RandomGuide:
    """An untrained network and an untrained linear head, drawn from `seed` (the paper's is torchvision:resnet50)."""

    takes: ClassVar[Literal["backbone"]] = "backbone"
    needs_seeds: ClassVar[bool] = False
    reads_text: ClassVar[bool] = False

    def __init__(self, setup: GuideSetup) -> None:
        self.name, self.labels, self.device = setup.name, setup.labels, setup.device
        dtype = checkpoints.precision(setup.dtype, self.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(setup.seed)
            self._backbone = load_backbone(setup.model, device=self.device, dtype=dtype, pretrained=False)
            self.dim = self._backbone.dim
            # Rows of unit variance times unit-norm features: logits of order one, neither flat nor certain.
            self.weight = torch.randn(len(self.labels), self.dim).to(self.device)

    def embed(self, images: Tensor) -> Tensor:
        """(b, 3, h, w) in [0, 1] -> (b, dim) unit-norm, differentiable."""
        return F.normalize(self._backbone.features(images), dim=-1)

    def logits(self, embeddings: Tensor) -> Tensor:
        """(b, dim) -> (b, classes)."""
        return embeddings @ self.weight.T
