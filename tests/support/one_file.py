"""Tiny pipelines in one file of weights, under the names that such files use, and their configuration."""

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
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
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


OPEN_CLIP = [  # the second text encoder of SDXL
    ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
    ("text_model.embeddings.token_embedding", "token_embedding"), ("text_model.final_layer_norm", "ln_final"),
    ("text_model.encoder.layers", "transformer.resblocks"), ("self_attn.out_proj", "attn.out_proj"),
    ("layer_norm1", "ln_1"), ("layer_norm2", "ln_2"), ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj"),
]  # fmt: skip
SD3 = {  # one joint block, which is the last
    "pos_embed.pos_embed": "pos_embed", "pos_embed.proj": "x_embedder.proj",
    "time_text_embed.timestep_embedder.linear_1": "t_embedder.mlp.0",
    "time_text_embed.timestep_embedder.linear_2": "t_embedder.mlp.2",
    "time_text_embed.text_embedder.linear_1": "y_embedder.mlp.0",
    "time_text_embed.text_embedder.linear_2": "y_embedder.mlp.2", "context_embedder": "context_embedder",
    "transformer_blocks.0.attn.to_out.0": "joint_blocks.0.x_block.attn.proj",
    "transformer_blocks.0.norm1.linear": "joint_blocks.0.x_block.adaLN_modulation.1",
    "transformer_blocks.0.norm1_context.linear": "joint_blocks.0.context_block.adaLN_modulation.1",
    "transformer_blocks.0.ff.net.0.proj": "joint_blocks.0.x_block.mlp.fc1",
    "transformer_blocks.0.ff.net.2": "joint_blocks.0.x_block.mlp.fc2",
    "proj_out": "final_layer.linear", "norm_out.linear": "final_layer.adaLN_modulation.1",
}  # fmt: skip
SWAPPED = ("norm_out.linear", "transformer_blocks.0.norm1_context.linear")  # scale and shift


def tiny_one_file(folder: Path) -> tuple[Path, Path]:
    """`folder/dream.safetensors`, and the folder of diffusers with the same weights."""
    from diffusers import StableDiffusionPipeline
    from safetensors.torch import save_file

    from tiny import tiny_sd

    whole = tiny_sd(folder / "whole")
    pipe: Any = StableDiffusionPipeline.from_pretrained(whole, safety_checker=None)
    tensors = {f"model.diffusion_model.{_unet(name)}": value for name, value in pipe.unet.state_dict().items()}
    tensors |= _first_stage(pipe) | _clip(pipe.text_encoder, "cond_stage_model.transformer.")
    file = folder / "dream.safetensors"
    save_file({name: _wide(name, value) for name, value in tensors.items()}, str(file))
    return file, whole


def tiny_sdxl_file(folder: Path) -> tuple[Path, Path]:
    """The same of SDXL."""
    from diffusers import StableDiffusionXLPipeline
    from safetensors.torch import save_file

    from tiny import tiny_sdxl

    whole = tiny_sdxl(folder / "whole", second=24)
    pipe: Any = StableDiffusionXLPipeline.from_pretrained(whole)
    tensors = {f"model.diffusion_model.{_unet(name)}": value for name, value in pipe.unet.state_dict().items()}
    tensors |= _first_stage(pipe) | _clip(pipe.text_encoder, "conditioner.embedders.0.transformer.")
    tensors |= _open_clip(pipe.text_encoder_2, "conditioner.embedders.1.model.")
    file = folder / "dream.safetensors"
    save_file({name: _wide(name, value) for name, value in tensors.items()}, str(file))
    return file, whole


def tiny_sd3_file(folder: Path, *, t5: bool = True) -> tuple[Path, Path]:
    """The same of Stable Diffusion 3. `t5`: with its third text encoder."""
    from diffusers import StableDiffusion3Pipeline
    from safetensors.torch import save_file

    from tiny_flow import tiny_sd3

    whole = tiny_sd3(folder / "whole", second=24)
    pipe: Any = StableDiffusion3Pipeline.from_pretrained(whole)
    pipe.text_encoder.text_projection.weight.data = torch.eye(16)  # such files have none: it is the identity
    pipe.text_encoder.save_pretrained(whole / "text_encoder")
    state = pipe.transformer.state_dict()
    tensors = {f"model.diffusion_model.{name}": value for name, value in _sd3(state).items()}
    tensors |= _first_stage(pipe) | _clip(pipe.text_encoder, "text_encoders.clip_l.transformer.")
    tensors |= _clip(pipe.text_encoder_2, "text_encoders.clip_g.transformer.")
    if t5:
        third = pipe.text_encoder_3.state_dict()
        tensors |= {f"text_encoders.t5xxl.transformer.{name}": value for name, value in third.items()}
    file = folder / "dream.safetensors"
    save_file({name: _wide(name, value) for name, value in tensors.items()}, str(file))
    return file, whole


def _first_stage(pipe: Any) -> dict[str, torch.Tensor]:
    return {f"first_stage_model.{_vae(name)}": value for name, value in pipe.vae.state_dict().items()}


def _clip(encoder: Any, front: str) -> dict[str, torch.Tensor]:
    wrapped = {n if n.startswith("text_") else f"text_model.{n}": value for n, value in encoder.state_dict().items()}
    return {f"{front}{name}": value for name, value in wrapped.items()}


def _open_clip(encoder: Any, front: str) -> dict[str, torch.Tensor]:
    found, state = dict[str, torch.Tensor](), encoder.state_dict()
    for name, value in state.items():
        if match := re.search(r"(.*self_attn)\.q_proj\.(weight|bias)$", name):
            every = [state[f"{match[1]}.{x}_proj.{match[2]}"] for x in "qkv"]
            layer = name.split("layers.")[1].split(".")[0]
            found[f"{front}transformer.resblocks.{layer}.attn.in_proj_{match[2]}"] = torch.cat(every)
        elif name == "text_projection.weight":
            found[f"{front}text_projection"] = value.T
        elif not re.search(r"self_attn\.[kv]_proj", name):
            for old, new in OPEN_CLIP:
                name = name.replace(old, new)
            found[front + name] = value
    return found


def _sd3(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The published layout of its transformer."""
    found = dict[str, torch.Tensor]()
    for kind in ("weight", "bias"):
        for block, parts in (("x", ("to_q", "to_k", "to_v")), ("context", ("add_q_proj", "add_k_proj", "add_v_proj"))):
            rows = [state[f"transformer_blocks.0.attn.{part}.{kind}"] for part in parts]
            found[f"joint_blocks.0.{block}_block.attn.qkv.{kind}"] = torch.cat(rows)
    for name, value in state.items():
        front = max((key for key in SD3 if name.startswith(key)), key=len, default="")
        if front:
            swapped = torch.cat([*reversed(value.chunk(2))]) if front in SWAPPED else value
            found[SD3[front] + name.removeprefix(front)] = swapped
    return found


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
