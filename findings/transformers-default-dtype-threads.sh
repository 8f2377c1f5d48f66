#!/usr/bin/env bash
# transformers 5.24.0 (torch 2.14.1): two threads that load half-precision weights leave torch's default dtype at
# float16 for the whole process.
#
# from_pretrained(..., dtype=torch.float16) sets torch.set_default_dtype while it builds the model, and puts back what it
# found. The default is one for all threads, so two loads that overlap may put back the other one's: from then on
# torch.zeros(2), every new layer and every optimiser state is float16, in code that never asked for it. It meets
# whoever fits or serves several models in a thread pool (grids of probes, an ensemble behind a web page); the error
# comes much later ("expected scalar type Float but found Half"), or never. One load at a time, by a lock, is enough.
#
# Seen:   after 1 pair: torch.float16, torch.zeros(2) is torch.float16
# Exits 0 while transformers behaves so within 300 pairs, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0 torch==2.14.1 numpy
PLACE="$place" "$place/venv/bin/python" - <<'PYTHON'
import os
import sys
import threading

os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
import torch
import transformers

transformers.utils.logging.disable_progress_bar()
model = os.path.join(os.environ["PLACE"], "model")
settings = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
made = transformers.ViTModel(transformers.ViTConfig(**settings, image_size=32, patch_size=16))
made.half().save_pretrained(model)


def load(start=None):
    if start:
        start.wait()
    transformers.ViTModel.from_pretrained(model, dtype=torch.float16)


load()
alone = torch.get_default_dtype()
print("transformers", transformers.__version__, "torch", torch.__version__)
print("after one load alone:", alone)
for pair in range(1, 301):
    start = threading.Barrier(2)
    threads = [threading.Thread(target=load, args=(start,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if torch.get_default_dtype() != torch.float32:
        break
print(f"after {pair} pair(s): {torch.get_default_dtype()}, torch.zeros(2) is {torch.zeros(2).dtype}")
is_so = alone == torch.float32 and torch.zeros(2).dtype == torch.float16
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
