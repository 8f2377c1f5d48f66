"""The Stable Diffusion family as a prior: SD 1.x, 2.x, SDXL, Turbo and LCM checkpoints of diffusers.

encode -> diffuse(prompts, strength, guidance scale, steps, scheduler) -> decode, as in GIF-SD (GIF, appendix D.2). The
loop is written on diffusers' parts rather than on a pipeline: all copies of all seeds share a batch, text is encoded
once, every draw belongs to its image, and decoding keeps gradients. `CompVis/stable-diffusion-v1-4` is the papers'.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch.utils.checkpoint import checkpoint

from imaginate.contract import Beginning
from imaginate.errors import ConfigError, ModelError
from imaginate.models.adaptations.loading import Adaptation, adapt
from imaginate.models.checkpoints import dtype_argument, freeze, locate, pinned, precision, read, variant
from imaginate.models.priors.core import memory
from imaginate.models.priors.core.codec import moments, scaled, vae_decode, vae_posterior
from imaginate.models.priors.core.pipelines import check_parts
from imaginate.models.priors.core.sampling import Predict, free_guided, sample, scale_embedding, unguided
from imaginate.models.priors.core.schedulers import begin, beginning
from imaginate.models.priors.core.text import TextEncoders
from imaginate.models.priors.core.whole import check_whole
from imaginate.ops.chunks import in_chunks
from imaginate.ops.conditioning import Conditioning
from imaginate.ops.noise import normal
from imaginate.ops.pixels import resize

PARTS = ("unet", "vae", "text_encoder", "text_encoder_2")


class StableDiffusion:
    """A latent text-to-image diffusion model. Latents (b, c, h, w), scaled as its UNet expects them."""

    family = "stable-diffusion"
    denoiser_part = "unet"

    def __init__(self, pipe: Any, *, name: str, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self.pipe, self.name, self.device, self.dtype = pipe, name, device, dtype
        parts = pipe.components
        self.unet, self.vae, self.scheduler = parts["unet"], parts["vae"], parts["scheduler"]
        self.text_encoder, self.tokenizer = parts["text_encoder"], parts["tokenizer"]
        self.text_encoder_2, self.tokenizer_2 = parts.get("text_encoder_2"), parts.get("tokenizer_2")
        self.factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        self.channels = int(self.vae.config.latent_channels)
        self.latent_size = int(self.unet.config.sample_size)
        self.image_size = self.latent_size * self.factor
        self.context_length = int(self.tokenizer.model_max_length)
        self.adaptation: Adaptation | None = None
        if self.unet.config.in_channels != self.channels:
            raise ModelError(f"{name} is no text-to-image model (UNet of {self.unet.config.in_channels} channels)")
        self._place()
        self.text = TextEncoders(pipe, device)
        self.batch = memory.Batches(self.image_size, device, dtype.itemsize)

    @classmethod
    def load(cls, spec: str, *, device: str = "cpu", dtype: str | None = None) -> Self:
        """From "nano", a diffusers folder or a hub id; safetensors only."""
        from diffusers import DiffusionPipeline

        kind, place = precision(dtype, device), locate(spec, "sd", missing="prior folder not found")
        index = read(lambda: DiffusionPipeline.load_config(place, **pinned(spec)), spec, "a diffusers pipeline")
        spare: dict[str, Any] = {"safety_checker": None} if "safety_checker" in index else {}
        _check_index(index, spec)
        load: Any = DiffusionPipeline.from_pretrained
        more = {**pinned(spec), **variant(spec)}
        pipe = read(
            lambda: load(place, use_safetensors=True, **dtype_argument(kind), **spare, **more), spec, "a pipeline"
        )
        check_whole(pipe, place, spec)
        return cls(pipe, name=spec, device=device, dtype=kind)

    def _place(self) -> None:
        """Freeze and move the parts; channels last for the convolutions, float32 for a VAE that needs it."""
        for module in self.networks().values():
            freeze(module, self.device, self.dtype)
        if self.vae.config.force_upcast and self.dtype == torch.float16:
            self.vae.to(torch.float32)
        for module in (self.unet, self.vae):
            module.to(memory_format=torch.channels_last)

    def networks(self) -> dict[str, torch.nn.Module]:
        """The networks by their names in the pipeline."""
        found = self.pipe.components
        return {part: found[part] for part in PARTS if found.get(part) is not None}

    def put_network(self, part: str, module: Any) -> None:
        """Another network in the place of one, in the pipeline and here."""
        setattr(self.pipe, part, module)
        setattr(self, part, module)

    @property
    def denoiser(self) -> Any:
        """The UNet as it is now."""
        return self.unet

    @denoiser.setter
    def denoiser(self, network: Any) -> None:
        self.unet = network

    @property
    def noise_scheduler(self) -> Any:
        """The checkpoint's own."""
        return self.scheduler

    @property
    def is_adapted(self) -> bool:
        """Whether an adaptation was loaded."""
        return self.adaptation is not None

    def compile(self) -> None:
        """Compile the UNet (a GPU gains most); results move within the tolerance that the docs name."""
        self.unet = torch.compile(self.unet, mode="default")

    def load_adaptation(self, path: str) -> None:
        """Weights or vectors learnt by `imaginate fit`, loaded into the parts; the prompt cache is emptied."""
        self.adaptation = adapt(self, path)
        self._place()
        self.text = TextEncoders(self.pipe, self.device, self.adaptation.words)

    def count_tokens(self, prompt: str) -> int:
        """The length of a prompt in tokens, of which `context_length` fit."""
        return len(self.tokenizer(prompt, truncation=False, verbose=False).input_ids)

    def embed_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """n prompts -> n rows, cached. ConfigError for a prompt longer than the context."""
        return self.text.encode(prompts)

    @torch.no_grad()
    def encode(self, images: torch.Tensor, seeds: Sequence[int]) -> torch.Tensor:
        """(b, 3, h, w) in [0, 1] -> (b, c, s/f, s/f) float32: one sample of the posterior, one random seed an image."""
        pixels = resize(images, self.image_size)
        noise = normal(seeds, "posterior", (self.channels, self.latent_size, self.latent_size)).to(self.device)

        def work(part: slice) -> torch.Tensor:
            mean, std = moments(self.vae, pixels[part].to(self.device))
            return (mean + std * noise[part]).float()

        latents, self.batch.encode = in_chunks(work, len(pixels), self.batch.encode, what=self._one())
        return scaled(self.vae, latents)

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
        noise: float | None = None,
    ) -> torch.Tensor:
        """Noise to `strength`, then denoise under the prompts (SDEdit): (b, c, h, w) -> (b, c, h, w) float32.

        `latents` None or strength 1 starts from pure noise. `noise` in place of strength: the share of the variance
        that is noise at the start. `prompts` may be ready conditionings.
        """
        if not 0 < (strength if noise is None else noise) <= 1:
            word, value = ("strength", strength) if noise is None else ("noise", noise)
            raise ConfigError(f"{word} must be in (0, 1], got {value:g}")
        if latents is None:
            strength, noise = 1.0, None
        is_pure = _is_pure(strength, noise)
        condition = self._condition(prompts, len(seeds))
        unconditional = self.text.encode([negative], negative=True)
        shape = (self.channels, self.latent_size, self.latent_size)

        def work(part: slice) -> torch.Tensor:
            return sample(
                self._predictor(condition.at(part), unconditional, guidance_scale),
                seeds[part],
                shape,
                *begin(scheduler, self.scheduler, steps=steps, strength=strength, noise=noise, device=self.device),
                device=self.device,
                clean=None if latents is None or is_pure else latents[part],
            )

        out, self.batch.diffuse = in_chunks(work, len(seeds), self.batch.diffuse, what=self._one())
        return out

    def begins(
        self, *, strength: float, steps: int, noise: float | None = None, scheduler: str | None = None
    ) -> Beginning:
        """Where `diffuse` begins under these settings."""
        how = begin(scheduler, self.scheduler, steps=steps, strength=strength, noise=noise)
        return beginning(*how, self.scheduler, is_pure=_is_pure(strength, noise))

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
        return vae_decode(self.vae, latents.to(self.device))

    def posterior(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(b, 3, s, s) in [0, 1] -> mean and deviation of the latents, as the denoiser expects them, (b, c, h, w)."""
        return vae_posterior(self.vae, pixels.to(self.device))

    def _condition(self, prompts: Sequence[str] | Conditioning, count: int) -> Conditioning:
        condition = prompts if isinstance(prompts, Conditioning) else self.text.encode(prompts)
        condition = condition.to(self.device, self.unet.dtype)
        if self.text.is_xl and condition.pooled is None:
            raise ConfigError(f"{self.name} needs pooled embeddings too: text embeddings alone do not condition SDXL")
        if len(condition) != count:
            raise ConfigError(f"one prompt an image: got {len(condition)} prompts for {count} images")
        return condition

    def _predictor(self, condition: Conditioning, negative: Conditioning, scale: float) -> Predict:
        """The UNet under classifier-free guidance; a distilled one takes the scale as an input instead."""
        count, width = len(condition), self.unet.config.time_cond_proj_dim
        is_guided = scale > 1 and width is None
        arguments = self.arguments(condition.after(negative.repeat(count)) if is_guided else condition)
        if width is not None:
            w = torch.full((count,), scale - 1.0, device=self.device)
            arguments["timestep_cond"] = scale_embedding(w, width).to(self.unet.dtype)

        def network(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.unet(x, t, return_dict=False, **arguments)[0]
            return out

        return free_guided(network, scale, self.unet.dtype) if is_guided else unguided(network, self.unet.dtype)

    def arguments(self, condition: Conditioning, sizes: torch.Tensor | None = None) -> dict[str, Any]:
        """What the UNet is called with under n conditionings, and the gradients' way back to them.

        SDXL also takes the pooled text and `sizes` (n, 6), how each image was cut: its own height and width, where it
        was cut (top, left), and the height and width wanted (Podell et al. 2023, section 2.2). None means whole
        images of the prior's size, as diffusers samples.
        """
        condition = condition.to(self.device, self.unet.dtype)
        arguments: dict[str, Any] = {"encoder_hidden_states": condition.hidden}
        if self.text.is_xl:
            if sizes is None:
                side = float(self.image_size)
                sizes = torch.tensor([[side, side, 0.0, 0.0, side, side]]).expand(len(condition), -1)
            arguments["added_cond_kwargs"] = {"text_embeds": condition.pooled, "time_ids": sizes.to(self.device)}
        return arguments

    def _one(self) -> str:
        return f"one image of {self.image_size} px in {self.name} on {self.device}"


def _check_index(index: Any, spec: str) -> None:
    """Refuse by its index alone what is no base pipeline, before its weights are downloaded and loaded."""
    check_parts(index, spec)
    if not {"unet", "vae", "text_encoder"} <= set(index):
        raise ModelError(f"{spec} is no Stable Diffusion pipeline (needs unet, vae and text_encoder)")
    if index["text_encoder"][0] is None:
        raise ModelError(f"{spec} is an SDXL refiner, without the first text encoder: give the base checkpoint instead")


def _is_pure(strength: float, noise: float | None) -> bool:
    """Whether nothing of the image is left at the start."""
    return (strength if noise is None else noise) >= 1
