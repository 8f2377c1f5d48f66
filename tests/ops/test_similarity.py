"""Nearest neighbours and cover radius against loops; the hash against what it must forgive and what it must not."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from imaginate.errors import ConfigError
from imaginate.ops.batching import map_images
from imaginate.ops.cover import cover_radius, delta_diversity
from imaginate.ops.similarity import (
    SignatureIndex,
    colour_distance,
    colours,
    hamming,
    hash_bits,
    nearest_distances,
    phash,
    signature,
)


def _points(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_cover_radius_is_definition_c1():
    points, reference = _points(7, 3, 0), _points(11, 3, 1)
    naive = max(min(math.dist(s, e) for e in points.tolist()) for s in reference.tolist())
    assert cover_radius(points, reference, chunk=4) == pytest.approx(naive, abs=1e-12)
    assert delta_diversity(points, reference) == pytest.approx(1 / naive, abs=1e-9)


def test_cover_shrinks_with_new_points_and_not_with_repeats():
    points, reference = _points(6, 2, 2), _points(40, 2, 3)
    radius = cover_radius(points, reference)
    assert cover_radius(torch.cat([points, points]), reference) == radius, (
        "repeating data covers nothing new (GIF sec. 4)"
    )
    assert cover_radius(torch.cat([points, _points(6, 2, 4)]), reference) <= radius
    assert cover_radius(points, reference, quantile=0.5) < radius
    assert delta_diversity(reference, reference) == math.inf
    with pytest.raises(ConfigError, match=r"quantile must be in \(0, 1\], got 0"):
        cover_radius(points, reference, quantile=0)


def test_nearest_agree_with_loops():
    a, b = _points(9, 4, 5), _points(6, 4, 6)
    distances, where = nearest_distances(a, b, chunk=2)
    for i, row in enumerate(a.tolist()):
        naive = [math.dist(row, other) for other in b.tolist()]
        assert float(distances[i]) == pytest.approx(min(naive), abs=1e-12)
        assert int(where[i]) == naive.index(min(naive))


def _scene(seed: int, size: int = 64) -> torch.Tensor:
    """A smooth random picture (1, 3, size, size) in [0, 1]."""
    coarse = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=False).clamp(0, 1)


def test_hash_forgives_what_does_not_change_the_picture():
    scene = _scene(0)
    base = phash(scene)[0]
    noisy = scene + 0.02 * torch.randn(scene.shape, generator=torch.Generator().manual_seed(1))
    for changed in (F.interpolate(scene, size=(96, 96), mode="bilinear"), 0.7 * scene + 0.1, noisy.clamp(0, 1)):
        assert hamming(base, phash(changed)[0]) <= 6
    assert hamming(base, phash((scene * 255).round().to(torch.uint8))[0]) <= 2


def test_hash_tells_pictures_apart():
    hashes = phash(torch.cat([_scene(i) for i in range(24)]))
    apart = [hamming(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(apart) > 10


def test_hash_bits_differ_where_the_hashes_do():
    hashes = phash(torch.cat([_scene(i) for i in range(6)]))
    bits = hash_bits(hashes)
    assert bits.shape == (6, 64)
    for i, j in itertools.combinations(range(6), 2):
        assert int((bits[i] != bits[j]).sum()) == hamming(hashes[i], hashes[j])
    assert hash_bits([]).shape == (0, 64)


def test_hash_does_not_depend_on_the_batch():
    scenes = torch.cat([_scene(i) for i in range(5)])
    assert phash(scenes) == [phash(scenes[i : i + 1])[0] for i in range(5)]


def test_map_images_keeps_order_over_ragged_sizes():
    sizes = [(4, 4), (6, 4), (4, 4), (2, 8), (6, 4), (4, 4)]
    images = [torch.full((3, h, w), i * 10, dtype=torch.uint8) for i, (h, w) in enumerate(sizes)]
    images[2] = images[2].float() / 255
    got = map_images(lambda x: x.mean(dim=(1, 2, 3)), images, batch=2)
    assert torch.allclose(got * 255, torch.tensor([0.0, 10, 20, 30, 40, 50]), atol=1e-4)
    with pytest.raises(ConfigError, match="batch must be >= 1, got 0"):
        map_images(lambda x: x, images, batch=0)


def test_signature_index_finds_exactly_what_a_loop_finds():
    rng = torch.Generator().manual_seed(0)
    base = torch.cat([_scene(i, 32) for i in range(20)])
    moved = (base + 0.08 * torch.randn(base.shape, generator=rng)).clamp(0, 1)
    tinted = (base * torch.tensor([1.0, 0.5, 0.5]).view(1, 3, 1, 1)).clamp(0, 1)
    signs = signature(torch.cat([base, moved, tinted]))
    for bits, colour in ((0, None), (3, None), (6, 0.05), (12, 0.2)):
        index = SignatureIndex(bits, colour)
        for position, signed in enumerate(signs):
            naive = [
                (hamming(signed[:16], other[:16]), i)
                for i, other in enumerate(signs[:position])
                if hamming(signed[:16], other[:16]) <= bits
                and (colour is None or colour_distance(signed, other) <= colour)
            ]
            found = index.near(signed)
            assert (None if found is None else (found.bits, int(found.id))) == (min(naive) if naive else None)
            index.add(str(position), signed)


def test_colours_tell_a_tint_from_a_copy():
    scene = _scene(3)
    tint = scene * torch.tensor([1.0, 0.4, 0.4]).view(1, 3, 1, 1)
    a, b = signature(torch.cat([scene, tint]))
    naive = ((colours(scene) - colours(tint)) ** 2).mean().sqrt()
    assert colour_distance(a, b) == pytest.approx(float(naive), abs=0.005)
    assert colour_distance(a, b) > 0.1
    assert colour_distance(a, a) == 0
