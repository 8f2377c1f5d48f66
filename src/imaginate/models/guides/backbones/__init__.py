"""Image networks without a text tower, for whoever wants features: `load_backbone("torchvision:resnet50")`."""

from __future__ import annotations

from imaginate.models.guides.core.backbones import Backbone, load_backbone

__all__ = ["Backbone", "load_backbone"]
