"""Few-shot guide: a class is the mean of its seed images' features (prototypical networks, Snell et al. 2017).

For class names that no text encoder knows, or a backbone that has no text tower. A seed image that took part in its own
class mean would seem better classified than it is, and so would its copies: for both, that image is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.contract import GuideSetup
from imaginate.models.guides.core.backbones import backbone_of
from imaginate.models.guides.core.heads import check_every_class
from imaginate.models.guides.core.store import SeedSet, stored_seeds

# Candidates for the softmax temperature; the one with the best leave-one-out likelihood of the seeds is taken.
TEMPERATURES = tuple(float(t) for t in torch.logspace(-2.5, 0.0, 26, dtype=torch.float64))


class PrototypeGuide:
    """Class means over any backbone; the temperature is fitted to the seeds, each left out of its own class mean."""

    takes: ClassVar[Literal["backbone"]] = "backbone"
    needs_seeds: ClassVar[bool] = True
    reads_text: ClassVar[bool] = False

    def __init__(self, setup: GuideSetup) -> None:
        self.name, self.labels, self.device = setup.name, setup.labels, setup.device
        self._backbone = backbone_of(setup)
        seeds = stored_seeds(setup, self._backbone)
        self._ready(SeedSet(seeds.ids, seeds.labels, F.normalize(seeds.embeddings, dim=-1), seeds.skipped))

    def _ready(self, seeds: SeedSet) -> None:
        self.seeds = SeedSet(seeds.ids, seeds.labels.to(self.device), seeds.embeddings.to(self.device), seeds.skipped)
        self.dim = int(seeds.embeddings.shape[1])
        self._place = {key: i for i, key in enumerate(seeds.ids)}
        self.counts = torch.bincount(self.seeds.labels, minlength=len(self.labels))
        check_every_class(self.counts, self.labels, self.name)
        sums = torch.zeros(len(self.labels), self.dim, device=self.device)
        self._sums = sums.index_add_(0, self.seeds.labels, self.seeds.embeddings)
        self.prototypes = F.normalize(self._sums, dim=-1)  # (classes, dim)
        self.temperature = self._fitted_temperature()

    def embed(self, images: Tensor) -> Tensor:
        """(b, 3, h, w) in [0, 1] -> (b, dim) unit-norm, differentiable."""
        return F.normalize(self._backbone.features(images), dim=-1)

    def logits(self, embeddings: Tensor) -> Tensor:
        """(b, dim) -> (b, classes): cosine with the class means over the temperature."""
        return embeddings @ self.prototypes.T / self.temperature

    def logits_without(self, embeddings: Tensor, ids: Sequence[str]) -> Tensor:
        """As `logits`, with row i's own seed image `ids[i]` left out of the class means: (b, dim) -> (b, classes).

        A seed that is alone in its class, or unknown, changes nothing.
        """
        return self._cosine_without(embeddings, ids) / self.temperature

    def seed_embeddings(self, ids: Sequence[str]) -> Tensor:
        """The embeddings of known seeds, (n, dim), as computed for the class means."""
        return self.seeds.embeddings[[self._place[key] for key in ids]]

    def _cosine_without(self, embeddings: Tensor, ids: Sequence[str]) -> Tensor:
        cosine = embeddings @ self.prototypes.T
        rows = [i for i, key in enumerate(ids) if self.is_removable(key)]
        if not rows:
            return cosine
        places = torch.tensor([self._place[ids[i]] for i in rows], device=self.device)
        own = self.seeds.labels[places]
        rest = F.normalize(self._sums[own] - self.seeds.embeddings[places], dim=-1)
        index = torch.tensor(rows, device=self.device)
        return cosine.index_put((index, own), (embeddings[index] * rest).sum(dim=-1))

    def is_removable(self, key: str) -> bool:
        """Whether a seed can be left out of its class mean: it is known, and not alone in its class."""
        place = self._place.get(key)
        return place is not None and int(self.counts[self.seeds.labels[place]]) > 1

    def _fitted_temperature(self) -> float:
        known = [i for i, key in enumerate(self.seeds.ids) if self.is_removable(key)]
        if not known:
            return 0.05
        keep = torch.tensor(known, device=self.device)
        cosine = self._cosine_without(self.seeds.embeddings[keep], [self.seeds.ids[i] for i in known])
        losses = [float(F.cross_entropy(cosine / t, self.seeds.labels[keep])) for t in TEMPERATURES]
        return TEMPERATURES[losses.index(min(losses))]
