"""Pseudowords: one new token a class, whose embedding learns while the text encoder stays as it was.

Gal et al. 2022 (textual inversion); RET section 3.2. The table of embeddings is not touched or enlarged: a class's
row is put in place of the token on the way in, so that only (classes, width) numbers learn and nothing else moves.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from imaginate.errors import ConfigError
from imaginate.fit.core.plan import Batch, Task
from imaginate.ops.prompt_texts import TEXTUAL_INVERSION
from imaginate.records import LabelSpace


def tokens(labels: LabelSpace, tokenizer: Any) -> list[str]:
    """The pseudoword of each class, `<tiger-shark>`; ConfigError where two classes, or a class and a token, clash."""
    known = tokenizer.get_vocab()
    taken: dict[str, str] = {}
    for info in labels:
        slug = re.sub(r"[^a-z0-9]+", "-", info.title.lower()).strip("-") or re.sub(r"\W+", "-", info.name)
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
        word = info.title.split()[-1] if info.title.split() else info.name
        ids = tokenizer(word, add_special_tokens=False).input_ids
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


class Words:
    """Pseudowords of all classes in a prior's text encoder, and prompts with them as conditioning."""

    def __init__(self, task: Task, templates: Sequence[str] = TEXTUAL_INVERSION) -> None:
        self.prior, self.device, self.templates = task.prior, task.device, tuple(templates)
        self.encoder, self.names = task.prior.text_encoder, task.labels.names
        self.tokens = tokens(task.labels, task.prior.tokenizer)
        self.table = self.encoder.get_input_embeddings()
        self.tokenizer = copy.deepcopy(task.prior.tokenizer)
        self.first = len(self.tokenizer)
        self.tokenizer.add_tokens(self.tokens)
        start = initial(task.labels, task.prior.tokenizer, self.table.weight.detach().cpu())
        self.rows = nn.Parameter(start.to(self.device))
        self.encoder.set_input_embeddings(_Reading(self.table, self.rows, self.first))
        self._ids: dict[tuple[int, int], torch.Tensor] = {}

    def condition(self, batch: Batch, generator: torch.Generator) -> dict[str, Any]:
        """A template for each image, drawn with replacement; each (template, class) is encoded once a step."""
        drawn = torch.randint(len(self.templates), (len(batch.labels),), generator=generator).tolist()
        pairs = list(zip(drawn, batch.labels.tolist(), strict=True))
        unique = sorted(set(pairs))
        hidden = self.encoder(torch.cat([self.ids(*pair) for pair in unique]))[0]
        return {"encoder_hidden_states": hidden[[unique.index(pair) for pair in pairs]]}

    def ids(self, template: int, label: int) -> torch.Tensor:
        """(1, context) token ids of a template with a class's pseudoword."""
        if (template, label) not in self._ids:
            text = self.templates[template].format(name=self.tokens[label])
            limit = int(self.tokenizer.model_max_length)
            found = self.tokenizer(text, padding="max_length", max_length=limit, truncation=True, return_tensors="pt")
            if self.first + label not in found.input_ids[0].tolist():
                raise ConfigError(f"prompt {text!r} is longer than the prior's context of {limit} tokens")
            self._ids[template, label] = found.input_ids.to(self.device)
        return self._ids[template, label]

    def save(self, folder: Path) -> None:
        """All words in learned_embeds.safetensors, and one file a word, as `load_textual_inversion` reads them."""
        from safetensors.torch import save_file

        vectors = {t: row.detach().float().cpu().clone() for t, row in zip(self.tokens, self.rows, strict=True)}
        save_file(vectors, str(folder / "learned_embeds.safetensors"))
        (folder / "words").mkdir(exist_ok=True)
        for token, vector in vectors.items():
            save_file({token: vector}, str(folder / "words" / f"{token.strip('<>')}.safetensors"))

    def mapping(self) -> dict[str, str]:
        """Class name -> pseudoword."""
        return dict(zip(self.names, self.tokens, strict=True))

    def close(self) -> None:
        """Give the encoder its own table back."""
        self.encoder.set_input_embeddings(self.table)
