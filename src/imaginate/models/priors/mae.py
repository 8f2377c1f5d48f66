"""A masked autoencoder as a prior (GIF-MAE): image -> patch tokens -> image, nothing masked.

The encoder sees every patch in its place and the decoder rebuilds the picture from all tokens, with gradients. A
checkpoint trained on per-patch-normalised pixels decodes to normalised patches: the seed's own patch mean and deviation
are put back before the picture is shown. `facebook/vit-mae-large` is the paper's prior (latents 197 x 1024).
"""

from __future__ import annotations

from typing import Any, Self

import torch
from torch.utils.checkpoint import checkpoint

from imaginate.errors import ModelError
from imaginate.models.adaptations.loading import Adaptation, adapt
from imaginate.models.checkpoints import freeze, locate, pinned, precision, quiet, read
from imaginate.models.priors.core import memory
from imaginate.ops.chunks import in_chunks
from imaginate.ops.pixels import resize

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Mae:
    """A ViTMAE autoencoder. Latents (b, 1 + patches, width)."""

    family = "mae"

    def __init__(self, model: Any, processor: Any, *, name: str, device: str, dtype: torch.dtype) -> None:
        self.model, self.name, self.device, self.dtype = model, name, device, dtype
        config = model.config
        if config.image_size % config.patch_size or config.num_channels != 3:
            raise ModelError(
                f"{name}: {config.image_size} px do not divide into patches of {config.patch_size} px in RGB"
            )
        self.image_size, self.patch_size = int(config.image_size), int(config.patch_size)
        self.tokens = 1 + (self.image_size // self.patch_size) ** 2
        self.width = int(config.hidden_size)
        mean, std = IMAGENET if processor is None else (processor.image_mean, processor.image_std)
        self.mean, self.std = (torch.tensor(values).view(1, 3, 1, 1).to(device) for values in (mean, std))
        self.adaptation: Adaptation | None = None
        self._place()
        self.batch = memory.Batches(self.image_size, device, dtype.itemsize)

    @classmethod
    def load(cls, spec: str, *, device: str = "cpu", dtype: str | None = None) -> Self:
        """From "nano", a transformers folder or a hub id of a ViTMAEForPreTraining checkpoint; safetensors only."""
        from transformers import ViTMAEForPreTraining

        place = locate(spec, "mae", missing="prior folder not found")
        load: Any = ViTMAEForPreTraining.from_pretrained
        model, info = read(
            lambda: load(place, use_safetensors=True, output_loading_info=True, **pinned(spec)), spec, "a ViTMAE"
        )
        if info["missing_keys"]:
            raise ModelError(f"cannot load a ViTMAE from {spec}: no weights for {min(info['missing_keys'])}")
        return cls(model, _processor(place, pinned(spec)), name=spec, device=device, dtype=precision(dtype, device))

    def _place(self) -> None:
        self.model.config.mask_ratio = self.model.vit.embeddings.config.mask_ratio = 0.0
        freeze(self.model, self.device, self.dtype)

    def networks(self) -> dict[str, torch.nn.Module]:
        """The one network."""
        return {"model": self.model}

    def put_network(self, part: str, module: Any) -> None:
        """Another network in its place."""
        self.model = module

    @property
    def is_adapted(self) -> bool:
        """Whether an adaptation was loaded."""
        return self.adaptation is not None

    def compile(self) -> None:
        """Compile the decoder."""
        self.model.decoder = torch.compile(self.model.decoder)

    def load_adaptation(self, path: str) -> None:
        """A ViTMAE folder or LoRA learnt by `imaginate fit`."""
        self.adaptation = adapt(self, path)
        self._place()

    @torch.no_grad()
    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """(b, 3, h, w) in [0, 1] -> latents (b, tokens, width) float32, nothing masked, patches in order."""
        pixels = self._normalised(images)

        def work(part: slice) -> torch.Tensor:
            inputs = pixels[part]
            order = torch.arange(self.tokens - 1, device=self.device, dtype=torch.float32).expand(len(inputs), -1)
            latents: torch.Tensor = self.model.vit(inputs.to(self.dtype), noise=order).last_hidden_state.float()
            return latents

        latents, self.batch.encode = in_chunks(work, len(pixels), self.batch.encode, what=self._one())
        return latents

    def decode(self, latents: torch.Tensor, seeds: torch.Tensor) -> torch.Tensor:
        """(b, tokens, width) and the seed images (b, 3, h, w) in [0, 1] -> (b, 3, s, s) in [0, 1], differentiable."""
        if latents.shape[1:] != (self.tokens, self.width):
            raise ModelError(f"latents must be (b, {self.tokens}, {self.width}), got {tuple(latents.shape)}")
        size, count = self.batch.gradient, len(latents)
        if not (torch.is_grad_enabled() and latents.requires_grad):
            with torch.no_grad():
                work = lambda part: self._decode(latents[part], seeds[part])  # noqa: E731
                images, self.batch.decode = in_chunks(work, count, self.batch.decode, what=self._one())
                return images
        if count <= size:
            return self._decode(latents, seeds)
        parts = zip(torch.split(latents, size), torch.split(seeds, size), strict=True)
        return torch.cat([checkpoint(self._decode, *part, use_reentrant=False) for part in parts])

    def _decode(self, latents: torch.Tensor, seeds: torch.Tensor) -> torch.Tensor:
        order = torch.arange(self.tokens - 1, device=self.device).expand(len(latents), -1)
        patches = self.model.decoder(latents.to(self.device, self.dtype), ids_restore=order).logits.float()
        if self.model.config.norm_pix_loss:
            patches = unnormalise_patches(patches, self.model.patchify(self._normalised(seeds)))
        pixels: torch.Tensor = self.model.unpatchify(patches)
        return (pixels * self.std + self.mean).clamp(0, 1)

    def _normalised(self, images: torch.Tensor) -> torch.Tensor:
        """(b, 3, h, w) in [0, 1] -> (b, 3, s, s), standardised as the checkpoint was trained."""
        return (resize(images, self.image_size).to(self.device) - self.mean) / self.std

    def _one(self) -> str:
        return f"one image of {self.image_size} px in {self.name} on {self.device}"


def unnormalise_patches(patches: torch.Tensor, seed_patches: torch.Tensor) -> torch.Tensor:
    """Undo MAE's per-patch normalisation with the seed's statistics: p * sqrt(var + 1e-6) + mean.

    Both (b, patches, values); the variance is unbiased, as in the training target.
    """
    mean = seed_patches.mean(dim=-1, keepdim=True)
    deviation = (seed_patches.var(dim=-1, keepdim=True) + 1e-6).sqrt()
    return patches * deviation + mean


def _processor(place: str, where: dict[str, str]) -> Any:
    from transformers import AutoImageProcessor

    try:
        with quiet():
            load: Any = AutoImageProcessor.from_pretrained
            return load(place, **where)
    except (OSError, ValueError, KeyError):
        return None  # no preprocessor_config.json: ImageNet's statistics, as every public ViTMAE uses
