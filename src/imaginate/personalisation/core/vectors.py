"""Conditionings that learn, one or several a class, past the text encoders.

RET section 3.2: initialised by encoding "A photo of {name}." without white space in the name. SDXL reads a prompt
twice, as text embedding in its cross-attention and as pooled embedding with the noise level. Both learn, as one
conditioning and at one rate: a pooled embedding that stayed the prompt's would go on telling every layer the name,
however far the text embedding has moved from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from imaginate.ops.conditioning import Conditioning
from imaginate.personalisation.core.networks import as_reader
from imaginate.personalisation.core.plan import Batch, Task
from imaginate.prompts.sets import SETS, draw


class Vectors:
    """One row for each cluster of each class: text embeddings (rows, tokens, width) and, for SDXL, pooled (rows, dim).
    `slot_of[row]` says which one an image trains."""

    def __init__(self, task: Task, clusters: Sequence[int] | None = None, assigned: torch.Tensor | None = None) -> None:
        self.names = task.labels.names
        self.counts = list(clusters) if clusters is not None else [1] * len(task.labels)
        self.starts = [sum(self.counts[:label]) for label in range(len(self.counts))]
        offsets = torch.tensor(self.starts)[task.labels_of]
        self.slot_of = (offsets if assigned is None else offsets + assigned).to(task.device)
        prompts = [draw(SETS["simple-nows"], info, 0, 0).text for info in task.labels]
        rows = torch.arange(len(prompts)).repeat_interleave(torch.tensor(self.counts))
        encoded = as_reader(task.prior).embed_prompts(prompts).to(task.device, torch.float32)
        start = encoded.at(rows.to(task.device))
        pooled = None if start.pooled is None else nn.Parameter(start.pooled)
        self.table = Conditioning(nn.Parameter(start.hidden), pooled)

    def parameters(self) -> dict[str, nn.Parameter]:
        """What learns, by name."""
        parts = {"table": self.table.hidden, "pooled": self.table.pooled}
        return {name: part for name, part in parts.items() if isinstance(part, nn.Parameter)}

    def condition(self, batch: Batch, generator: torch.Generator) -> Conditioning:
        """The conditioning of each image's class and cluster: b rows."""
        return self.table.at(self.slot_of[batch.rows])

    def save(self, folder: Path) -> None:
        """conditioning.safetensors: class name -> (clusters, tokens, width); _pooled: class name -> (clusters, dim)."""
        from safetensors.torch import save_file

        files = {"table": "conditioning.safetensors", "pooled": "conditioning_pooled.safetensors"}
        for part, learnt in self.parameters().items():
            rows = torch.split(learnt.detach().float().cpu(), self.counts)
            by_class = {name: row.clone() for name, row in zip(self.names, rows, strict=True)}
            save_file(by_class, str(folder / files[part]))
