"""Frozen features of images, each computed once for a whole study and kept in its cache by content."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from imaginate.models.guides.core.backbones import Backbone
from imaginate.models.guides.core.known import known
from imaginate.models.guides.core.store import EmbeddingStore, content_key, weights_key
from imaginate.training.augment import centre
from imaginate.training.training_set import TrainingSet

BATCH = 64
_OPEN: dict[tuple[Path, str], EmbeddingStore] = {}  # of this process: the next classifier need not read them again
_KEYS: dict[tuple[Path, int], str] = {}  # content of a row of a pixel cache, whose files never change
_LOCK = threading.RLock()  # several classifiers may be fitted side by side: one of them embeds, the others wait


class Features:
    """The features of a backbone at one image size. Images that look the same pixel by pixel are one image."""

    def __init__(self, backbone: Backbone, folder: Path, size: int) -> None:
        self.backbone, self.size = backbone, size
        owner = f"{weights_key(backbone.network)}-{size}"
        with _LOCK:
            if (folder, owner) not in _OPEN:
                _OPEN[folder, owner] = EmbeddingStore(folder, owner=owner)
            self.store = _OPEN[folder, owner]

    def of(self, pool: TrainingSet, rows: np.ndarray | None = None) -> Tensor:
        """(n, dim) float32 on the CPU: the features of a pool's images, or of some of them."""
        with _LOCK:
            return self._of(pool, rows)

    def _of(self, pool: TrainingSet, rows: np.ndarray | None) -> Tensor:
        rows = np.arange(len(pool)) if rows is None else rows
        places = [(pool.stores[part], int(row)) for part, row in zip(pool.part[rows], pool.row[rows], strict=True)]
        unread = [k for k, place in enumerate(places) if place not in _KEYS]
        for start in range(0, len(unread), BATCH):
            some = unread[start : start + BATCH]
            for k, image in zip(some, pool.images(rows[some]), strict=True):
                _KEYS[places[k]] = content_key(image)
        keys = [_KEYS[place] for place in places]
        first = {key: k for k, key in reversed(list(enumerate(keys))) if key not in self.store}
        missing = list(first.values())
        for start in range(0, len(missing), BATCH):
            some = missing[start : start + BATCH]
            self.store.add([keys[k] for k in some], self._embedded(pool.images(rows[some])))
        self.store.save()
        return torch.stack([self.store[key] for key in keys])

    def _embedded(self, images: Tensor) -> Tensor:
        from dataclasses import replace

        normalise = replace(self.backbone.preprocess, size=None, crop=None)

        def forward(images: Tensor) -> Tensor:
            pixels = centre(images, self.size).to(self.backbone.device).contiguous(memory_format=torch.channels_last)
            return self.backbone.forward(normalise(pixels)).float().cpu().clone()

        what, device = f"centre {self.size} {self.backbone.dtype} {normalise}", self.backbone.device
        with torch.inference_mode():
            return known(forward, images, self.backbone.network, what, device=device, to="cpu")
