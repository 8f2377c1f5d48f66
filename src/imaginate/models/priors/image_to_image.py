"""Any image-to-image pipeline of diffusers as a prior: SD3, FLUX.1, Z-Image, Qwen-Image, and what comes next.

The pipeline denoises by its own rules, from latents and to latents; images are encoded and decoded here, with
gradients, and every draw belongs to its image (one generator each). Latents are always (b, c, h, w): those that a
pipeline packs are unpacked. A pipeline that only draws from text serves the methods that start from a prompt.
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
from imaginate.models.priors.core.codec import channels_of, moments, scaled, unpacked, vae_decode, vae_posterior
from imaginate.models.priors.core.flow import Start, is_flow, odds_moved, sigma_of, sigmas_from
from imaginate.models.priors.core.pipelines import check_parts, drive_of, is_stable_diffusion
from imaginate.models.priors.core.running import Pipeline
from imaginate.models.priors.core.schedulers import make_scheduler
from imaginate.models.priors.core.text import TextEncoders
from imaginate.models.priors.core.whole import check_whole
from imaginate.ops.chunks import in_chunks
from imaginate.ops.conditioning import Conditioning
from imaginate.ops.noise import normal
from imaginate.ops.pixels import resize

TRIES, CLOSE = 6, 1e-3  # how a start is found for a share of noise, and how near is near enough


class ImageToImage:
    """A pipeline of diffusers that noises images and denoises them under a prompt. Latents (b, c, h, w)."""

    family = "image-to-image"

    def __init__(
        self,
        pipe: Any,
        *,
        name: str,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        image_size: int | None = None,
    ) -> None:
        self.pipe, self.name, self.device, self.dtype = pipe, name, device, dtype
        try:
            self.channels = channels_of(pipe.vae)
        except ModelError as error:
            raise ModelError(f"{name} cannot be a prior: {error}") from None
        self.running = Pipeline(pipe, self.channels)
        self.image_size = self.running.fitting_size(image_size)
        self.latent_size = self.image_size // self.running.factor
        self.context_length = self.running.context_length
        self.adaptation: Adaptation | None = None
        self._found: dict[
            tuple[Any, ...], tuple[dict[str, Any], Start]
        ] = {}  # a level -> how it is asked for, where it is
        self._place()
        self.batch = memory.Batches(self.image_size, device, dtype.itemsize)

    @classmethod
    def load(cls, spec: str, *, device: str = "cpu", dtype: str | None = None) -> Self:
        """From a diffusers folder or a hub id; safetensors only."""
        from diffusers import DiffusionPipeline

        kind, place = precision(dtype, device), locate(spec, "sd", missing="prior folder not found")
        index = read(lambda: DiffusionPipeline.load_config(place, **pinned(spec)), spec, "a diffusers pipeline")
        if is_stable_diffusion(index):
            raise ModelError(f"{spec} is a {index['_class_name']}: its family is stable-diffusion")
        check_parts(index, spec)
        drive = drive_of(index, spec)
        if drive.kind == "edit":
            raise ModelError(f"{spec} is a {index['_class_name']}, which edits by instruction: use method edit")
        load: Any = drive.cls.from_pretrained
        more = {**pinned(spec), **variant(spec)}
        pipe = read(lambda: load(place, use_safetensors=True, **dtype_argument(kind), **more), spec, "a pipeline")
        check_whole(pipe, place, spec)
        return cls(pipe, name=spec, device=device, dtype=kind)

    def _place(self) -> None:
        """Freeze and move the parts; float32 for a VAE that needs it."""
        for module in self.networks().values():
            freeze(module, self.device, self.dtype)
        if self.pipe.vae.config.get("force_upcast") and self.dtype == torch.float16:
            self.pipe.vae.to(torch.float32)

    def networks(self) -> dict[str, torch.nn.Module]:
        """The networks by their names in the pipeline."""
        return {part: found for part, found in self.pipe.components.items() if isinstance(found, torch.nn.Module)}

    def put_network(self, part: str, module: Any) -> None:
        """Another network in the place of one."""
        setattr(self.pipe, part, module)

    @property
    def is_adapted(self) -> bool:
        """Whether an adaptation was loaded."""
        return self.adaptation is not None

    @property
    def text(self) -> TextEncoders:
        """The text encoders to which words can be added."""
        return TextEncoders(self.pipe, self.device)

    def compile(self) -> None:
        """Compile the denoiser."""
        part = "transformer" if "transformer" in self.networks() else "unet"
        self.put_network(part, torch.compile(self.networks()[part]))

    def load_adaptation(self, path: str) -> None:
        """A LoRA, parts or words, loaded into the pipeline."""
        self.adaptation = adapt(self, path)
        self._place()

    def count_tokens(self, prompt: str) -> int:
        """The length of a prompt in tokens, of which `context_length` fit."""
        return self.running.count_tokens(self._worded([prompt])[0])

    def embed_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """n prompts -> n rows. ConfigError for a prompt longer than the context, or a pipeline that takes no rows."""
        return self.running.embed(self._checked(prompts))

    @torch.no_grad()
    def encode(self, images: torch.Tensor, seeds: Sequence[int]) -> torch.Tensor:
        """(b, 3, h, w) in [0, 1] -> (b, c, s/f, s/f) float32: one sample of the posterior, one random seed an image."""
        pixels = resize(images, self.image_size)
        noise = normal(seeds, "posterior", (self.channels, self.latent_size, self.latent_size)).to(self.device)

        def work(part: slice) -> torch.Tensor:
            mean, std = moments(self.pipe.vae, pixels[part].to(self.device))
            return (mean + std * noise[part]).float()

        latents, self.batch.encode = in_chunks(work, len(pixels), self.batch.encode, what=self._one())
        return scaled(self.pipe.vae, latents)

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
        """Noise to `strength`, then denoise under the prompts by the pipeline's own rules: (b, c, h, w) float32.

        `latents` None starts from pure noise. `noise` in place of strength: the share of the variance that is noise at
        the start.
        """
        _check_level(strength, noise)
        if latents is None:
            strength, noise = 1.0, None
        elif not self.running.starts_from_images:
            raise self._text_alone()
        if len(prompts) != len(seeds):
            raise ConfigError(f"one prompt an image: got {len(prompts)} prompts for {len(seeds)} images")
        said = prompts if isinstance(prompts, Conditioning) else self._checked(prompts)
        how = self._levels(strength, steps, noise, scheduler) if self.running.starts_from_images else {}
        clean = (
            torch.zeros(len(seeds), self.channels, self.latent_size, self.latent_size) if latents is None else latents
        )
        size = (self.latent_size, self.latent_size)

        def work(part: slice) -> torch.Tensor:
            self.pipe.scheduler = self._fresh(scheduler)
            rows = said.at(part) if isinstance(said, Conditioning) else said[part]
            image = clean[part].to(self.device) if self.running.starts_from_images else None
            asked = {**self.running.said(rows, negative, guidance_scale), **how}
            found = self.running(image, list(seeds[part]), self.image_size, steps=steps, **asked)
            return (unpacked(found, *size) if found.ndim == 3 else found.reshape(len(found), -1, *size)).float()

        at_once = 1 if self.running.is_stochastic else self.batch.diffuse
        out, at_once = in_chunks(work, len(seeds), at_once, what=self._one())
        self.batch.diffuse = self.batch.diffuse if self.running.is_stochastic else at_once
        return out

    def begins(
        self, *, strength: float, steps: int, noise: float | None = None, scheduler: str | None = None
    ) -> Beginning:
        """Where `diffuse` begins under these settings."""
        if not self.running.starts_from_images:
            raise self._text_alone()
        self._levels(strength, steps, noise, scheduler)
        is_pure = (strength if noise is None else noise) >= 1
        return self._found[strength, steps, noise, scheduler][1].describe(is_pure=is_pure)

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
        return vae_decode(self.pipe.vae, latents.to(self.device))

    def posterior(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(b, 3, s, s) in [0, 1] -> mean and deviation of the latents, as the denoiser expects them, (b, c, h, w)."""
        return vae_posterior(self.pipe.vae, pixels.to(self.device))

    def _fresh(self, name: str | None) -> Any:
        """A fresh scheduler (they keep state)."""
        return make_scheduler(name, self.running.scheduler)

    def _levels(self, strength: float, steps: int, noise: float | None, name: str | None) -> dict[str, Any]:
        """What the pipeline is called with to begin at a level; the start is found once, and kept."""
        key = (strength, steps, noise, name)
        if key not in self._found:
            how = {"strength": strength} if noise is None else self._below(noise, steps, name)
            self._found[key] = how, self._start(name, steps, how)
        return self._found[key][0]

    def _below(self, noise: float, steps: int, name: str | None) -> dict[str, Any]:
        """Levels of noise of our own, the first of which holds this share once the pipeline has shifted it."""
        fresh = self._fresh(name)
        if not (is_flow(fresh) and self.running.takes("sigmas")):
            raise ConfigError(
                f"{self.name} does not let one choose its levels of noise: give strength in place of noise"
            )
        wanted, first = sigma_of(noise), sigma_of(noise)
        for _ in range(TRIES):
            how = {"strength": 1.0, "sigmas": sigmas_from(first, steps)}
            found = sigma_of(self._start(name, steps, how).noise)
            if abs(found - wanted) < CLOSE:
                break
            first = min(1.0, odds_moved(first, wanted, found))
        return how

    def _start(self, name: str | None, steps: int, how: dict[str, Any]) -> Start:
        fresh = self._fresh(name)
        blank = torch.zeros(1, self.channels, self.latent_size, self.latent_size, device=self.device)
        try:
            return self.running.find_start(fresh, blank, self.image_size, steps=steps, **how)
        except ConfigError as error:
            raise ConfigError(
                f"strength {how['strength']:g} of {steps} steps leaves no denoising step of {self.name}: raise one "
                f"of them, or give --noise (the share of noise to start with) in place of strength ({error})"
            ) from error

    def _checked(self, prompts: Sequence[str]) -> list[str]:
        """Prompts with the tokens of learned words in their place; one longer than the context is refused, not cut."""
        worded = self._worded(prompts)
        for prompt in dict.fromkeys(worded):
            size = self.running.count_tokens(prompt)
            if size > self.context_length:
                raise ConfigError(f"prompt must be at most {self.context_length} tokens, got {size}: {prompt!r}")
        return worded

    def _worded(self, prompts: Sequence[str]) -> list[str]:
        out = list(prompts)
        for word, tokens in (self.adaptation.words if self.adaptation else {}).items():
            out = [prompt.replace(word, tokens) for prompt in out]
        return out

    def _text_alone(self) -> ConfigError:
        return ConfigError(
            f"{self.name} ({type(self.pipe).__name__}) draws from text alone: use method prompt, or a "
            "prior that starts from images"
        )

    def _one(self) -> str:
        return f"one image of {self.image_size} px in {self.name} on {self.device}"


def _check_level(strength: float, noise: float | None) -> None:
    """ConfigError for a level outside (0, 1]."""
    word, value = ("strength", strength) if noise is None else ("noise", noise)
    if not 0 < value <= 1:
        raise ConfigError(f"{word} must be in (0, 1], got {value:g}")
