"""Several filters ask for the same candidates; each is embedded once. An entry dies with its image or its guide."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from imaginate.contract import Guide, StoringGuide
from imaginate.models.guides.core.store import content_key
from imaginate.ops.batching import map_images

_HELD: weakref.WeakKeyDictionary[Guide, WeakTensorKeyDictionary] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def embed_once(guide: Guide, images: Sequence[Tensor], *, batch: int = 64) -> Tensor:
    """Images (3, h, w), uint8 or in [0, 1], of any sizes, or none -> (n, dim) unit-norm, no gradient; known by
    identity."""
    if not images:
        return torch.zeros(0, guide.dim, device=guide.device)
    with _LOCK:
        known = _HELD.setdefault(guide, WeakTensorKeyDictionary())
        missing = list({id(image): image for image in images if image not in known}.values())
    if missing:
        with torch.no_grad():
            fresh = map_images(guide.embed, missing, batch, device=guide.device)
        with _LOCK:
            for image, row in zip(missing, fresh, strict=True):
                known[image] = row
    return torch.stack([known[image] for image in images])


def embed_with_seeds(guide: Guide, new: Sequence[Tensor], seeds: Sequence[Tensor], *, batch: int = 64) -> Tensor:
    """Embeddings of new images, then of seed images: (m + s, dim) unit-norm, no gradient, in one pass.

    A guide with a `store` is not asked again for seeds that it has seen, in this process or an earlier one.
    """
    if not isinstance(guide, StoringGuide):
        return embed_once(guide, [*new, *seeds], batch=batch)
    store = guide.store
    distinct = {id(image): image for image in seeds}  # a seed comes once for each copy of it
    keys = dict(zip(distinct, map(content_key, distinct.values()), strict=True))
    missing = {keys[i]: image for i, image in distinct.items() if keys[i] not in store}
    rows = embed_once(guide, [*new, *missing.values()], batch=batch)
    store.add(list(missing), rows[len(new) :])
    found = [store[keys[id(image)]].to(rows) for image in seeds]
    return torch.stack([*rows[: len(new)], *found])
