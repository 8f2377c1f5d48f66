"""What other tools call the things that a pool keeps: captions, URLs, scores and licences of img2dataset, LAION, ..."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imaginate.data import downloads
from imaginate.data.sources.downloaded import DownloadedSource
from imaginate.records import ImageSource, Scalar

NAMES: dict[str, tuple[str, ...]] = {
    "caption": ("caption", "text", "txt", "top_caption", "title", "class_name"),
    "url": ("url", "image_url", "original_url"),
    "licence": ("licence", "license", "license_url", "rights"),
    "author": ("author", "creator", "artist", "photographer", "owner"),
    "aesthetic": ("aesthetic", "aesthetic_score", "aesthetics_score", "score_aesthetic", "laion_aesthetic"),
    "unsafe": ("unsafe", "punsafe", "nsfw", "score_unsafe", "nsfw_prediction"),
}
# LAION-400M's words, as the probabilities that its own thresholds stand for.
_WORDS = {"unlikely": 0.0, "unsure": 0.5, "nsfw": 1.0}


def facts(row: Mapping[str, Any]) -> dict[str, Scalar]:
    """Caption, URL, licence, author, aesthetic and safety score of a row of metadata; None for what it does not say."""
    lower = {str(key).lower(): value for key, value in row.items()}
    found = {name: next((lower[k] for k in keys if lower.get(k) is not None), None) for name, keys in NAMES.items()}
    return {
        "caption": _text(found["caption"]),
        "url": _text(found["url"]),
        "licence": _text(found["licence"]),
        "author": _text(found["author"]),
        "aesthetic": _number(found["aesthetic"]),
        "unsafe": _number(found["unsafe"]),
    }


def as_taken(source: ImageSource, row: Mapping[str, Any]) -> ImageSource:
    """The image upright and without a border, where img2dataset says in its row that it may have one."""
    resized = downloads.resized_by(row)
    return source if resized is None else DownloadedSource(source, resized)


def columns(names: list[str]) -> list[str]:
    """Those of a table's columns that `facts` reads."""
    wanted = {key for keys in NAMES.values() for key in keys} | set(downloads.NAMES)
    return [name for name in names if name.lower() in wanted]


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return str(value).strip() or None if isinstance(value, (str, int, float)) else None


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        if value.strip().lower() in _WORDS:
            return _WORDS[value.strip().lower()]
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, (int, float)) or value != value:
        return None
    return float(value)
