"""The thing to beat: GIF-SD's released procedure, restated from its published facts, plainly and slowly.

One seed at a time, two copies at a time, float32, text encoded anew for every pair: resize, rotate and flip the seed;
VAE-encode a posterior sample; DDIM img2img under the pair's prompts with classifier-free guidance; perturb the clean
latent channel-wise; decode; one sign step of 0.1 on z and b up the score; project; decode; save. Written from the facts
of Zhang et al. 2023 (appendix D) and the settings of the released code, not from that code.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch.nn import functional as F
from torchvision.transforms import v2

DOMAINS = ["an image of", "a real-world photo of", "a cartoon image of", "an oil painting of", "a sketch of"]
MOODS = [
    "",
    "colorful",
    "stylized",
    "high-contrast",
    "low-contrast",
    "posterized",
    "solarized",
    "sheared",
    "bright",
    "dark",
]


def expand_one(
    image: torch.Tensor,
    name: str,
    parts: Any,
    guide: Any,
    copies: int,
    out: Path,
    *,
    strength: float,
    scale: float,
    steps: int,
    eps: float,
    on_saved: Callable[[], None] = lambda: None,
) -> None:
    """All copies of one seed image (3, h, w) uint8, saved as PNG files."""
    device = next(parts.unet.parameters()).device
    size = parts.unet.config.sample_size * 2 ** (len(parts.vae.config.block_out_channels) - 1)
    turn = v2.Compose([v2.RandomRotation(15), v2.RandomHorizontalFlip()])
    seed = F.interpolate(image[None].float() / 255, (size, size), mode="bilinear", antialias=True).to(device)
    for start in range(0, copies, 2):
        pair = min(2, copies - start)
        turned = torch.cat([turn(seed) for _ in range(pair)]) * 2 - 1
        prompts = [f"{random.choice(DOMAINS)} {random.choice(MOODS)} {name}" for _ in range(pair)]
        latents = img2img(turned, prompts, parts, strength, scale, steps)
        latents = guided(latents, seed, parts, guide, eps)
        with torch.no_grad():
            images = decode(latents, parts)
        for i, made in enumerate(images):
            array = (made.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
            Image.fromarray(array).save(out / f"{abs(hash((name, start + i, random.random())))}.png")
            on_saved()


@torch.no_grad()
def img2img(
    pixels: torch.Tensor, prompts: Sequence[str], parts: Any, strength: float, scale: float, steps: int
) -> torch.Tensor:
    """(b, 3, s, s) in [-1, 1] -> clean latents (b, c, h, w), DDIM, eta 0."""
    scheduler = type(parts.scheduler).from_config(parts.scheduler.config)
    scheduler.set_timesteps(steps, device=pixels.device)
    taken = int(strength * steps)
    timesteps = scheduler.timesteps[steps - taken :]
    latents = parts.vae.encode(pixels).latent_dist.sample() * parts.vae.config.scaling_factor
    latents = scheduler.add_noise(latents, torch.randn_like(latents), timesteps[:1])
    condition = conditions(prompts, parts)
    for t in timesteps:
        both = parts.unet(torch.cat([latents, latents]), t, **condition).sample
        conditional, unconditional = both.chunk(2)
        noise = unconditional + scale * (conditional - unconditional)
        latents = scheduler.step(noise, t, latents).prev_sample
    return latents


def conditions(prompts: Sequence[str], parts: Any) -> dict[str, Any]:
    """What the UNet is called with: the prompts, then as many empty ones. SDXL's takes the pooled text and the size."""
    rows = [*prompts, *[""] * len(prompts)]
    if parts.text_encoder_2 is None:
        return {"encoder_hidden_states": text(rows, parts.tokenizer, parts.text_encoder)[0]}
    first, _ = text(rows, parts.tokenizer, parts.text_encoder, layer=-2)
    second, pooled = text(rows, parts.tokenizer_2, parts.text_encoder_2, layer=-2)
    size = float(parts.unet.config.sample_size * 8)
    sizes = torch.tensor([[size, size, 0.0, 0.0, size, size]] * len(rows), device=first.device)
    added = {"text_embeds": pooled, "time_ids": sizes}
    return {"encoder_hidden_states": torch.cat([first, second], dim=-1), "added_cond_kwargs": added}


def text(prompts: Sequence[str], tokenizer: Any, encoder: Any, layer: int = -1) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompts -> (b, tokens, width) of the last layer, normed, or of another one; and the pooled text."""
    tokens = tokenizer(
        list(prompts),
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    )
    out = encoder(tokens.input_ids.to(encoder.device), output_hidden_states=layer != -1)
    return (out.last_hidden_state if layer == -1 else out.hidden_states[layer]), out[0]


def decode(latents: torch.Tensor, parts: Any) -> torch.Tensor:
    """(b, c, h, w) -> (b, 3, s, s) around [0, 1]."""
    pixels: torch.Tensor = parts.vae.decode(latents / parts.vae.config.scaling_factor).sample
    return pixels / 2 + 0.5


def guided(f: torch.Tensor, seed: torch.Tensor, parts: Any, guide: Any, eps: float) -> torch.Tensor:
    """One sign step of 0.1 on channel-wise z and b up the score, then the projection."""
    shape = (*f.shape[:2], 1, 1)
    z = torch.rand(shape, device=f.device, requires_grad=True)
    b = torch.randn(shape, device=f.device, requires_grad=True)
    images = decode((1 + z) * f + b, parts)
    features = guide.embed(images.clamp(0, 1))
    p = guide.logits(features).softmax(dim=1)
    with torch.no_grad():
        of_seed = guide.logits(guide.embed(seed)).softmax(dim=1)
    gain = (-(p * p.log()).sum(1)).mean() + (of_seed * of_seed.log()).sum()
    kept = p[0, of_seed.argmax()]
    soft = features.softmax(dim=1)
    apart = (soft * (soft / features.mean(0, keepdim=True).softmax(dim=1)).log()).sum(1).mean()
    dz, db = torch.autograd.grad(gain + kept + apart, (z, b))
    moved = (1 + z + 0.1 * dz.sign()) * f + b + 0.1 * db.sign()
    return (f + (moved - f).clamp(-eps, eps)).detach()
