"""What an unCLIP decoder is told: each training image's own CLIP embedding, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from imaginate.ops.pixels import stack
from imaginate.personalisation.core.plan import Batch, Task
from imaginate.progress import bar


class Embedded:
    """CLIP embeddings (n, dim) of all training images, and the decoder's conditioning made of them."""

    def __init__(self, task: Task, unconditional: float, chunk: int = 32) -> None:
        self.prior, self.unconditional = task.prior, unconditional
        rows, parts = list(task.rows), []
        with bar("embedding", len(rows), show=task.progress) as shown:
            for start in range(0, len(rows), chunk):
                images = [task.image(row) for row in rows[start : start + chunk]]
                parts.append(task.prior.encode(stack(images, task.prior.view)))
                shown.advance(len(images))
        self.vectors = torch.cat(parts)

    def of(self, rows: Sequence[int]) -> torch.Tensor:
        """(len(rows), dim): the embeddings of these images."""
        return self.vectors[torch.as_tensor(rows, device=self.vectors.device)]

    def condition(self, batch: Batch, generator: torch.Generator) -> dict[str, Any]:
        """Keyword arguments of the decoder's UNet. Dropped rows get what the model knows as unconditional."""
        dropped = torch.rand(len(batch.rows), generator=generator) < self.unconditional
        seeds = torch.randint(2**31, (len(batch.rows),), generator=generator).tolist()
        with torch.no_grad():
            return _told(self.prior.decoder, self.of(batch.rows.tolist()), dropped, seeds)


def decoder_part(prior: Any) -> str:
    """The name of the decoder's folder in the pipeline: `unet` (SD 2.1 unCLIP) or `decoder` (Karlo)."""
    return "unet" if getattr(prior.pipe, "unet", None) is not None else "decoder"


def _told(decoder: Any, vectors: torch.Tensor, dropped: torch.Tensor, seeds: list[int]) -> dict[str, Any]:
    away = dropped.to(vectors.device)
    if hasattr(decoder, "text"):  # SD 2.1 unCLIP: zeros stand for no embedding
        labels = decoder._labels(vectors, seeds).masked_fill(away[:, None], 0)
        hidden = decoder.text.encode([""]).hidden.expand(len(vectors), -1, -1)
        return {"encoder_hidden_states": hidden.to(decoder.unet.dtype), "class_labels": labels.to(decoder.unet.dtype)}
    hidden, added, mask = decoder._condition(vectors, False)
    if bool(away.any()):  # Karlo: its learnt "no embedding" comes first when guidance is asked for
        both_hidden, both_added, _ = decoder._condition(vectors, True)
        none = len(vectors)
        hidden = torch.where(away[:, None, None], both_hidden[:none], hidden)
        added = torch.where(away[:, None], both_added[:none], added)
    return {"encoder_hidden_states": hidden, "class_labels": added, "attention_mask": mask}
