"""Tiny random checkpoints of the real classes, saved as users' checkpoints are: for tests without a network."""

from __future__ import annotations

from pathlib import Path

import torch

from imaginate.errors import ImageError
from imaginate.records import Sample
from tiny_towers import write_tokenizer


def clip_folder(folder: Path, *, image_size: int = 32, seed: int = 0) -> Path:
    """A CLIP of 20 thousand parameters with a byte-level tokenizer."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    torch.manual_seed(seed)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**small, "vocab_size": 514, "max_position_embeddings": 77, "bos_token_id": 512, "eos_token_id": 513}
    config = CLIPConfig(
        text_config=text, vision_config={**small, "image_size": image_size, "patch_size": 8}, projection_dim=12
    )
    CLIPModel(config).save_pretrained(folder)
    size = {"shortest_edge": image_size}
    CLIPImageProcessor(size=size, crop_size={"height": image_size, "width": image_size}).save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def siglip_folder(folder: Path, *, image_size: int = 32, seed: int = 0) -> Path:
    """A SigLIP of the same size; it shares CLIP's byte-level tokenizer, which its model does not mind."""
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel

    torch.manual_seed(seed)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**small, "vocab_size": 514, "max_position_embeddings": 64}
    config = SiglipConfig(text_config=text, vision_config={**small, "image_size": image_size, "patch_size": 8})
    SiglipModel(config).save_pretrained(folder)
    SiglipImageProcessor(size={"height": image_size, "width": image_size}).save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def picture(seed: int, height: int = 40, width: int = 40) -> torch.Tensor:
    """A smooth random picture (3, h, w) uint8."""
    coarse = torch.rand(1, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    full = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=False)
    return (full[0].clamp(0, 1) * 255).round().to(torch.uint8)


class Bytes:
    """An image source that is never read."""

    def read(self) -> bytes:
        raise ImageError("not stored")


class Seeds:
    """Images in memory as `contract.Images`."""

    def __init__(self, images: list[torch.Tensor | None], labels: list[int]) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def sample(self, index: int) -> Sample:
        return Sample(id=f"s{index}", label=self.labels[index], source=Bytes())

    def image(self, index: int) -> torch.Tensor:
        image = self.images[index]
        if image is None:
            raise ImageError("truncated")
        return image


def clustered(classes: int, per_class: int, *, seed: int = 0, size: int = 40, noise: int = 30) -> Seeds:
    """A learnable toy set: each class is one picture plus noise."""
    rng = torch.Generator().manual_seed(seed)
    images, labels = [], []
    for label in range(classes):
        base = picture(1000 + label, size, size).int()
        for _ in range(per_class):
            shift = torch.randint(-noise, noise + 1, base.shape, generator=rng)
            images.append((base + shift).clamp(0, 255).to(torch.uint8))
            labels.append(label)
    return Seeds(images, labels)
