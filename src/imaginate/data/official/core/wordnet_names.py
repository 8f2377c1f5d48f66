"""Classes that are called by WordNet ids, with the words that the publisher's own file gives for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from imaginate.records import ClassInfo


def by_words(ids: Sequence[str], words: Mapping[str, str]) -> list[ClassInfo]:
    """A class for each id; its words are separated by commas, the first one is shown. Where two classes have the same
    first word (crane), both show the second too."""
    split = {wnid: [word.strip() for word in words.get(wnid, "").split(",") if word.strip()] for wnid in ids}
    times = Counter(found[0] for found in split.values() if found)
    return [_class(wnid, split[wnid], is_clear=times[split[wnid][0]] == 1 if split[wnid] else False) for wnid in ids]


def _class(wnid: str, words: Sequence[str], *, is_clear: bool) -> ClassInfo:
    if not words:
        return ClassInfo(name=wnid, wnid=wnid)
    if is_clear:
        return ClassInfo(name=wnid, wnid=wnid, display=words[0], synonyms=tuple(words[1:]))
    if len(words) == 1:  # WordNet's own files tell them apart
        return ClassInfo(name=wnid, wnid=wnid)
    return ClassInfo(name=wnid, wnid=wnid, display=", ".join(words[:2]), synonyms=tuple(words[1:]))
