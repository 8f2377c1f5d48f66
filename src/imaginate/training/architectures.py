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
_SMALL = ((32, 5), (64, 3), (128, 3), (256, 3))  # (channels, kernel)


def build_classifier(arch: str, classes: int, *, pretrained: bool = False, seed: int = 0) -> nn.Module:
    """A classifier, (b, 3, s, s) normalised -> logits (b, classes), with weights drawn from `seed` alone."""
    import torch

    check_arch(arch, pretrained)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if arch == "small":
            return _small(classes)
        return _timm(arch, classes, pretrained)


def check_arch(arch: str, pretrained: bool = False) -> None:
    """Refuse an unknown architecture, and published weights where there are none, before any work is done."""
    if arch == "small":
        if pretrained:
            raise ConfigError("pretrained must be off for arch 'small', which has no published weights")
        return
    import timm

    if not timm.is_model(ALIASES.get(arch, arch).split(".")[0]):
        from imaginate.settings import nearest

        raise ConfigError(f"unknown arch {arch!r}{nearest(arch, ['small', *ALIASES, *timm.list_models()])}")


def _small(classes: int) -> nn.Module:
    """Four strided convolutions with batch norm, mean pooling: 0.4 M parameters, 5 million products a 32 px image."""
    from torch import nn

    layers: list[nn.Module] = []
    width = 3
    for out, kernel in _SMALL:
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
        model = timm.create_model(ALIASES.get(arch, arch), pretrained=pretrained, num_classes=classes)
    except (OSError, RuntimeError) as error:
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"cannot load pretrained {arch!r}: {line}") from error
    assert isinstance(model, nn.Module)
    return model
