"""nano-clip's tokenizer: CLIP's own byte-pair merges, cut to the first 8,000.

The merges come from the file inside the `open_clip_torch` wheel. Byte-pair merges are ordered by frequency, so a
shorter list still encodes every text, rare words in more pieces, and the embedding table is a sixth of CLIP's.
"""

import gzip
import json
from importlib import resources
from pathlib import Path
from typing import Any

MERGES = 7678  # + 512 bytes + 2 marks = 8192 tokens


def build(folder: Path, merges: int = MERGES) -> Any:
    """Write vocab.json and merges.txt into `folder` and read them as a CLIPTokenizer of 77 tokens."""
    from transformers import CLIPTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    pairs = _merges(merges)
    units = [chr(code) for code in _unicode_of_bytes()]
    words = units + [u + "</w>" for u in units] + ["".join(pair.split()) for pair in pairs]
    words += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *pairs, ""]), encoding="utf-8")
    tokenizer = CLIPTokenizer.from_pretrained(str(folder), model_max_length=77)
    tokenizer.save_pretrained(str(folder))
    return tokenizer


def _merges(count: int) -> list[str]:
    """The first merges of CLIP's list."""
    file = resources.files("open_clip").joinpath("bpe_simple_vocab_16e6.txt.gz")
    lines = gzip.decompress(file.read_bytes()).decode("utf-8").split("\n")
    return lines[1 : 1 + count]


def _unicode_of_bytes() -> list[int]:
    """GPT-2's printable stand-in of each byte, in CLIP's order: printable bytes first, then the rest from 256 up."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return printable + [256 + i for i in range(256 - len(printable))]
