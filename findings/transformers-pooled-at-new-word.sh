#!/usr/bin/env bash
# transformers 5.24.0: a CLIP text encoder whose configuration says `eos_token_id` 2 pools at a word that was added.
#
# CLIPs saved before words could be added carry `eos_token_id` 2 (openai/clip-vit-*, the encoders of SDXL), which is not
# the end of a text in their vocabulary. For these the library keeps its old rule and takes the pooled state at the
# highest token id. That is the end, until textual inversion adds a word: its id is higher. The pooled embedding is then
# that of the new word, and since attention is causal, whatever the prompt says after it changes nothing. No warning. It
# meets SDXL with learned words (the pooled embedding conditions its UNet) and zero-shot scores of prompts with them.
# Set `eos_token_id` of configuration and text model to the tokenizer's, or pool at the end yourself.
#
# Seen:   two prompts that differ after the new word: difference of the embeddings 0.00 with eos_token_id 2, else 0.92
# Exits 0 while transformers behaves so, 1 when that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.14.1 transformers==5.24.0 numpy
"$place/venv/bin/python" - <<'PYTHON' 2> /dev/null
import sys

import torch
import transformers
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

BEGIN, END, NEW = 998, 999, 1000  # in the order of CLIP's vocabulary: the end is last, an added word comes after it


def embeddings(end):
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=1000, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        projection_dim=16, max_position_embeddings=16, bos_token_id=BEGIN, eos_token_id=end, pad_token_id=END,
    )
    model = CLIPTextModelWithProjection(config).eval()
    model.resize_token_embeddings(1001, mean_resizing=False)
    prompts = torch.tensor([[BEGIN, 5, 6, NEW, 7, 8, END, END], [BEGIN, 5, 6, NEW, 90, 91, END, END]])
    with torch.no_grad():
        return model(prompts).text_embeds


print("transformers", transformers.__version__)
found = {}
for end in (2, END):
    one, other = embeddings(end)
    found[end] = (one - other).abs().max().item()
    print(f"eos_token_id {end}: difference of two prompts that differ after the new word {found[end]:.2f}")
is_so = found[2] == 0 and found[END] > 0.1
print("as described" if is_so else "changed")
sys.exit(0 if is_so else 1)
PYTHON
