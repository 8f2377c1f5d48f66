"""A linear classifier on frozen features, trained on the seed set, stopped on a validation part of it (GIF Table 8)."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.contract import GuideSetup
from imaginate.models.guides.core.backbones import backbone_of
from imaginate.models.guides.core.heads import check_every_class, train_head, unrelated, validation_part
from imaginate.models.guides.core.store import stored_seeds


class ProbeGuide:
    """Linear probe over any backbone. Embeddings are the frozen unit-norm features, the logits are learnt."""

    takes: ClassVar[Literal["backbone"]] = "backbone"
    needs_seeds: ClassVar[bool] = True
    reads_text: ClassVar[bool] = False

    def __init__(self, setup: GuideSetup) -> None:
        self.name, self.labels, self.device = setup.name, setup.labels, setup.device
        self._backbone = backbone_of(setup)
        seeds = stored_seeds(setup, self._backbone)
        check_every_class(torch.bincount(seeds.labels, minlength=len(self.labels)), self.labels, self.name)
        self.dim = int(seeds.embeddings.shape[1])
        features = F.normalize(seeds.embeddings, dim=-1).to(self.device)
        self.held = validation_part(seeds.labels, setup.seed, ids=seeds.ids, relatives=setup.relatives)
        self.validation_ids = tuple(key for key, held in zip(seeds.ids, self.held.tolist(), strict=True) if held)
        used = self.held | unrelated(self.held, seeds.ids, setup.relatives)
        labels, held = seeds.labels[used].to(self.device), self.held[used].to(self.device)
        self.head = train_head(features[used.to(self.device)], labels, held, len(self.labels))

    def embed(self, images: Tensor) -> Tensor:
        """(b, 3, h, w) in [0, 1] -> (b, dim) unit-norm, differentiable."""
        return F.normalize(self._backbone.features(images), dim=-1)

    def logits(self, embeddings: Tensor) -> Tensor:
        """(b, dim) -> (b, classes)."""
        return self.head(embeddings)
