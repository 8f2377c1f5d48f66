"""nano-mae: a ViTMAE at 64 px whose decoder also repaints what it sees.

Masked autoencoding (He et al., 2022) with three differences that the prior needs, since GIF decodes an unmasked,
perturbed image. The share of masked patches is drawn per step from 0 to 75 %, and the loss covers visible patches too
(weight 1/2). Pixels are not normalised per patch, so that nothing has to be put back. And neighbours must meet: where
nothing is masked, the latents are also perturbed as GIF does (Zhang et al., 2023, eq. 1), and the step over each
border between patches must stay that of the image. Without it every patch changes for itself, and a grid appears.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from imaginate.nano.training import common, data

PRESETS = {
    "cpu": common.Plan(steps=1200, batch=128, lr=1e-3, muon_lr=0.02, warmup=50, ema=0.99),
    "cuda": common.Plan(steps=6000, batch=512, lr=1e-3, muon_lr=0.02, warmup=100, ema=0.998),
}
RATIOS = (0.0, 0.0, 0.25, 0.5, 0.75)
PATCH = 8
REACH = 0.8  # radius of the largest perturbation, gif-mae's own
SEAMS = 1.0  # weight of the steps over borders
MEAN, STD = (0.48, 0.448, 0.398), (0.277, 0.269, 0.282)  # of Tiny-ImageNet's train images


def build(width: int = 256, depth: int = 6, decoder_width: int = 192, decoder_depth: int = 3) -> Any:
    """A fresh ViTMAE: 64 patches of 8 x 8."""
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    config = ViTMAEConfig(
        image_size=data.SIZE,
        patch_size=PATCH,
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=width // 64,
        intermediate_size=4 * width,
        decoder_hidden_size=decoder_width,
        decoder_num_hidden_layers=decoder_depth,
        decoder_num_attention_heads=decoder_width // 48,
        decoder_intermediate_size=4 * decoder_width,
        mask_ratio=0.75,
        norm_pix_loss=False,
    )
    config._attn_implementation = "eager"  # twice as fast to train as the CPU's fused kernel in bfloat16
    return ViTMAEForPreTraining(config)


def objective(model: Any, x: Tensor, ratio: float, noise: Tensor) -> Tensor:
    """Squared error, masked patches at weight 1 and visible ones at 1/2: x (b, 3, 64, 64), normalised."""
    model.vit.embeddings.config.mask_ratio = ratio
    latent = model.vit(x, noise=noise)
    pixels = model.decoder(latent.last_hidden_state, latent.ids_restore).logits.float()
    error = (pixels - model.patchify(x)).square().mean(-1)  # (b, patches)
    weight = 0.5 + 0.5 * latent.mask
    loss: Tensor = (error * weight).sum() / weight.sum()
    loss = loss + SEAMS * seams(model.unpatchify(pixels), x)
    return loss if ratio else loss + SEAMS * seams(perturbed(model, latent), x)


def perturbed(model: Any, latent: Any) -> Tensor:
    """Images (b, 3, 64, 64), normalised, of latents that were moved within a ball of random radius."""
    f = latent.last_hidden_state
    shape = (len(f), 1, f.shape[-1])
    z, b = torch.rand(shape, device=f.device), torch.randn(shape, device=f.device)
    moved = move(f, z, b, REACH * torch.rand(len(f), 1, 1, device=f.device))
    return model.unpatchify(model.decoder(moved, latent.ids_restore).logits.float())  # type: ignore[no-any-return]


def move(f: Tensor, z: Tensor, b: Tensor, radius: Tensor) -> Tensor:
    """Latents f (b, tokens, width) moved by (1 + z) f + b within a ball, channel by channel (GIF, eq. 1 and 2)."""
    return f + (z * f + b).clamp(-radius, radius)


def seams(painted: Tensor, x: Tensor) -> Tensor:
    """Mean squared error of the steps over the borders between patches; both (b, 3, h, w)."""
    error = painted - x
    across = error[..., PATCH::PATCH] - error[..., PATCH - 1 : -1 : PATCH]
    down = error[..., PATCH::PATCH, :] - error[..., PATCH - 1 : -1 : PATCH, :]
    return (across.square().mean() + down.square().mean()) / 2


def normalise(x: Tensor) -> Tensor:
    """[0, 1] -> zero mean, unit deviation per channel of Tiny-ImageNet."""
    mean, std = (torch.tensor(v, device=x.device).view(1, 3, 1, 1) for v in (MEAN, STD))
    return (x - mean) / std


def train(root: Path, out: Path, plan: common.Plan, device: str) -> None:
    """Train and save in transformers' format, with the image processor."""
    torch.manual_seed(plan.seed)
    images = data.load(root, "train").on(device)
    model = build().to(device)

    def loss(step: int, share: float) -> Tensor:
        rng = common.generator(plan.seed, step)
        x, _ = images.batch(data.picks_of_step(len(images), plan.batch, plan.seed, step))
        if step % 2:
            x = x.flip(-1)
        ratio = RATIOS[int(torch.randint(len(RATIOS), (), generator=rng))]
        noise = torch.rand(len(x), 64, generator=rng).to(device)
        return objective(model, normalise(x), ratio, noise)

    ema = common.fit(model, loss, plan, out)
    common.averaged(model, ema)
    save(model, out / "mae")
    common.write_json(out / "plan.json", common.describe(plan))


def save(model: Any, folder: Path) -> None:
    """Half-precision safetensors and the processor that scales an image as in training."""
    from transformers import ViTImageProcessor

    model.config.mask_ratio = 0.75
    model.half().save_pretrained(folder)
    ViTImageProcessor(
        size={"height": data.SIZE, "width": data.SIZE}, image_mean=list(MEAN), image_std=list(STD)
    ).save_pretrained(folder)
