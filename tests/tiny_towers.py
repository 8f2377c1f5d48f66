"""Tiny random models of the classes of transformers that have an image and a text tower."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tiny import seeded

SMALL = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
TEXT = {**SMALL, "vocab_size": 514, "max_position_embeddings": 64}


def two_towers(kind: str) -> Any:
    """A random model of this kind and its image processor."""
    import transformers as t

    vision = {**SMALL, "image_size": 32, "patch_size": 8}
    roberta = {**TEXT, "project_dim": 16, "pad_token_id": 1, "max_position_embeddings": 80, "type_vocab_size": 1}
    ends = {"bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 513}
    square = {"shortest_edge": 32}, {"height": 32, "width": 32}
    if kind in ("siglip", "siglip2_fixed"):  # the fixed ones of SigLIP 2 are of the classes of the first
        config = t.SiglipConfig(text_config={**TEXT, **ends}, vision_config=vision)
        return t.SiglipModel(config), t.SiglipImageProcessor(size=square[1])
    if kind == "siglip2":
        naflex = {**SMALL, "num_patches": 16, "patch_size": 8}
        config = t.Siglip2Config(text_config={**TEXT, **ends}, vision_config=naflex)
        return t.Siglip2Model(config), t.Siglip2ImageProcessor(patch_size=8, max_num_patches=16)
    processor = t.CLIPImageProcessor(size=square[0], crop_size=square[1])
    if kind == "metaclip_2":
        config = t.MetaClip2Config(text_config={**TEXT, **ends}, vision_config=vision, projection_dim=12)
        return t.MetaClip2Model(config), processor
    if kind == "altclip":
        config = t.AltCLIPConfig(text_config=roberta, vision_config=vision, projection_dim=12)
        return t.AltCLIPModel(config), processor
    config = t.ChineseCLIPConfig(text_config={**TEXT, "pad_token_id": 0}, vision_config=vision, projection_dim=12)
    return t.ChineseCLIPModel(config), t.ChineseCLIPImageProcessor(size=square[0], crop_size=square[1])


def gemma_tokenizer() -> Any:
    """SigLIP 2's, of letters."""
    from transformers import Siglip2Tokenizer

    words = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *map(chr, range(33, 127))]
    return Siglip2Tokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[], model_max_length=64)


def write_tokenizer(folder: Path) -> None:
    """CLIP's tokenizer without merges: one token a byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    units = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    tokens = [*units, *(u + "</w>" for u in units), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    kind = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "pad_token": "<|endoftext|>", **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(kind), encoding="utf-8")


def tiny_towers(folder: Path, kind: str) -> Path:
    """A random model of this kind (siglip, siglip2_fixed, siglip2, metaclip_2, altclip, chinese_clip), as published."""
    model, processor = seeded(lambda: two_towers(kind))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    if kind.startswith("siglip2"):
        gemma_tokenizer().save_pretrained(folder)
    else:
        write_tokenizer(folder)
    return folder
