"""`BACKBONE@112`: the size at which a backbone sees images."""

from __future__ import annotations

import pytest
import torch

from imaginate.errors import ModelError
from imaginate.models.guides.core.backbones import load_backbone


def test_a_backbone_sees_images_at_the_side_behind_its_name() -> None:
    pytest.importorskip("timm")
    seen: list[tuple[int, ...]] = []
    small, own = (load_backbone(name, pretrained=False) for name in ("timm:resnet18@64", "timm:resnet18"))
    small.network.load_state_dict(own.network.state_dict())
    images = torch.rand(2, 3, 100, 80, generator=torch.Generator().manual_seed(0))
    small.network.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape)))
    small.network.conv1.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape)))
    with torch.no_grad():
        found = small.features(images)
    assert seen[-1] == (2, 3, 64, 64)
    assert found.shape == (2, own.dim)
    assert small.preprocess.mean == own.preprocess.mean


@pytest.mark.parametrize(
    "name", ["timm:resnet18@", "timm:resnet18@big", "efficientnet-lite0@7", "torchvision:resnet18@0"]
)
def test_a_side_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="after @ stands a side"):
        load_backbone(name, pretrained=False)


def test_a_network_of_one_size_is_refused_in_one_line() -> None:
    pytest.importorskip("timm")
    with pytest.raises(ModelError, match="does not take images of 64 px"):
        load_backbone("timm:vit_tiny_patch16_224@64", pretrained=False)
