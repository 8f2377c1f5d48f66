"""Images -> fingerprints, in a stream: a few dozen images in memory at a time, whatever the size of the set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imaginate.errors import ImageError, ModelError
from imaginate.records import LabelSpace, Sample

if TYPE_CHECKING:
    from torch import Tensor

    from imaginate.contract import Guide

INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """A named image -> feature function: (b, 3, h, w) float in [0, 1] -> (b, d). `guide`: where it also classifies."""

    name: str
    embed: Callable[[Tensor], Tensor]
    guide: Guide | None = None


@dataclass(kw_only=True)
class Features:
    """Fingerprints of n images. `vectors` (n, d) float32 as the extractor gives them, `bits` (n, 64) in {0, 1},
    `colours` (n, 48) in [0, 1]."""

    ids: list[str]
    labels: list[int]
    vectors: Tensor
    bits: Tensor
    colours: Tensor
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def shown(self) -> set[int]:
        """The classes of which there is an image."""
        return {label for label in self.labels if label >= 0}

    def where(self, mask: Sequence[bool]) -> Features:
        """Those images for which `mask` is true."""
        rows = [i for i, yes in enumerate(mask) if yes]
        return Features(
            ids=[self.ids[i] for i in rows],
            labels=[self.labels[i] for i in rows],
            vectors=self.vectors[rows],
            bits=self.bits[rows],
            colours=self.colours[rows],
        )


def build_extractor(spec: str, labels: LabelSpace, *, device: str = "cpu") -> Extractor:
    """The extractor that `spec` names.

    inception[:FILE]                     the FID network, from FILE or from torch's hub cache
    clip:<id or folder>, nano            a zero-shot guide: its class consistency is the guide's own
    efficientnet-lite0, timm:<name>, ... any backbone of `imaginate.models.guides`
    """
    kind, _, rest = spec.partition(":")
    if kind == "inception":
        return Extractor(name=spec, embed=_inception(rest, device))
    if kind in ("clip", "nano") and len(labels) > 1:
        from imaginate.models.guides import build_guide

        guide = build_guide(spec, labels, device=device)
        return Extractor(name=spec, embed=guide.embed, guide=guide)
    from imaginate.models.guides.backbones import load_backbone

    return Extractor(name=spec, embed=load_backbone(spec, device=device).features)


def extract(
    samples: Iterable[Sample], extractor: Extractor, *, device: str = "cpu", batch: int = 32,
    seen: Callable[[int], None] = lambda count: None,
) -> Features:  # fmt: skip
    """Fingerprints of all samples that can be read; the others are in `skipped`, with the reason."""
    import torch

    from imaginate.data import load

    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    none = torch.zeros(0, 1)
    found = Features(ids=[], labels=[], vectors=none, bits=none, colours=none)
    images: list[Tensor] = []
    for sample in samples:
        try:
            images.append(load(sample))
        except ImageError as error:
            found.skipped.append((sample.id, str(error)))
            continue
        finally:
            seen(1)
        found.ids.append(sample.id)
        found.labels.append(sample.label)
        if len(images) == batch:
            parts.append(_fingerprint(images, extractor, device))
            images = []
    if images:
        parts.append(_fingerprint(images, extractor, device))
    if parts:
        found.vectors, found.bits, found.colours = (torch.cat(part) for part in zip(*parts, strict=True))
    _check_finite(found, extractor)
    return found


def _check_finite(found: Features, extractor: Extractor) -> None:
    """ModelError that names the first image whose features are not finite: one spoils every number of its set."""
    bad = [i for i, fine in zip(found.ids, found.vectors.isfinite().all(dim=1).tolist(), strict=True) if not fine]
    if bad:
        raise ModelError(
            f"{extractor.name} gives features that are not finite (NaN or infinite) for {len(bad)} of {len(found)} "
            f"images, first: {bad[0]}; use another --features, or another --device"
        )


def _fingerprint(images: Sequence[Tensor], extractor: Extractor, device: str) -> tuple[Tensor, Tensor, Tensor]:
    import torch

    from imaginate.ops.batching import map_images
    from imaginate.ops.similarity import colours, hash_bits, phash

    with torch.no_grad():
        vectors = map_images(extractor.embed, images, len(images), device=device).float().cpu()
        bits = map_images(lambda x: hash_bits(phash(x.cpu())), images, len(images))
        means = map_images(lambda x: colours(x.cpu()), images, len(images))
    return vectors, bits, means


def _inception(file: str, device: str) -> Callable[[Tensor], Tensor]:
    """torch-fidelity's port of the 2015 TensorFlow network, pool3 features (2048), its own resizing to 299."""
    import io

    import torch

    try:
        from torch_fidelity import feature_extractor_inceptionv3 as port
    except ModuleNotFoundError:
        raise ModelError("inception needs torch-fidelity: pip install torch-fidelity") from None
    path = Path(file) if file else Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE
    if not path.is_file():
        url = port.URL_INCEPTION_V3
        raise ModelError(f"inception needs its weights: no file {path}; fetch {url} and give inception:FILE")
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises what unpickling happens to raise
        raise ModelError(f"{path} holds no plain weights ({str(error).splitlines()[0][:100]})") from None
    safe = io.BytesIO()  # the port unpickles without care: hand it only what was read with care
    torch.save(weights, safe)
    safe.seek(0)
    network: Any = port.FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=safe)
    network.to(device)

    def embed(images: Tensor) -> Tensor:
        found: Tensor = network((images * 255).round().to(torch.uint8))[0]
        return found

    return embed
