"""Tiny random pipelines of today's image models, in the exact layout of their published repositories.

tiny_sd3(folder)   StableDiffusion3Pipeline, 16 px       tiny_flux(folder)      FluxPipeline, 16 px, as dev or schnell
tiny_qwen(folder)  QwenImagePipeline                     tiny_z_image(folder)   ZImagePipeline, 16 px
tiny_pixart(folder)  PixArtSigmaPipeline, text alone     tiny_sana(folder)      SanaPipeline, text alone, 32 px
tiny_pix2pix(folder), tiny_kontext(folder)   editors
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny import _ddim, _text_config, _unet, seeded, tokenizer
from tiny import _vae as tiny_vae


def _vae(channels: int = 16) -> Any:
    return tiny_vae(
        latent_channels=channels, scaling_factor=0.3611, shift_factor=0.1159, use_quant_conv=False,
        use_post_quant_conv=False,
    )  # fmt: skip


def _t5_tokenizer() -> Any:
    from transformers import T5Tokenizer

    letters = [chr(c) for c in range(33, 127)]
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *[(letter, -3.0) for letter in letters]]
    return T5Tokenizer(vocab=vocab, extra_ids=0, additional_special_tokens=[], model_max_length=512)


def _t5(seed: int = 2) -> Any:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(vocab_size=98, d_model=16, d_ff=16, d_kv=8, num_heads=2, num_layers=1)
    return seeded(lambda: T5EncoderModel(config).eval(), seed)


def _flow(**more: Any) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**more)


def tiny_sd3(folder: Path, second: int = 16) -> Path:
    """A random Stable Diffusion 3: three text encoders, latents (16, 8, 8). `second`: the width of the second."""
    from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline
    from transformers import CLIPTextModelWithProjection

    transformer = seeded(
        lambda: SD3Transformer2DModel(
            sample_size=8,
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=16 + second,
            caption_projection_dim=16,
            pooled_projection_dim=16 + second,
            pos_embed_max_size=8,
        )
    )
    StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=_flow(shift=3.0),
        vae=_vae(),
        text_encoder=seeded(lambda: CLIPTextModelWithProjection(_text_config())),
        tokenizer=tokenizer(folder / "_build"),
        text_encoder_2=seeded(lambda: CLIPTextModelWithProjection(_text_config(second, second)), 1),
        tokenizer_2=tokenizer(folder / "_build"),
        text_encoder_3=_wide_t5(16 + second),
        tokenizer_3=_t5_tokenizer(),
    ).save_pretrained(folder)
    return folder


def _wide_t5(width: int) -> Any:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(vocab_size=98, d_model=width, d_ff=16, d_kv=8, num_heads=2, num_layers=1)
    return seeded(lambda: T5EncoderModel(config).eval(), 2)


def _flux_parts(folder: Path, *, guidance: bool) -> dict[str, Any]:
    from diffusers import FluxTransformer2DModel
    from transformers import CLIPTextModel

    transformer = seeded(
        lambda: FluxTransformer2DModel(
            in_channels=64,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=16,
            pooled_projection_dim=16,
            guidance_embeds=guidance,
            axes_dims_rope=(4, 2, 2),
        )
    )
    return {
        "transformer": transformer,
        "scheduler": _flow(shift=3.0 if guidance else 1.0, use_dynamic_shifting=guidance),
        "vae": _vae(),
        "text_encoder": seeded(lambda: CLIPTextModel(_text_config())),
        "tokenizer": tokenizer(folder / "_build"),
        "text_encoder_2": _t5(),
        "tokenizer_2": _t5_tokenizer(),
    }


def tiny_flux(folder: Path, *, guidance: bool = True) -> Path:
    """A random FLUX.1: dev, or schnell without the guidance embedding; latents (16, 8, 8), packed inside."""
    from diffusers import FluxPipeline

    FluxPipeline(**_flux_parts(folder, guidance=guidance)).save_pretrained(folder)
    return folder


def tiny_kontext(folder: Path) -> Path:
    """A random FLUX.1 Kontext."""
    from diffusers import FluxKontextPipeline

    FluxKontextPipeline(**_flux_parts(folder, guidance=True)).save_pretrained(folder)
    return folder


def _qwen_tokenizer() -> Any:
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2Tokenizer

    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocab = {mark: i for i, mark in enumerate([*marks, *sorted(ByteLevel.alphabet())])}
    made = Qwen2Tokenizer(vocab=vocab, merges=[], model_max_length=4096)
    made.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    return made


def tiny_z_image(folder: Path) -> Path:
    """A random Z-Image: text by Qwen 3, latents (16, 8, 8)."""
    from diffusers import ZImagePipeline, ZImageTransformer2DModel
    from transformers import Qwen3Config, Qwen3Model

    text = Qwen3Config(
        vocab_size=260, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, max_position_embeddings=1024,
    )  # fmt: skip
    transformer = seeded(
        lambda: ZImageTransformer2DModel(
            dim=16, n_layers=1, n_refiner_layers=1, n_heads=2, n_kv_heads=2, cap_feat_dim=16,
            axes_dims=[4, 2, 2], axes_lens=[1024, 64, 64],
        )
    )  # fmt: skip
    ZImagePipeline(
        scheduler=_flow(shift=3.0),
        vae=_vae(),
        text_encoder=seeded(lambda: Qwen3Model(text)),
        tokenizer=_qwen_tokenizer(),
        transformer=transformer,
    ).save_pretrained(folder)
    return folder


def tiny_qwen(folder: Path) -> Path:
    """A random Qwen-Image: films of one frame, a mean and a deviation for each of 16 channels."""
    from diffusers import AutoencoderKLQwenImage, QwenImagePipeline, QwenImageTransformer2DModel
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    text = {
        "vocab_size": 260, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 4096,
        "bos_token_id": 0, "eos_token_id": 0,
        "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2], "rope_type": "default"},
    }  # fmt: skip
    vision = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision)
    transformer = seeded(
        lambda: QwenImageTransformer2DModel(
            in_channels=64, out_channels=16, num_layers=1, attention_head_dim=8, num_attention_heads=2,
            joint_attention_dim=16, axes_dims_rope=(4, 2, 2),
        )
    )  # fmt: skip
    vae = seeded(
        lambda: AutoencoderKLQwenImage(
            base_dim=8, dim_mult=[1, 1], num_res_blocks=1, temperal_downsample=[False]
        )
    )  # fmt: skip
    QwenImagePipeline(
        scheduler=_flow(use_dynamic_shifting=True, shift_terminal=0.02),
        vae=vae,
        text_encoder=seeded(lambda: Qwen2_5_VLForConditionalGeneration(config)),
        tokenizer=_qwen_tokenizer(),
        transformer=transformer,
    ).save_pretrained(folder)
    return folder


def tiny_pixart(folder: Path) -> Path:
    """A random PixArt-Sigma: text-to-image alone, latents (4, 8, 8)."""
    from diffusers import PixArtSigmaPipeline, PixArtTransformer2DModel

    transformer = seeded(
        lambda: PixArtTransformer2DModel(
            sample_size=8, num_layers=1, patch_size=2, attention_head_dim=8, num_attention_heads=2,
            in_channels=4, out_channels=8, cross_attention_dim=16, caption_channels=16,
        )
    )  # fmt: skip
    PixArtSigmaPipeline(
        tokenizer=_t5_tokenizer(), text_encoder=_t5(), vae=_vae(4), transformer=transformer, scheduler=_ddim()
    ).save_pretrained(folder)
    return folder


def tiny_sana(folder: Path) -> Path:
    """A random Sana: text-to-image alone, text by Gemma 2, an autoencoder without a posterior, latents (4, 16, 16)."""
    from diffusers import AutoencoderDC, SanaPipeline, SanaTransformer2DModel
    from transformers import Gemma2Config, Gemma2Model

    blocks, scales = ("ResBlock", "EfficientViTBlock"), ((), (5,))
    vae = seeded(
        lambda: AutoencoderDC(
            latent_channels=4, attention_head_dim=2, encoder_block_types=blocks, decoder_block_types=blocks,
            encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8), encoder_qkv_multiscales=scales,
            decoder_qkv_multiscales=scales, encoder_layers_per_block=(1, 1), decoder_layers_per_block=(1, 1),
            downsample_block_type="conv", upsample_block_type="interpolate", scaling_factor=0.41407,
        )
    )  # fmt: skip
    text = Gemma2Config(
        vocab_size=300, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, head_dim=8,
    )  # fmt: skip
    transformer = seeded(
        lambda: SanaTransformer2DModel(
            in_channels=4, out_channels=4, num_layers=1, num_attention_heads=2, attention_head_dim=8,
            num_cross_attention_heads=2, cross_attention_head_dim=8, cross_attention_dim=16, caption_channels=16,
            patch_size=1, sample_size=16,
        )
    )  # fmt: skip
    SanaPipeline(
        tokenizer=_qwen_tokenizer(), text_encoder=seeded(lambda: Gemma2Model(text).eval()), vae=vae,
        transformer=transformer, scheduler=_flow(shift=3.0),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def tiny_pix2pix(folder: Path) -> Path:
    """A random InstructPix2Pix: a UNet of eight channels."""
    from diffusers import StableDiffusionInstructPix2PixPipeline
    from transformers import CLIPTextModel

    from tiny import _vae as small_vae

    StableDiffusionInstructPix2PixPipeline(
        vae=small_vae(),
        text_encoder=seeded(lambda: CLIPTextModel(_text_config())),
        tokenizer=tokenizer(folder / "_build"),
        unet=_unet(in_channels=8),
        scheduler=_ddim(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder
