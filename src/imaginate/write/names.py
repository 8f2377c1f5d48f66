"""File names that are safe on every file system, unique, and still readable."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from imaginate.files import content_hash

_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|%]')
_SPLIT_WORD = re.compile(  # as datasets finds splits: such a word between separators, in a folder's or a file's name
    r"(?<![^\-._ 0-9])(train|training|validation|valid|dev|val|test|testing|eval|evaluation)(?=[\-._ 0-9]|$)"
)
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?$", re.IGNORECASE)


def class_folders(names: Sequence[str], *, guarded: bool = True) -> list[str]:
    """One folder name per class: slashes and leading dots escaped, and no two equal even where case does not count.

    `guarded`: no name is read as a split by `datasets.load_dataset("imagefolder")`; `test` becomes `test~`.
    """
    folders: list[str] = []
    taken: set[str] = set()
    for name in names:
        form = unicodedata.normalize("NFC", name)
        folder = _escape(_no_split(form) if guarded else form)
        if folder.casefold() in taken:
            folder = f"{folder}~{_hash(name)}"
        taken.add(folder.casefold())
        folders.append(folder)
    return folders


def folders_in_label_order(names: Sequence[str], *, guarded: bool = True) -> list[str]:
    """The same, where they sort in the order of the labels: the index that a reader of folders counts (`ImageFolder`)
    is the label. Numbers are filled with zeros for it, other names get their number in front."""
    folders = class_folders(names, guarded=guarded)
    if folders == sorted(folders):
        return folders
    width = max(map(len, folders))
    if all(f.isascii() and f.isdigit() for f in folders):
        filled = [folder.zfill(width) for folder in folders]
        if filled == sorted(set(filled)):
            return filled
    width = len(str(len(folders) - 1))
    return [f"{label:0{width}d}_{folder}" for label, folder in enumerate(folders)]


@lru_cache(maxsize=1024)  # the copies of a seed come one after the other
def stem(key: str) -> str:
    """A readable, unique file stem for a sample id or class key: its last words and a hash of the whole."""
    tail = key.rstrip("/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
    slug = re.sub(r"[^\w\-]+", "_", unicodedata.normalize("NFC", tail)).strip("_")[:40]
    slug = _no_split(slug)
    return f"{slug}-{_hash(key)}" if slug else _hash(key)


def _escape(name: str) -> str:
    safe = _UNSAFE.sub(lambda m: f"%{ord(m.group()):02X}", name)
    if safe[:1] in (".", " ", "~"):
        safe = f"%{ord(safe[0]):02X}{safe[1:]}"
    if safe[-1:] in (".", " "):
        safe = f"{safe[:-1]}%{ord(safe[-1]):02X}"
    if len(safe.encode()) > 200:
        safe = f"{safe.encode()[:180].decode(errors='ignore')}~{_hash(name)}"
    return f"{safe}~" if not safe or _RESERVED.match(safe) else safe


def _no_split(name: str) -> str:
    """The name with a tilde after each word that names a split."""
    return _SPLIT_WORD.sub(r"\1~", name)


def _hash(text: str) -> str:
    return content_hash(text.encode(errors="surrogatepass"), size=4)
