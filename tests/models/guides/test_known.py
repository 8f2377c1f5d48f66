"""Features from the cache are those that are computed, bit by bit, whichever images were known before."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from imaginate import machine_cache
from imaginate.models.guides.core.backbones import Backbone, load_backbone
from imaginate.models.guides.core.known import SAME, known


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone("nano")


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> machine_cache.MachineCache:
    monkeypatch.setenv("IMAGINATE_CACHE", str(tmp_path))
    return machine_cache.cache()


def drawn(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, 40, 48, generator=torch.Generator().manual_seed(seed))


@pytest.mark.integration
@torch.no_grad()
def test_the_same_bits_with_the_cache_and_without(
    backbone: Backbone, cached: machine_cache.MachineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = drawn(64)
    batches = [images[:40], images[20:64], images.flip(0), images[:SAME], images[3:5], torch.cat([images, drawn(7, 1)])]
    with_cache = [backbone.features(batch) for batch in batches]
    assert cached.usage().entries == 71
    again = [backbone.features(batch) for batch in batches]
    monkeypatch.setenv("IMAGINATE_CACHE", "off")
    for batch, first, second in zip(batches, with_cache, again, strict=True):
        plain = backbone.features(batch)
        assert torch.equal(plain, first)
        assert torch.equal(plain, second)


@torch.no_grad()
def test_each_image_is_computed_once(cached: machine_cache.MachineCache) -> None:
    network, seen = torch.nn.Linear(1, 1), []

    def count(images: Tensor) -> Tensor:
        seen.append(len(images))
        return images.flatten(1).mean(dim=1, keepdim=True)

    for batch in (drawn(30), drawn(30), torch.cat([drawn(30), drawn(1, 1)]), drawn(8)):
        assert torch.equal(known(count, batch, network, "mean", device="cpu"), batch.flatten(1).mean(1, keepdim=True))
    assert seen == [30, SAME, 8], "one is new, which others fill up; a few alone are computed as they are"
    other = torch.nn.Linear(1, 1)
    known(count, drawn(30), other, "mean", device="cpu")
    known(count, drawn(30), network, "another mean", device="cpu")
    assert seen[3:] == [30, 30], "another network, and another use of it"
    with torch.enable_grad():
        known(count, drawn(30), network, "mean", device="cpu")
    assert seen[5:] == [30]


@torch.no_grad()
def test_values_of_another_length_are_computed_again(cached: machine_cache.MachineCache) -> None:
    network, images = torch.nn.Linear(1, 1), drawn(20)
    first = known(lambda x: x.flatten(1)[:, :4], images, network, "four", device="cpu")
    keys = {key: value[:8] for key, value in cached.get(_keys(cached)[:3]).items()}
    cached.put(keys)
    assert torch.equal(known(lambda x: x.flatten(1)[:, :4], images, network, "four", device="cpu"), first)


def _keys(cache: machine_cache.MachineCache) -> list[str]:
    import sqlite3

    assert cache.folder is not None
    with sqlite3.connect(cache.folder / "values.sqlite") as database:
        return [key for (key,) in database.execute("SELECT key FROM entries")]
