"""How fast the bundled Stable Diffusion draws: images a processor second at 20, 8 and 4 steps, one and many at a time.

    python benchmarks/nano_rates.py

Prompts of its own classes, guidance 4 (two passes of the network a step), DDIM, float32, channels last, one thread; the
decoder is part of it. Each way is timed in turns, and the median is kept: processor time, which other work hardly
changes.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
from _machine import write
from diffusers import StableDiffusionPipeline

from imaginate import nano

WAYS = ((20, 1), (20, 16), (8, 1), (8, 16), (4, 1), (4, 16), (4, 64))  # steps, and images at a time
ROUNDS, SCALE = 3, 4.0


def main() -> None:
    """Load, draw, write."""
    torch.set_num_threads(1)
    pipe = StableDiffusionPipeline.from_pretrained(nano.path("sd"), torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    for part in (pipe.unet, pipe.vae):
        part.to(memory_format=torch.channels_last)
    prompts = [f"a photo of a {name}" for name in nano.labels()]
    seconds: dict[tuple[int, int], list[float]] = {way: [] for way in WAYS}
    for turn in range(ROUNDS + 1):
        for (steps, batch), found in seconds.items():
            rngs = [torch.Generator().manual_seed(turn * 100 + i) for i in range(batch)]
            start = time.process_time()
            pipe(prompts[:batch], num_inference_steps=steps, guidance_scale=SCALE, generator=rngs, output_type="np")
            if turn:  # the first turn warms up
                found.append((time.process_time() - start) / batch)
    rows: list[dict[str, Any]] = [
        {
            "steps": steps,
            "at a time": batch,
            "processor seconds an image": round(statistics.median(found), 4),
            "images a processor second": round(1 / statistics.median(found), 3),
        }
        for (steps, batch), found in seconds.items()
    ]
    for row in rows:
        print(row)
    write("nano-rates-cpu", {"guidance scale": SCALE, "threads": 1, "rows": rows})


if __name__ == "__main__":
    main()
