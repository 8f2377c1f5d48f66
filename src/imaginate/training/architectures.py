"""Networks from drawn weights by name: timm's, and `small`, which learns a small dataset at 48-64 px on two cores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imaginate.errors import ConfigError, ModelError
from imaginate.files import first_line

if TYPE_CHECKING:
    import torch
    from torch import nn

# GIF Table 3's names, as timm calls them.
ALIASES = {
    "resnext50": "resnext50_32x4d",
    "wideresnet50": "wide_resnet50_2",
    "wide_resnet50": "wide_resnet50_2",
    "mobilenetv2": "mobilenetv2_100",
    "mobilenet_v2": "mobilenetv2_100",
}
SMALL, FIRST_SMALL = "small", "small-v0"  # the second is what version 0.1.0 called `small`
_FIRST = ((32, 5), (64, 3), (128, 3), (256, 3))  # (channels, kernel)
_STEM, _BLOCKS = 32, (32, 64, 128, 256)


@dataclass(frozen=True)
class Published:
    """What a timm network's published weights were trained on: side of the input, mean and deviation of pixels."""

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def build_classifier(arch: str, classes: int, *, pretrained: bool = False, seed: int = 0) -> nn.Module:
    """A classifier, (b, 3, s, s) normalised -> logits (b, classes), with weights drawn from `seed` alone."""
    import torch

    check_arch(arch, pretrained)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if arch == SMALL:
            return _small(classes)
        return _first_small(classes) if arch == FIRST_SMALL else _timm(arch, classes, pretrained)


def check_arch(arch: str, pretrained: bool = False) -> None:
    """Refuse an unknown architecture, and published weights where there are none, before any work is done."""
    if arch in (SMALL, FIRST_SMALL):
        if pretrained:
            raise ConfigError(f"pretrained must be off for arch {arch!r}, which has no published weights")
        return
    import timm

    if not timm.is_model(_name(arch).split(".")[0]):
        from imaginate.settings import nearest

        known = ["small", "probe:efficientnet-lite0", "finetune:efficientnet-lite0", *ALIASES, *timm.list_models()]
        raise ConfigError(f"unknown arch {arch!r}{nearest(arch, known)}")


def published_input(arch: str) -> Published | None:
    """What timm says of a network's published weights; None for a network that has none."""
    if arch in (SMALL, FIRST_SMALL):
        return None
    import timm

    found = timm.get_pretrained_cfg(_name(arch)) if timm.is_model(_name(arch).split(".")[0]) else None
    if found is None:
        return None
    mean, std = ((float(v[0]), float(v[1]), float(v[2])) for v in (found.mean, found.std))
    return Published(int(found.input_size[-1]), mean, std)


def _name(arch: str) -> str:
    """The network's name as timm has it."""
    return ALIASES.get(arch, arch).removeprefix("timm:")


def _small(classes: int) -> nn.Module:
    """A residual network of four stages (He et al. 2016): 1.3 M parameters, 62 million products a 64 px image."""
    from torch import nn

    class Block(nn.Module):
        def __init__(self, before: int, width: int, stride: int) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(before, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
                nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width),
            )  # fmt: skip
            same = stride == 1 and before == width
            shorter = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))
            self.short = nn.Identity() if same else shorter

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.relu(self.body(x) + self.short(x))

    layers: list[nn.Module] = [nn.Conv2d(3, _STEM, 3, 2, 1, bias=False), nn.BatchNorm2d(_STEM), nn.ReLU()]
    before = _STEM
    for width in _BLOCKS:
        layers.append(Block(before, width, 1 if width == before else 2))
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))


def _first_small(classes: int) -> nn.Module:
    """Four strided convolutions with batch norm, mean pooling: 0.4 M parameters, 5 million products a 32 px image."""
    from torch import nn

    layers: list[nn.Module] = []
    width = 3
    for out, kernel in _FIRST:
        layers += [
            nn.Conv2d(width, out, kernel, stride=2, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
        ]
        width = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


def _timm(arch: str, classes: int, pretrained: bool) -> nn.Module:
    import timm
    from torch import nn

    try:
        model = timm.create_model(_name(arch), pretrained=pretrained, num_classes=classes)
    except (OSError, RuntimeError) as error:
        raise ModelError(f"cannot load pretrained {arch!r}: {first_line(error)}") from error
    assert isinstance(model, nn.Module)
    return model
