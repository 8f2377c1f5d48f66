"""Zero-shot guide: the class names, read by the text tower, are the classifier (Radford et al. 2021; GIF sec. 3.2)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.contract import GuideSetup
from imaginate.errors import ModelError
from imaginate.models import checkpoints
from imaginate.models.guides.core.known import known
from imaginate.models.guides.core.naflex import Patches, ToPatches, to_patches
from imaginate.models.guides.core.preprocess import Preprocess, from_processor
from imaginate.models.guides.core.store import EmbeddingStore, weights_key
from imaginate.prompts.naming import class_name
from imaginate.prompts.zero_shot import check_titles, templates

FAMILIES = ("clip", "siglip", "siglip2", "metaclip_2", "altclip", "chinese_clip")
PADDED = ("siglip", "siglip2")  # trained on texts padded to the context, the padding read like any other token
DEFAULT = "openai/clip-vit-base-patch32"
GEMMA = 256000  # words of its tokenizer
log = logging.getLogger("imaginate")


class ClipGuide:
    """Any transformers checkpoint with an image and a text tower as a `TextGuide`: CLIP, SigLIP 1 and 2, MetaCLIP 2,
    AltCLIP, Chinese-CLIP; the classes' embeddings are computed once.

    The temperature is the checkpoint's own learnt logit scale. SigLIP's logit bias is the same for all classes, and
    the softmax does not see it.
    """

    takes: ClassVar[Literal["checkpoint", "nothing"]] = "checkpoint"
    needs_seeds: ClassVar[bool] = False
    reads_text: ClassVar[bool] = True

    def __init__(self, setup: GuideSetup) -> None:
        self.name, self.labels, self.device = setup.name, setup.labels, setup.device
        spec = setup.model or DEFAULT
        check_titles(self.labels, self.name)
        family = checkpoints.config(spec).model_type
        if family not in FAMILIES:
            raise ModelError(
                f"{spec} is a {family or 'nameless'} checkpoint; clip: needs a CLIP or SigLIP one (or MetaCLIP 2, "
                "AltCLIP, Chinese-CLIP)"
            )
        dtype = checkpoints.precision(setup.dtype, self.device)
        self.model: Any = checkpoints.model(spec, device=self.device, dtype=dtype)
        processor = checkpoints.image_processor(spec)
        self.preprocess: Preprocess | ToPatches = (
            to_patches(processor) if family == "siglip2" else from_processor(processor, where=spec)
        )
        self._tokenizer = checkpoints.tokenizer(spec)
        self._padding = "max_length" if family in PADDED else True
        self._inputs = ("input_ids",) if family in PADDED else ("input_ids", "attention_mask")
        places = int(self.model.config.text_config.max_position_embeddings)
        self._limit = min(places, int(self._tokenizer.model_max_length))
        self._lowers = _reads_lower_case(self._tokenizer, self.model.config.text_config)
        self.scale = float(self.model.logit_scale.detach().float().exp())
        self.class_embeddings = self._classes(templates(setup.prompts))  # (classes, dim), unit norm
        self.dim = int(self.class_embeddings.shape[1])
        self.store = EmbeddingStore(setup.cache, owner=weights_key(self.model))  # embeddings of the seed images

    def embed(self, images: Tensor) -> Tensor:
        """(b, 3, h, w) in [0, 1] -> (b, dim) unit-norm float32; the gradient flows back to the pixels."""
        return known(self._embed, images, self.model, f"clip {self.preprocess}", device=self.device)

    def _embed(self, images: Tensor) -> Tensor:
        pixels = self.preprocess(images.to(self.device).float())
        if isinstance(pixels, Patches):
            found = self.model.get_image_features(
                pixel_values=pixels.pixel_values.to(self.model.dtype),
                pixel_attention_mask=pixels.pixel_attention_mask,
                spatial_shapes=pixels.spatial_shapes,
            )
        else:
            found = self.model.get_image_features(pixel_values=pixels.to(self.model.dtype))
        features = _pooled(found)
        return F.normalize(features.float(), dim=-1)

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """n texts -> (n, dim) unit-norm float32. Texts beyond the encoder's context are cut."""
        parts = [self._embed_texts(list(texts[i : i + 256])) for i in range(0, len(texts), 256)]
        return torch.cat(parts)

    def logits(self, embeddings: Tensor) -> Tensor:
        """(b, dim) -> (b, classes): learnt scale times cosine."""
        return self.scale * embeddings.float() @ self.class_embeddings.T

    @torch.no_grad()
    def _embed_texts(self, texts: list[str]) -> Tensor:
        tokens: Any = self._tokenizer(
            self._cased(texts), padding=self._padding, truncation=True, max_length=self._limit, return_tensors="pt"
        ).to(self.device)
        inputs = {k: v for k, v in tokens.items() if k in self._inputs}
        return F.normalize(_pooled(self.model.get_text_features(**inputs)).float(), dim=-1)

    def _classes(self, sentences: tuple[str, ...]) -> Tensor:
        """One embedding a class: the normalised mean over the sentences."""
        texts = [sentence.replace("{}", class_name(info)) for info in self.labels for sentence in sentences]
        self._check_cut(texts, len(sentences))
        each = self.embed_text(texts).view(len(self.labels), len(sentences), -1)
        return F.normalize(each.mean(dim=1), dim=-1)

    def _cased(self, texts: list[str]) -> list[str]:
        """As the text tower was trained to read them."""
        return [text.lower() for text in texts] if self._lowers else texts

    def _check_cut(self, texts: list[str], each: int) -> None:
        """Two classes whose texts (`each` a class) are the same once they are cut to the context are refused, a text
        that is cut is named."""
        how = {"add_special_tokens": True, "padding": False}
        cut = self._tokenizer(self._cased(texts), truncation=True, max_length=self._limit, **how).input_ids
        whole = self._tokenizer(self._cased(texts), truncation=False, verbose=False, **how).input_ids
        seen: dict[str, str] = {}
        for label, info in enumerate(self.labels):
            mine = slice(label * each, (label + 1) * each)
            first = seen.setdefault(repr(cut[mine]), info.name)
            if first != info.name:
                raise ModelError(
                    f"guide {self.name}: classes {first!r} and {info.name!r} read the same in the {self._limit} tokens "
                    "that it takes; give them shorter display names in classes.yaml, or use prototypes:<backbone>"
                )
            longest = max(len(ids) for ids in whole[mine])
            if longest > self._limit:
                log.warning(
                    f"guide {self.name} reads {self._limit} tokens, the text of class {info.name!r} has {longest}: its "
                    "end is not read (a shorter display name in classes.yaml would be)"
                )


def _reads_lower_case(tokenizer: Any, text: Any) -> bool:
    """Whether the text tower was trained on lower case alone: its tokenizer's file says so, or it has Gemma's
    vocabulary, as SigLIP 2 has (transformers lower-cases for neither)."""
    return bool(tokenizer.init_kwargs.get("do_lower_case")) or int(text.vocab_size) == GEMMA


def _pooled(output: Any) -> Tensor:
    """The projected features: transformers 5 wraps them in a named tuple, 4 returns the tensor itself."""
    found: Tensor = output if isinstance(output, Tensor) else output.pooler_output
    return found
