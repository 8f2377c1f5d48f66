"""Conditioning vectors: ready text embeddings that learn, one or several a class, past the text encoder.

RET section 3.2: initialised by encoding "A photo of {name}." without white space in the name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from imaginate.fit.core.plan import Batch, Task
from imaginate.ops.prompt_sets import SETS, draw


class Vectors:
    """(sum of clusters, tokens, width) learnt embeddings; `slot_of[row]` says which one an image trains."""

    def __init__(self, task: Task, clusters: Sequence[int] | None = None, assigned: torch.Tensor | None = None) -> None:
        self.names = task.labels.names
        self.counts = list(clusters) if clusters is not None else [1] * len(task.labels)
        self.starts = [sum(self.counts[:label]) for label in range(len(self.counts))]
        offsets = torch.tensor(self.starts)[task.labels_of]
        self.slot_of = (offsets if assigned is None else offsets + assigned).to(task.device)
        prompts = [draw(SETS["simple-nows"], info, 0, 0).text for info in task.labels]
        start = task.prior.embed_prompts(prompts).detach().float()
        self.table = nn.Parameter(
            start.repeat_interleave(torch.tensor(self.counts, device=start.device), dim=0).clone()
        )

    def condition(self, batch: Batch, generator: torch.Generator) -> dict[str, Any]:
        """The embedding of each image's class and cluster: (b, tokens, width)."""
        return {"encoder_hidden_states": self.table[self.slot_of[batch.rows]]}

    def save(self, folder: Path) -> None:
        """conditioning.safetensors: class name -> (clusters, tokens, width)."""
        from safetensors.torch import save_file

        rows = torch.split(self.table.detach().float().cpu(), self.counts)
        save_file(
            {name: part.clone() for name, part in zip(self.names, rows, strict=True)},
            str(folder / "conditioning.safetensors"),
        )
