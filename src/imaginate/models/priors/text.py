"""Prompts -> text conditioning, encoded once and kept: Stable Diffusion's single text encoder and SDXL's two.

SDXL joins the penultimate hidden states of both encoders and adds the second one's pooled embedding.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from imaginate.errors import ConfigError


@dataclass(frozen=True)
class Conditioning:
    """`hidden` (n, tokens, width) for cross-attention; `pooled` (n, dim) for SDXL, else None."""

    hidden: torch.Tensor
    pooled: torch.Tensor | None = None

    def at(self, part: slice) -> Conditioning:
        """Some of the rows."""
        return Conditioning(self.hidden[part], None if self.pooled is None else self.pooled[part])

    def repeat(self, count: int) -> Conditioning:
        """One row, `count` times."""
        pooled = None if self.pooled is None else self.pooled.expand(count, -1)
        return Conditioning(self.hidden.expand(count, -1, -1), pooled)

    def beside(self, negative: Conditioning) -> Conditioning:
        """[negative, self] in one batch, for classifier-free guidance in one pass."""
        pooled = None
        if self.pooled is not None and negative.pooled is not None:
            pooled = torch.cat([negative.pooled, self.pooled])
        return Conditioning(torch.cat([negative.hidden, self.hidden]), pooled)


class TextEncoders:
    """The tokenizers and encoders of a pipeline, with a cache of the last `keep` prompts."""

    def __init__(self, pipe: Any, device: str, words: Mapping[str, str] | None = None, keep: int = 1024) -> None:
        self.words = words or {}  # learned word -> all of its tokens
        names = [("tokenizer", "text_encoder"), ("tokenizer_2", "text_encoder_2")]
        parts = [(getattr(pipe, t, None), getattr(pipe, e, None)) for t, e in names]
        self.pairs = [(tokenizer, encoder) for tokenizer, encoder in parts if encoder is not None]
        self.is_xl = getattr(pipe, "text_encoder_2", None) is not None
        self.zero_empty = bool(pipe.config.get("force_zeros_for_empty_prompt", False)) and self.is_xl
        self.device, self.keep = device, keep
        self.cache: OrderedDict[str, Conditioning] = OrderedDict()

    def encode(self, prompts: Sequence[str], *, negative: bool = False) -> Conditioning:
        """n prompts -> n rows. With `negative`, an empty prompt is a row of zeros where the model was trained so."""
        missing = [p for p in dict.fromkeys(prompts) if p not in self.cache]
        fresh = dict(zip(missing, self._rows(missing), strict=True)) if missing else {}
        rows = [fresh[p] if p in fresh else self.cache[p] for p in prompts]
        for prompt in dict.fromkeys(prompts):
            self.cache[prompt] = fresh.get(prompt) or self.cache[prompt]
            self.cache.move_to_end(prompt)
        while len(self.cache) > self.keep:
            self.cache.popitem(last=False)
        if negative and self.zero_empty:
            rows = [_zeros(row) if not prompt else row for prompt, row in zip(prompts, rows, strict=True)]
        pooled = torch.cat([r.pooled for r in rows if r.pooled is not None]) if rows[0].pooled is not None else None
        return Conditioning(torch.cat([row.hidden for row in rows]), pooled)

    @torch.no_grad()
    def _rows(self, prompts: Sequence[str]) -> list[Conditioning]:
        """Encode one prompt at a time: its embedding must not depend on its neighbours, not even by rounding."""
        return [self._row(prompt) for prompt in prompts]

    def _row(self, prompt: str) -> Conditioning:
        hidden, pooled = [], None
        for word, tokens in self.words.items():
            prompt = prompt.replace(word, tokens)
        for tokenizer, encoder in self.pairs:
            ids = token_ids(tokenizer, prompt).to(self.device)
            output = encoder(ids, output_hidden_states=self.is_xl)
            hidden.append(output.hidden_states[-2] if self.is_xl else output[0])
            pooled = getattr(output, "text_embeds", None) if self.is_xl else None
        return Conditioning(torch.cat(hidden, dim=-1), pooled)


def token_ids(tokenizer: Any, prompt: str) -> torch.Tensor:
    """(1, context) token ids, padded; a prompt longer than the context is refused, not cut."""
    ids = tokenizer(prompt, truncation=False, verbose=False).input_ids
    limit = int(tokenizer.model_max_length)
    if len(ids) > limit:
        raise ConfigError(f"prompt must be at most {limit} tokens, got {len(ids)}: {prompt!r}")
    padded = tokenizer(prompt, padding="max_length", max_length=limit, truncation=True, return_tensors="pt")
    ids_tensor: torch.Tensor = padded.input_ids
    return ids_tensor


def _zeros(row: Conditioning) -> Conditioning:
    return Conditioning(torch.zeros_like(row.hidden), None if row.pooled is None else torch.zeros_like(row.pooled))
