"""Tiny random models of the real classes, saved in their libraries' own formats.

tiny_clip(folder)    CLIPModel, 32 px, width 16            tiny_sd(folder)      StableDiffusionPipeline, 16 px
tiny_mae(folder)     ViTMAEForPreTraining, 16 px           tiny_sdxl(folder)    StableDiffusionXLPipeline, 16 px
tiny_unclip(folder)  StableUnCLIPImg2ImgPipeline, 16 px    tiny_karlo(folder)   UnCLIPImageVariationPipeline, 16 px
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

CONTEXT = 32


def seeded(build: Any, seed: int = 0) -> Any:
    """Build a model with fixed random weights, without touching the global random state."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def tokenizer(folder: Path) -> Any:
    """A CLIP tokenizer whose words are its letters (no merges), context 32."""
    from transformers import CLIPTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    letters = [chr(c) for c in range(33, 127)]
    words = [*letters, *[letter + "</w>" for letter in letters], "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(
        str(folder / "vocab.json"),
        str(folder / "merges.txt"),
        model_max_length=CONTEXT * 2,
    )


def _text_config(width: int = 16, projection: int = 16, **more: Any) -> Any:
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=190,
        hidden_size=width,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT * 2,
        projection_dim=projection,
        bos_token_id=188,
        eos_token_id=189,
        pad_token_id=189,
        **more,
    )


def _vision_config() -> Any:
    from transformers import CLIPVisionConfig

    return CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        projection_dim=16,
    )


def _image_processor(size: int = 32) -> Any:
    from transformers import CLIPImageProcessor

    return CLIPImageProcessor(size={"shortest_edge": size}, crop_size={"height": size, "width": size})


def clip_model() -> Any:
    """A random CLIPModel: the same weights every time."""
    from transformers import CLIPConfig, CLIPModel

    text, vision = _text_config().to_dict(), _vision_config().to_dict()
    return seeded(lambda: CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)))


def image_encoder() -> Any:
    """The vision half of `clip_model`: what the unCLIP models are conditioned on."""
    from transformers import CLIPVisionModelWithProjection

    whole, half = clip_model(), CLIPVisionModelWithProjection(_vision_config())
    half.load_state_dict({name: whole.state_dict()[name] for name in half.state_dict()})
    return half


def tiny_clip(folder: Path) -> Path:
    """A random CLIPModel with its tokenizer and image processor."""
    clip_model().save_pretrained(folder)
    tokenizer(folder / "_build").save_pretrained(folder)
    _image_processor().save_pretrained(folder)
    return folder


def tiny_classifier_guide(folder: Path) -> Path:
    """A random image classifier of transformers that knows the classes of the tests' world."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    from worlds import World

    names = dict(enumerate(["something else", *reversed(World().labels.names)]))
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=16, patch_size=8,
        id2label=names, label2id={name: i for i, name in names.items()},
    )  # fmt: skip
    seeded(lambda: ViTForImageClassification(config)).save_pretrained(folder)
    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)
    return folder


def tiny_open_clip_guide(folder: Path) -> Path:
    """A random model of open_clip with its bundled tokenizer, as its repositories are laid out."""
    import open_clip
    from open_clip.transform import PreprocessCfg
    from safetensors.torch import save_file

    tower = {"layers": 1, "width": 16}
    config = {
        "embed_dim": 12,
        "vision_cfg": {**tower, "image_size": 32, "patch_size": 8, "head_width": 8},
        "text_cfg": {**tower, "heads": 2, "context_length": 77, "vocab_size": 49408},
    }
    folder.mkdir(parents=True)
    steps = {**vars(PreprocessCfg(size=32)), "mean": [0.5] * 3, "std": [0.25] * 3}
    whole = {"model_cfg": config, "preprocess_cfg": steps}
    (folder / "open_clip_config.json").write_text(json.dumps(whole))
    model = seeded(lambda: open_clip.CLIP(**config))
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    return folder


def tiny_mae(folder: Path, *, norm_pix_loss: bool = False) -> Path:
    """A random ViTMAEForPreTraining: 16 px, 4 px patches (16 of them), width 16."""
    from transformers import ViTImageProcessor, ViTMAEConfig, ViTMAEForPreTraining

    config = ViTMAEConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=16,
        patch_size=4,
        decoder_hidden_size=16,
        decoder_num_hidden_layers=1,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=16,
        norm_pix_loss=norm_pix_loss,
    )
    seeded(lambda: ViTMAEForPreTraining(config)).save_pretrained(folder)
    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)
    return folder


def _unet(**more: Any) -> Any:
    from diffusers import UNet2DConditionModel

    settings: dict[str, Any] = {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": (8, 16),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "cross_attention_dim": 16,
        "attention_head_dim": 4,
        "norm_num_groups": 4,
    }
    return seeded(lambda: UNet2DConditionModel(**{**settings, **more}))


def _vae(**more: Any) -> Any:
    from diffusers import AutoencoderKL

    settings = {
        "block_out_channels": (8, 8),
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "layers_per_block": 1,
        "latent_channels": 4,
        "norm_num_groups": 4,
        "sample_size": 16,
    }
    return seeded(lambda: AutoencoderKL(**{**settings, **more}))


def _ddim(**more: Any) -> Any:
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, steps_offset=1, **more
    )


def tiny_sd(folder: Path, **unet: Any) -> Path:
    """A random Stable Diffusion: 16 px images, latents (4, 8, 8), text width 16."""
    from diffusers import StableDiffusionPipeline
    from transformers import CLIPTextModel

    StableDiffusionPipeline(
        vae=_vae(),
        text_encoder=seeded(lambda: CLIPTextModel(_text_config())),
        tokenizer=tokenizer(folder / "_build"),
        unet=_unet(**unet),
        scheduler=_ddim(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


tiny_stable_diffusion = tiny_sd  # by the family's own word


def tiny_image_to_image(folder: Path) -> Path:
    """A random FLUX.1 dev: one of the pipelines that are driven as they are."""
    from tiny_flow import tiny_flux

    return tiny_flux(folder)


def tiny_edit(folder: Path) -> Path:
    """A random InstructPix2Pix."""
    from tiny_flow import tiny_pix2pix

    return tiny_pix2pix(folder)


def tiny_sdxl(folder: Path, second: int = 16) -> Path:
    """A random SDXL: two text encoders, added conditioning by pooled text and sizes. `second`: the second's width."""
    from diffusers import StableDiffusionXLPipeline
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    StableDiffusionXLPipeline(
        vae=_vae(),
        text_encoder=seeded(lambda: CLIPTextModel(_text_config())),
        text_encoder_2=seeded(lambda: CLIPTextModelWithProjection(_text_config(second, second)), 1),
        tokenizer=tokenizer(folder / "_build"),
        tokenizer_2=tokenizer(folder / "_build"),
        unet=_unet(
            cross_attention_dim=16 + second,
            addition_embed_type="text_time",
            addition_time_embed_dim=4,
            projection_class_embeddings_input_dim=second + 6 * 4,
        ),
        scheduler=_ddim(),
        add_watermarker=False,
    ).save_pretrained(folder)
    return folder


