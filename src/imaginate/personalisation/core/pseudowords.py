"""Pseudowords: one new token a class, whose embedding learns while the text encoder stays as it was.

Gal et al. 2022 (textual inversion); RET section 3.2. The table of embeddings is not touched or enlarged: a class's
row is put in place of the token on the way in, so that only (classes, width) numbers learn and nothing else moves.
SDXL has two text encoders with a table each: a word is a row in both, and both rows learn.
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
from imaginate.models.priors.core.text import WORD_TABLES
from imaginate.ops.conditioning import Conditioning
from imaginate.personalisation.core.networks import as_stable_diffusion
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

    def ids(self, text: str, label: int) -> torch.Tensor:
        """(1, context) token ids of a text with a class's word; ConfigError where the word is cut off."""
        limit = int(self.tokenizer.model_max_length)
        found = self.tokenizer(text, padding="max_length", max_length=limit, truncation=True, return_tensors="pt")
        if self.first + label not in found.input_ids[0].tolist():
            raise ConfigError(f"prompt {text!r} is longer than the prior's context of {limit} tokens")
        ids: torch.Tensor = found.input_ids
        return ids

    def close(self) -> None:
        """Give the encoder its own table back."""
        self.encoder.set_input_embeddings(self.table)


class Words:
    """Pseudowords of all classes in a prior's text encoders, and prompts with them as conditioning."""

    def __init__(self, task: Task, templates: Sequence[str] = TEXTUAL_INVERSION) -> None:
        self.text, self.names, self.templates = (
            as_stable_diffusion(task.prior).text,
            task.labels.names,
            tuple(templates),
        )
        self.tokens = tokens(task.labels, *[tokenizer for tokenizer, _ in self.text.parts.values()])
        self.parts = {
            part: Vocabulary(task.labels, self.tokens, tokenizer, encoder, task.device)
            for part, (tokenizer, encoder) in self.text.parts.items()
        }
        self._ids: dict[tuple[int, int], list[torch.Tensor]] = {}

    def parameters(self) -> dict[str, nn.Parameter]:
        """The rows that learn, by text encoder."""
        return {part: vocabulary.rows for part, vocabulary in self.parts.items()}

    def condition(self, batch: Batch, generator: torch.Generator) -> Conditioning:
        """A template for each image, drawn with replacement; each (template, class) is encoded once a step."""
        drawn = torch.randint(len(self.templates), (len(batch.labels),), generator=generator).tolist()
        pairs = list(zip(drawn, batch.labels.tolist(), strict=True))
        unique = sorted(set(pairs))
        found = zip(*[self.ids(*pair) for pair in unique], strict=True)
        encoded = self.text.read([torch.cat(ids) for ids in found])
        return encoded.at([unique.index(pair) for pair in pairs])

    def ids(self, template: int, label: int) -> list[torch.Tensor]:
        """(1, context) token ids of a template with a class's pseudoword, by each tokenizer."""
        if (template, label) not in self._ids:
            text = self.templates[template].format(name=self.tokens[label])
            self._ids[template, label] = [part.ids(text, label) for part in self.parts.values()]
        return self._ids[template, label]

    def save(self, folder: Path) -> None:
        """All words in learned_embeds.safetensors, and one file a word, as `load_textual_inversion` reads them.

        Of one encoder: token -> (width,). Of SDXL's two, the form that its pipelines' documentation loads: `clip_l` and
        `clip_g` (words, width), without names; those are noted in the file's metadata.
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
            tables = {WORD_TABLES[part]: table.clone() for part, table in rows.items()}
            save_file(tables, str(file), metadata={"tokens": json.dumps(words, ensure_ascii=False)})

    def mapping(self) -> dict[str, str]:
        """Class name -> pseudoword."""
        return dict(zip(self.names, self.tokens, strict=True))

    def close(self) -> None:
        """Give the encoders their own tables back."""
        for vocabulary in self.parts.values():
            vocabulary.close()
