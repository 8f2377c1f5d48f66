"""Embeddings kept by content: the key is a hash of the pixels, so a renamed image is found again, a changed one not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from imaginate.contract import GuideSetup, Images
from imaginate.errors import DataError, ImageError, ModelError
from imaginate.files import content_hash, replace_file, short_hash
from imaginate.models.guides.core.backbones import Backbone
from imaginate.ops.batching import map_images


def content_key(image: Tensor) -> str:
    """A hash of one image's shape, type and pixels."""
    head = f"{tuple(image.shape)}{image.dtype}".encode()
    return content_hash(head, image.contiguous().cpu().numpy().tobytes())


class EmbeddingStore:
    """A dictionary content key -> embedding (d,), optionally kept in a folder of its owner.

    What is new goes into a file of its own, named by its content: several processes may keep into one folder, and a
    process that is killed damages nothing.
    """

    def __init__(self, folder: str | Path | None = None, *, owner: str = "") -> None:
        self.path = None if folder is None else Path(folder) / f"embeddings-{short_hash(owner)}"
        self._rows: dict[str, Tensor] = {}
        self._new: list[str] = []
        for part in sorted(self.path.glob("*.safetensors")) if self.path else ():
            self._rows.update(_read(part))

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def __getitem__(self, key: str) -> Tensor:
        """The embedding (d,) of a content key, on the CPU."""
        return self._rows[key]

    def add(self, keys: Sequence[str], embeddings: Tensor) -> None:
        """Keep (n, d) embeddings under n content keys; those that are known stay as they are."""
        for key, row in zip(keys, embeddings.detach().float().cpu(), strict=True):
            if key not in self._rows:
                self._rows[key] = row.clone()
                self._new.append(key)

    def embed(self, fn: Callable[[Tensor], Tensor], images: Sequence[Tensor], batch: int, device: str) -> Tensor:
        """(n, d) on the CPU: rows that are known are taken as they are, the others computed in batches."""
        keys = [content_key(image) for image in images]
        missing = {key: image for key, image in zip(keys, images, strict=True) if key not in self._rows}
        if missing:
            with torch.no_grad():
                fresh = map_images(fn, list(missing.values()), batch, device=device)
            self.add(list(missing), fresh)
        return torch.stack([self._rows[key] for key in keys])

    def save(self) -> None:
        """Write what is new. Nothing happens without a folder."""
        if self.path is None or not self._new:
            return
        from safetensors.torch import save_file

        keys = sorted(self._new)
        target = self.path / f"{short_hash(keys)}.safetensors"
        names = torch.tensor([list(bytes.fromhex(key)) for key in keys], dtype=torch.uint8)
        rows = {"keys": names, "embeddings": torch.stack([self._rows[key] for key in keys])}
        replace_file(target, lambda partial: save_file(rows, partial))
        self._new.clear()


def weights_key(network: nn.Module) -> str:
    """A hash of a sample of the weights and of their type: the owner of embeddings is the network as it is now."""
    chunks = []
    for name, weight in network.state_dict().items():
        flat = weight.detach().flatten()
        some = flat[:: max(1, flat.numel() // 64)].double().cpu().numpy()
        chunks += [f"{name}{weight.dtype}{tuple(weight.shape)}".encode(), some.tobytes()]
    return content_hash(*chunks)


def _read(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        held = load_file(path)
        return {bytes(k.tolist()).hex(): e for k, e in zip(held["keys"], held["embeddings"], strict=True)}
    except (SafetensorError, KeyError, OSError):
        return {}  # a damaged cache is computed again


@dataclass(frozen=True)
class SeedSet:
    """The readable seed images as a guide sees them. `embeddings`: (n, d); `labels`: (n,) int64; `skipped`: ids."""

    ids: tuple[str, ...]
    labels: Tensor
    embeddings: Tensor
    skipped: tuple[str, ...]


def embed_seeds(
    fn: Callable[[Tensor], Tensor], samples: Images, store: EmbeddingStore, *, batch: int = 64, device: str = "cpu"
) -> SeedSet:
    """Every seed image through `fn`, `batch` in memory at a time. Unreadable images are left out and named."""
    ids: list[str] = []
    labels: list[int] = []
    parts: list[Tensor] = []
    skipped: list[str] = []
    for chosen, images in _batches(samples, batch, skipped):
        records = [samples.sample(i) for i in chosen]
        ids += [r.id for r in records]
        labels += [r.label for r in records]
        parts.append(store.embed(fn, images, batch, device))
    if not parts:
        raise DataError(f"no readable seed image among {len(samples)}")
    store.save()
    table = torch.cat(parts)
    if not bool(torch.isfinite(table).all()):
        bad = ids[int((~torch.isfinite(table)).any(dim=1).nonzero()[0])]
        raise ModelError(f"the backbone gives NaN for seed image {bad}")
    return SeedSet(tuple(ids), torch.tensor(labels), table, tuple(skipped))


def stored_seeds(setup: GuideSetup, backbone: Backbone) -> SeedSet:
    """The seed set of a guide by its backbone's features (not normalised), kept in its cache where it has one."""
    store = EmbeddingStore(setup.cache, owner=weights_key(backbone.network))
    return embed_seeds(backbone.features, setup.seed_images, store, device=setup.device)


def _batches(samples: Images, batch: int, skipped: list[str]) -> Iterator[tuple[list[int], list[Tensor]]]:
    chosen: list[int] = []
    images: list[Tensor] = []
    for index in range(len(samples)):
        try:
            images.append(samples.image(index))
            chosen.append(index)
        except ImageError:
            skipped.append(samples.sample(index).id)
        if len(images) == batch:
            yield chosen, images
            chosen, images = [], []
    if images:
        yield chosen, images