def tiny_unclip(folder: Path) -> Path:
    """A random Stable unCLIP: CLIP image embeddings of 16, latents (4, 8, 8)."""
    from diffusers import StableUnCLIPImg2ImgPipeline
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer
    from transformers import CLIPTextModel

    StableUnCLIPImg2ImgPipeline(
        feature_extractor=_image_processor(),
        image_encoder=image_encoder(),
        image_normalizer=StableUnCLIPImageNormalizer(embedding_dim=16),
        image_noising_scheduler=_ddim(),
        tokenizer=tokenizer(folder / "_build"),
        text_encoder=seeded(lambda: CLIPTextModel(_text_config())),
        unet=_unet(class_embed_type="projection", projection_class_embeddings_input_dim=32),
        scheduler=_ddim(),
        vae=_vae(),
    ).save_pretrained(folder)
    return folder


def tiny_karlo(folder: Path) -> Path:
    """A random Karlo image variation model: a pixel decoder of 16 px and two super-resolution UNets to 32 px."""
    from diffusers import UnCLIPImageVariationPipeline, UnCLIPScheduler, UNet2DModel
    from diffusers.pipelines.deprecated.unclip.text_proj import UnCLIPTextProjModel
    from transformers import CLIPTextModelWithProjection

    decoder = _unet(
        sample_size=16,
        in_channels=3,
        out_channels=6,
        class_embed_type="identity",
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        resnet_time_scale_shift="scale_shift",
    )
    big = {
        "sample_size": 32,
        "layers_per_block": 1,
        "down_block_types": ("ResnetDownsampleBlock2D", "ResnetDownsampleBlock2D"),
        "up_block_types": ("ResnetUpsampleBlock2D", "ResnetUpsampleBlock2D"),
        "block_out_channels": (8, 8),
        "in_channels": 6,
        "out_channels": 3,
        "norm_num_groups": 4,
    }
    UnCLIPImageVariationPipeline(
        decoder=decoder,
        text_encoder=seeded(lambda: CLIPTextModelWithProjection(_text_config())),
        tokenizer=tokenizer(folder / "_build"),
        text_proj=seeded(
            lambda: UnCLIPTextProjModel(clip_embeddings_dim=16, time_embed_dim=32, cross_attention_dim=16)
        ),
        feature_extractor=_image_processor(),
        image_encoder=image_encoder(),
        super_res_first=seeded(lambda: UNet2DModel(**big)),
        super_res_last=seeded(lambda: UNet2DModel(**big), 1),
        decoder_scheduler=UnCLIPScheduler(variance_type="learned_range", num_train_timesteps=1000),
        super_res_scheduler=UnCLIPScheduler(variance_type="fixed_small_log", num_train_timesteps=1000),
    ).save_pretrained(folder)
    return folder
