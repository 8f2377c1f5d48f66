"""Few-shot guide: a class is the mean of its seed images' features (prototypical networks, Snell et al. 2017).

For class names that no text encoder knows, or a backbone that has no text tower. A seed image that took part in its own
class mean would seem better classified than it is, and so would its copies: for both, that image is left out, and with
it all that share an ancestor with it, where the seed set is a run.
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
from imaginate.records import Relatives

# Candidates for the softmax temperature; the one with the best leave-one-out likelihood of the seeds is taken.
TEMPERATURES = tuple(float(t) for t in torch.logspace(-2.5, 0.0, 26, dtype=torch.float64))


class PrototypeGuide:
    """Class means over any backbone; the temperature is fitted to the seeds, each left out of its own class mean."""

    takes: ClassVar[Literal["backbone"]] = "backbone"
    needs_seeds: ClassVar[bool] = True
    reads_text: ClassVar[bool] = False

    def __init__(self, setup: GuideSetup) -> None:
        self.name, self.labels, self.device = setup.name, setup.labels, setup.device
        self._backbone, self._relatives = backbone_of(setup), setup.relatives
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
        self._related = related_rows(seeds.ids, self._relatives)
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
        if self._related:
            return self._without_relatives(embeddings, cosine, [(i, self._place[ids[i]]) for i in rows])
        places = torch.tensor([self._place[ids[i]] for i in rows], device=self.device)
        own = self.seeds.labels[places]
        rest = F.normalize(self._sums[own] - self.seeds.embeddings[places], dim=-1)
        index = torch.tensor(rows, device=self.device)
        return cosine.index_put((index, own), (embeddings[index] * rest).sum(dim=-1))

    def _without_relatives(self, embeddings: Tensor, cosine: Tensor, pairs: Sequence[tuple[int, int]]) -> Tensor:
        """`cosine` with, in each row, the class means that hold relatives of its seed computed without them; a class
        that has nobody else keeps its mean. `pairs`: row, and place of its seed."""
        at: list[tuple[int, int]] = []
        values: list[Tensor] = []
        for row, place in pairs:
            family = self._family(place)
            for label in self.seeds.labels[family].unique().tolist():
                own = family[self.seeds.labels[family] == label]
                if len(own) < int(self.counts[label]):
                    rest = F.normalize(self._sums[label] - self.seeds.embeddings[own].sum(dim=0), dim=-1)
                    at.append((row, label))
                    values.append(embeddings[row] @ rest)
        index = torch.tensor(at, device=self.device)
        return cosine.index_put((index[:, 0], index[:, 1]), torch.stack(values))

    def _family(self, place: int) -> Tensor:
        """Places of a seed and of its relatives."""
        return torch.tensor(sorted(self._related.get(place, {place})), device=self.device)

    def is_removable(self, key: str) -> bool:
        """Whether a seed can be left out of its class mean: it is known, and its class has others than its family."""
        place = self._place.get(key)
        if place is None:
            return False
        label, family = self.seeds.labels[place], self._family(place)
        return int(self.counts[label]) > int((self.seeds.labels[family] == label).sum())

    def _fitted_temperature(self) -> float:
        known = [i for i, key in enumerate(self.seeds.ids) if self.is_removable(key)]
        if not known:
            return 0.05
        keep = torch.tensor(known, device=self.device)
        cosine = self._cosine_without(self.seeds.embeddings[keep], [self.seeds.ids[i] for i in known])
        losses = [float(F.cross_entropy(cosine / t, self.seeds.labels[keep])) for t in TEMPERATURES]
        return TEMPERATURES[losses.index(min(losses))]


def related_rows(ids: Sequence[str], relatives: Relatives) -> dict[int, set[int]]:
    """Place of each image -> places of the images that share an ancestor with it, itself too; empty where nobody has
    relatives."""
    if not relatives.names:
        return {}
    by_name: dict[str, set[int]] = {}
    for place, key in enumerate(ids):
        for name in relatives.names.get(key, frozenset({key})):
            by_name.setdefault(name, set()).add(place)
    return {
        place: set[int]().union(*(by_name[name] for name in relatives.names.get(key, frozenset({key}))))
        for place, key in enumerate(ids)
    }
