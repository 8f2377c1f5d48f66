"""Networks of the published sizes with random weights, built on the device: what they compute means nothing, how long
they take does."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests")]


def sd15_parts(only: str | None = None, *, pixels: int = 512) -> Any:
    """Stable Diffusion 1.5's architecture."""
    from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    import tiny

    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=2, latent_channels=4, sample_size=512,
    )  # fmt: skip
    if only == "vae":
        return SimpleNamespace(vae=vae)
    tokenizer = tiny.tokenizer(Path(tempfile.mkdtemp()))
    text = CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
    return StableDiffusionPipeline(
        vae=vae, tokenizer=tokenizer, text_encoder=CLIPTextModel(text), scheduler=tiny._ddim(), safety_checker=None,
        unet=UNet2DConditionModel(sample_size=pixels // 8, cross_attention_dim=768), feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip


def sdxl_parts(*, pixels: int = 1024) -> Any:
    """Stable Diffusion XL's architecture (the base checkpoint)."""
    from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    import tiny

    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=2, latent_channels=4, sample_size=1024,
        scaling_factor=0.13025,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=pixels // 8, block_out_channels=(320, 640, 1280), layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10), attention_head_dim=(5, 10, 20), cross_attention_dim=2048,
        use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
    )  # fmt: skip
    small = CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
    large = CLIPTextConfig(
        hidden_size=1280, intermediate_size=5120, num_hidden_layers=32, num_attention_heads=20, projection_dim=1280
    )
    return StableDiffusionXLPipeline(
        vae=vae, unet=unet, text_encoder=CLIPTextModel(small), text_encoder_2=CLIPTextModelWithProjection(large),
        tokenizer=tiny.tokenizer(Path(tempfile.mkdtemp())), tokenizer_2=tiny.tokenizer(Path(tempfile.mkdtemp())),
        scheduler=tiny._ddim(), add_watermarker=False,
    )  # fmt: skip


def tiny_autoencoder() -> Any:
    """The architecture of TAESD and TAESDXL."""
    from diffusers import AutoencoderTiny

    return AutoencoderTiny()


def vit_b_32(folder: Path) -> Path:
    """CLIP ViT-B/32's architecture, saved."""
    from transformers import CLIPConfig, CLIPModel

    import tiny

    CLIPModel(CLIPConfig()).save_pretrained(folder)
    tiny.tokenizer(folder / "_build").save_pretrained(folder)
    tiny._image_processor(224).save_pretrained(folder)
    return folder
