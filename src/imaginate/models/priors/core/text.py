"""Prompts -> text conditioning, encoded once and kept: Stable Diffusion's single text encoder and SDXL's two.

SDXL joins the penultimate hidden states of both encoders and adds the second one's pooled embedding (Podell et al.
2023, section 2.1).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch

from imaginate.errors import ConfigError
from imaginate.ops.conditioning import Conditioning, join

PARTS = {"text_encoder": "tokenizer", "text_encoder_2": "tokenizer_2", "text_encoder_3": "tokenizer_3"}
WORD_TABLES = {"clip_l": "text_encoder", "clip_g": "text_encoder_2", "t5": "text_encoder_3"}  # in a file of words
BEFORE_NEW_WORDS = 2  # the end of a text in the configuration of CLIPs that were saved before words could be added


@runtime_checkable
class KnowsEnd(Protocol):
    """A text encoder that pools at the end of a text."""

    eos_token_id: int


def word_tables(parts: Mapping[str, tuple[Any, Any]]) -> dict[str, str]:
    """Text encoder -> its table in a file of words: clip_l, clip_g or t5."""
    names = {part: table for table, part in WORD_TABLES.items()}
    return {part: "t5" if is_t5(encoder) else names[part] for part, (_, encoder) in parts.items()}


def is_t5(encoder: Any) -> bool:
    """Whether a text encoder is a T5 (else it is a CLIP)."""
    return str(encoder.config.model_type) in ("t5", "umt5")


def pool_at_end(encoder: Any, tokenizer: Any) -> None:
    """Let a CLIP pool at the end of a text: early ones do so at the highest token id, which a new word would be."""
    for module in encoder.modules():
        if isinstance(module, KnowsEnd) and module.eos_token_id == BEFORE_NEW_WORDS:
            module.eos_token_id = int(tokenizer.eos_token_id)


class TextEncoders:
    """The tokenizers and encoders of a pipeline by their names in it, with a cache of the last `keep` prompts."""

    def __init__(self, pipe: Any, device: str, words: Mapping[str, str] | None = None, keep: int = 1024) -> None:
        self.words = words or {}  # learned word -> all of its tokens
        named = pipe.components
        found = {part: (named.get(tokenizer), named.get(part)) for part, tokenizer in PARTS.items()}
        self.parts: dict[str, tuple[Any, Any]] = {p: pair for p, pair in found.items() if pair[1] is not None}
        self.is_xl = "text_encoder_2" in self.parts
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
        return join(rows)

    @torch.no_grad()
    def _rows(self, prompts: Sequence[str]) -> list[Conditioning]:
        """Encode one prompt at a time: its embedding must not depend on its neighbours, not even by rounding."""
        return [self._row(prompt) for prompt in prompts]

    def _row(self, prompt: str) -> Conditioning:
        for word, tokens in self.words.items():
            prompt = prompt.replace(word, tokens)
        return self.read([token_ids(tokenizer, prompt) for tokenizer, _ in self.parts.values()])

    def learning(self, prompts: Sequence[str]) -> Conditioning:
        """n prompts -> n rows through encoders that learn: gradients reach them, what was kept is forgotten."""
        self.cache.clear()
        found = [[token_ids(tokenizer, prompt) for prompt in prompts] for tokenizer, _ in self.parts.values()]
        return self.read([torch.cat(ids) for ids in found])

    def read(self, found: Sequence[torch.Tensor]) -> Conditioning:
        """Token ids (n, context) by each tokenizer -> n rows."""
        hidden, pooled = [], None
        for (tokenizer, encoder), ids in zip(self.parts.values(), found, strict=True):
            ids = ids.to(self.device)
            output = encoder(ids, output_hidden_states=self.is_xl)
            hidden.append(output.hidden_states[-2] if self.is_xl else output[0])
            pooled = _pooled(encoder, output.last_hidden_state, ids, tokenizer.eos_token_id) if self.is_xl else None
        return Conditioning(torch.cat(hidden, dim=-1), pooled)


def _pooled(encoder: Any, last: torch.Tensor, ids: torch.Tensor, end: int) -> torch.Tensor | None:
    """(n, dim): the projected state at the prompt's end; None for an encoder that projects nothing.

    The encoder's own answer is not taken: with the configuration of early checkpoints (`eos_token_id` 2) it takes
    the state at the highest token id, which a learned word would be.
    """
    project = dict(encoder.named_children()).get("text_projection")
    if project is None:
        return None
    rows = torch.arange(len(ids), device=ids.device)
    pooled: torch.Tensor = project(last[rows, (ids == end).int().argmax(dim=1)])
    return pooled


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
