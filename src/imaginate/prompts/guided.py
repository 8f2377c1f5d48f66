"""The prompts of guided imagination: `[domain] of a(n) [adj] [class]` (GIF, Eq. 7 and appendix B.3).

A domain is a phrase that ends in "of"; a set of domains goes by a name (`natural`, `pathology`, ...). Where GIF's
released prompts leave the article out, ours follow Eq. 7. One draw of domain and adjective an image, from its own seed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from imaginate.errors import ConfigError
from imaginate.prompts.naming import class_name
from imaginate.prompts.texts import GIF_ADJECTIVES, GIF_DOMAINS
from imaginate.records import LabelSpace, Request

DOMAINS: dict[str, tuple[str, ...]] = {
    "natural": GIF_DOMAINS,
    "photo": ("a photo of",),
    "pathology": ("a colon pathological image of",),
    "ultrasound": ("an ultrasound image of",),
    "ct": ("an abdominal CT image of",),
    "medical": ("a medical image of", "a clinical image of", "a diagnostic scan of"),
}
ADJECTIVES: dict[str, tuple[str, ...]] = {
    "natural": GIF_ADJECTIVES,
    "medical": ("", "high-contrast", "low-contrast", "bright", "dark"),
    "none": ("",),
}

_YOO = re.compile(r"^(uni([^nm]|$)|us[aeiu]|ut[ei]|eu|ew|ubiq|uran|ufo|one\b|once\b|u[bk]u)", re.IGNORECASE)
_SILENT_H = re.compile(r"^(hour|honest|hono|heir)", re.IGNORECASE)
_SPELLED = re.compile(r"^([A-Z]{2,}|[A-Z]-|[A-Z]$)")  # MRI, X-ray: named letter by letter


def article(word: str) -> str:
    """`a` or `an`, by the sound of the word: an hour, a unicorn, an MRI, a CT, an 8."""
    first = word.strip().split(" ")[0]
    if first[:1].isdigit():
        return "an" if first.startswith("8") or re.match(r"^1[18](\D|$)", first) else "a"
    if _SPELLED.match(first):
        return "an" if first[0] in "AEFHILMNORSX" else "a"
    if _SILENT_H.match(first):
        return "an"
    return "an" if first[:1].lower() in "aeiou" and not _YOO.match(first) else "a"


def prompt(domain: str, adjective: str, name: str) -> str:
    """Eq. 7: "an oil painting of" + "colorful" + "fox" -> "an oil painting of a colorful fox"."""
    noun = f"{adjective} {name}".strip()
    return f"{domain.strip()} {article(noun)} {noun}"


def chosen(words: Sequence[str], known: dict[str, tuple[str, ...]], what: str) -> tuple[str, ...]:
    """Names of sets replaced by their words, the user's own phrases kept: ("natural", "a pixel art of")."""
    found = tuple(phrase for word in words for phrase in known.get(word, (word,)))
    if not found:
        raise ConfigError(f"{what} must name at least one phrase or set ({', '.join(known)}), got none")
    return found


def draw_prompts(
    requests: Sequence[Request], labels: LabelSpace, domains: Sequence[str], adjectives: Sequence[str]
) -> list[list[str]]:
    """One prompt a copy of each request: n rows of k prompts."""
    return [[draw_prompt(seed, class_name(labels[r.label]), domains, adjectives) for seed in r.seeds] for r in requests]


def draw_prompt(seed: int, name: str, domains: Sequence[str], adjectives: Sequence[str]) -> str:
    """The prompt of the image with this seed: domain and adjective drawn uniformly and independently."""
    from imaginate.ops.noise import pick

    phrases = chosen(domains, DOMAINS, "domains")
    moods = chosen(adjectives, ADJECTIVES, "adjectives")
    return prompt(
        phrases[pick(seed, "prompt domain", len(phrases))], moods[pick(seed, "prompt adjective", len(moods))], name
    )
