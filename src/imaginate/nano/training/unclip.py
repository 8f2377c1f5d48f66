"""nano-unclip: nano-sd's UNet conditioned on nano-clip's image embedding, in the layout of Stable unCLIP.

unCLIP (Ramesh et al., 2022, section 2.1) decodes a CLIP image embedding. As in Stable unCLIP, the embedding is
noised, joined with its noise level and added to the time embedding. It starts from nano-sd's weights; captions are
empty half of the time and embeddings a tenth of the time, so that either can guide.

`--out RUNS/unclip` reads RUNS/sd/sd and RUNS/clip/clip.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from imaginate.nano.training import captions, common, data, sd
from imaginate.nano.training.mae import normalise

PRESETS = {
    "cpu": common.Plan(steps=600, batch=64, lr=6e-4, weight_decay=0.01, warmup=20, ema=0.99),
    "cuda": common.Plan(steps=6000, batch=512, lr=4e-4, weight_decay=0.01, warmup=200, ema=0.9995),
}
EMPTY_TEXT, EMPTY_IMAGE = 0.5, 0.1
LEVELS = 300  # noise levels met in training are below this, most of them zero
NOISING = {"num_train_timesteps": 1000, "beta_schedule": "squaredcos_cap_v2"}


@torch.no_grad()
def normaliser_of(encoder: Any, images: data.Images, count: int = 2048) -> Any:
    """Mean and deviation of image embeddings, as Stable unCLIP keeps them."""
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer

    x, _ = images.batch(data.picks_of_step(len(images), count, 1, 0))
    seen = torch.cat([encoder(normalise(p).to(encoder.device)).image_embeds.float() for p in x.split(256)])
    normaliser = StableUnCLIPImageNormalizer(embedding_dim=seen.shape[1])
    normaliser.mean.data, normaliser.std.data = seen.mean(0, keepdim=True), seen.std(0, keepdim=True)
    return normaliser.requires_grad_(False)


def condition(embeds: Tensor, levels: Tensor, normaliser: Any, noising: Any, rng: torch.Generator) -> Tensor:
    """(b, d) embeddings, noised at their levels and joined with the code of the level: (b, 2 d)."""
    from diffusers.models.embeddings import get_timestep_embedding

    noise = torch.randn(embeds.shape, generator=rng).to(embeds.device)
    noisy = normaliser.unscale(noising.add_noise(normaliser.scale(embeds), noise, levels))
    code = get_timestep_embedding(levels, embeds.shape[1], flip_sin_to_cos=True, downscale_freq_shift=0)
    return torch.cat([noisy, code], 1)


def warm_start(unet: Any, source: Any) -> None:
    """nano-sd's weights; the new embedding adds nothing at first."""
    unet.load_state_dict(source.state_dict(), strict=False)
    nn.init.zeros_(unet.class_embedding.linear_2.weight)
    nn.init.zeros_(unet.class_embedding.linear_2.bias)


def train(root: Path, out: Path, plan: common.Plan, device: str) -> None:
    """Train and save the whole pipeline."""
    from diffusers import DDIMScheduler, DDPMScheduler, UNet2DConditionModel
    from transformers import CLIPVisionModelWithProjection

    runs = out.parent
    images = data.load(root, "train")
    texts = captions.build(data.synonyms(root), captions.wordnet())
    vae, encoder, tok = sd.frozen_parts(runs, device)
    table = sd.caption_table(encoder, tok, texts, plan.seed)
    vision = CLIPVisionModelWithProjection.from_pretrained(runs / "clip" / "clip", attn_implementation="eager")
    vision.requires_grad_(False).eval().to(device, torch.float32)
    normaliser = normaliser_of(vision, images).to(device)
    source = UNet2DConditionModel.from_pretrained(runs / "sd" / "sd", subfolder="unet", torch_dtype=torch.float32)
    width = 2 * vision.config.projection_dim
    torch.manual_seed(plan.seed)
    unet = sd.build_unet(vae.config.latent_channels, encoder.config.hidden_size, classes=width)
    warm_start(unet, source)
    unet = sd.fast_attention(unet.to(device, memory_format=torch.channels_last))
    scheduler, noising = DDIMScheduler(**sd.SCHEDULE), DDPMScheduler(**NOISING)

    def loss(step: int) -> Tensor:
        rng = common.generator(plan.seed, step)
        x, y = images.batch(data.picks_of_step(len(images), plan.batch, plan.seed, step))
        x = sd.flip(x, rng).to(device)
        with torch.no_grad():
            embeds = vision(normalise(x)).image_embeds.float()
        levels = (torch.randint(-LEVELS, LEVELS, (len(x),), generator=rng)).clamp(min=0).to(device)
        labels = condition(embeds, levels, normaliser, noising, rng)
        labels = labels * (torch.rand(len(x), 1, generator=rng) >= EMPTY_IMAGE).to(device)
        z = sd.latents_of(vae, x.to(memory_format=torch.channels_last))
        text = sd.draw_text(table, y, EMPTY_TEXT, rng)
        return sd.objective(unet, scheduler, z, text, rng, class_labels=labels)

    ema = common.fit(unet, loss, plan, out)
    save(common.averaged(unet, ema), vae, encoder, tok, vision, normaliser, runs / "clip" / "clip", out / "unclip")
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
    pipe.to(torch.float16)
    pipe.save_pretrained(folder)
