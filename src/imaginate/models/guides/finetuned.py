"""The whole backbone trained on the seed set (GIF Table 8, "fine-tuned CLIP": a linear classifier on top, all free).

The linear head starts from a probe (linear probing, then fine-tuning: Kumar et al. 2022), normalisation statistics
stay frozen, and the epoch with the lowest validation loss wins. GIF does not say how it fine-tuned; this is ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imaginate.contract import GuideSetup, Images
from imaginate.errors import ModelError
from imaginate.files import replace_file, short_hash
from imaginate.models.guides.core.backbones import load_backbone
from imaginate.models.guides.core.heads import check_every_class, train_head, unrelated, validation_part
from imaginate.models.guides.core.store import EmbeddingStore, content_key, embed_seeds
from imaginate.ops.batching import map_images

EPOCHS, PATIENCE, BATCH, BACKBONE_RATE, HEAD_RATE = 20, 3, 32, 1e-5, 1e-3


class FinetunedGuide:
    """Full fine-tuning of any backbone; with `cache` the trained weights are kept, by content of the seed set."""

    takes: ClassVar[Literal["backbone"]] = "backbone"
    needs_seeds: ClassVar[bool] = True
    reads_text: ClassVar[bool] = False

    def __init__(self, setup: GuideSetup) -> None:
        self.name, self.labels, self.device = setup.name, setup.labels, setup.device
        samples, labels, seed = setup.seed_images, setup.labels, setup.seed
        self._backbone = load_backbone(setup.model, device=self.device, dtype=torch.float32)
        seeds = embed_seeds(self._backbone.features, samples, EmbeddingStore(), device=self.device)
        check_every_class(torch.bincount(seeds.labels, minlength=len(labels)), labels, self.name)
        readable = set(seeds.ids)
        indices = [i for i in range(len(samples)) if samples.sample(i).id in readable]
        self.dim = int(seeds.embeddings.shape[1])
        held = validation_part(seeds.labels, seed, ids=seeds.ids, relatives=setup.relatives)
        free = unrelated(held, seeds.ids, setup.relatives)
        self.validation_ids = tuple(key for key, h in zip(seeds.ids, held.tolist(), strict=True) if h)
        used, features = held | free, F.normalize(seeds.embeddings, dim=-1)
        start = train_head(features[used], seeds.labels[used], held[used], len(labels))
        self.head = nn.Linear(self.dim, len(labels), device=self.device)
        with torch.no_grad():
            self.head.weight.copy_(start.weight)
            self.head.bias.copy_(start.bias)
        file = _file(setup.cache, setup.model, samples, indices, seed, (~used).nonzero().flatten().tolist())
        if file is None or not _restore(file, self._backbone.network, self.head):
            self._train(samples, indices, seeds.labels, free, held, seed)
            _save(file, self._backbone.network, self.head)
        self._backbone.network.requires_grad_(False)
        self.head.requires_grad_(False)

    def embed(self, images: Tensor) -> Tensor:
        """(b, 3, h, w) in [0, 1] -> (b, dim) unit-norm, differentiable."""
        return F.normalize(self._backbone.features(images), dim=-1)

    def logits(self, embeddings: Tensor) -> Tensor:
        """(b, dim) -> (b, classes)."""
        found: Tensor = self.head(embeddings)
        return found

    def _train(
        self, samples: Images, indices: list[int], labels: Tensor, free: Tensor, held: Tensor, seed: int
    ) -> None:
        network = self._backbone.network.requires_grad_(True)
        groups = [
            {"params": network.parameters(), "lr": BACKBONE_RATE},
            {"params": self.head.parameters(), "lr": HEAD_RATE},
        ]
        optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
        rng = torch.Generator().manual_seed(seed)
        train, valid = free.nonzero().flatten(), held.nonzero().flatten()
        best, best_loss, waited = _state(network, self.head), self._loss(samples, indices, labels, valid), 0
        for _ in range(EPOCHS if len(valid) else 3):
            for rows in train[torch.randperm(len(train), generator=rng)].split(BATCH):
                images = [samples.image(indices[int(i)]) for i in rows]
                flips = torch.rand(len(images), generator=rng) < 0.5
                turned = [im.flip(-1) if f else im for im, f in zip(images, flips.tolist(), strict=True)]
                optimiser.zero_grad()
                logits = self.head(map_images(self.embed, turned, BATCH, device=self.device))
                F.cross_entropy(logits, labels[rows].to(self.device)).backward()
                optimiser.step()
            loss = self._loss(samples, indices, labels, valid)
            if loss < best_loss or not len(valid):
                best, best_loss, waited = _state(network, self.head), loss, 0
            elif (waited := waited + 1) >= PATIENCE:
                break
        _load(best, network, self.head)

    @torch.no_grad()
    def _loss(self, samples: Images, indices: list[int], labels: Tensor, rows: Tensor) -> float:
        total = 0.0
        for part in rows.split(BATCH):
            if not len(part):
                continue
            images = [samples.image(indices[int(i)]) for i in part]
            logits = self.head(map_images(self.embed, images, BATCH, device=self.device))
            total += float(F.cross_entropy(logits, labels[part].to(self.device), reduction="sum"))
        return total / max(1, len(rows))


def _state(network: nn.Module, head: nn.Module) -> dict[str, Tensor]:
    return {k: v.detach().cpu().clone() for k, v in _named(network, head)}


def _named(network: nn.Module, head: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from ((f"network.{k}", v) for k, v in network.state_dict().items())
    yield from ((f"head.{k}", v) for k, v in head.state_dict().items())


def _load(state: dict[str, Tensor], network: nn.Module, head: nn.Module) -> None:
    network.load_state_dict({k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")})
    head.load_state_dict({k.removeprefix("head."): v for k, v in state.items() if k.startswith("head.")})


def _file(
    cache: str | Path | None, backbone: str, samples: Images, indices: list[int], seed: int, left_out: list[int]
) -> Path | None:
    if cache is None:
        return None
    content = [[content_key(samples.image(i)), samples.sample(i).label] for i in indices]
    settings = [backbone, seed, EPOCHS, PATIENCE, BATCH, BACKBONE_RATE, HEAD_RATE, *([left_out] if left_out else [])]
    return Path(cache) / f"finetuned-{short_hash([settings, content])}.safetensors"


def _restore(file: Path, network: nn.Module, head: nn.Module) -> bool:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not file.is_file():
        return False
    try:
        _load(load_file(file), network, head)
    except (OSError, RuntimeError, KeyError, SafetensorError) as error:
        raise ModelError(f"{file} does not hold the weights it should; delete it to train again") from error
    return True


def _save(file: Path | None, network: nn.Module, head: nn.Module) -> None:
    if file is None:
        return
    from safetensors.torch import save_file

    tensors = {name: value.contiguous() for name, value in _state(network, head).items()}
    replace_file(file, lambda partial: save_file(tensors, partial))
