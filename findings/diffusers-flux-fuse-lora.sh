#!/usr/bin/env bash
# diffusers 0.42.1 (peft 0.21.2, transformers 5.24.0, torch 2.14.1): FluxPipeline.fuse_lora() leaves the text encoder out.
#
# load_lora_weights puts a LoRA's updates into the transformer and into the CLIP text encoder. fuse_lora() without
# arguments merges them into the transformer alone, where StableDiffusionPipeline.fuse_lora() merges both its networks.
# After the usual next call, unload_lora_weights(), the updates of the text encoder are gone, without a warning: a LoRA
# that was trained on both draws other images fused than loaded. fuse_lora(components=["transformer", "text_encoder"])
# keeps them.
#
# Seen:   text encoder moved by the LoRA: True; still moved after fuse and unload: False; with components named: True
#         transformer still moved after fuse and unload: True
# Exits 0 while diffusers behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  diffusers==0.42.1 peft==0.21.2 transformers==5.24.0 torch==2.14.1 numpy
PLACE="$place" "$place/venv/bin/python" - <<'PYTHON'
import os
import sys

import diffusers
import peft
import torch
import transformers
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from transformers import CLIPTextConfig, CLIPTextModel

folder = os.path.join(os.environ["PLACE"], "lora")


def pipeline():
    torch.manual_seed(0)
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
            bos_token_id=0, eos_token_id=1, pad_token_id=1,
        )
    )
    transformer = FluxTransformer2DModel(
        in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=(4, 4, 8),
    )
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=None, text_encoder=text, tokenizer=None, text_encoder_2=None,
        tokenizer_2=None, transformer=transformer,
    )


def seen(pipe):
    """What the text encoder says of a text, and a weight of the transformer as it acts."""
    with torch.no_grad():
        text = pipe.text_encoder(torch.tensor([[0, 5, 9, 1]])).last_hidden_state
        layer = pipe.transformer.transformer_blocks[0].attn.to_q
        return text, layer(torch.ones(1, layer.in_features))


def moved(before, after):
    return not torch.allclose(before, after, atol=1e-5)


trained = pipeline()
states = []
for network, layers in ((trained.transformer, ["to_q"]), (trained.text_encoder, ["q_proj", "v_proj"])):
    config = peft.LoraConfig(r=2, lora_alpha=2, target_modules=layers, init_lora_weights=False)
    peft.inject_adapter_in_model(config, network)
    states.append(peft.get_peft_model_state_dict(network))
FluxPipeline.save_lora_weights(folder, transformer_lora_layers=states[0], text_encoder_lora_layers=states[1])

plain = seen(pipeline())
answers = {}
for name, arguments in (("default", {}), ("named", {"components": ["transformer", "text_encoder"]})):
    pipe = pipeline()
    pipe.load_lora_weights(folder)
    loaded = seen(pipe)
    pipe.fuse_lora(**arguments)
    pipe.unload_lora_weights()
    fused = seen(pipe)
    answers[name] = [moved(a, b) for a, b in zip(plain, loaded)] + [moved(a, b) for a, b in zip(plain, fused)]
versions = [f"{m.__name__} {m.__version__}" for m in (diffusers, peft, transformers, torch)]
print(", ".join(versions))
print(
    f"text encoder moved by the LoRA: {answers['default'][0]}; still moved after fuse and unload: "
    f"{answers['default'][2]}; with components named: {answers['named'][2]}"
)
print(f"transformer still moved after fuse and unload: {answers['default'][3]}")
is_so = answers["default"] == [True, True, False, True] and answers["named"] == [True, True, True, True]
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
