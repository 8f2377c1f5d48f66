"""Classifiers by name: timm's, and `small`, which learns a small dataset at 32-64 px in about a minute on two cores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imaginate.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from torch import nn

# GIF Table 3's names, as timm calls them.
ALIASES = {
    "resnext50": "resnext50_32x4d",
    "wideresnet50": "wide_resnet50_2",
    "wide_resnet50": "wide_resnet50_2",
    "mobilenetv2": "mobilenetv2_100",
    "mobilenet_v2": "mobilenetv2_100",
}
_SMALL = ((32, 2), (64, 2), (64, 1), (128, 2), (128, 1), (256, 2))


def build_classifier(arch: str, classes: int, *, pretrained: bool = False, seed: int = 0) -> nn.Module:
    """A classifier, (b, 3, s, s) normalised -> logits (b, classes), with weights drawn from `seed` alone."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if arch == "small":
            if pretrained:
                raise ConfigError("pretrained must be off for arch 'small', which has no published weights")
            return _small(classes)
        return _timm(arch, classes, pretrained)


def check_arch(arch: str) -> None:
    """Refuse an unknown architecture before any work is done."""
    import timm

    name = ALIASES.get(arch, arch)
    if arch != "small" and not timm.is_model(name.split(".")[0]):
        from imaginate.settings import nearest

        raise ConfigError(f"unknown arch {arch!r}{nearest(arch, ['small', *ALIASES, *timm.list_models()])}")


def _small(classes: int) -> nn.Module:
    """Six 3x3 convolutions with batch norm, stride 16 in all, mean pooling: 0.8 M parameters."""
    from torch import nn

    layers: list[nn.Module] = []
    width = 3
    for out, stride in _SMALL:
        layers += [nn.Conv2d(width, out, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
        width = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


def _timm(arch: str, classes: int, pretrained: bool) -> nn.Module:
    import timm
    from torch import nn

    check_arch(arch)
    try:
        model = timm.create_model(ALIASES.get(arch, arch), pretrained=pretrained, num_classes=classes)
    except (OSError, RuntimeError) as error:
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"cannot load pretrained {arch!r}: {line}") from error
    assert isinstance(model, nn.Module)
    return model
