#!/usr/bin/env bash
# transformers 5.24.0 with peft 0.21.2: load_adapter takes a LoRA, and every call that manages it is refused.
#
# transformers says which peft it can be used with in its adapter mixin alone (0.22.0; its package metadata name no floor,
# so pip installs the pair without a word). load_adapter does not ask for that version: the LoRA is in the model and
# changes what it computes. add_adapter, set_adapter, disable_adapters, enable_adapters and active_adapters do ask, and raise
# ValueError: the LoRA can neither be switched off nor listed. peft's own functions (inject_adapter_in_model) work.
#
# Seen:   load_adapter: works, output changed: True; add_adapter, set_adapter, disable_adapters, enable_adapters,
#         active_adapters: ValueError "... please use a version >= 0.22.0"
# Exits 0 while the pair behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check peft==0.21.2 transformers==5.24.0 torch==2.14.1 numpy
PLACE="$place" "$place/venv/bin/python" - <<'PYTHON'
import os
import sys

import peft
import torch
import transformers
from transformers import CLIPTextConfig, CLIPTextModel

folder = os.path.join(os.environ["PLACE"], "lora")


def encoder():
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, bos_token_id=0,
        eos_token_id=1, pad_token_id=1,
    )
    return CLIPTextModel(config).eval()


lora = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
peft.get_peft_model(encoder(), lora).save_pretrained(folder)
model, ids = encoder(), torch.tensor([[0, 5, 9, 1]])
with torch.no_grad():
    before = model(ids).last_hidden_state
    model.load_adapter(folder)
    is_changed = not torch.allclose(before, model(ids).last_hidden_state, atol=1e-5)
print("transformers", transformers.__version__, "peft", peft.__version__, "torch", torch.__version__)
print("load_adapter: works, output changed:", is_changed)
calls = {
    "add_adapter": lambda: model.add_adapter(lora, "other"),
    "set_adapter": lambda: model.set_adapter("default"),
    "disable_adapters": model.disable_adapters,
    "enable_adapters": model.enable_adapters,
    "active_adapters": model.active_adapters,
}
refused = 0
for name, call in calls.items():
    try:
        call()
        print(f"{name}: works")
    except ValueError as error:
        refused += ">= 0.22.0" in str(error)
        print(f"{name}: ValueError {error}")
is_so = is_changed and refused == len(calls)
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
