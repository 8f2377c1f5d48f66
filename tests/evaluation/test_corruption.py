"""Corruption accuracy is the kept library's corruption, seeded, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from imaginate.errors import ConfigError
from imaginate.evaluation.corruption import KINDS, chosen, corrupt

library = pytest.importorskip("imagecorruptions")


def picture(size: int = 40) -> np.ndarray:
    return (
        np.random.default_rng(0).integers(0, 256, (size // 8, size // 8, 3)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    )


def test_the_fifteen_kinds_are_the_librarys_in_the_tables_order() -> None:
    assert list(KINDS) == library.get_corruption_names("common")


def test_glass_blur_repeats_itself_by_its_seed() -> None:
    first = corrupt(picture(), "glass_blur", 3, 11)
    assert (first == corrupt(picture(), "glass_blur", 3, 11)).all()
    assert (first != corrupt(picture(), "glass_blur", 3, 12)).any()


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "glass_blur"])
def test_each_is_the_librarys_and_depends_on_its_seed_alone(kind: str) -> None:
    image, seed = picture(), 11
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    found = corrupt(image, kind, 3, seed)
    assert (np.random.get_state()[1] == before).all()
    np.random.seed(seed)
    options = {"seed": seed} if kind == "impulse_noise" else {}
    assert (found == library.corrupt(image, corruption_name=kind, severity=3, **options)).all()
    np.random.seed(1)
    assert (found == corrupt(image, kind, 3, seed)).all()
    assert found.shape == image.shape
    assert found.dtype == np.uint8


def test_small_images_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 32 px, got 16"):
        corrupt(picture(16), "fog", 3, 0)


def test_the_corrupted_images_are_spread_over_the_classes() -> None:
    label = np.array([0] * 40 + [1] * 20 + [2] * 10)
    assert np.bincount(label[chosen(label, 7)]).tolist() == [4, 2, 1]
    assert len(chosen(label, 1)) == 1
    assert chosen(label, 1000).tolist() == list(range(70))
    assert set(chosen(label, 7)) < set(chosen(label, 14))
