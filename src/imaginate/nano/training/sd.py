"""nano-sd: latent diffusion on nano-clip's text tower, saved in the layout of StableDiffusionPipeline.

Latent diffusion (Rombach et al., 2022, section 3.3) with v-prediction (Salimans and Ho, 2022), min-SNR weights
(Hang et al., 2023, eq. 5 with gamma 5, for v) and 10 % empty captions for classifier-free guidance (Ho and Salimans,
2022). The noise schedule is Stable Diffusion's, so strengths mean the same. Latents are encoded as they are needed:
the encoder is several times cheaper than a training step.

`--out RUNS/sd` reads RUNS/vae/vae and RUNS/clip/clip, or what those runs left when encoder and text tower were final.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.errors import ModelError
from imaginate.nano.training import captions, common, data

PRESETS = {
    "cpu": common.Plan(steps=2800, batch=64, lr=1e-3, weight_decay=0.01, warmup=100, ema=0.998),
    "cuda": common.Plan(steps=14000, batch=512, lr=6e-4, weight_decay=0.01, warmup=300, ema=0.9995),
}
EMPTY = 0.1  # share of captions dropped
LENGTH = 32  # tokens of a prompt: attending to CLIP's 77 would cost a third more
TABLE = 12  # captions of a class that are encoded once
GAMMA = 5.0
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


def build_unet(channels: int, text_width: int, widths: tuple[int, ...] = (96, 128), classes: int | None = None) -> Any:
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


def fast_attention(unet: Any) -> Any:
    """Plain attention for training: twice as fast as the CPU's fused kernel in bfloat16."""
    from diffusers.models.attention_processor import AttnProcessor

    unet.set_attn_processor(AttnProcessor())
    return unet


def frozen_parts(runs: Path, device: str) -> tuple[Any, Any, Any]:
    """(vae, text encoder, tokenizer) of earlier runs, frozen."""
    from diffusers import AutoencoderKL
    from transformers import CLIPTextModel, CLIPTokenizer

    vae = finished(runs / "vae" / "vae", runs / "vae" / "encoder-final")
    clip = finished(runs / "clip" / "clip", runs / "clip" / "text-final")
    parts = AutoencoderKL.from_pretrained(vae), CLIPTextModel.from_pretrained(clip)
    for part in parts:
        part.requires_grad_(False).eval().to(device, torch.float32)
    return *parts, CLIPTokenizer.from_pretrained(clip, model_max_length=LENGTH)


def finished(*folders: Path) -> Path:
    """The first of the folders that holds a model: the finished one, else the one whose needed part is finished."""
    for folder in folders:
        if (folder / "config.json").is_file():
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


@torch.no_grad()
def latents_of(vae: Any, x: Tensor) -> Tensor:
    """Scaled latents (b, c, 8, 8) of images (b, 3, 64, 64) in [0, 1]."""
    posterior = vae.encode(x * 2 - 1).latent_dist
    return (posterior.sample() * vae.config.scaling_factor).float()  # type: ignore[no-any-return]


def objective(unet: Any, scheduler: Any, z: Tensor, text: Tensor, rng: torch.Generator, **more: Any) -> Tensor:
    """Min-SNR-weighted squared error of the velocity at a random time: z (b, c, 8, 8), text (b, LENGTH, d)."""
    noise = torch.randn(z.shape, generator=rng).to(z.device)
    t = torch.randint(scheduler.config.num_train_timesteps, (len(z),), generator=rng).to(z.device)
    noisy = scheduler.add_noise(z, noise, t)
    wanted = scheduler.get_velocity(z, noise, t)
    out = unet(noisy, t, encoder_hidden_states=text, **more).sample.float()
    alpha = scheduler.alphas_cumprod.to(z.device)[t]
    snr = alpha / (1 - alpha)
    weight = snr.clamp(max=GAMMA) / (snr + 1)
    loss: Tensor = (F.mse_loss(out, wanted, reduction="none").mean((1, 2, 3)) * weight).sum() / weight.sum()
    return loss


def draw_text(table: Tensor, y: Tensor, empty: float, rng: torch.Generator) -> Tensor:
    """A caption's hidden states (b, LENGTH, d) for every label, the empty one for a share of them."""
    rows = torch.where(torch.rand(len(y), generator=rng) < empty, len(table) - 1, y)
    return table[rows.to(table.device), torch.randint(table.shape[1], (len(y),), generator=rng).to(table.device)]


def train(root: Path, out: Path, plan: common.Plan, device: str) -> None:
    """Train and save the whole pipeline."""
    from diffusers import DDIMScheduler

    images = data.load(root, "train")
    texts = captions.build(data.synonyms(root), captions.wordnet())
    vae, encoder, tok = frozen_parts(out.parent, device)
    table = caption_table(encoder, tok, texts, plan.seed)
    torch.manual_seed(plan.seed)
    unet = fast_attention(build_unet(vae.config.latent_channels, encoder.config.hidden_size).to(device))
    unet.to(memory_format=torch.channels_last)
    scheduler = DDIMScheduler(**SCHEDULE)

    def loss(step: int) -> Tensor:
        rng = common.generator(plan.seed, step)
        x, y = images.batch(data.picks_of_step(len(images), plan.batch, plan.seed, step))
        z = latents_of(vae, flip(x, rng).to(device, memory_format=torch.channels_last))
        return objective(unet, scheduler, z, draw_text(table, y, EMPTY, rng), rng)

    ema = common.fit(unet, loss, plan, out)
    vae, encoder, tok = frozen_parts(out.parent, device)  # the decoder may have been finished meanwhile
    save(common.averaged(unet, ema), vae, encoder, tok, out / "sd")
    common.write_json(out / "plan.json", common.describe(plan))


def flip(x: Tensor, rng: torch.Generator) -> Tensor:
    """Mirror half of the images."""
    return torch.where(torch.rand(len(x), 1, 1, 1, generator=rng) < 0.5, x.flip(-1), x)


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
    pipe.to(torch.float16)
    pipe.save_pretrained(folder)
