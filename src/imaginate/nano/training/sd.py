"""nano-sd: latent diffusion on nano-clip's text tower, saved in the layout of StableDiffusionPipeline.

Latent diffusion (Rombach et al., 2022, section 3.3) with v-prediction (Salimans and Ho, 2022), min-SNR weights
(Hang et al., 2023, eq. 5 with gamma 5, for v) and 10 % empty captions for classifier-free guidance (Ho and Salimans,
2022). The noise schedule is Stable Diffusion's, so strengths mean the same. Latents are encoded once, mirrored ones
too.

`--out RUNS/sd` reads RUNS/vae/vae and RUNS/clip/clip, or what those runs left when encoder and text tower were final.
"""

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.errors import ModelError
from imaginate.nano.training import captions, common, data
from imaginate.nano.training.vae import CHANNELS

PRESETS = {
    "cpu": common.Plan(steps=8000, batch=64, lr=8e-4, weight_decay=0.01, warmup=100, ema=0.999),
    "cuda": common.Plan(steps=14000, batch=1024, lr=8e-4, weight_decay=0.01, warmup=300, ema=0.9995),
}
EMPTY = 0.1  # share of captions dropped
LENGTH = 32  # tokens of a prompt: attending to CLIP's 77 would cost a third more
TABLE = 12  # captions of a class that are encoded once
GAMMA = 5.0
WIDTHS = (128, 192)
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}


def build_unet(channels: int, text_width: int, widths: tuple[int, ...] = WIDTHS, classes: int | None = None) -> Any:
    """A fresh UNet over 8 x 8 latents, cross-attention at both levels; `classes`: width of a projected embedding."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=8,
        in_channels=channels,
        out_channels=channels,
        block_out_channels=widths,
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",) * len(widths),
        up_block_types=("CrossAttnUpBlock2D",) * len(widths),
        cross_attention_dim=text_width,
        attention_head_dim=4,  # number of heads, in this model's naming
        use_linear_projection=True,
        class_embed_type="projection" if classes else None,
        projection_class_embeddings_input_dim=classes,
    )


def ready(unet: Any, device: str) -> tuple[Any, Any]:
    """(the network on the device, how to call it): plain attention on a CPU, where it is twice as fast as the fused
    kernel in bfloat16; compiled on a GPU."""
    from diffusers.models.attention_processor import AttnProcessor

    unet.to(device, memory_format=torch.channels_last)
    if device == "cpu":
        unet.set_attn_processor(AttnProcessor())
        return unet, unet
    return unet, torch.compile(unet)


def text_parts(runs: Path, device: str, wait: float = 0.0) -> tuple[Any, Any]:
    """(text encoder, tokenizer) of nano-clip's training, frozen."""
    from transformers import CLIPTextModel, CLIPTokenizer

    folder = wait_for(wait, runs / "clip" / "clip", runs / "clip" / "text-final")
    encoder: Any = CLIPTextModel.from_pretrained(folder, dtype=torch.float32)
    tok = CLIPTokenizer.from_pretrained(folder, model_max_length=LENGTH)
    return encoder.requires_grad_(False).eval().to(device), tok


def autoencoder(runs: Path, device: str, wait: float = 0.0) -> Any:
    """The autoencoder of its own training, frozen; its decoder may not be final yet."""
    from diffusers import AutoencoderKL

    folder = wait_for(wait, runs / "vae" / "vae", runs / "vae" / "encoder-final")
    vae: Any = AutoencoderKL.from_pretrained(folder, torch_dtype=torch.float32)
    return vae.requires_grad_(False).eval().to(device)


def wait_for(seconds: float, *folders: Path) -> Path:
    """The first finished one of the folders, after at most so many seconds in which another process may finish it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not any(map(common.is_finished, folders)):
        time.sleep(0.5)
    return finished(*folders)


def finished(*folders: Path) -> Path:
    """The first of the folders that holds a model: the finished one, else the one whose needed part is finished."""
    for folder in folders:
        if common.is_finished(folder):
            return folder
    raise ModelError(f"nano-sd needs an earlier training's result in {folders[0]}, train {folders[0].name} first")


@torch.no_grad()
def caption_table(encoder: Any, tok: Any, texts: list[list[str]], seed: int) -> Tensor:
    """Hidden states (classes + 1, TABLE, LENGTH, d) of drawn captions; the last row is the empty caption's."""
    rows = []
    for i in range(TABLE):
        ids = tok([*captions.draw(texts, seed, i), ""], padding="max_length", truncation=True, return_tensors="pt")
        rows.append(encoder(ids.input_ids.to(encoder.device)).last_hidden_state.to(torch.bfloat16))
    return torch.stack(rows, 1)


