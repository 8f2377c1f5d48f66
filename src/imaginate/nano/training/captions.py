"""Captions of a class: its synonyms, its hypernyms and its definition in templates.

CLIP (Radford et al., 2021) learns from captions found with the images; Tiny-ImageNet has none, so they are made from
what is known of a class. WordNet's files give hypernyms and definitions where they are installed (Debian's
`wordnet-base`); without them the captions are made from the names of `classes.json` alone.
"""

import random
from pathlib import Path

TEMPLATES = (
    "{}",
    "a {}",
    "a photo of a {}",
    "a photo of the {}",
    "this is a photo of a {}",
    "an image of a {}",
    "a real-world photo of a {}",
    "a picture of a {}",
    "a close-up photo of a {}",
    "a bright photo of a {}",
    "a dark photo of a {}",
    "a colorful photo of a {}",
    "a blurry photo of a {}",
    "a cropped photo of a {}",
    "a small photo of a {}",
    "a photo of a large {}",
    "a photo of a small {}",
    "a good photo of a {}",
    "a stylized photo of a {}",
    "a high-contrast photo of a {}",
    "a low-contrast photo of a {}",
)
WORDNET = Path("/usr/share/wordnet")


def wordnet(folder: Path = WORDNET) -> bytes | None:
    """WordNet's noun database as Debian's `wordnet-base` installs it, or None where it is missing."""
    file = folder / "data.noun"
    return file.read_bytes() if file.is_file() else None


def synset(nouns: bytes, offset: int) -> tuple[str, int | None, str]:
    """(first word, offset of the first hypernym, definition) of the synset at an offset (format: wndb(5))."""
    line = nouns[offset : nouns.index(b"\n", offset)].decode("latin-1")
    fields, gloss = line.split(" | ", 1)
    words = fields.split()
    pointers = words[4 + 2 * int(words[3], 16) :]
    above = [int(pointers[i + 1]) for i, mark in enumerate(pointers) if mark == "@"]
    return words[4].replace("_", " "), above[0] if above else None, gloss.split(";")[0].strip()


def facts(wnid: str, nouns: bytes | None) -> tuple[list[str], str]:
    """The nearest three hypernyms and the definition of a WordNet id; empty without WordNet."""
    if nouns is None:
        return [], ""
    _, above, definition = synset(nouns, int(wnid[1:]))
    kinds: list[str] = []
    while above is not None and len(kinds) < 3:
        kind, above, _ = synset(nouns, above)
        kinds.append(kind)
    return kinds, definition


def of_class(names: list[str], kinds: list[str], definition: str) -> list[str]:
    """Every caption of one class, the plain ones more than once so that they are drawn most."""
    first = names[0]
    plain = [t.format(name) for name in names for t in TEMPLATES]
    plain += [t.format(first) for t in TEMPLATES] * 2
    kind = [f"a photo of a {name}, a kind of {k}" for name in names[:2] for k in kinds]
    kind += [f"{first}, {k}" for k in kinds] + [f"a photo of a {first}, {k}" for k in kinds]
    defined = [f"{name}: {definition}" for name in names[:2]] + [f"{first}, {definition}"] if definition else []
    return plain + kind + defined


def build(classes: list[tuple[str, list[str]]], nouns: bytes | None) -> list[list[str]]:
    """Captions of every class, in label order."""
    return [of_class(names, *facts(wnid, nouns)) for wnid, names in classes]


def draw(captions: list[list[str]], seed: int, step: int) -> list[str]:
    """One caption of every class, a function of (seed, step)."""
    rng = random.Random(seed * 1_000_003 + step)
    return [rng.choice(own) for own in captions]
