"""Sample sheets: one row a class, a real image first, then what the adapted prior draws of the class at this point."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from imaginate import lettering
from imaginate.files import replace_file
from imaginate.models.priors.core.fitting import fitting_settings
from imaginate.ops.conditioning import Conditioning
from imaginate.ops.finite import draw_finite
from imaginate.ops.noise import stream, substream
from imaginate.personalisation.core.images import Images, square
from imaginate.personalisation.core.networks import as_reader
from imaginate.personalisation.core.plan import Batch, FitPlan, Learner, TunablePrior

CLASSES, COLUMNS = 8, 4
SCALE = 7.5  # of guidance, where a checkpoint asks for no other


@torch.no_grad()
def sheet(file: Path, learner: Learner, images: Images, prior: TunablePrior, plan: FitPlan, *, tile: int = 128) -> None:
    """Write a PNG of up to 8 classes with 4 images each, drawn from the same noise in every epoch."""
    labels = [label for label in range(min(CLASSES, len(images.dataset.labels))) for _ in range(COLUMNS)]
    first = [int((images.labels == label).nonzero()[0]) for label in range(min(CLASSES, len(images.dataset.labels)))]
    rows = [row for row in first for _ in range(COLUMNS)]
    seeds = [substream(plan.seed, f"sheet/{i}") for i in range(len(labels))]
    drawn = (
        learner.draw(rows, seeds, plan.sheet_steps)
        if learner.draw
        else _from_text(learner, prior, rows, labels, seeds, plan)
    )
    new = drawn.float().cpu()
    real = [square(images.image(row), prior.image_size) for row in first]
    names = images.dataset.labels.titles
    _draw(file, [(names[i], real[i], list(new[i * COLUMNS : (i + 1) * COLUMNS])) for i in range(len(first))], tile)


def _from_text(
    learner: Learner, prior: TunablePrior, rows: list[int], labels: list[int], seeds: list[int], plan: FitPlan
) -> torch.Tensor:
    """Text-to-image under what the technique conditions the denoiser on for each class."""
    device, diffusion = prior.device, as_reader(prior)
    batch = Batch(
        torch.empty(len(labels), 0, device=device),
        torch.tensor(labels, device=device),
        torch.tensor(rows, device=device),
        torch.zeros(len(labels), dtype=torch.int64, device=device),
        torch.zeros(len(labels), 6, device=device),
    )
    condition = learner.condition(batch, stream(plan.seed, "sheet"))
    assert isinstance(condition, Conditioning)
    scale = fitting_settings(prior.name).get("guidance_scale", SCALE)

    def draw(rows: Sequence[int], chosen: Sequence[int]) -> torch.Tensor:
        latents: torch.Tensor = diffusion.diffuse(
            None, condition.at(rows), strength=1.0, guidance_scale=scale, steps=plan.sheet_steps, seeds=chosen
        )
        return latents

    images: torch.Tensor = diffusion.decode(draw_finite(draw, seeds).values)
    return images


def _draw(file: Path, table: list[tuple[str, torch.Tensor, list[torch.Tensor]]], tile: int) -> None:
    gap, line = 4, 16
    wide = (1 + COLUMNS) * (tile + gap) + 2 * gap
    canvas = Image.new("RGB", (wide, len(table) * (tile + line + gap) + gap), "white")
    pen = ImageDraw.Draw(canvas)
    lettering.say_cannot_write(name for name, _, _ in table)
    for number, (name, real, new) in enumerate(table):
        top = gap + number * (tile + line + gap)
        lettering.write(pen, (gap, top), name, width=wide)
        for column, pixels in enumerate([real, *new]):
            left = gap + column * (tile + gap) + (gap if column else 0)
            canvas.paste(_tile(pixels, tile), (left, top + line))
    replace_file(file, canvas.save)


def _tile(pixels: torch.Tensor, size: int) -> Image.Image:
    values = (pixels.nan_to_num(0).clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(values).resize((size, size), Image.Resampling.BICUBIC)
