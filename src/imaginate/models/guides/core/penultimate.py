"""A classifier as a guide: what its last linear layer reads is the embedding, and that layer gives the logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Penultimate:
    """A network, pixels -> logits (b, n), cut before its last linear layer.

    An embedding is a unit vector, so the length of the features would be lost, and with it the logits. It is the
    features with a 1 behind them, normalised: dividing by its last entry gives the features back. A network whose last
    layer is not linear is not cut: its logits are the features.
    """

    def __init__(self, network: nn.Module, classes: int) -> None:
        self.network = network
        linear = [m for m in network.modules() if isinstance(m, nn.Linear) and m.out_features == classes]
        self.head = linear[-1] if linear else None
        self._seen: list[Tensor] = []
        if self.head is not None:
            self.head.register_forward_pre_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._seen[:] = [inputs[0]]

    def embed(self, pixels: Tensor) -> Tensor:
        """Preprocessed pixels -> (b, dim) unit-norm float32, differentiable."""
        self._seen.clear()
        out: Any = self.network(pixels)
        logits: Tensor = out if isinstance(out, Tensor) else out.logits
        features = self._seen[0] if self._seen and self._seen[0].ndim == 2 else logits
        if features is logits:
            self.head = None
        self._seen.clear()
        one = torch.ones(len(features), 1, device=features.device)
        return F.normalize(torch.cat([features.float(), one], dim=1), dim=1)

    def logits(self, embeddings: Tensor) -> Tensor:
        """(b, dim) -> (b, n) float32: the classifier's own."""
        features = embeddings[:, :-1] / embeddings[:, -1:]
        if self.head is None:
            return features
        found: Tensor = self.head(features.to(self.head.weight.dtype)).float()
        return found
