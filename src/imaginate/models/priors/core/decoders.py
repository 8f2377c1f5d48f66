"""The two open unCLIP decoders behind one verb: SD 2.1 unCLIP (latent diffusion), Karlo (pixel diffusion at 64 px).

Karlo's super-resolution is left out: GIF trains on the 64 px images (appendix D.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch.nn import functional

from imaginate.models.checkpoints import dtype_argument
from imaginate.models.priors.core.codec import vae_decode, vae_posterior
from imaginate.models.priors.core.sampling import Predict, free_guided, unguided
from imaginate.models.priors.core.schedulers import LATENT, PIXEL, Family
from imaginate.models.priors.core.text import TextEncoders, token_ids
from imaginate.ops.noise import normal


class Decoder(Protocol):
    """Embeddings and noise -> images, by a diffusion in latents or in pixels."""

    unet: Any
    scheduler: Any
    image_size: int
    latent_shape: tuple[int, int, int]
    part: str  # the name of the denoiser in the pipeline
    noise: Family  # what its schedulers do where its own has no word for it

    def __init__(self, pipe: Any, device: str) -> None: ...

    def predictor(self, embeddings: torch.Tensor, scale: float, seeds: Sequence[int]) -> Predict:
        """The denoiser's prediction under embeddings (b, dim) and an empty prompt, guided by `scale`."""
        ...

    def to_images(self, latents: torch.Tensor) -> torch.Tensor:
        """(b, *latent_shape) -> (b, 3, s, s) in [0, 1]."""
        ...

    def posterior(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(b, 3, s, s) in [0, 1] -> mean and deviation of the latents, as the denoiser expects them."""
        ...

    def arguments(self, embeddings: torch.Tensor, dropped: torch.Tensor, seeds: Sequence[int]) -> dict[str, Any]:
        """What the denoiser is called with in training; dropped rows (b,) get what it knows as unconditional."""
        ...


class StableDecoder:
    """SD 2.1 unCLIP: the embedding, normalised and lightly noised, joins the time embedding of a latent UNet."""

    part = "unet"
    noise = LATENT

    def __init__(self, pipe: Any, device: str) -> None:
        self.pipe, self.device = pipe, device
        self.unet, self.vae, self.scheduler = pipe.unet, pipe.vae, pipe.scheduler
        for module in (self.unet, self.vae):
            module.to(memory_format=torch.channels_last)
        self.text = TextEncoders(pipe, device)
        size = int(self.unet.config.sample_size)
        self.latent_shape = (int(self.vae.config.latent_channels), size, size)
        self.image_size = size * 2 ** (len(self.vae.config.block_out_channels) - 1)

    def predictor(self, embeddings: torch.Tensor, scale: float, seeds: Sequence[int]) -> Predict:
        """Under (embedding, noise level 0) and an empty prompt."""
        labels = self._labels(embeddings, seeds)
        hidden = self._empty(len(embeddings))
        if scale > 1:  # unconditional: no embedding and no level, zeros (as the model was trained)
            labels, hidden = torch.cat([torch.zeros_like(labels), labels]), torch.cat([hidden, hidden])
        dtype = self.unet.dtype
        labels, hidden = labels.to(dtype), hidden.to(dtype)

        def network(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.unet(x, t, encoder_hidden_states=hidden, class_labels=labels).sample
            return out

        return free_guided(network, scale, dtype) if scale > 1 else unguided(network, dtype)

    def to_images(self, latents: torch.Tensor) -> torch.Tensor:
        """Decoded by the VAE."""
        return vae_decode(self.vae, latents)

    def posterior(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of the VAE."""
        return vae_posterior(self.vae, pixels.to(self.device))

    def arguments(self, embeddings: torch.Tensor, dropped: torch.Tensor, seeds: Sequence[int]) -> dict[str, Any]:
        """Zeros stand for no embedding."""
        labels, dtype = self._labels(embeddings, seeds).masked_fill(dropped[:, None], 0), self.unet.dtype
        return {"encoder_hidden_states": self._empty(len(embeddings)).to(dtype), "class_labels": labels.to(dtype)}

    def _empty(self, count: int) -> torch.Tensor:
        return self.text.encode([""]).hidden.expand(count, -1, -1)

    def _labels(self, embeddings: torch.Tensor, seeds: Sequence[int]) -> torch.Tensor:
        """(b, dim) -> (b, 2 dim): the embedding at level 0 of the noising schedule, and that level, embedded."""
        from diffusers.models.embeddings import get_timestep_embedding

        dim = embeddings.shape[1]
        level = torch.zeros(len(embeddings), dtype=torch.int64, device=self.device)
        mean, std = self.pipe.image_normalizer.mean.float(), self.pipe.image_normalizer.std.float()
        noise = normal(seeds, "embedding", (dim,)).to(self.device)
        noisy = self.pipe.image_noising_scheduler.add_noise((embeddings - mean) / std, noise, level)
        embedded = get_timestep_embedding(level, dim, flip_sin_to_cos=True, downscale_freq_shift=0)
        return torch.cat([noisy * std + mean, embedded.to(noisy)], dim=1)


class KarloDecoder:
    """Karlo image variations: text projection and embedding tokens condition a pixel UNet of 64 px."""

    part = "decoder"
    noise = PIXEL

    def __init__(self, pipe: Any, device: str) -> None:
        self.pipe, self.device = pipe, device
        self.unet, self.scheduler = pipe.decoder, pipe.decoder_scheduler
        self.image_size = int(self.unet.config.sample_size)
        self.latent_shape = (int(self.unet.config.in_channels), self.image_size, self.image_size)

    def predictor(self, embeddings: torch.Tensor, scale: float, seeds: Sequence[int]) -> Predict:
        """Under the embedding and an empty prompt; guidance leaves the learned variance alone."""
        hidden, added, mask = self._condition(embeddings, scale > 1)

        def network(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.unet(
                x, t, encoder_hidden_states=hidden, class_labels=added, attention_mask=mask
            ).sample
            return out

        if scale > 1:
            return free_guided(network, scale, self.unet.dtype, channels=self.latent_shape[0])
        return unguided(network, self.unet.dtype)

    def to_images(self, latents: torch.Tensor) -> torch.Tensor:
        """The diffusion is in pixels already."""
        return (latents.clamp(-1, 1) + 1) / 2

    def posterior(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """There is no encoder: the mean is the image in [-1, 1], the deviation zero."""
        mean = (pixels.to(self.device) * 2 - 1).float()
        return mean, torch.zeros_like(mean)

    def arguments(self, embeddings: torch.Tensor, dropped: torch.Tensor, seeds: Sequence[int]) -> dict[str, Any]:
        """The learnt "no embedding" comes first where guidance is asked for."""
        hidden, added, mask = self._condition(embeddings, False)
        if bool(dropped.any()):
            both_hidden, both_added, _ = self._condition(embeddings, True)
            none = len(embeddings)
            hidden = torch.where(dropped[:, None, None], both_hidden[:none], hidden)
            added = torch.where(dropped[:, None], both_added[:none], added)
        return {"encoder_hidden_states": hidden, "class_labels": added, "attention_mask": mask}

    def _condition(self, embeddings: torch.Tensor, both: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        pipe, count = self.pipe, len(embeddings) * (2 if both else 1)
        tokens = pipe.tokenizer
        text = pipe.text_encoder(token_ids(tokens, "").to(self.device))
        mask = tokens("", padding="max_length", max_length=tokens.model_max_length, return_tensors="pt").attention_mask
        hidden, added = pipe.text_proj(
            image_embeddings=embeddings.to(self.unet.dtype),
            prompt_embeds=text.text_embeds.expand(count, -1),
            text_encoder_hidden_states=text.last_hidden_state.expand(count, -1, -1),
            do_classifier_free_guidance=both,
        )
        extra = int(pipe.text_proj.config.clip_extra_context_tokens)
        mask = functional.pad(mask.bool().to(self.device), (extra, 0), value=True)
        return hidden, added, mask.expand(count, -1)


@dataclass
class KarloParts:
    """The parts of a Karlo checkpoint by the names that its pipeline gives them."""

    tokenizer: Any
    feature_extractor: Any
    decoder_scheduler: Any
    decoder: Any
    text_proj: Any
    text_encoder: Any
    image_encoder: Any

    @property
    def components(self) -> dict[str, Any]:
        """All parts by name."""
        return dict(vars(self))


def karlo_parts(place: str, dtype: torch.dtype, where: Mapping[str, str]) -> KarloParts:
    """The parts of a Karlo checkpoint, read one by one: diffusers no longer finds all of them by name, and two of
    them (super-resolution) are not wanted."""
    from diffusers import UnCLIPScheduler, UNet2DConditionModel
    from diffusers.pipelines.deprecated.unclip.text_proj import UnCLIPTextProjModel
    from transformers import (
        CLIPImageProcessor,
        CLIPTextModelWithProjection,
        CLIPTokenizer,
        CLIPVisionModelWithProjection,
    )

    def network(cls: Any, name: str) -> Any:
        return cls.from_pretrained(place, subfolder=name, use_safetensors=True, **dtype_argument(dtype), **where)

    def part(cls: Any, name: str) -> Any:
        return cls.from_pretrained(place, subfolder=name, **where)

    return KarloParts(
        tokenizer=part(CLIPTokenizer, "tokenizer"),
        feature_extractor=part(CLIPImageProcessor, "feature_extractor"),
        decoder_scheduler=part(UnCLIPScheduler, "decoder_scheduler"),
        decoder=network(UNet2DConditionModel, "decoder"),
        text_proj=network(UnCLIPTextProjModel, "text_proj"),
        text_encoder=network(CLIPTextModelWithProjection, "text_encoder"),
        image_encoder=network(CLIPVisionModelWithProjection, "image_encoder"),
    )
