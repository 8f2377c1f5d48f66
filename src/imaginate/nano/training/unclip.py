"""nano-unclip: a UNet conditioned on nano-clip's image embedding, in the layout of Stable unCLIP.

unCLIP (Ramesh et al., 2022, section 2.1) decodes a CLIP image embedding. As in Stable unCLIP, the embedding is
noised, joined with its noise level and added to the time embedding. Captions are empty half of the time and embeddings
a tenth of the time, so that either can guide.

`--out RUNS/unclip` reads RUNS/vae/vae and RUNS/clip/clip.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from imaginate.nano.training import captions, common, data, sd
from imaginate.nano.training.mae import normalise
from imaginate.nano.training.vae import CHANNELS

PRESETS = {
    "cpu": common.Plan(steps=4000, batch=64, lr=1e-3, weight_decay=0.01, warmup=100, ema=0.999),
    "cuda": common.Plan(steps=6000, batch=512, lr=1e-3, weight_decay=0.01, warmup=200, ema=0.9995),
}
EMPTY_TEXT, EMPTY_IMAGE = 0.5, 0.1
WIDTHS = (96, 128)
LEVELS = 300  # noise levels met in training are below this, most of them zero
NOISING = {"num_train_timesteps": 1000, "beta_schedule": "squaredcos_cap_v2"}


@torch.no_grad()
def normaliser_of(encoder: Any, images: data.Images, count: int = 2048) -> Any:
    """Mean and deviation of image embeddings, as Stable unCLIP keeps them, in single precision."""
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer

    x, _ = images.batch(data.picks_of_step(len(images), count, 1, 0))
    seen = torch.cat([encoder(normalise(p).to(encoder.device)).image_embeds.float() for p in x.split(256)])
    normaliser = StableUnCLIPImageNormalizer(embedding_dim=seen.shape[1])
    normaliser.mean.data, normaliser.std.data = seen.mean(0, keepdim=True), seen.std(0, keepdim=True)
    return normaliser.requires_grad_(False)


def condition(embeds: Tensor, levels: Tensor, normaliser: Any, noising: Any, rng: torch.Generator) -> Tensor:
    """(b, d) embeddings, noised at their levels and joined with the code of the level: (b, 2 d)."""
    from diffusers.models.embeddings import get_timestep_embedding

    noise = torch.randn(embeds.shape, generator=rng, device=embeds.device)
    noisy = normaliser.unscale(noising.add_noise(normaliser.scale(embeds), noise, levels))
    code = get_timestep_embedding(levels, embeds.shape[1], flip_sin_to_cos=True, downscale_freq_shift=0)
    return torch.cat([noisy, code], 1)


def train(root: Path, out: Path, plan: common.Plan, device: str) -> None:
    """Train and save the whole pipeline."""
    from diffusers import DDPMScheduler
    from transformers import CLIPVisionModelWithProjection

    runs = out.parent
    images = data.load(root, "train").on(device)
    texts = captions.build(data.synonyms(root), captions.wordnet())
    encoder, tok = sd.text_parts(runs, device, plan.wait)
    table, width = sd.caption_table(encoder, tok, texts, plan.seed), 2 * encoder.config.projection_dim
    torch.manual_seed(plan.seed)
    unet, forward = sd.ready(sd.build_unet(CHANNELS, encoder.config.hidden_size, WIDTHS, classes=width), device)
    sd.warm_up(forward, table[0, :1], plan, device, class_labels=torch.zeros(plan.batch, width, device=device))
    latents = sd.latents_of(sd.autoencoder(runs, device, plan.wait), images, device)
    clip = sd.wait_for(plan.wait, runs / "clip" / "clip")
    vision = CLIPVisionModelWithProjection.from_pretrained(clip, attn_implementation="eager", dtype=torch.float32)
    vision.requires_grad_(False).eval().to(device)
    normaliser = normaliser_of(vision, images).to(device)
    embeddings = data.of_both_sides(images, lambda x: vision(normalise(x)).image_embeds)
    scheduler, noising = sd.schedule(device), DDPMScheduler(**NOISING)
    classes = images.labels[images.rows]

    def loss(step: int, share: float) -> Tensor:
        rng = common.generator(plan.seed, step, device)
        picks = torch.from_numpy(data.picks_of_step(len(images), plan.batch, plan.seed, step)).to(device)
        side = torch.randint(2, (len(picks),), generator=rng, device=device)
        levels = torch.randint(-LEVELS, LEVELS, (len(picks),), generator=rng, device=device).clamp(min=0)
        labels = condition(embeddings[picks, side].float(), levels, normaliser, noising, rng)
        labels = labels * (torch.rand(len(picks), 1, generator=rng, device=device) >= EMPTY_IMAGE)
        text = sd.draw_text(table, classes[picks], EMPTY_TEXT, rng)
        return sd.objective(forward, scheduler, latents[picks, side].float(), text, rng, class_labels=labels)

    ema = common.fit(unet, loss, plan, out)
    vae = sd.autoencoder(runs, device)
    save(common.averaged(unet, ema), vae, encoder, tok, vision, normaliser, clip, out / "unclip")
    common.write_json(out / "plan.json", common.describe(plan))


def save(unet: Any, vae: Any, encoder: Any, tok: Any, vision: Any, normaliser: Any, clip: Path, folder: Path) -> None:
    """Half-precision safetensors in the layout of StableUnCLIPImg2ImgPipeline."""
    from diffusers import DDIMScheduler, DDPMScheduler, StableUnCLIPImg2ImgPipeline
    from transformers import CLIPImageProcessor

    pipe: Any = StableUnCLIPImg2ImgPipeline(
        feature_extractor=CLIPImageProcessor.from_pretrained(clip),
        image_encoder=vision,
        image_normalizer=normaliser,
        image_noising_scheduler=DDPMScheduler(**NOISING),
        tokenizer=tok,
        text_encoder=encoder,
        unet=unet,
        scheduler=DDIMScheduler(**sd.SCHEDULE),
        vae=vae,
    )
    pipe.to("cpu", torch.float16)
    pipe.save_pretrained(folder)
