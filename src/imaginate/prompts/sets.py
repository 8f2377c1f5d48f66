"""From a class to a prompt: named sets of templates, drawn with replacement, with equal counts for each category.

RET sections 3.1, 3.2 and 4.3 (circled 1 to 4) and GIF Eq. 7. A *category* is a group of templates that a set uses
equally often; a template names what it needs, `{hypernym}`, and is left out for a class that does not have it.
RET strips white space inside class names for `simple-nows` and `clip`; synonyms are joined with a comma and a space
in every set ("tiger shark, Galeocerdo cuvieri"). The categories of `sariyildiz` are those that RET 3.2 lists of
Sariyildiz et al. 2022 (arXiv:2212.08420); RET does not print the templates, and the words that join their parts
("inside", the commas) are our reading.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imaginate.errors import ConfigError
from imaginate.files import lines_of
from imaginate.ops.noise import pick
from imaginate.prompts import texts
from imaginate.prompts.guided import article
from imaginate.prompts.naming import class_name
from imaginate.records import ClassInfo, LabelSpace
from imaginate.settings import nearest

FACTS = ("synonyms", "hypernym", "definition", "domain")
PLACEHOLDERS = ("name", "class", *FACTS, "background", "gif_domain", "adjective")
WhiteSpace = Literal["as-in-paper", "keep", "strip"]


@dataclass(frozen=True, slots=True)
class Category:
    """Templates that are used as often, together, as those of any other category of the set."""

    name: str
    templates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PromptSet:
    """Named categories of templates; `strip` removes the white space inside class names."""

    name: str
    categories: tuple[Category, ...]
    strip: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt and the category that it was drawn from."""

    text: str
    category: str


def _single(name: str, templates: Sequence[str], *, strip: bool = False) -> PromptSet:
    return PromptSet(name, (Category(name, tuple(templates)),), strip)


SETS: dict[str, PromptSet] = {
    "simple": _single("simple", ("A photo of {name}.",)),
    "simple-nows": _single("simple-nows", ("A photo of {name}.",), strip=True),
    "clip": _single("clip", texts.CLIP, strip=True),
    "textual-inversion": _single("textual-inversion", texts.TEXTUAL_INVERSION),
    "sariyildiz": PromptSet(
        "sariyildiz",
        (
            Category("name", ("{name}",)),
            Category("hypernym", ("{name}, {hypernym}",)),
            Category("multiple", ("multiple {name}, {hypernym}", "multiple different {name}, {hypernym}")),
            Category("definition", ("{name}, {definition}",)),
            Category("background", ("{name}, {hypernym} inside {background}",)),
        ),
    ),
    "gif": _single("gif", ("{gif_domain} {adjective} {class}",)),
}


def prompt_set(name: str) -> PromptSet:
    """A set by name, or the user's own: a text file with one template a line (`a sketch of {name}`)."""
    if name in SETS:
        return SETS[name]
    path = Path(name).expanduser()
    if path.is_file():
        return _from_file(path)
    known = nearest(name, SETS)
    raise ConfigError(f"unknown prompt set {name!r}, and no file of that name{known}")


def of_template(template: str) -> PromptSet:
    """A set of this one template: what a prior was tuned under."""
    return _single("trained", (template,))


def _from_file(path: Path) -> PromptSet:
    templates = lines_of(path)
    if not templates:
        raise ConfigError(f"prompt file has no template: {path}")
    for template in templates:
        _check_template(template, path)
    return _single(path.stem, templates)


def _check_template(template: str, path: Path) -> None:
    try:
        fields = needs(template)
    except ValueError as error:
        raise ConfigError(f"prompt file {path.name}: {error} in {template!r}") from None
    for field in fields:
        if field not in PLACEHOLDERS:
            close = nearest(field, PLACEHOLDERS)
            raise ConfigError(f"prompt file {path.name}: unknown {{{field}}} in {template!r}{close}")
    if not {"name", "class"} & set(fields):
        raise ConfigError(f"prompt file {path.name}: every template needs {{name}} or {{class}}, got {template!r}")


def needs(template: str) -> tuple[str, ...]:
    """The placeholders of a template, in order."""
    return tuple(field for _, field, _, _ in string.Formatter().parse(template) if field is not None)


def usable(chosen: PromptSet, info: ClassInfo) -> tuple[Category, ...]:
    """The categories of which this class can fill at least one template, cut to those templates."""
    have = facts_of(info)
    kept = []
    for category in chosen.categories:
        templates = tuple(t for t in category.templates if all(have.get(field, "?") for field in needs(t)))
        if templates:
            kept.append(Category(category.name, templates))
    return tuple(kept)


def skipped(chosen: PromptSet, labels: LabelSpace) -> dict[str, tuple[str, ...]]:
    """Class name -> the categories that it cannot fill. ConfigError where no class at all can fill a category.

    (A set that asks for definitions nobody gave is a mistake; one class without a definition is not.)
    """
    missing = {}
    for info in labels:
        there = {category.name for category in usable(chosen, info)}
        gone = tuple(category.name for category in chosen.categories if category.name not in there)
        if gone:
            missing[info.name] = gone
    for category in chosen.categories:
        if labels.classes and all(category.name in missing.get(info.name, ()) for info in labels):
            wanted = sorted({f for t in category.templates for f in needs(t)} & set(FACTS))
            raise ConfigError(
                f"prompt set {chosen.name} needs {' and '.join(wanted)}, which no class has: "
                "give them in classes.yaml, or a wnid each and WordNet (apt install wordnet-base)"
                + (", with --class-names wordnet" if "synonyms" in wanted else "")
            )
    return missing


def draw(
    chosen: PromptSet, info: ClassInfo, copy: int, seed: int, *, white_space: WhiteSpace = "as-in-paper"
) -> Prompt:
    """The prompt of one copy: categories take turns over the copy index, templates are drawn by the image's seed."""
    categories = usable(chosen, info)
    if not categories:
        raise ConfigError(f"prompt set {chosen.name} has no template that class {info.name!r} can fill")
    category = categories[copy % len(categories)]
    template = category.templates[pick(seed, "template", len(category.templates))]
    strip = chosen.strip if white_space == "as-in-paper" else white_space == "strip"
    return Prompt(fill(template, info, seed, strip=strip), category.name)


def fill(template: str, info: ClassInfo, seed: int, *, strip: bool = False) -> str:
    """A template with the class's words, and a scene, domain and adjective of the image's own seed."""
    values = facts_of(info, strip=strip)
    values["background"] = texts.SCENES[pick(seed, "background", len(texts.SCENES))]
    values["gif_domain"] = texts.GIF_DOMAINS[pick(seed, "domain", len(texts.GIF_DOMAINS))]
    adjective = texts.GIF_ADJECTIVES[pick(seed, "adjective", len(texts.GIF_ADJECTIVES))]
    noun = f"{adjective} {values['class']}".strip()
    values["adjective"] = f"{article(noun)} {adjective}".strip()
    return " ".join(template.format(**values).split())


def facts_of(info: ClassInfo, *, strip: bool = False) -> dict[str, str]:
    """What templates may ask of a class, by placeholder; empty where it is not known."""
    return {
        "name": class_name(info, synonyms=True, strip=strip),
        "class": class_name(info, strip=strip),
        "synonyms": ", ".join(info.synonyms),
        "hypernym": info.hypernym,
        "definition": info.definition,
        "domain": info.domain,
    }
