"""The two open unCLIP decoders behind one verb: SD 2.1 unCLIP (latent diffusion), Karlo (pixel diffusion at 64 px).

Karlo's super-resolution is left out: GIF trains on the 64 px images (appendix D.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Protocol

import torch
from torch.nn import functional

from imaginate.models.priors.sampling import denoise, guide_free
from imaginate.models.priors.text import TextEncoders, token_ids
from imaginate.ops.noise import normal


class Decoder(Protocol):
    """Embeddings and starting noise -> images."""

    unet: Any
    scheduler: Any
    image_size: int
    latent_shape: tuple[int, int, int]

    def __init__(self, pipe: Any, device: str) -> None: ...

    def generate(
        self,
        embeddings: torch.Tensor,
        noise: torch.Tensor,
        loop: Any,
        timesteps: torch.Tensor,
        arguments: dict[str, Any],
        scale: float,
        seeds: Sequence[int],
    ) -> torch.Tensor:
        """(b, dim) and (b, *latent_shape) -> (b, 3, s, s) in [0, 1]."""
        ...


class StableDecoder:
    """SD 2.1 unCLIP: the embedding, normalised and lightly noised, joins the time embedding of a latent UNet."""

    def __init__(self, pipe: Any, device: str) -> None:
        self.pipe, self.device = pipe, device
        self.unet, self.vae, self.scheduler = pipe.unet, pipe.vae, pipe.scheduler
        for module in (self.unet, self.vae):
            module.to(memory_format=torch.channels_last)
        self.text = TextEncoders(pipe, device)
        size = int(self.unet.config.sample_size)
        self.latent_shape = (int(self.vae.config.latent_channels), size, size)
        self.image_size = size * 2 ** (len(self.vae.config.block_out_channels) - 1)

    def generate(
        self,
        embeddings: torch.Tensor,
        noise: torch.Tensor,
        loop: Any,
        timesteps: torch.Tensor,
        arguments: dict[str, Any],
        scale: float,
        seeds: Sequence[int],
    ) -> torch.Tensor:
        """Denoise latents under (embedding, noise level 0) and an empty prompt, decode them."""
        labels = self._labels(embeddings, seeds)
        hidden = self.text.encode([""]).hidden.expand(len(embeddings), -1, -1)
        both = scale > 1
        if both:  # unconditional: no embedding and no level, zeros (as the model was trained)
            labels, hidden = torch.cat([torch.zeros_like(labels), labels]), torch.cat([hidden, hidden])
        labels, hidden = labels.to(self.unet.dtype), hidden.to(self.unet.dtype)

        def predict(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            x = (torch.cat([x, x]) if both else x).to(self.unet.dtype)
            out: torch.Tensor = self.unet(x, t, encoder_hidden_states=hidden, class_labels=labels).sample.float()
            return guide_free(out, scale) if both else out

        latents = denoise(loop, timesteps, noise, predict, arguments) / self.vae.config.scaling_factor
        pixels: torch.Tensor = self.vae.decode(latents.to(self.vae.dtype), return_dict=False)[0].float()
        return (pixels / 2 + 0.5).clamp(0, 1)

    def _labels(self, embeddings: torch.Tensor, seeds: Sequence[int]) -> torch.Tensor:
        """(b, dim) -> (b, 2 dim): the embedding at level 0 of the noising schedule, and that level, embedded."""
        from diffusers.models.embeddings import get_timestep_embedding

        dim = embeddings.shape[1]
        level = torch.zeros(len(embeddings), dtype=torch.int64, device=self.device)
        mean, std = (getattr(self.pipe.image_normalizer, name).float() for name in ("mean", "std"))
        noise = normal(seeds, "embedding", (dim,)).to(self.device)
        noisy = self.pipe.image_noising_scheduler.add_noise((embeddings - mean) / std, noise, level)
        embedded = get_timestep_embedding(level, dim, flip_sin_to_cos=True, downscale_freq_shift=0)
        return torch.cat([noisy * std + mean, embedded.to(noisy)], dim=1)


class KarloDecoder:
    """Karlo image variations: text projection and embedding tokens condition a pixel UNet of 64 px."""

    def __init__(self, pipe: Any, device: str) -> None:
        self.pipe, self.device = pipe, device
        self.unet, self.scheduler = pipe.decoder, pipe.decoder_scheduler
        self.image_size = int(self.unet.config.sample_size)
        self.latent_shape = (int(self.unet.config.in_channels), self.image_size, self.image_size)

    def generate(
        self,
        embeddings: torch.Tensor,
        noise: torch.Tensor,
        loop: Any,
        timesteps: torch.Tensor,
        arguments: dict[str, Any],
        scale: float,
        seeds: Sequence[int],
    ) -> torch.Tensor:
        """Denoise pixels under the embedding and an empty prompt; guidance leaves the learned variance alone."""
        both, channels = scale > 1, self.latent_shape[0]
        hidden, added, mask = self._condition(embeddings, both)

        def predict(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            x = (torch.cat([x, x]) if both else x).to(self.unet.dtype)
            out: torch.Tensor = self.unet(
                x, t, encoder_hidden_states=hidden, class_labels=added, attention_mask=mask
            ).sample.float()
            if not both:
                return out
            variance = out.chunk(2)[1][:, channels:]
            return torch.cat([guide_free(out[:, :channels], scale), variance], dim=1)

        pixels = denoise(loop, timesteps, noise, predict, arguments)
        return (pixels.clamp(-1, 1) + 1) / 2

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


def karlo_parts(place: str, **settings: Any) -> SimpleNamespace:
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

    plain: dict[str, Any] = {
        "tokenizer": CLIPTokenizer,
        "feature_extractor": CLIPImageProcessor,
        "decoder_scheduler": UnCLIPScheduler,
    }
    weighty: dict[str, Any] = {
        "decoder": UNet2DConditionModel,
        "text_proj": UnCLIPTextProjModel,
        "text_encoder": CLIPTextModelWithProjection,
        "image_encoder": CLIPVisionModelWithProjection,
    }
    parts = {name: cls.from_pretrained(place, subfolder=name) for name, cls in plain.items()}
    parts |= {name: cls.from_pretrained(place, subfolder=name, **settings) for name, cls in weighty.items()}
    return SimpleNamespace(**parts)
