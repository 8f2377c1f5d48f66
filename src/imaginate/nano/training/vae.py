"""The autoencoder of nano-sd: diffusers' AutoencoderKL, 64 px <-> 16 x 8 x 8, trained on pixels alone.

Latent diffusion (Rombach et al., 2022, section 3.1): a KL-regularised autoencoder with a very small KL weight. Left
out: the adversarial and the perceptual loss, which need a second or a pretrained network; in their place an L1 loss
on pixels and on the gradients of the image, which keeps edges. 16 channels instead of 4, because at 64 px a latent
position stands for 8 x 8 pixels of a dense image.

Most of such a network's time goes into residual branches at 64 and 32 px that do little. Their last convolution is
zero here and stays so: training skips them, and diffusers computes the same function with them. The encoder stops
learning after `ENCODER_SHARE` of the steps (on a CPU at once: it stays the principal components that it starts from),
so that nano-sd can be trained on its latents while the decoder goes on.
"""

import contextlib
import copy
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from imaginate.nano.training import common, data
from imaginate.nano.training.linear_start import principal

PRESETS = {
    "cpu": common.Plan(steps=800, batch=24, lr=2e-3, weight_decay=0.01, warmup=40, ema=0.99),
    "cuda": common.Plan(steps=12000, batch=256, lr=1e-3, weight_decay=0.01, warmup=300, ema=0.999),
}
CHANNELS = 16
KL = 1e-5
ENCODER_SHARE = {"cpu": 0.0, "cuda": 0.5}


def build(widths: tuple[int, ...] = (16, 32, 96, 160), groups: int = 1) -> Any:
    """A fresh autoencoder: narrow where the image is large, wide where it is 8 x 8."""
    from diffusers import AutoencoderKL

    vae = AutoencoderKL(
        sample_size=data.SIZE,
        latent_channels=CHANNELS,
        block_out_channels=widths,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        layers_per_block=1,
        norm_num_groups=groups,
        mid_block_add_attention=False,
    )
    for block in silent_blocks(vae):
        for part in (block.norm1, block.conv1, block.norm2, block.conv2):
            part.requires_grad_(False)
        nn.init.zeros_(block.conv2.weight)
        nn.init.zeros_(block.conv2.bias)
    return vae


def _shortcut(block: Any, x: Tensor, temb: Tensor | None = None) -> Tensor:
    """A residual block whose branch is zero."""
    out: Tensor = block.conv_shortcut(x) if block.conv_shortcut is not None else x
    return out


def silent_blocks(vae: Any) -> list[Any]:
    """The residual blocks at 64 and 32 px whose branch is kept at zero."""
    down, up = vae.encoder.down_blocks, vae.decoder.up_blocks
    return [*down[0].resnets, *down[1].resnets, *up[-1].resnets, *up[-2].resnets]


@contextlib.contextmanager
def bypassed(vae: Any) -> Iterator[None]:
    """Run the silent blocks as the shortcuts that they are."""
    blocks = silent_blocks(vae)
    for block in blocks:
        block.forward = functools.partial(_shortcut, block)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward


def objective(vae: Any, x: Tensor) -> Tensor:
    """L1 on pixels + L1 on finite differences + KL: x (b, 3, 64, 64) in [-1, 1]."""
    posterior = vae.encode(x).latent_dist
    out = vae.decode(posterior.sample()).sample.float()
    error = out - x
    edges = (error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()) / 2
    kl = posterior.kl().float().mean()
    loss: Tensor = error.abs().mean() + 0.5 * error.square().mean() + 0.5 * edges + KL * kl
    return loss


def train(root: Path, out: Path, plan: common.Plan, device: str) -> None:
    """Train, measure the latents' scale on train images, save in diffusers' format."""
    torch.manual_seed(plan.seed)
    images = data.load(root, "train")
    vae = build()
    x, _ = images.batch(data.picks_of_step(len(images), 512, 1, 1))
    principal(vae, x * 2 - 1)
    vae = vae.to(device, memory_format=torch.channels_last)

    def before(step: int, ema: common.Ema) -> None:
        if step >= ENCODER_SHARE[device] * plan.steps and freeze_encoder(vae, ema):
            vae.register_to_config(scaling_factor=latent_scale(vae, images, device))
            save(copy.deepcopy(vae), out / "encoder-final")  # what nano-sd needs; its decoder is not final

    def loss(step: int) -> Tensor:
        x, _ = images.batch(data.picks_of_step(len(images), plan.batch, plan.seed, step))
        if step % 2:
            x = x.flip(-1)
        x = (x * 2 - 1).to(device, memory_format=torch.channels_last)
        return objective(vae, x)

    with bypassed(vae):
        ema = common.fit(vae, loss, plan, out, before=before)
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
    for block in silent_blocks(vae):
        vars(block).pop("forward", None)  # a copy made during training carries the shortcut
    vae.to(memory_format=torch.contiguous_format).half().save_pretrained(folder)


@torch.no_grad()
def latent_scale(vae: nn.Module, images: data.Images, device: str, count: int = 1024) -> float:
    """One over the deviation of the posterior's samples, so that the diffusion sees unit variance."""
    x, _ = images.batch(data.picks_of_step(len(images), count, 1, 0))
    parts = [part.to(device, memory_format=torch.channels_last) * 2 - 1 for part in x.split(128)]
    draws = [vae.encode(part).latent_dist.sample(torch.Generator().manual_seed(0)) for part in parts]  # type: ignore[operator]
    return round(1 / float(torch.cat(draws).float().std()), 4)
