"""Zero-shot guide from a repository of open_clip: BiomedCLIP, EVA-CLIP, DFN, and whatever else has its format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.contract import GuideSetup
from imaginate.errors import ConfigError, ModelError
from imaginate.models import checkpoints
from imaginate.models.guides.core.known import known
from imaginate.models.guides.core.preprocess import Fit, Preprocess
from imaginate.models.guides.core.store import EmbeddingStore, weights_key
from imaginate.prompts.naming import class_name
from imaginate.prompts.zero_shot import check_titles, templates

CONFIG = "open_clip_config.json"


class OpenClipGuide:
    """Any repository or folder with an open_clip_config.json as a `TextGuide`; needs the package open_clip_torch.

    Preprocessing, tokens and temperature are those that the repository's own configuration names.
    """

    takes: ClassVar[Literal["checkpoint"]] = "checkpoint"
    needs_seeds: ClassVar[bool] = False
    reads_text: ClassVar[bool] = True

    def __init__(self, setup: GuideSetup) -> None:
        self.name, self.labels, self.device = setup.name, setup.labels, setup.device
        if not setup.model:
            raise ConfigError("guide open-clip needs an id or a folder: open_clip:ID")
        check_titles(self.labels, self.name)
        source = _source(setup.model)
        open_clip = _library()
        dtype = checkpoints.precision(setup.dtype, self.device)
        network = checkpoints.read(
            lambda: open_clip.create_model(source, load_weights=True), setup.model, "a model of open_clip"
        )
        self._read = checkpoints.read(lambda: open_clip.get_tokenizer(source), setup.model, "a tokenizer of open_clip")
        self.model: Any = checkpoints.freeze(network, self.device, dtype)
        self.dtype = dtype
        self.preprocess = _preprocess(self.model.visual.preprocess_cfg, setup.model)
        self.scale = float(self.model.logit_scale.detach().float().exp())
        self.class_embeddings = self._classes(templates(setup.prompts))  # (classes, dim), unit norm
        self.dim = int(self.class_embeddings.shape[1])
        self.store = EmbeddingStore(setup.cache, owner=weights_key(self.model))

    def embed(self, images: Tensor) -> Tensor:
        """(b, 3, h, w) in [0, 1] -> (b, dim) unit-norm float32, differentiable."""
        return known(self._embed, images, self.model, f"open-clip {self.dtype} {self.preprocess}", device=self.device)

    def _embed(self, images: Tensor) -> Tensor:
        pixels = self.preprocess(images.to(self.device).float())
        return F.normalize(self.model.encode_image(pixels.to(self.dtype)).float(), dim=-1)

    @torch.no_grad()
    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """n texts -> (n, dim) unit-norm float32. Texts beyond the encoder's context are cut."""
        parts = [self._read(list(texts[i : i + 256])).to(self.device) for i in range(0, len(texts), 256)]
        return torch.cat([F.normalize(self.model.encode_text(part).float(), dim=-1) for part in parts])

    def logits(self, embeddings: Tensor) -> Tensor:
        """(b, dim) -> (b, classes): learnt scale times cosine."""
        return self.scale * embeddings.float() @ self.class_embeddings.T

    def _classes(self, sentences: tuple[str, ...]) -> Tensor:
        """One embedding a class: the normalised mean over the sentences."""
        texts = [sentence.replace("{}", class_name(info)) for info in self.labels for sentence in sentences]
        each = self.embed_text(texts).view(len(self.labels), len(sentences), -1)
        return F.normalize(each.mean(dim=1), dim=-1)


def _library() -> Any:
    try:
        import open_clip
    except ModuleNotFoundError:
        raise ModelError("guide open-clip needs open_clip_torch: pip install 'imaginate[open-clip]'") from None
    return open_clip


def _source(spec: str) -> str:
    """A folder or a hub id, as open_clip names them."""
    place = Path(checkpoints.locate(spec, "clip"))
    if not place.is_dir():
        return f"hf-hub:{spec}"
    if not (place / CONFIG).is_file():
        raise ModelError(f"{spec} is not a checkpoint of open_clip: it has no {CONFIG} (clip: reads transformers')")
    return f"local-dir:{place}"


def _preprocess(config: Any, spec: str) -> Preprocess:
    """The steps that the configuration names."""
    mode = str(config["interpolation"])
    fits: dict[str, Fit] = {"shortest": "cover", "squash": "exact", "longest": "contain"}
    how = str(config["resize_mode"])
    if mode not in ("bicubic", "bilinear") or how not in fits:
        raise ModelError(f"{spec} resizes by {mode} to the {how}, which is not supported")
    size = config["size"]
    height, width = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    is_square = height == width and how == "shortest"
    return Preprocess(
        size=height if is_square else (height, width),
        crop=None if how == "squash" else (height, width),
        mode=mode,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        fit=fits[how],
        rounds=True,
    )
