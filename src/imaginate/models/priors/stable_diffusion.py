"""The Stable Diffusion family as a prior: SD 1.x, 2.x, SDXL, Turbo and LCM checkpoints of diffusers.

encode -> diffuse(prompts, strength, guidance scale, steps, scheduler) -> decode, as in GIF-SD (GIF, appendix D.2). The
loop is written on diffusers' parts rather than on a pipeline: all copies of all seeds share a batch, text is encoded
once, every draw belongs to its image, and decoding keeps gradients. `CompVis/stable-diffusion-v1-4` is the papers'.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch

from imaginate.contract import Beginning
from imaginate.errors import ConfigError, ModelError
from imaginate.models.adaptations.loading import Adaptation, adapt
from imaginate.models.checkpoints import freeze
from imaginate.models.priors.core import memory
from imaginate.models.priors.core.latents import InLatents, check_level, is_pure
from imaginate.models.priors.core.path import Path
from imaginate.models.priors.core.pipelines import check_parts
from imaginate.models.priors.core.sampling import Predict, free_guided, sample, scale_embedding, unguided
from imaginate.models.priors.core.schedulers import begin, beginning
from imaginate.models.priors.core.text import TextEncoders
from imaginate.models.priors.core.whole import opened
from imaginate.ops.chunks import in_chunks
from imaginate.ops.conditioning import Conditioning
from imaginate.ops.inversion import descend, invert, two_stages

PARTS = ("unet", "vae", "text_encoder", "text_encoder_2")


class StableDiffusion(InLatents):
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

        found = opened(spec, device=device, dtype=dtype)
        _check_index(found.index, spec)
        return cls(found.load(DiffusionPipeline), name=spec, device=device, dtype=found.dtype)

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
    def autoencoder(self) -> Any:
        """The autoencoder as it is now."""
        return self.vae

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

    def put_tokenizer(self, part: str, tokenizer: Any) -> None:
        """Another tokenizer for a text encoder."""
        self.text.parts[part] = (tokenizer, self.text.parts[part][1])

    def learning(self, prompts: Sequence[str]) -> Conditioning:
        """n prompts -> n rows through text encoders that learn: gradients reach them."""
        return self.text.learning(prompts)

    def count_tokens(self, prompt: str) -> int:
        """The length of a prompt in tokens, of which `context_length` fit."""
        return len(self.tokenizer(prompt, truncation=False, verbose=False).input_ids)

    def embed_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """n prompts -> n rows, cached. ConfigError for a prompt longer than the context."""
        return self.text.encode(prompts)

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
        check_level(strength, noise)
        if latents is None:
            strength, noise = 1.0, None
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
                clean=None if latents is None or is_pure(strength, noise) else latents[part],
            )

        out, self.batch.diffuse = in_chunks(work, len(seeds), self.batch.diffuse, what=self._one())
        return out

    def check_invertible(self) -> None:
        """ConfigError for a checkpoint whose levels of noise have no path of DDIM."""
        Path.of(self.scheduler, 2)

    @torch.no_grad()
    def invert(self, latents: torch.Tensor, prompts: Sequence[str], *, steps: int) -> torch.Tensor:
        """Clean latents -> the noise at the top of DDIM's path, by what the UNet predicts under the prompts."""
        condition, path = self._condition(prompts, len(latents)), Path.of(self.scheduler, steps)
        unconditional = self.text.encode([""], negative=True)

        def work(part: slice) -> torch.Tensor:
            predict = self._predictor(condition.at(part), unconditional, 1.0)
            return invert(latents[part].to(self.device).float(), path.shares, path.noise_by(predict, self.device))

        out, self.batch.diffuse = in_chunks(work, len(latents), self.batch.diffuse, what=self._one())
        return out

    @torch.no_grad()
    def denoise(
        self,
        noise: torch.Tensor,
        prompts: Sequence[str],
        *,
        then: Sequence[str],
        first: float,
        guidance_scale: float,
        steps: int,
    ) -> torch.Tensor:
        """Noise -> clean latents along the same path, under two prompts one after the other."""
        conditions = [self._condition(texts, len(noise)) for texts in (prompts, then)]
        unconditional, path = self.text.encode([""], negative=True), Path.of(self.scheduler, steps)

        def work(part: slice) -> torch.Tensor:
            pair = [self._predictor(c.at(part), unconditional, guidance_scale) for c in conditions]
            early, late = (path.noise_by(predict, self.device) for predict in pair)
            predict = two_stages(early, late, round(first * path.steps))
            return descend(noise[part].to(self.device).float(), path.shares, predict)

        out, self.batch.diffuse = in_chunks(work, len(noise), self.batch.diffuse, what=self._one())
        return out

    def begins(
        self, *, strength: float, steps: int, noise: float | None = None, scheduler: str | None = None
    ) -> Beginning:
        """Where `diffuse` begins under these settings."""
        how = begin(scheduler, self.scheduler, steps=steps, strength=strength, noise=noise)
        return beginning(*how, self.scheduler, is_pure=is_pure(strength, noise))

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


def _check_index(index: Any, spec: str) -> None:
    """Refuse by its index alone what is no base pipeline, before its weights are downloaded and loaded."""
    check_parts(index, spec)
    if not {"unet", "vae", "text_encoder"} <= set(index):
        raise ModelError(f"{spec} is no Stable Diffusion pipeline (needs unet, vae and text_encoder)")
    if index["text_encoder"][0] is None:
        raise ModelError(f"{spec} is an SDXL refiner, without the first text encoder: give the base checkpoint instead")
