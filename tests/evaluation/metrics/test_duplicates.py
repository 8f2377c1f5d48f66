"""Pairs that look the same: against a naive double loop, and on real disguises of one picture."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import interpolate, normalize

from imaginate.errors import ConfigError
from imaginate.evaluation.metrics.core.pairs import Prints, find_pairs, redundant, share_involved
from imaginate.evaluation.metrics.leaks import Leaks
from imaginate.filters.held_out import HeldOut
from imaginate.ops.similarity import colours, hash_bits, phash


def prints(n: int, seed: int, name: str) -> Prints:
    rng = torch.Generator().manual_seed(seed)
    bits = (torch.rand(n, 64, generator=rng) > 0.5).float()
    embeddings = normalize(torch.randn(n, 3, generator=rng), dim=1)
    table = torch.rand(n, 48, generator=rng)
    return Prints(ids=[f"{name}{i}" for i in range(n)], bits=bits, colours=table, embeddings=embeddings)


@pytest.mark.parametrize("colour", [None, 0.41])
@pytest.mark.parametrize("alone", [True, False])
def test_pairs_are_those_of_a_double_loop(alone: bool, colour: float | None) -> None:
    a = prints(25, 0, "a")
    b = None if alone else prints(20, 1, "b")
    other = b or a
    expected = {
        (a.ids[i], other.ids[j])
        for i in range(len(a))
        for j in range(i + 1 if alone else 0, len(other))
        if float(a.embeddings[i] @ other.embeddings[j]) >= 0.9
        or (
            int((a.bits[i] != other.bits[j]).sum()) <= 24
            and (colour is None or float((a.colours[i] - other.colours[j]).square().mean().sqrt()) <= colour)
        )
    }
    found = find_pairs(a, b, cosine=0.9, hamming=24, colour=colour)
    assert {(p.first, p.second) for p in found} == expected
    assert expected
    assert {p.found_by for p in found} >= {"hash", "embedding"}
    assert [p.cosine for p in found] == sorted((p.cosine for p in found), reverse=True)


def test_a_disguised_copy_is_found_by_its_hash() -> None:
    rng = torch.Generator().manual_seed(0)
    images = interpolate(torch.rand(6, 3, 8, 8, generator=rng), size=(64, 64), mode="bicubic").clamp(0, 1)
    disguised = interpolate(images[2:3] * 0.8 + 0.1, size=(48, 52), mode="bilinear", antialias=True)
    nowhere = torch.zeros(1, 2)
    held = Prints(
        ids=list("abcdef"), bits=hash_bits(phash(images)), colours=colours(images), embeddings=nowhere.expand(6, 2)
    )
    new = Prints(ids=["new"], bits=hash_bits(phash(disguised)), colours=colours(disguised), embeddings=nowhere)
    (pair,) = find_pairs(new, held)
    assert (pair.first, pair.second, pair.found_by) == ("new", "c", "hash")
    assert not find_pairs(new, held, colour=0.01), "a paler picture has other colours"


def test_a_leak_ends_at_the_same_bit_everywhere() -> None:
    nothing = {"colours": torch.zeros(1, 48), "embeddings": torch.zeros(1, 2)}
    held = Prints(ids=["a"], bits=torch.zeros(1, 64), **nothing)
    for bits in (8, 9):
        new = Prints(ids=["b"], bits=(torch.arange(64) < bits).float()[None], **nothing)
        assert len(find_pairs(new, held)) == (bits <= 8)
    assert Leaks().hamming == HeldOut(path="any").bits == 8


def test_counts_of_images_not_of_pairs() -> None:
    one = torch.ones(4, 1)
    same = Prints(ids=list("abcd"), bits=torch.zeros(4, 64), colours=torch.zeros(4, 48), embeddings=one)
    pairs = find_pairs(same)
    assert len(pairs) == 6
    assert redundant(pairs) == {"b", "c", "d"}
    assert share_involved(find_pairs(same, same), 8) == 0.5


def test_thresholds_are_checked() -> None:
    a = prints(2, 0, "a")
    with pytest.raises(ConfigError, match=r"cosine must be in \[-1, 1\], got 2"):
        find_pairs(a, cosine=2)
    with pytest.raises(ConfigError, match=r"hamming must be in \[0, 64\], got 65"):
        find_pairs(a, hamming=65)
