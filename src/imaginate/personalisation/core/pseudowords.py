"""Pseudowords: one new token a class, whose embedding learns while the text encoder stays as it was.

Gal et al. 2022 (textual inversion); RET section 3.2. The table of embeddings is not touched or enlarged: a class's
row is put in place of the token on the way in, so that only (classes, width) numbers learn and nothing else moves.
Where there are several text encoders (SDXL, SD3, FLUX.1), a word is a row in the table of each, and all rows learn.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from imaginate.errors import ConfigError
from imaginate.models.priors.core.text import word_tables
from imaginate.ops.conditioning import Conditioning
from imaginate.personalisation.core.networks import as_reader
from imaginate.personalisation.core.plan import Batch, Task
from imaginate.prompts.naming import class_name, core_word
from imaginate.prompts.texts import TEXTUAL_INVERSION
from imaginate.records import LabelSpace


def tokens(labels: LabelSpace, *tokenizers: Any) -> list[str]:
    """The pseudoword of each class, `<tiger-shark>`; ConfigError where two classes, or a class and a token, clash."""
    known = {word for tokenizer in tokenizers for word in tokenizer.get_vocab()}
    taken: dict[str, str] = {}
    for info in labels:
        slug = re.sub(r"[^a-z0-9]+", "-", class_name(info).lower()).strip("-") or re.sub(r"\W+", "-", info.name)
        word = f"<{slug}>"
        if word in taken:
            raise ConfigError(
                f"classes {taken[word]!r} and {info.name!r} would share the pseudoword {word}: rename one"
            )
        if word in known:
            raise ConfigError(
                f"class {info.name!r} needs the pseudoword {word}, which the prior's tokenizer already has"
            )
        taken[word] = info.name
    return list(taken)


def initial(labels: LabelSpace, tokenizer: Any, table: torch.Tensor) -> torch.Tensor:
    """(classes, width): the last word of each class's first name, the mean where it has several tokens (RET 3.2)."""
    rows = []
    for info in labels:
        ids = tokenizer(core_word(info), add_special_tokens=False).input_ids
        rows.append(table[torch.tensor(ids)].float().mean(0))
    return torch.stack(rows)


class _Reading(nn.Module):
    """The encoder's token embedding, with ids from `first` upwards read from the learnt rows."""

    def __init__(self, table: nn.Embedding, rows: nn.Parameter, first: int) -> None:
        super().__init__()
        self.table, self.first = table, first
        self.rows = rows

    @property
    def weight(self) -> torch.Tensor:
        """The frozen table: what the encoder asks for its device and precision."""
        return self.table.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """(b, tokens) ids -> (b, tokens, width)."""
        fresh = ids >= self.first
        known = self.table(ids.masked_fill(fresh, 0))
        learnt = self.rows[(ids - self.first).clamp(min=0)].to(known.dtype)
        return torch.where(fresh[..., None], learnt, known)


class Vocabulary:
    """The words of all classes in one text encoder: a tokenizer that knows them, and rows that its table reads."""

    def __init__(self, labels: LabelSpace, words: Sequence[str], tokenizer: Any, encoder: Any, device: str) -> None:
        self.encoder, self.table = encoder, encoder.get_input_embeddings()
        self.tokenizer = copy.deepcopy(tokenizer)
        self.first = len(self.tokenizer)
        self.tokenizer.add_tokens(list(words))
        self.rows = nn.Parameter(initial(labels, tokenizer, self.table.weight.detach().cpu()).to(device))
        encoder.set_input_embeddings(_Reading(self.table, self.rows, self.first))

    def check(self, text: str, label: int) -> None:
        """ConfigError for a text with a class's word in which the word is cut off."""
        limit = int(self.tokenizer.model_max_length)
        found = self.tokenizer(text, truncation=True, max_length=limit).input_ids
        if self.first + label not in found:
            raise ConfigError(f"prompt {text!r} is longer than the prior's context of {limit} tokens")

    def close(self) -> None:
        """Give the encoder its own table back."""
        self.encoder.set_input_embeddings(self.table)


class Words:
    """Pseudowords of all classes in a prior's text encoders, and prompts with them as conditioning."""

    def __init__(self, task: Task, templates: Sequence[str] = TEXTUAL_INVERSION) -> None:
        self.prior, self.names, self.templates = as_reader(task.prior), task.labels.names, tuple(templates)
        self.own = dict(self.prior.text.parts)  # the prior's tokenizers and encoders
        self.tokens = tokens(task.labels, *[tokenizer for tokenizer, _ in self.own.values()])
        self.parts = {
            part: Vocabulary(task.labels, self.tokens, tokenizer, encoder, task.device)
            for part, (tokenizer, encoder) in self.own.items()
        }
        for part, vocabulary in self.parts.items():
            self.prior.put_tokenizer(part, vocabulary.tokenizer)
        self._texts: dict[tuple[int, int], str] = {}

    def parameters(self) -> dict[str, nn.Parameter]:
        """The rows that learn, by text encoder."""
        return {part: vocabulary.rows for part, vocabulary in self.parts.items()}

    def condition(self, batch: Batch, generator: torch.Generator) -> Conditioning:
        """A template for each image, drawn with replacement; each (template, class) is encoded once a step."""
        drawn = torch.randint(len(self.templates), (len(batch.labels),), generator=generator).tolist()
        pairs = list(zip(drawn, batch.labels.tolist(), strict=True))
        unique = sorted(set(pairs))
        encoded = self.prior.learning([self.text(*pair) for pair in unique])
        return encoded.at([unique.index(pair) for pair in pairs])

    def text(self, template: int, label: int) -> str:
        """A template with a class's pseudoword, which every tokenizer must read."""
        if (template, label) not in self._texts:
            text = self.templates[template].format(name=self.tokens[label])
            for part in self.parts.values():
                part.check(text, label)
            self._texts[template, label] = text
        return self._texts[template, label]

    def save(self, folder: Path) -> None:
        """All words in learned_embeds.safetensors, and one file a word, as `load_textual_inversion` reads them.

        Of one encoder: token -> (width,). Of several, the form that diffusers' documentation loads: `clip_l`, `clip_g`,
        `t5` (words, width), without names; those are noted in the file's metadata.
        """
        rows = {part: vectors.detach().float().cpu() for part, vectors in self.parameters().items()}
        (folder / "words").mkdir(exist_ok=True)
        self._write(folder / "learned_embeds.safetensors", self.tokens, rows)
        for label, token in enumerate(self.tokens):
            file = folder / "words" / f"{token.strip('<>')}.safetensors"
            self._write(file, [token], {part: table[label : label + 1] for part, table in rows.items()})

    def _write(self, file: Path, words: list[str], rows: dict[str, torch.Tensor]) -> None:
        from safetensors.torch import save_file

        if len(rows) == 1:
            (table,) = rows.values()
            save_file({word: row.clone() for word, row in zip(words, table, strict=True)}, str(file))
        else:
            names = word_tables(self.own)
            tables = {names[part]: table.clone() for part, table in rows.items()}
            save_file(tables, str(file), metadata={"tokens": json.dumps(words, ensure_ascii=False)})

    def mapping(self) -> dict[str, str]:
        """Class name -> pseudoword."""
        return dict(zip(self.names, self.tokens, strict=True))

    def close(self) -> None:
        """Give the encoders their own tables and tokenizers back."""
        for part, vocabulary in self.parts.items():
            vocabulary.close()
            self.prior.put_tokenizer(part, self.own[part][0])
