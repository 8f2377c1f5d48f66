"""Sentences around a class name: the mean of several text embeddings classifies better than one (CLIP sec. 3.1.4)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TypeAlias

from imaginate.errors import ConfigError, ModelError
from imaginate.prompts.naming import class_name
from imaginate.records import LabelSpace

Prompts: TypeAlias = str | Sequence[str] | None

SINGLE = ("a photo of a {}.",)


def templates(prompts: Prompts) -> tuple[str, ...]:
    """`single` (or None), `clip-80`, a sentence with {}, a text file (one sentence a line), or a list of sentences."""
    if prompts is None or prompts == "single":
        return SINGLE
    if prompts == "clip-80":
        return _lines(resources.files(__package__).joinpath("clip_templates.txt").read_text(encoding="utf-8"))
    if isinstance(prompts, str):
        return _checked((prompts,)) if "{}" in prompts else _from_file(prompts)
    return _checked(tuple(prompts))


def check_titles(labels: LabelSpace, guide: str) -> None:
    """Two classes that read the same cannot be distinguished by a text guide: name them, and say what to do."""
    seen: dict[str, list[int]] = defaultdict(list)
    for label, title in enumerate(map(class_name, labels)):
        seen[" ".join(title.casefold().split())].append(label)
    for title, members in seen.items():
        if len(members) > 1:
            names = " and ".join(repr(labels[label].name) for label in members)
            raise ModelError(
                f"guide {guide}: classes {names} both read {title!r}; give them different display names in "
                f"classes.yaml, or use prototypes:<backbone>"
            )
        if not title:
            raise ModelError(
                f"guide {guide}: class {members[0]} has an empty name; give it a display name in classes.yaml"
            )


def _from_file(path: str) -> tuple[str, ...]:
    file = Path(path).expanduser()
    if not file.is_file():
        raise ConfigError(f"prompts must be single, clip-80, a sentence with {{}}, or a text file, got {path!r}")
    return _checked(_lines(file.read_text(encoding="utf-8")))


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


def _checked(sentences: tuple[str, ...]) -> tuple[str, ...]:
    if not sentences:
        raise ConfigError("prompts must hold at least one sentence, got none")
    for sentence in sentences:
        if "{}" not in sentence:
            raise ConfigError(f"a prompt must contain {{}} where the class name goes, got {sentence!r}")
    return sentences
