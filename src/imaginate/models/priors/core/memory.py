"""How many images at once: from what the device has free and what one image takes.

`MEGABYTES` is what one more image adds to the peak at 512 px in float32; it scales with pixels and precision. Only
`gradient` rests on a measurement (`benchmarks/imagination.py memory --size 128`: 356 MiB kept for the gradient of SD
1.5's decoder, 16 times that at 512 px, plus working space); the others are estimates on the safe side. Out of memory
halves a number for good, so a wrong estimate costs one retry.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

MEGABYTES = {"encode": 1500.0, "diffuse": 2000.0, "decode": 2200.0, "gradient": 7500.0}
ON_CPU = {"encode": 2, "diffuse": 4, "decode": 2, "gradient": 1}  # at 512 px; fixed: the same run, the same bits
MOST = 64


@dataclass
class Batches:
    """Micro-batch sizes of one prior, by kind of work. Mutable: shrinks where memory runs out."""

    image_size: int
    device: str
    itemsize: int = 4  # bytes of a number in the working precision
    encode: int = 1
    diffuse: int = 1
    decode: int = 1
    gradient: int = 1

    def __post_init__(self) -> None:
        share = (self.image_size / 512) ** 2 * self.itemsize / 4
        for kind, megabytes in MEGABYTES.items():
            setattr(self, kind, self._fit(kind, megabytes * share))

    def _fit(self, kind: str, megabytes: float) -> int:
        if not self.device.startswith("cuda"):
            return max(1, min(MOST, int(ON_CPU[kind] * (512 / self.image_size) ** 2)))
        free, _ = torch.cuda.mem_get_info(self.device)
        return max(1, min(MOST, int(0.8 * free / 2**20 / megabytes)))

    def shrink(self) -> bool:
        """Halve the gradient micro-batch after running out of memory; False when it was one image already."""
        if self.gradient == 1:
            return False
        self.gradient //= 2
        return True
