"""The Stable Diffusion family as a prior: SD 1.x, 2.x, SDXL, Turbo and LCM checkpoints of diffusers.

encode -> diffuse(prompts, strength, guidance scale, steps, scheduler) -> decode, as in GIF-SD (GIF, appendix D.2). The
loop is written on diffusers' parts rather than on a pipeline: all copies of all seeds share a batch, text is encoded
once, every draw belongs to its image, and decoding keeps gradients. `CompVis/stable-diffusion-v1-4` is the papers'.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from imaginate.errors import ConfigError, ModelError
from imaginate.models.adaptations.loading import Adaptation, adapt
from imaginate.models.priors import memory
from imaginate.models.priors.loading import dtype_argument, freeze, locate, precision, quiet, read
from imaginate.models.priors.sampling import denoise, guide_free, scale_embedding
from imaginate.models.priors.schedulers import make_scheduler, noised, start, step_arguments
from imaginate.models.priors.text import TextEncoders
from imaginate.ops.chunks import in_chunks
from imaginate.ops.conditioning import Conditioning
from imaginate.ops.noise import normal, stream
from imaginate.ops.pixels import resize

PARTS = ("unet", "vae", "text_encoder", "text_encoder_2")


class StableDiffusion:
    """A latent text-to-image diffusion model. Latents (b, c, h, w), scaled as its UNet expects them."""

    family = "stable-diffusion"

    def __init__(self, pipe: Any, *, name: str, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self.pipe, self.name, self.device, self.dtype = pipe, name, device, dtype
        self.unet, self.vae, self.scheduler = pipe.unet, pipe.vae, pipe.scheduler
        self.text_encoder, self.tokenizer = pipe.text_encoder, pipe.tokenizer
        self.text_encoder_2 = getattr(pipe, "text_encoder_2", None)
        self.tokenizer_2 = getattr(pipe, "tokenizer_2", None)
        self.factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        self.channels = int(self.vae.config.latent_channels)
        self.scaling = float(self.vae.config.scaling_factor)
        self.shift = float(getattr(self.vae.config, "shift_factor", None) or 0.0)
        self.latent_size = int(self.unet.config.sample_size)
        self.image_size = self.latent_size * self.factor
        self.adaptation: Adaptation | None = None
        if self.unet.config.in_channels != self.channels:
            raise ModelError(f"{name} is no text-to-image model (UNet of {self.unet.config.in_channels} channels)")
        self._place()
        self.text = TextEncoders(pipe, device)
        self.batch = memory.Batches(self.image_size, device, dtype.itemsize)

    @classmethod
    def load(cls, spec: str, *, device: str = "cpu", dtype: str | None = None) -> StableDiffusion:
        """From "nano", a diffusers folder or a hub id; safetensors only."""
        from diffusers import DiffusionPipeline

        kind, place = precision(dtype, device), locate(spec, "sd")
        index = read(lambda: DiffusionPipeline.load_config(place), spec, "a diffusers pipeline")
        spare: dict[str, Any] = {"safety_checker": None} if "safety_checker" in index else {}
        _check_index(index, spec)
        load: Any = DiffusionPipeline.from_pretrained
        pipe = read(lambda: load(place, use_safetensors=True, **dtype_argument(kind), **spare), spec, "a pipeline")
        return cls(pipe, name=spec, device=device, dtype=kind)

    def _place(self) -> None:
        """Freeze and move the parts; channels last for the convolutions, float32 for a VAE that needs it."""
        modules = [getattr(self.pipe, part, None) for part in PARTS]
        with quiet():
            for module in modules:
                if module is not None:
                    freeze(module).to(device=self.device, dtype=self.dtype)
        if self.vae.config.force_upcast and self.dtype == torch.float16:
            self.vae.to(torch.float32)
        for module in (self.unet, self.vae):
            module.to(memory_format=torch.channels_last)

    def compile(self) -> None:
        """Compile the UNet (a GPU gains most); results move within the tolerance told in the docs."""
        self.unet = torch.compile(self.unet, mode="default")

    def load_adaptation(self, path: str) -> None:
        """Weights or vectors learnt by `imaginate fit`, loaded into the parts; the prompt cache is emptied."""
        self.adaptation = adapt(self, path)
        self._place()
        self.text = TextEncoders(self.pipe, self.device, self.adaptation.words)

    def embed_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """n prompts -> n rows, cached. ConfigError for a prompt longer than the context."""
        return self.text.encode(prompts)

    @torch.no_grad()
    def encode(self, images: torch.Tensor, seeds: Sequence[int]) -> torch.Tensor:
        """(b, 3, h, w) in [0, 1] -> (b, c, s/f, s/f) float32: one sample of the posterior, one random seed an image."""
        pixels = resize(images, self.image_size)
        noise = normal(seeds, "posterior", (self.channels, self.latent_size, self.latent_size)).to(self.device)

        def work(part: slice) -> torch.Tensor:
            inputs = (pixels[part].to(self.device) * 2 - 1).to(self.vae.dtype)
            posterior = self.vae.encode(inputs).latent_dist
            sampled: torch.Tensor = (posterior.mean + posterior.std * noise[part]).float()
            return sampled

        latents, self.batch.encode = in_chunks(work, len(pixels), self.batch.encode, what=self._one())
        return (latents - self.shift) * self.scaling

    @torch.no_grad()
    def diffuse(
        self,
        latents: torch.Tensor | None,
        prompts: Sequence[str] | Conditioning,
        *,
        strength: float,
        guidance_scale: float,
        steps: int,
        seeds: Sequence[int],
        scheduler: str | None = None,
        negative: str = "",
    ) -> torch.Tensor:
        """Noise to `strength`, then denoise under the prompts (SDEdit): (b, c, h, w) -> (b, c, h, w) float32.

        `latents` None or strength 1 starts from pure noise. `prompts` may be ready conditionings.
        """
        if not 0 < strength <= 1:
            raise ConfigError(f"strength must be in (0, 1], got {strength:g}")
        condition = self._condition(prompts, len(seeds))
        unconditional = self.text.encode([negative], negative=True)

        def work(part: slice) -> torch.Tensor:
            loop = make_scheduler(scheduler, self.scheduler)
            timesteps = start(loop, steps, 1.0 if latents is None else strength, self.device)
            x = self._start(loop, None if latents is None else latents[part], strength, timesteps, seeds[part])
            predict = self._predictor(condition.at(part), unconditional, guidance_scale)
            generators = [stream(seed, "steps") for seed in seeds[part]]
            return denoise(loop, timesteps, x, predict, step_arguments(loop, generators))

        out, self.batch.diffuse = in_chunks(work, len(seeds), self.batch.diffuse, what=self._one())
        return out

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """(b, c, h, w) -> (b, 3, s, s) in [0, 1], float32. With gradients, micro-batches are recomputed backwards."""
        if not (torch.is_grad_enabled() and latents.requires_grad):
            with torch.no_grad():
                work = lambda part: self._decode(latents[part])  # noqa: E731
                images, self.batch.decode = in_chunks(work, len(latents), self.batch.decode, what=self._one())
                return images
        parts = torch.split(latents, self.batch.gradient)
        if len(parts) == 1:
            return self._decode(latents)
        return torch.cat([checkpoint(self._decode, part, use_reentrant=False) for part in parts])

    def _decode(self, latents: torch.Tensor) -> torch.Tensor:
        inputs = latents.to(self.device) / self.scaling + self.shift
        pixels: torch.Tensor = self.vae.decode(inputs.to(self.vae.dtype)).sample.float()
        return (pixels / 2 + 0.5).clamp(0, 1)

    def _condition(self, prompts: Sequence[str] | Conditioning, count: int) -> Conditioning:
        condition = prompts if isinstance(prompts, Conditioning) else self.text.encode(prompts)
        condition = condition.to(self.device, self.unet.dtype)
        if self.text.is_xl and condition.pooled is None:
            raise ConfigError(f"{self.name} needs pooled embeddings too: text embeddings alone do not condition SDXL")
        if len(condition) != count:
            raise ConfigError(f"one prompt an image: got {len(condition)} prompts for {count} images")
        return condition

    def _start(
        self, loop: Any, latents: torch.Tensor | None, strength: float, timesteps: torch.Tensor, seeds: Sequence[int]
    ) -> torch.Tensor:
        noise = normal(seeds, "diffusion", (self.channels, self.latent_size, self.latent_size)).to(self.device)
        if latents is None or strength == 1:
            pure: torch.Tensor = noise * loop.init_noise_sigma
            return pure
        return noised(loop, latents.to(self.device).float(), noise, timesteps[0])

    def _predictor(self, condition: Conditioning, negative: Conditioning, scale: float) -> Any:
        """The UNet under classifier-free guidance, both halves in one pass; only one where the scale asks for none."""
        count, width = len(condition), self.unet.config.time_cond_proj_dim
        distilled = width is not None
        both = scale > 1 and not distilled
        if both:
            condition = condition.beside(negative.repeat(count))
        told = self.arguments(condition)
        if distilled:
            w = torch.full((count,), scale - 1.0, device=self.device)
            told["timestep_cond"] = scale_embedding(w, width).to(self.unet.dtype)

        def predict(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            x = (torch.cat([x, x]) if both else x).to(self.unet.dtype)
            out = self.unet(x, t, return_dict=False, **told)[0].float()
            return guide_free(out, scale) if both else out

        return predict

    def arguments(self, condition: Conditioning, sizes: torch.Tensor | None = None) -> dict[str, Any]:
        """What the UNet is called with under n conditionings, and the gradients' way back to them.

        SDXL is also told the pooled text and `sizes` (n, 6), how each image was made: its own height and width, where
        it was cut (top, left), and the height and width wanted (Podell et al. 2023, section 2.2). None means whole
        images of the prior's size, as diffusers samples.
        """
        condition = condition.to(self.device, self.unet.dtype)
        told: dict[str, Any] = {"encoder_hidden_states": condition.hidden}
        if self.text.is_xl:
            if sizes is None:
                side = float(self.image_size)
                sizes = torch.tensor([[side, side, 0.0, 0.0, side, side]]).expand(len(condition), -1)
            told["added_cond_kwargs"] = {"text_embeds": condition.pooled, "time_ids": sizes.to(self.device)}
        return told

    def _one(self) -> str:
        return f"one image of {self.image_size} px in {self.name} on {self.device}"


def _check_index(index: Any, spec: str) -> None:
    """Refuse by its index alone what is no base pipeline, before its weights are downloaded and loaded."""
    if not {"unet", "vae", "text_encoder"} <= set(index):
        raise ModelError(f"{spec} is no Stable Diffusion pipeline (needs unet, vae and text_encoder)")
    if index["text_encoder"][0] is None:
        raise ModelError(f"{spec} is an SDXL refiner, without the first text encoder: give the base checkpoint instead")
