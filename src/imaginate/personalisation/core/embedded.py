"""What conditions an unCLIP decoder: each training image's own CLIP embedding, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from imaginate.personalisation.core.images import square
from imaginate.personalisation.core.networks import as_unclip
from imaginate.personalisation.core.plan import Batch, Task
from imaginate.progress import bar


class Embedded:
    """CLIP embeddings (n, dim) of all training images, and the decoder's conditioning."""

    def __init__(self, task: Task, unconditional: float, chunk: int = 32) -> None:
        self.prior, self.unconditional = as_unclip(task.prior), unconditional
        rows, parts = list(task.rows), []
        with bar("embedding", len(rows), show=task.progress) as shown:
            for start in range(0, len(rows), chunk):
                images = [task.image(row) for row in rows[start : start + chunk]]
                parts.append(self.prior.encode(torch.stack([square(image, self.prior.view) for image in images])))
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
            vectors = self.of(batch.rows.tolist())
            return self.prior.decoder.arguments(vectors, dropped.to(vectors.device), seeds)
