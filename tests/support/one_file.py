"""A tiny Stable Diffusion in one file of weights, under the names that such files use, and its configuration."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import torch

RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
UNET = {  # two levels of one layer, attention in the second: the UNet of `tiny.tiny_sd`
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
    "down_blocks.0.resnets.0": "input_blocks.1.0", "down_blocks.0.downsamplers.0.conv": "input_blocks.2.0.op",
    "down_blocks.1.resnets.0": "input_blocks.3.0", "down_blocks.1.attentions.0": "input_blocks.3.1",
    "mid_block.resnets.0": "middle_block.0", "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
    "up_blocks.0.resnets.0": "output_blocks.0.0", "up_blocks.0.attentions.0": "output_blocks.0.1",
    "up_blocks.0.resnets.1": "output_blocks.1.0", "up_blocks.0.attentions.1": "output_blocks.1.1",
    "up_blocks.0.upsamplers.0.conv": "output_blocks.1.2.conv",
    "up_blocks.1.resnets.0": "output_blocks.2.0", "up_blocks.1.resnets.1": "output_blocks.3.0",
}  # fmt: skip
VAE = [
    (r"down_blocks\.(\d)\.resnets", r"down.\1.block"), (r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample"),
    (r"up_blocks\.(\d)\.resnets", lambda m: f"up.{1 - int(m[1])}.block"),
    (r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{1 - int(m[1])}.upsample"),
    (r"mid_block\.resnets\.0", "mid.block_1"), (r"mid_block\.resnets\.1", "mid.block_2"),
    (r"mid_block\.attentions\.0\.group_norm", "mid.attn_1.norm"),
    (r"mid_block\.attentions\.0\.to_out\.0", "mid.attn_1.proj_out"),
    (r"mid_block\.attentions\.0\.to_([qkv])", r"mid.attn_1.\1"), ("conv_shortcut", "nin_shortcut"),
    ("conv_norm_out", "norm_out"),
]  # fmt: skip


def tiny_one_file(folder: Path) -> tuple[Path, Path]:
    """`folder/dream.safetensors`, and the folder of diffusers with the same weights."""
    from diffusers import StableDiffusionPipeline
    from safetensors.torch import save_file

    from tiny import tiny_sd

    whole = tiny_sd(folder / "whole")
    pipe: Any = StableDiffusionPipeline.from_pretrained(whole, safety_checker=None)
    tensors = {f"model.diffusion_model.{_unet(name)}": value for name, value in pipe.unet.state_dict().items()}
    tensors |= {f"first_stage_model.{_vae(name)}": value for name, value in pipe.vae.state_dict().items()}
    for name, value in pipe.text_encoder.state_dict().items():
        front = "" if name.startswith("text_model.") else "text_model."
        tensors[f"cond_stage_model.transformer.{front}{name}"] = value
    file = folder / "dream.safetensors"
    save_file({name: _wide(name, value) for name, value in tensors.items()}, str(file))
    return file, whole


def configuration(whole: Path, folder: Path) -> Path:
    """The json and tokenizer files of a pipeline, without its weights."""
    shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("*.safetensors", "_build"))
    assert json.loads((folder / "model_index.json").read_text())["_class_name"]
    return folder


def _unet(name: str) -> str:
    front = max((key for key in UNET if name.startswith(f"{key}.")), key=len)
    rest = name.removeprefix(front)
    if "resnets" in front:
        rest = re.sub(r"^\.(\w+)", lambda m: f".{RESNET[m[1]]}", rest)
    return UNET[front] + rest


def _vae(name: str) -> str:
    for pattern, new in VAE:
        name = re.sub(pattern, new, name)
    return name


def _wide(name: str, value: torch.Tensor) -> torch.Tensor:
    """Attention of such files' VAE is made of convolutions."""
    is_conv = re.search(r"mid\.attn_1\.(q|k|v|proj_out)\.weight", name)
    return (value[:, :, None, None] if is_conv else value).contiguous().clone()
