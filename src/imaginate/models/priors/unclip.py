"""A decoder from CLIP image embeddings as a prior (GIF-DALLE): Karlo image variations or SD 2.1 unCLIP for DALL-E2.

Imagination happens in CLIP's image-embedding space: the perturbed embedding conditions the diffusion decoder, the text
is left empty (GIF, Algorithm 1). DALL-E2 has no public weights; these decoders are its open re-implementations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from imaginate.errors import ConfigError, ModelError
from imaginate.models.adaptations.loading import Adaptation, adapt
from imaginate.models.priors import memory
from imaginate.models.priors.loading import dtype_argument, freeze, locate, normaliser, precision, quiet, read
from imaginate.models.priors.schedulers import make_scheduler, start, step_arguments
from imaginate.models.priors.unclip_decoders import Decoder, KarloDecoder, StableDecoder, karlo_parts
from imaginate.ops.chunks import in_chunks
from imaginate.ops.noise import normal, stream
from imaginate.ops.pixels import resize

CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
KINDS: dict[str, type[Decoder]] = {
    "StableUnCLIPImg2ImgPipeline": StableDecoder,
    "UnCLIPImageVariationPipeline": KarloDecoder,
}
PARTS = ("image_encoder", "unet", "vae", "decoder", "text_proj", "text_encoder", "image_normalizer")


class Unclip:
    """CLIP image embedding -> image. Embeddings (b, dim), not normalised, as the decoder expects them."""

    family = "unclip"

    def __init__(self, pipe: Any, kind: type[Decoder], *, name: str, device: str, dtype: torch.dtype) -> None:
        self.pipe, self.kind, self.name, self.device, self.dtype = pipe, kind, name, device, dtype
        self.image_encoder = pipe.image_encoder
        self.dim = int(self.image_encoder.config.projection_dim)
        self.view = int(self.image_encoder.config.image_size)
        self.mean, self.std = (t.to(device) for t in normaliser(getattr(pipe, "feature_extractor", None), *CLIP))
        self.adaptation: Adaptation | None = None
        self._place()
        self.image_size = self.decoder.image_size
        self.batch = memory.Batches(self.image_size, device, dtype.itemsize)

    @classmethod
    def load(cls, spec: str, *, device: str = "cpu", dtype: str | None = None) -> Unclip:
        """From "nano", a diffusers folder or a hub id of a supported unCLIP pipeline; safetensors only."""
        from diffusers import DiffusionPipeline

        precise, place = precision(dtype, device), locate(spec, "unclip")
        index = read(lambda: DiffusionPipeline.load_config(place), spec, "an unCLIP pipeline")
        kind = index.get("_class_name")
        if kind not in KINDS:
            raise ModelError(f"{spec} is a {kind}, an unCLIP prior must be one of {', '.join(KINDS)}")
        load: Any = karlo_parts if KINDS[kind] is KarloDecoder else DiffusionPipeline.from_pretrained
        settings = {"use_safetensors": True, **dtype_argument(precise)}
        pipe = read(lambda: load(place, **settings), spec, "an unCLIP pipeline")
        return cls(pipe, KINDS[kind], name=spec, device=device, dtype=precise)

    def _place(self) -> None:
        modules = [getattr(self.pipe, part, None) for part in PARTS]
        with quiet():
            for module in modules:
                if module is not None:
                    freeze(module).to(self.device, self.dtype)
        self.decoder: Decoder = self.kind(self.pipe, self.device)
        self.unet, self.vae = self.decoder.unet, getattr(self.pipe, "vae", None)

    def compile(self) -> None:
        """Compile the decoder's UNet."""
        self.decoder.unet = torch.compile(self.decoder.unet)

    def load_adaptation(self, path: str) -> None:
        """Weights learnt by `imaginate fit` (reconstruction tuning), loaded into the decoder."""
        self.adaptation = adapt(self, path)
        self._place()

    @torch.no_grad()
    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """(b, 3, h, w) in [0, 1] -> CLIP image embeddings (b, dim) float32, not normalised."""
        pixels = (resize(images, self.view).to(self.device) - self.mean) / self.std

        def work(part: slice) -> torch.Tensor:
            embeddings: torch.Tensor = self.image_encoder(pixels[part].to(self.dtype)).image_embeds.float()
            return embeddings

        embeddings, self.batch.encode = in_chunks(work, len(pixels), self.batch.encode, what=self._one())
        return embeddings

    @torch.no_grad()
    def generate(
        self,
        embeddings: torch.Tensor,
        *,
        guidance_scale: float,
        steps: int,
        seeds: Sequence[int],
        scheduler: str | None = None,
    ) -> torch.Tensor:
        """(b, dim) -> (b, 3, s, s) float32 in [0, 1]; one random seed an image."""
        if embeddings.shape[1:] != (self.dim,):
            raise ModelError(f"embeddings must be (b, {self.dim}) for {self.name}, got {tuple(embeddings.shape)}")
        if len(embeddings) != len(seeds):
            raise ConfigError(f"one seed an image: got {len(seeds)} seeds for {len(embeddings)} embeddings")

        def work(part: slice) -> torch.Tensor:
            chosen = seeds[part]
            loop = make_scheduler(scheduler, self.decoder.scheduler)
            timesteps = start(loop, steps, 1.0, self.device)
            noise = normal(chosen, "diffusion", self.decoder.latent_shape).to(self.device) * loop.init_noise_sigma
            arguments = step_arguments(loop, [stream(seed, "steps") for seed in chosen])
            vectors = embeddings[part].to(self.device).float()
            return self.decoder.generate(vectors, noise, loop, timesteps, arguments, guidance_scale, chosen)

        images, self.batch.diffuse = in_chunks(work, len(seeds), self.batch.diffuse, what=self._one())
        return images

    def _one(self) -> str:
        return f"one image of {self.image_size} px in {self.name} on {self.device}"
