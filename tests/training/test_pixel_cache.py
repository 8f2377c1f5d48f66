"""Decoded images on disk: what is kept is what one thread would keep, in the order of the samples."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from imaginate.data import open_dataset
from imaginate.data.decoding import pixels_of
from imaginate.data.image_hashes import ImageHasher, pixel_hash, small_version
from imaginate.errors import ImageError
from imaginate.training import pixel_cache
from worlds import folder


@pytest.mark.parametrize("count", [1, 5])
def test_any_number_of_threads_keeps_what_a_plain_loop_keeps(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    folder(data, each=9)
    files = sorted(data.rglob("*.png"))
    dataset = open_dataset(data)
    files[4].write_bytes(files[4].read_bytes()[:60])
    monkeypatch.setattr(pixel_cache, "processors", lambda: count)
    seen: list[int] = []
    found = pixel_cache.build_pixel_cache(
        dataset.samples, tmp_path / "cache", size=20, classes=len(dataset.labels), advance=seen.append
    )
    assert sum(seen) == len(dataset.samples)

    hasher, kept = ImageHasher(len(dataset.samples)), found.pixels()
    (broken,) = found.skipped
    with pytest.raises(ImageError, match=re.escape(found.skipped[broken])):
        pixels_of(next(sample for sample in dataset.samples if sample.id == broken))
    for i, sample in enumerate(dataset.samples):
        if sample.id == broken:
            assert not kept[i].any()
            assert not found.content[i]
            continue
        image = pixels_of(sample)
        assert np.array_equal(kept[i], pixel_cache.fit_square(image, 20))
        assert found.content[i] == pixel_hash(image)
        hasher.add(i, small_version(image))
    for ours, naive in zip((found.hashes, found.mirrored), hasher.finish(), strict=True):
        assert np.array_equal(ours.bits, naive.bits)
        assert np.array_equal(ours.thumbs, naive.thumbs)
