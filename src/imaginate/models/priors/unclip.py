"""A decoder from CLIP image embeddings as a prior (GIF-DALLE): Karlo image variations or SD 2.1 unCLIP for DALL-E2.

Imagination happens in CLIP's image-embedding space: the perturbed embedding conditions the diffusion decoder, the text
is left empty (GIF, Algorithm 1). DALL-E2 has no public weights; these decoders are its open re-implementations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch

from imaginate.errors import ConfigError, ModelError
from imaginate.models.adaptations.loading import Adaptation, adapt
from imaginate.models.checkpoints import dtype_argument, freeze, locate, pinned, precision, read, variant
from imaginate.models.priors.core import memory
from imaginate.models.priors.core.decoders import Decoder, KarloDecoder, StableDecoder, karlo_parts
from imaginate.models.priors.core.sampling import sample
from imaginate.models.priors.core.schedulers import begin
from imaginate.models.priors.core.whole import check_whole
from imaginate.ops.chunks import in_chunks
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
        processor = pipe.components.get("feature_extractor")
        mean, std = CLIP if processor is None else (processor.image_mean or CLIP[0], processor.image_std or CLIP[1])
        self.mean, self.std = (torch.tensor(values).view(1, 3, 1, 1).to(device) for values in (mean, std))
        self.adaptation: Adaptation | None = None
        self._place()
        self.image_size = self.decoder.image_size
        self.batch = memory.Batches(self.image_size, device, dtype.itemsize)

    @classmethod
    def load(cls, spec: str, *, device: str = "cpu", dtype: str | None = None) -> Self:
        """From "nano", a diffusers folder or a hub id of a supported unCLIP pipeline; safetensors only."""
        from diffusers import DiffusionPipeline

        precise, place = precision(dtype, device), locate(spec, "unclip", missing="prior folder not found")
        index = read(lambda: DiffusionPipeline.load_config(place, **pinned(spec)), spec, "an unCLIP pipeline")
        kind = index.get("_class_name")
        if kind not in KINDS:
            raise ModelError(f"{spec} is a {kind}, an unCLIP prior must be one of {', '.join(KINDS)}")

        def load() -> Any:
            if KINDS[kind] is KarloDecoder:
                return karlo_parts(place, precise, pinned(spec))
            whole: Any = DiffusionPipeline.from_pretrained
            return whole(place, use_safetensors=True, **dtype_argument(precise), **pinned(spec), **variant(spec))

        pipe = read(load, spec, "an unCLIP pipeline")
        check_whole(pipe, place, spec)
        return cls(pipe, KINDS[kind], name=spec, device=device, dtype=precise)

    def _place(self) -> None:
        for module in self.networks().values():
            freeze(module, self.device, self.dtype)
        self.decoder: Decoder = self.kind(self.pipe, self.device)

    def networks(self) -> dict[str, torch.nn.Module]:
        """The networks by their names in the pipeline."""
        found = self.pipe.components
        return {part: found[part] for part in PARTS if found.get(part) is not None}

    def put_network(self, part: str, module: Any) -> None:
        """Another network in the place of one."""
        setattr(self.pipe, part, module)
        if part == "image_encoder":
            self.image_encoder = module

    @property
    def denoiser(self) -> Any:
        """The decoder's UNet as it is now."""
        return self.decoder.unet

    @denoiser.setter
    def denoiser(self, network: Any) -> None:
        self.decoder.unet = network

    @property
    def unet(self) -> Any:
        """The denoiser, by the name that it has in most pipelines."""
        return self.denoiser

    @property
    def denoiser_part(self) -> str:
        """Its name in the pipeline."""
        return self.decoder.part

    @property
    def noise_scheduler(self) -> Any:
        """The decoder's own."""
        return self.decoder.scheduler

    @property
    def is_adapted(self) -> bool:
        """Whether an adaptation was loaded."""
        return self.adaptation is not None

    def compile(self) -> None:
        """Compile the decoder's UNet."""
        self.denoiser = torch.compile(self.denoiser)

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
            vectors = embeddings[part].to(self.device).float()
            how = begin(scheduler, self.decoder.scheduler, self.decoder.noise, steps=steps, device=self.device)
            predict = self.decoder.predictor(vectors, guidance_scale, seeds[part])
            latents = sample(predict, seeds[part], self.decoder.latent_shape, *how, device=self.device)
            return self.decoder.to_images(latents)

        images, self.batch.diffuse = in_chunks(work, len(seeds), self.batch.diffuse, what=self._one())
        return images

    def posterior(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(b, 3, s, s) in [0, 1] -> mean and deviation of the latents, as the denoiser expects them, (b, c, h, w)."""
        return self.decoder.posterior(pixels)

    def _one(self) -> str:
        return f"one image of {self.image_size} px in {self.name} on {self.device}"
