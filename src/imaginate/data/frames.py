"""Frames of videos by their names: many images of one stem with a running number, which belong on one side of a cut."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import islice

from imaginate.records import GROUP, Sample

LOOKED_AT = 50_000  # names
FEW = 3  # images of one stem, on average, below which it is no video
MOST = 0.8  # of the images, and of the classes, that have to be so

_NUMBERED = re.compile(
    r"(?P<stem>[^/]*[^/_\-. ])"
    r"(?P<between>[_\-. ]*(?:frames?|frm|image|img|slice|view)[_\-. ]*|[_\-. ]+)"
    r"(?P<number>\d+)(?:\.\w+)?",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?P<number>\d+)\.\w+")  # of a folder a video


def frames_note(samples: Sequence[Sample]) -> str:
    """A line that says how to keep the frames of a video together; empty where names do not look like frames.

    They do where most classes have several stems in one split, each with several numbers: a single stem a class is how
    images are numbered that have nothing in common.
    """
    seen = list(islice(samples, LOOKED_AT))
    if not seen or any(GROUP in s.meta for s in seen):
        return ""
    found = [(s, parts) for s in seen if (parts := _parts(s.id))]
    if len(found) < MOST * len(seen):
        return ""
    ((between, count),) = Counter(parts[2] for _, parts in found).most_common(1)
    found = [(s, parts) for s, parts in found if parts[2] == between]
    if count < MOST * len(seen):
        return ""
    is_repeated = len({(stem, number) for _, (_, stem, _, number) in found}) < len(found)
    videos: dict[str, int] = Counter()
    of_class: dict[tuple[int, str | None], set[str]] = defaultdict(set)
    for sample, (folder, stem, _, _) in found:
        name = f"{folder}{stem}" if is_repeated else stem
        videos[name] += 1
        of_class[sample.label, sample.split].add(name)
    several = sum(len(names) > 1 for names in of_class.values())
    if several < MOST * len(of_class) or len(found) < FEW * len(videos):
        return ""
    pattern = f"({'.+' if is_repeated else '[^/]+'}){re.escape(between)}\\d+"
    return (
        f"the images look like frames of {len(videos):,} videos or series, such as {found[0][0].id!r}; so that each "
        f"stays on one side of a validation cut, give train and compare --group-by '{pattern}'"
    )


def _parts(name: str) -> tuple[str, str, str, str] | None:
    """Folder, stem, what stands between, and number of an image's name; None where it has no running number."""
    folder, slash, last = name.rpartition("/")
    if match := _NUMBERED.fullmatch(last):
        return folder + slash, match["stem"], match["between"], match["number"]
    if match := _NUMBER.fullmatch(last):
        above, slash, stem = folder.rpartition("/")
        return (above + slash, stem, "/", match["number"]) if stem else None
    return None
