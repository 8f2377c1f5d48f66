"""Is this the guide that embedded the pool? A name can be wrong, embeddings cannot.

A pool keeps its guide's embeddings of a few fixed pictures. A guide that embeds them elsewhere (other weights behind
the same name, another preprocessing) would search the pool with meaningless distances, so it is refused; the same
weights under another name (a hub id and its local copy), or at another precision, are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imaginate.contract import Guide, Tensor
from imaginate.errors import ModelError
from imaginate.models.hub import split_revision
from imaginate.models.weights import difference, guide_weights
from imaginate.pool.rows import Header, Store, packed, unpacked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COUNT, SIDE = 8, 64
SAME = 0.98  # half precision and other devices stay above 0.999, other weights fall far below


def probe_images() -> Tensor:
    """(8, 3, 64, 64) in [0, 1]: smooth colour waves, the same ones everywhere (no random generator)."""
    import torch

    y, x = torch.meshgrid(torch.linspace(0, 1, SIDE), torch.linspace(0, 1, SIDE), indexing="ij")
    waves = []
    for i in range(COUNT):
        for channel in range(3):
            turns = 2 * torch.pi * ((1 + (i * 3 + channel) % 5) * x + (1 + (i + 2 * channel) % 4) * y)
            waves.append(0.5 + 0.5 * torch.sin(turns + i + channel * (1 + i)))
    return torch.stack(waves).view(COUNT, 3, SIDE, SIDE)


def probe(guide: Guide) -> NDArray[np.float32]:
    """The guide's embeddings of the probe images, (8, dim) float32 numpy."""
    import torch

    with torch.inference_mode():
        vectors: NDArray[np.float32] = guide.embed(probe_images()).float().cpu().numpy()
    return vectors


def new_header(guide: Guide, store: Store) -> Header:
    """The header of a pool that this guide is about to fill."""
    weights = dict(guide_weights(guide.name) or {})
    return Header(guide=guide.name, dim=guide.dim, probe=packed(probe(guide)), store=store, weights=weights)


def check_weights(kept: Header, now: Header, where: str) -> None:
    """ModelError where the name of the pool's guide stands for other files than when the pool was begun. The same guide
    under another name is compared by its embeddings alone."""
    if split_revision(kept.guide)[0] != split_revision(now.guide)[0]:
        return
    if changed := difference({"guide": kept.weights}, {"guide": now.weights}):
        raise ModelError(f"pool {where} was begun with another network: {changed}; or build another pool")


def check_guide(header: Header, guide: Guide, where: str) -> None:
    """Raise ModelError, naming both, unless the guide embeds as the pool's own did."""
    if guide.dim != header.dim:
        raise ModelError(
            f"pool {where} was built with guide {header.guide} ({header.dim} numbers an image), "
            f"the guide in use is {guide.name} ({guide.dim}): use the pool's guide, or build another pool"
        )
    kept = unpacked(header.probe, header.dim)
    likeness = float((kept * probe(guide)).sum(axis=1).mean())
    if likeness >= SAME:
        return
    if guide.name == header.guide:
        raise ModelError(
            f"pool {where} was built with other weights of guide {guide.name} than it has now "
            f"(cosine of their embeddings {likeness:.2f}, must be at least {SAME}): build the pool again"
        )
    raise ModelError(
        f"pool {where} was built with guide {header.guide}, the guide in use is {guide.name} "
        f"(cosine of their embeddings {likeness:.2f}, must be at least {SAME}): "
        "use the pool's guide, or build another pool"
    )
