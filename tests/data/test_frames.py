"""Frames of videos are known by their names, and the pattern that is suggested keeps each video together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import pytest

from imaginate.data.frames import frames_note
from imaginate.data.relatives import joined, named_pairs
from imaginate.data.sources.file import FileSource
from imaginate.records import Sample


def _samples(names: Iterable[tuple[str, int]]) -> list[Sample]:
    return [Sample(id=name, source=FileSource(name), label=label) for name, label in names]


def _groups(samples: Sequence[Sample]) -> list[int]:
    """The size of each group by the pattern of the note, in their order."""
    found = re.search(r"--group-by '(.+)'$", note) if (note := frames_note(samples)) else None
    assert found, note
    assert "\n" not in note
    group = joined(len(samples), named_pairs(samples, found[1])).tolist()
    return [group.count(one) for one in sorted(set(group))]


@pytest.mark.parametrize(
    "form",
    [
        "{c}/video{v:02}_frame{n:04}.png", "train/{c}/{c}-clip{v}-{n}.jpg", "{c}/v_{c}_g{v:02}_c01_{n:05}",
        "{c}/take{v}frame{n}.png", "train/{c}/video{v:02}/{n:06}.png", "video{c}{v:02}_frame{n:04}.png",
    ],
)  # fmt: skip
def test_the_frames_of_a_video_stay_together(form: str) -> None:
    frames = [(form.format(c="ab"[c], v=v, n=n), c) for c in (0, 1) for v in (1, 2, 3) for n in range(0, 50, 10)]
    assert _groups(_samples(frames)) == [5] * 6


def test_a_video_of_two_classes_stays_together() -> None:
    """Its frames go on from one class folder to the other, so that no name comes twice."""
    frames = [(f"{'ab'[n > 4]}/video{v:02}_frame{n:04}.png", int(n > 4)) for v in (1, 2, 3) for n in range(10)]
    assert _groups(_samples(frames)) == [10] * 3


@pytest.mark.parametrize(
    "form", ["{c}/image_{n:04}.jpg", "{c}/{n:03}.png", "{c}/n0144{c}_{n}.JPEG", "test.parquet:{n}", "{c}/{n}a{n}.png"]
)
def test_images_that_are_merely_numbered_are_no_videos(form: str) -> None:
    images = _samples((form.format(c=c, n=n + 20 * c), c) for c in (0, 1) for n in range(20))
    assert frames_note(images) == ""


@pytest.mark.parametrize("form", ["{s}/{c}/{n:03}.png", "{s}/{c}_{n:04}.jpg", "{c}/{s}/{n}.png"])
def test_the_images_of_two_splits_are_no_videos(form: str) -> None:
    images = [
        Sample(id=name, source=FileSource(name), label=c, split=s)
        for s in ("train", "test") for c in (0, 1) for n in range(12) if (name := form.format(s=s, c=c, n=n))
    ]  # fmt: skip
    assert frames_note(images) == ""


def test_a_stem_with_one_or_two_images_is_no_video() -> None:
    """A bird's number and a photograph's: nothing runs here."""
    images = _samples((f"{c}/Albatross_{n:04}_{n * 37}.jpg", c) for c in (0, 1) for n in range(20))
    assert frames_note(images) == ""


def test_images_that_are_grouped_already_get_no_line() -> None:
    frames = [(f"{c}/video{v}_frame{n}.png", c) for c in (0, 1) for v in (1, 2) for n in range(9)]
    grouped = [Sample(id=s.id, source=s.source, label=s.label, meta={"group": s.id[:8]}) for s in _samples(frames)]
    assert frames_note(_samples(frames))
    assert frames_note(grouped) == ""
