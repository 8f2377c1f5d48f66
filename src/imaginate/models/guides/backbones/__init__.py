"""Image networks without a text tower, for whoever wants features: `load_backbone("torchvision:resnet50")`."""

from __future__ import annotations

from imaginate.models.guides.core.backbones import LITE, Backbone, is_at_hand, load_backbone

__all__ = ["LITE", "Backbone", "is_at_hand", "load_backbone"]
