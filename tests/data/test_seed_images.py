"""How many seed images are held: many small ones, few large ones."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from imaginate.data import seed_images
from imaginate.data.seed_images import SeedImages
from imaginate.records import Sample
from worlds import png


class Counted:
    """A picture whose readings are counted."""

    def __init__(self, name: str, data: bytes, read: Counter[str]) -> None:
        self._name, self._data, self._read = name, data, read

    def read(self) -> bytes:
        self._read[self._name] += 1
        return self._data


def seeds(count: int, read: Counter[str]) -> list[Sample]:
    data = png(np.zeros((8, 8, 3), np.uint8))
    return [Sample(id=str(i), label=0, source=Counted(str(i), data, read)) for i in range(count)]


def test_small_images_are_all_held() -> None:
    read: Counter[str] = Counter()
    images = SeedImages(seeds(200, read))
    for _ in range(2):
        for index in range(200):
            assert images.image(index).shape == (3, 8, 8)
    assert set(read.values()) == {1}


def test_of_large_images_only_so_many_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten bytes may be held, so that every image counts as large: the last three stay."""
    monkeypatch.setattr(seed_images, "HELD_BYTES", 10)
    read: Counter[str] = Counter()
    images = SeedImages(seeds(6, read), keep=3)
    for index in (0, 1, 2, 3, 4, 5, 5, 4, 3, 0):
        images.image(index)
    assert read == {"0": 2, "1": 1, "2": 1, "3": 1, "4": 1, "5": 1}


def test_whoever_takes_them_one_after_another_holds_few_until_one_is_asked_for() -> None:
    read: Counter[str] = Counter()
    images = SeedImages(seeds(200, read), keep=3)
    for index in (*range(10), 0, 9):
        images.next(index)
    assert read["0"] == 2  # the first was let go
    assert read["9"] == 1
    for index in (*range(10), *range(10)):
        images.image(index)
    assert (read["0"], read["1"], read["9"]) == (2, 2, 1)