def latents_of(vae: Any, images: data.Images, device: str) -> Tensor:
    """Scaled means of the posterior of all images and of their mirror images, (n, 2, c, 8, 8) in half precision."""

    def encode(x: Tensor) -> Tensor:
        x = (x * 2 - 1).to(device, memory_format=torch.channels_last)
        means: Tensor = vae.encode(x).latent_dist.mode() * vae.config.scaling_factor
        return means

    return data.of_both_sides(images, encode)


def warm_up(forward: Any, text: Tensor, plan: common.Plan, device: str, **more: Tensor) -> None:
    """One pass forwards and backwards on a GPU, so that compiling is over before the clock of the training starts."""
    if device == "cpu":
        return
    z = torch.zeros(plan.batch, CHANNELS, 8, 8, device=device)
    texts = text.expand(plan.batch, *text.shape[1:]).contiguous()
    with torch.autocast(device, torch.bfloat16, enabled=plan.precision == "bfloat16"):
        out = forward(z, torch.zeros(plan.batch, dtype=torch.int64, device=device), encoder_hidden_states=texts, **more)
    out.sample.float().square().mean().backward()


def schedule(device: str) -> Any:
    """The noise schedule, its table on the device."""
    from diffusers import DDIMScheduler

    scheduler: Any = DDIMScheduler(**SCHEDULE)
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.to(device)
    return scheduler


def objective(unet: Any, scheduler: Any, z: Tensor, text: Tensor, rng: torch.Generator, **more: Any) -> Tensor:
    """Min-SNR-weighted squared error of the velocity at a random time: z (b, c, 8, 8), text (b, LENGTH, d)."""
    noise = torch.randn(z.shape, generator=rng, device=z.device)
    t = torch.randint(scheduler.config.num_train_timesteps, (len(z),), generator=rng, device=z.device)
    noisy = scheduler.add_noise(z, noise, t)
    wanted = scheduler.get_velocity(z, noise, t)
    out = unet(noisy, t, encoder_hidden_states=text, **more).sample.float()
    alpha = scheduler.alphas_cumprod[t]
    snr = alpha / (1 - alpha)
    weight = snr.clamp(max=GAMMA) / (snr + 1)
    loss: Tensor = (F.mse_loss(out, wanted, reduction="none").mean((1, 2, 3)) * weight).sum() / weight.sum()
    return loss


def draw_text(table: Tensor, y: Tensor, empty: float, rng: torch.Generator) -> Tensor:
    """A caption's hidden states (b, LENGTH, d) for every label, the empty one for a share of them."""
    where = rng.device
    rows = torch.where(torch.rand(len(y), generator=rng, device=where) < empty, len(table) - 1, y)
    return table[rows, torch.randint(table.shape[1], (len(y),), generator=rng, device=where)]


def train(root: Path, out: Path, plan: common.Plan, device: str) -> None:
    """Train and save the whole pipeline."""
    images = data.load(root, "train").on(device)
    texts = captions.build(data.synonyms(root), captions.wordnet())
    encoder, tok = text_parts(out.parent, device, plan.wait)
    table, scheduler = caption_table(encoder, tok, texts, plan.seed), schedule(device)
    torch.manual_seed(plan.seed)
    unet, forward = ready(build_unet(CHANNELS, encoder.config.hidden_size), device)
    warm_up(forward, table[0, :1], plan, device)
    latents = latents_of(autoencoder(out.parent, device, plan.wait), images, device)
    labels = images.labels[images.rows]

    def loss(step: int, share: float) -> Tensor:
        rng = common.generator(plan.seed, step, device)
        picks = torch.from_numpy(data.picks_of_step(len(images), plan.batch, plan.seed, step)).to(device)
        z = latents[picks, torch.randint(2, (len(picks),), generator=rng, device=device)].float()
        return objective(forward, scheduler, z, draw_text(table, labels[picks], EMPTY, rng), rng)

    ema = common.fit(unet, loss, plan, out)
    vae = autoencoder(out.parent, device)  # its decoder may have been finished meanwhile
    save(common.averaged(unet, ema), vae, encoder, tok, out / "sd")
    common.write_json(out / "plan.json", common.describe(plan))


def save(unet: Any, vae: Any, encoder: Any, tok: Any, folder: Path) -> None:
    """Half-precision safetensors in diffusers' layout, without a safety checker."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    pipe: Any = StableDiffusionPipeline(
        vae=vae,
        text_encoder=encoder,
        tokenizer=tok,
        unet=unet,
        scheduler=DDIMScheduler(**SCHEDULE),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.to("cpu", torch.float16)
    pipe.save_pretrained(folder)
