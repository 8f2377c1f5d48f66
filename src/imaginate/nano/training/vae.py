"""The autoencoder of nano-sd: diffusers' AutoencoderKL, 64 px <-> 16 x 8 x 8.

Latent diffusion (Rombach et al., 2022, section 3.1): a KL-regularised autoencoder with a very small KL weight and a
perceptual loss. In place of the adversarial loss, which needs a second network to be trained, stands an L1 loss on the
gradients of the image, which keeps edges. 16 channels instead of 4, because at 64 px a latent position stands for
8 x 8 pixels of a dense image.

It starts as the principal components of patches. The encoder stops learning after `ENCODER_SHARE` of the training, so
that nano-sd can be trained on its latents while the decoder goes on.
"""

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from imaginate.nano.training import common, data, perceptual
from imaginate.nano.training.linear_start import principal

PRESETS = {
    "cpu": common.Plan(steps=3000, batch=32, lr=1e-3, weight_decay=0.01, warmup=60, ema=0.99),
    "cuda": common.Plan(steps=6000, batch=128, lr=1e-3, weight_decay=0.01, warmup=100, ema=0.995),
}
CHANNELS = 16
KL = 1e-5
EDGES, LOOK = 0.5, 0.3  # weights of the L1 loss on gradients and of the perceptual loss
ENCODER_SHARE = 0.5


def build(widths: tuple[int, ...] = (24, 48, 96, 160), groups: int = 1) -> Any:
    """A fresh autoencoder: narrow where the image is large, wide where it is 8 x 8."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        sample_size=data.SIZE,
        latent_channels=CHANNELS,
        block_out_channels=widths,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        layers_per_block=1,
        norm_num_groups=groups,
        mid_block_add_attention=False,
    )


def objective(vae: Any, x: Tensor, look: perceptual.Distance | None = None) -> Tensor:
    """L1 and squared error on pixels + L1 on finite differences + perceptual distance + KL: x (b, 3, 64, 64) in
    [-1, 1]."""
    posterior = vae.encode(x).latent_dist
    out: Tensor = vae.decode(posterior.sample()).sample.float()
    error = out - x
    edges = (error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()) / 2
    loss: Tensor = error.abs().mean() + 0.5 * error.square().mean() + EDGES * edges
    if look:
        loss = loss + LOOK * look(out, x)
    kl: Tensor = posterior.kl().float().mean()
    return loss + KL * kl


def train(root: Path, out: Path, plan: common.Plan, device: str) -> None:
    """Train, measure the latents' scale on train images, save in diffusers' format."""
    torch.manual_seed(plan.seed)
    images = data.load(root, "train").on(device)
    vae, look = build(), perceptual.load(device)
    x, _ = images.batch(data.picks_of_step(len(images), 512, 1, 1))
    principal(vae, x.cpu() * 2 - 1)
    vae = vae.to(device, memory_format=torch.channels_last)

    def before(share: float, ema: common.Ema) -> None:
        if share >= ENCODER_SHARE and freeze_encoder(vae, ema):
            vae.register_to_config(scaling_factor=latent_scale(vae, images, device))
            save(copy.deepcopy(vae), out / "encoder-final")  # what nano-sd needs; its decoder is not final

    def loss(step: int, share: float) -> Tensor:
        x, _ = images.batch(data.picks_of_step(len(images), plan.batch, plan.seed, step))
        if step % 2:
            x = x.flip(-1)
        return objective(vae, (x * 2 - 1).to(memory_format=torch.channels_last), look)

    ema = common.fit(vae, loss, plan, out, before=before)
    before(1.0, ema)  # where the clock left no step after the encoder's end
    save(common.averaged(vae, ema), out / "vae")
    common.write_json(out / "plan.json", common.describe(plan, scaling_factor=vae.config.scaling_factor))


def freeze_encoder(vae: Any, ema: common.Ema) -> bool:
    """Stop the encoder at its averaged weights; True the first time."""
    parts = (vae.encoder, vae.quant_conv)
    if not any(p.requires_grad for part in parts for p in part.parameters()):
        return False
    kept = {k: v for k, v in ema.shadow.items() if k.startswith(("encoder.", "quant_conv."))}
    vae.load_state_dict(kept, strict=False)
    for part in parts:
        part.requires_grad_(False)
    return True


def save(vae: Any, folder: Path) -> None:
    """Half-precision safetensors in diffusers' format."""
    vae.to(memory_format=torch.contiguous_format).half().save_pretrained(folder)


@torch.no_grad()
def latent_scale(vae: nn.Module, images: data.Images, device: str, count: int = 1024) -> float:
    """One over the deviation of the posterior's samples, so that the diffusion sees unit variance."""
    x, _ = images.batch(data.picks_of_step(len(images), count, 1, 0))
    parts = [part.to(device, memory_format=torch.channels_last) * 2 - 1 for part in x.split(128)]
    draws = [vae.encode(part).latent_dist.sample(common.generator(0, 0, device)) for part in parts]  # type: ignore[operator]
    return round(1 / float(torch.cat(draws).float().std()), 4)
