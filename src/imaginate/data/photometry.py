"""Decides once for a source how its numbers become pictures, on a sample of its images, and says it.

JPEG, WebP and their like are always of 8 bits and are not looked at; of all else a few headers are read, and more
images where these hold numbers of more than 8 bits.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from imaginate.contract import NumberSource
from imaginate.data.decoding import numbers_in
from imaginate.data.endings import ending
from imaginate.data.packed import endings_of, ids_of, only
from imaginate.data.sources.file import FileSource
from imaginate.data.spec import DataSpec
from imaginate.data.urls import is_url
from imaginate.errors import ImageError
from imaginate.records import FileBacked, ImageSource, Sample
from imaginate.runs import RunFolder

if TYPE_CHECKING:
    from imaginate.data.dataset import Dataset
    from imaginate.data.rendering import Numbers, Rendering, Span, Window

FIRST, MOST = 6, 32  # images that are looked at: of any source, and of one with numbers of more than 8 bits
REMOTE = 3
_EIGHT_BITS = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".gif", ".bmp", ".dib", ".avif", ".apng")
_BY_NAME = (".png", ".tif", ".tiff")  # each is looked at by itself: one may be deep and the other not
_DARK = 1 / 16


def decide(
    samples: Sequence[Sample], spec: DataSpec, before: Rendering | None = None
) -> tuple[Rendering | None, list[str]]:
    """The rendering of a source, None where all of it is ordinary pictures, and what a person should know of it.
    `before`: that of another source, whose windows hold here too."""
    from imaginate.data.rendering import ANY, Rendering, Window

    window = spec.window
    chosen = (spec.channels, spec.page)
    if window is not None:
        return Rendering((Window(ANY, *window),), *chosen), []
    seen = [numbers for group in _groups(samples) for numbers in _sampled(group, spec)]
    windows, notes = _windows(seen, before.windows if before is not None else ())
    several = [numbers.pages for numbers in seen if numbers.pages > 1]
    shown = next((numbers.shown for numbers in seen if numbers.pages > 1), "the first")
    if several and chosen == (None, None):
        notes.append(
            f"{len(several)} of {len(seen)} images that were looked at have several pages (up to {max(several)}): "
            f"{shown} is used; --page takes another, and --channels 1,2,3 makes colours of them"
        )
    if not windows and chosen == (None, None):
        return None, notes
    return Rendering(tuple(windows), *chosen), notes


def rendering_of(dataset: Dataset) -> Rendering | None:
    """How numbers become pictures in what is to be compared with a dataset: as there, or as in the source of the run
    that it is."""
    if dataset.rendering is not None or dataset.format != "run":
        return dataset.rendering
    from imaginate.data.rendering import Rendering

    before = RunFolder(dataset.spec.path).facts.get("rendering")
    return None if before is None else Rendering.from_dict(before)


def through(samples: Iterable[Sample], rendering: Rendering) -> list[Sample]:
    """The samples, those that may not be ordinary pictures seen through the rendering."""
    from dataclasses import replace

    from imaginate.data.sources.rendered import RenderedSource

    concerns_all = rendering.channels is not None or rendering.of_eight_bits is not None
    return [
        replace(sample, source=RenderedSource(sample.source, rendering))
        if concerns_all or _may_be_deep(sample.id)
        else sample
        for sample in samples
    ]


def of_window(window: Window) -> Rendering:
    """A rendering by one window."""
    from imaginate.data.rendering import Rendering

    return Rendering((window,))


def masks(samples: Sequence[Sample]) -> Window | None:
    """Black and white of 8-bit pictures that hold 0 and 1 alone: masks, which would be black. For a source whose first
    picture is so dark."""
    from imaginate.data.decoding import pixels_of
    from imaginate.data.rendering import Window

    tops = []
    for sample in _spread(samples, FIRST):
        try:
            tops.append(int(pixels_of(sample).max()))
        except ImageError:
            continue
    return Window("uint8", 0.0, 1.0) if tops and max(tops) == 1 else None


def _groups(samples: Sequence[Sample]) -> list[Sequence[Sample]]:
    """The samples that may be deep, by what their names say."""
    kinds = endings_of(samples)
    if not any(map(_may_be_deep, kinds)):
        return []
    if len(kinds) == 1:
        return [samples]
    by_ending: dict[str, array[int]] = {}
    for place, name in enumerate(ids_of(samples)):
        by_ending.setdefault(ending(name), array("q")).append(place)
    groups: dict[str, array[int]] = {}
    for end, some in by_ending.items():
        if _may_be_deep(end):
            groups.setdefault(end.lower() if end.lower() in _BY_NAME else "", array("q")).extend(some)
    return [only(samples, places) for places in groups.values()]


def _may_be_deep(name: str) -> bool:
    return not name.lower().endswith(_EIGHT_BITS)


def _sampled(group: Sequence[Sample], spec: DataSpec) -> list[Numbers]:
    """The numbers of some images; none where the first ones are ordinary pictures."""
    is_far = isinstance(source := group[0].source, FileBacked) and is_url(source.path)
    first = _numbers(_spread(group, REMOTE if is_far else FIRST), spec)
    return _numbers(_spread(group, FIRST if is_far else MOST), spec) if first else []


def _spread(samples: Sequence[Sample], count: int) -> list[Sample]:
    """Some samples, evenly over the source where any place is reached at once, else the first ones."""
    if not isinstance(samples[0].source, (FileSource, NumberSource)):
        return list(samples[:count])
    step = max(1.0, len(samples) / count)
    return [samples[int(i * step)] for i in range(min(count, len(samples)))]


def _numbers(samples: Iterable[Sample], spec: DataSpec) -> list[Numbers]:
    found = []
    for sample in samples:
        numbers = _read(sample.source, spec)
        if numbers is not None:
            found.append(numbers)
    return found


def _read(source: ImageSource, spec: DataSpec) -> Numbers | None:
    try:
        numbers = numbers_in(source, spec.page, spec.channels)
    except ImageError:
        return None
    is_ordinary = isinstance(numbers, bytes) or (numbers.kind == "uint8" and numbers.pages == 1)
    return None if is_ordinary or isinstance(numbers, bytes) else numbers


def _windows(seen: Sequence[Numbers], before: Sequence[Window]) -> tuple[list[Window], list[str]]:
    """The windows of each kind of numbers, those of `before` first, and the notes that say them."""
    from imaginate.data.rendering import ANY, span_of, windows_for

    spans: dict[str, list[Span]] = {}
    for numbers in seen:
        if numbers.declared is None and numbers.kind != "uint8":
            spans.setdefault(numbers.kind, []).append(span_of(numbers.values))
    windows: list[Window] = list(before)
    notes: list[str] = []
    for kind, found in sorted(spans.items()):
        if there := [window for window in before if window.kind in (kind, ANY)]:
            notes.append(f"{kind} images are read with {_ranges(there)}, as the images that they are compared with")
            continue
        made = windows_for(kind, found)
        windows += made
        notes.append(_said(kind, made, found))
        notes += _dark(made[-1], found)
    return windows, notes


def _said(kind: str, windows: Sequence[Window], spans: Sequence[Span]) -> str:
    low, high = min(span[0] for span in spans), max(span[1] for span in spans)
    by_each = ", each image by its own numbers" if len(windows) > 1 else ""
    return (
        f"{kind} images are read with {_ranges(windows)}{by_each}: {len(spans)} of them hold {low:g} to {high:g}; "
        "another range is said with --range"
    )


def _ranges(windows: Sequence[Window]) -> str:
    return " and ".join(f"black {window.black:g}, white {window.white:g}" for window in windows)


def _dark(window: Window, spans: Sequence[Span]) -> list[str]:
    limit = window.black + (window.white - window.black) * _DARK
    dark = sum(span[1] < limit for span in spans)
    return [f"{dark} of {len(spans)} {window.kind} images are nearly black in that range"] if dark else []
