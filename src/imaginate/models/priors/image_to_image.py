"""Any image-to-image pipeline of diffusers as a prior: SD3, FLUX.1, Z-Image, Qwen-Image, and what comes next.

The pipeline denoises by its own rules, from latents and to latents; images are encoded and decoded here, with
gradients, and every draw belongs to its image (one generator each). Latents are always (b, c, h, w): those that a
pipeline packs are unpacked. A pipeline that only draws from text serves the methods that start from a prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import torch

from imaginate.contract import Beginning
from imaginate.errors import ConfigError, ModelError
from imaginate.models.priors.core import memory
from imaginate.models.priors.core.codec import channels_of, unpacked
from imaginate.models.priors.core.flow import Start, is_flow, odds_moved, sigma_of, sigmas_from
from imaginate.models.priors.core.flow_path import FlowPath
from imaginate.models.priors.core.latents import InLatents, check_level, is_pure
from imaginate.models.priors.core.pipelines import check_parts, drive_of, is_stable_diffusion
from imaginate.models.priors.core.running import Pipeline
from imaginate.models.priors.core.schedulers import make_scheduler
from imaginate.models.priors.core.text import PARTS as TOKENIZERS
from imaginate.models.priors.core.text import TextEncoders, pool_at_end
from imaginate.models.priors.core.velocity import velocity_of
from imaginate.models.priors.core.whole import InParts, opened
from imaginate.ops.chunks import in_chunks
from imaginate.ops.conditioning import Conditioning
from imaginate.ops.inversion import Move, Prediction, descend, flow_step, invert, two_stages

Level = tuple[float, int, float | None, str | None]  # strength, steps, share of noise, scheduler
TRIES, CLOSE = 6, 1e-3  # how a start is found for a share of noise, and how near is near enough


class ImageToImage(InParts, InLatents):
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
        self._found: dict[Level, tuple[dict[str, Any], Start]] = {}  # how it is asked for, where it is
        self._place()
        self.batch = memory.Batches(self.image_size, device, dtype.itemsize)

    @classmethod
    def load(cls, spec: str, *, device: str = "cpu", dtype: str | None = None) -> Self:
        """From a diffusers folder or a hub id; safetensors only."""
        found = opened(spec, device=device, dtype=dtype)
        if is_stable_diffusion(found.index):
            raise ModelError(f"{spec} is a {found.index['_class_name']}: its family is stable-diffusion")
        check_parts(found.index, spec)
        drive = drive_of(found.index, spec)
        if drive.kind == "edit":
            raise ModelError(f"{spec} is a {found.index['_class_name']}, which edits by instruction: use method edit")
        return cls(found.load(drive.cls), name=spec, device=device, dtype=found.dtype)

    def _place(self) -> None:
        """Float32 for an autoencoder that needs it."""
        super()._place()
        if self.pipe.vae.config.get("force_upcast") and self.dtype == torch.float16:
            self.pipe.vae.to(torch.float32)

    @property
    def autoencoder(self) -> Any:
        """The autoencoder as it is now."""
        return self.pipe.vae

    @property
    def text(self) -> TextEncoders:
        """The text encoders to which words can be added."""
        return TextEncoders(self.pipe, self.device)

    def put_tokenizer(self, part: str, tokenizer: Any) -> None:
        """Another tokenizer for a text encoder."""
        setattr(self.pipe, TOKENIZERS[part], tokenizer)
        pool_at_end(self.text.parts[part][1], tokenizer)

    def load_adaptation(self, path: str) -> None:
        """A LoRA, parts or words, loaded into the pipeline, which then reads texts with new words to their end."""
        super().load_adaptation(path)
        for tokenizer, encoder in self.text.parts.values():
            pool_at_end(encoder, tokenizer)

    @property
    def denoiser_part(self) -> str:
        """Its name in the pipeline."""
        return "transformer" if "transformer" in self.networks() else "unet"

    @property
    def denoiser(self) -> Any:
        """The denoiser as it is now."""
        return self.networks()[self.denoiser_part]

    @denoiser.setter
    def denoiser(self, network: Any) -> None:
        self.put_network(self.denoiser_part, network)

    @property
    def noise_scheduler(self) -> Any:
        """The checkpoint's own."""
        return self.running.scheduler

    def learning(self, prompts: Sequence[str]) -> Conditioning:
        """n prompts -> n rows through text encoders that learn: gradients reach them."""
        return self.running.learning(prompts)

    def count_tokens(self, prompt: str) -> int:
        """The length of a prompt in tokens, of which `context_length` fit."""
        return self.running.count_tokens(self._worded([prompt])[0])

    def embed_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """n prompts -> n rows. ConfigError for a prompt longer than the context, or a pipeline that takes no rows."""
        return self.running.embed(self._checked(prompts))

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
        check_level(strength, noise)
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

    def check_invertible(self) -> None:
        """ConfigError for a pipeline whose path is not known both ways: flow matching of SD3 and FLUX.1 is."""
        velocity_of(self.denoiser, self.name, "inverted")
        self._path(2)

    @torch.no_grad()
    def invert(self, latents: torch.Tensor, prompts: Sequence[str], *, steps: int) -> torch.Tensor:
        """Clean latents -> pure noise along the straight steps of the pipeline's own levels, backwards."""
        return self._along(invert, latents, [prompts], 1.0, steps)

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
        return self._along(descend, noise, [prompts, then], guidance_scale, steps, first)

    def _along(
        self,
        go: Callable[[torch.Tensor, Sequence[float], Prediction, Move], torch.Tensor],
        latents: torch.Tensor,
        stages: Sequence[Sequence[str]],
        scale: float,
        steps: int,
        first: float = 1.0,
    ) -> torch.Tensor:
        ask, path = velocity_of(self.denoiser, self.name, "inverted"), self._path(steps)
        rows = [self._each(prompts) for prompts in stages]
        negative = self.embed_prompts([""]) if self.running.guides_by_pairs else None

        def work(part: slice) -> torch.Tensor:
            by = [path.velocity_by(ask, self.denoiser, row.at(part), negative, scale) for row in rows]
            predict = two_stages(by[0], by[-1], round(first * path.steps))
            return go(latents[part].to(self.device).float(), path.levels, predict, flow_step)

        out, self.batch.diffuse = in_chunks(work, len(latents), self.batch.diffuse, what=self._one())
        return out

    def _path(self, steps: int) -> FlowPath:
        """From pure noise."""
        self._levels(1.0, steps, None, None)
        return FlowPath.of(self._found[1.0, steps, None, None][1], self.name)

    def _each(self, prompts: Sequence[str]) -> Conditioning:
        """The rows of n prompts; one that is there again is read once."""
        unique = list(dict.fromkeys(prompts))
        return self.embed_prompts(unique).at([unique.index(prompt) for prompt in prompts])

    def begins(
        self, *, strength: float, steps: int, noise: float | None = None, scheduler: str | None = None
    ) -> Beginning:
        """Where `diffuse` begins under these settings."""
        if not self.running.starts_from_images:
            raise self._text_alone()
        self._levels(strength, steps, noise, scheduler)
        return self._found[strength, steps, noise, scheduler][1].describe(is_pure=is_pure(strength, noise))

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
        read = list(prompts) if self.running.puts_words else worded
        for prompt in dict.fromkeys(worded):
            size = self.running.count_tokens(prompt)
            if size > self.context_length:
                raise ConfigError(f"prompt must be at most {self.context_length} tokens, got {size}: {prompt!r}")
        return read

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
