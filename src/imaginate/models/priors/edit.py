"""Models that edit an image by instruction: InstructPix2Pix, FLUX.1 Kontext, FLUX.2, Qwen-Image-Edit.

They have no strength: what stays of the image is the instruction's. One image at a time goes through the pipeline of
diffusers, with a generator of its own, so that neither the batch nor its order matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch

from imaginate.errors import ConfigError, ModelError
from imaginate.models.checkpoints import quiet
from imaginate.models.priors.core import memory
from imaginate.models.priors.core.pipelines import STEERING, drive_of, is_given, parameters_of
from imaginate.models.priors.core.whole import InParts, opened
from imaginate.ops.noise import stream, substream
from imaginate.ops.pixels import resize


class Edit(InParts):
    """An editing pipeline of diffusers: (image, instruction) -> image."""

    family = "edit"

    def __init__(
        self, pipe: Any, *, name: str, device: str = "cpu", dtype: torch.dtype = torch.float32, size: int | None = None
    ) -> None:
        self.pipe, self.name, self.device, self.dtype = pipe, name, device, dtype
        self.known = parameters_of(type(pipe))
        self.image_size = size or _side(pipe)
        pipe.set_progress_bar_config(disable=True)
        self._place()
        self.batch = memory.Batches(self.image_size, device, dtype.itemsize)

    @classmethod
    def load(cls, spec: str, *, device: str = "cpu", dtype: str | None = None) -> Self:
        """From a diffusers folder or a hub id; safetensors only."""
        found = opened(spec, device=device, dtype=dtype)
        drive = drive_of(found.index, spec)
        if drive.kind != "edit" or any(is_given(found.index, part) for part in STEERING):
            raise ModelError(
                f"{spec} is a {found.index.get('_class_name')}, which does not edit by instruction: use method sd"
            )
        return cls(found.load(drive.cls), name=spec, device=device, dtype=found.dtype)

    @torch.no_grad()
    def edit(
        self,
        images: torch.Tensor,
        instructions: Sequence[str],
        *,
        guidance_scale: float | None = None,
        image_guidance_scale: float | None = None,
        steps: int | None = None,
        seeds: Sequence[int],
    ) -> torch.Tensor:
        """(b, 3, h, w) in [0, 1] -> (b, 3, s, s) float32 in [0, 1]; None is the pipeline's own default."""
        if not len(images) == len(instructions) == len(seeds):
            raise ConfigError(
                f"one instruction and seed an image: got {len(instructions)} and {len(seeds)} for {len(images)}"
            )
        if image_guidance_scale is not None and "image_guidance_scale" not in self.known:
            raise ConfigError(f"{self.name} ({type(self.pipe).__name__}) takes no image guidance scale: leave it out")
        pixels = resize(images, self.image_size)
        asked = {
            "image_guidance_scale": image_guidance_scale,
            "num_inference_steps": steps,
            **self._guided(guidance_scale),
        }
        rows = [self._one(*row, asked) for row in zip(pixels, instructions, seeds, strict=True)]
        return torch.stack(rows)

    def _guided(self, scale: float | None) -> dict[str, Any]:
        """Classifier-free guidance under the word that the pipeline has for it."""
        if scale is None:
            return {}
        default = self.known["true_cfg_scale"].default if "true_cfg_scale" in self.known else 1.0
        if default > 1:
            return {"true_cfg_scale": scale, "negative_prompt": " "}
        return {"guidance_scale": scale}

    def _one(self, pixels: torch.Tensor, instruction: str, seed: int, asked: dict[str, Any]) -> torch.Tensor:
        """One picture (3, s, s) through the pipeline."""
        from torchvision.transforms.functional import to_pil_image

        side = self.image_size
        own = {"height": side, "width": side, "max_area": side * side, "_auto_resize": False, **asked}
        given = {word: value for word, value in own.items() if word in self.known and value is not None}
        try:
            with quiet(), torch.random.fork_rng(devices=[]):
                torch.manual_seed(substream(seed, "steps"))
                found: torch.Tensor = self.pipe(
                    image=to_pil_image(pixels), prompt=instruction, generator=stream(seed, "diffusion"),
                    output_type="pt", **given,
                ).images  # fmt: skip
        except (ValueError, TypeError, AttributeError) as error:
            raise ModelError(f"{self.name} ({type(self.pipe).__name__}): {str(error).splitlines()[0]}") from error
        return resize(found.float().cpu(), side)[0].clamp(0, 1)


def _side(pipe: Any) -> int:
    """The side that it was trained at, in pixels."""
    parts = pipe.components
    factor = int(pipe.vae_scale_factor)
    unet, vae = parts.get("unet"), parts.get("vae")
    if unet is not None and unet.config.get("sample_size"):
        return int(unet.config.sample_size) * factor
    found = vae.config.get("sample_size") if vae is not None else None
    return int(found or 1024) // (2 * factor) * (2 * factor)
