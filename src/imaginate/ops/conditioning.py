"""What conditions a text-to-image denoiser, in one value: Stable Diffusion's text embedding, and SDXL's two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Conditioning:
    """`hidden` (n, tokens, width) for cross-attention; `pooled` (n, dim) for SDXL, else None."""

    hidden: torch.Tensor
    pooled: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.hidden)

    def at(self, rows: slice | Sequence[int] | torch.Tensor) -> Conditioning:
        """Some of the rows, in this order."""
        return Conditioning(self.hidden[rows], None if self.pooled is None else self.pooled[rows])

    def repeat(self, count: int) -> Conditioning:
        """One row, `count` times."""
        pooled = None if self.pooled is None else self.pooled.expand(count, -1)
        return Conditioning(self.hidden.expand(count, -1, -1), pooled)

    def after(self, negative: Conditioning) -> Conditioning:
        """[negative, self] in one batch, for classifier-free guidance in one pass."""
        return join([negative, self])

    def to(self, device: str | torch.device, dtype: torch.dtype) -> Conditioning:
        """On a device, in a precision; gradients find the way back."""
        pooled = None if self.pooled is None else self.pooled.to(device=device, dtype=dtype)
        return Conditioning(self.hidden.to(device=device, dtype=dtype), pooled)


def join(parts: Sequence[Conditioning]) -> Conditioning:
    """One batch of all rows; the pooled part where every one has it."""
    pooled = [part.pooled for part in parts if part.pooled is not None]
    return Conditioning(
        torch.cat([part.hidden for part in parts]), torch.cat(pooled) if len(pooled) == len(parts) else None
    )
