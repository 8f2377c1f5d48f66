"""Corruption accuracy is the kept library's corruption, seeded, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from imaginate.errors import ConfigError
from imaginate.evaluation.cifar_c import CONSTANTS, OPERATORS
from imaginate.evaluation.corruption import CIFAR_C, KINDS, chosen, corrupt

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


# CIFAR-C

IMAGENET = {  # the library's constants at severity 1
    "gaussian_noise": 0.08, "shot_noise": 60, "defocus_blur": (3, 0.1), "motion_blur": (10, 3), "zoom_blur": 1.11,
    "fog": (1.5, 2), "brightness": 0.1, "contrast": 0.4, "pixelate": 0.6, "jpeg_compression": 25,
}  # fmt: skip


def smooth() -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(0).uniform(0, 255, (32, 32, 3))
    return np.clip((gaussian_filter(noise, (1.5, 1.5, 0)) - 127) * 4 + 127, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", IMAGENET)
def test_the_operators_are_the_librarys_under_its_constants(kind: str) -> None:
    image = smooth()
    np.random.seed(3)
    found = (np.clip(OPERATORS[kind](image / 255, IMAGENET[kind]), 0, 1) * 255).astype(int)
    np.random.seed(3)
    assert abs(found - library.corrupt(image, corruption_name=kind, severity=1).astype(int)).max() <= 1


def test_the_constants_are_those_of_cifar_c() -> None:
    """As in the authors' make_cifar_c.py; each kind is weaker than in ImageNet-C and grows with the severity."""
    assert tuple(CONSTANTS) == KINDS
    assert tuple(OPERATORS) == KINDS
    assert {len(values) for values in CONSTANTS.values()} == {5}
    third = {kind: values[2] for kind, values in CONSTANTS.items()}
    assert (third["gaussian_noise"], third["shot_noise"], third["impulse_noise"]) == (0.08, 100, 0.03)
    assert (third["defocus_blur"], third["glass_blur"], third["motion_blur"]) == ((0.5, 0.6), (0.4, 1, 1), (6, 2))
    assert (third["zoom_blur"], third["fog"], third["frost"]) == (1.16, (0.75, 2.5), (0.9, 0.4))
    assert third["snow"] == (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9)
    assert (third["brightness"], third["contrast"], third["elastic_transform"]) == (0.15, 0.4, (0.08, 0.06, 0.06))
    assert (third["pixelate"], third["jpeg_compression"]) == (0.85, 58)


@pytest.mark.parametrize("kind", KINDS)
def test_each_of_cifar_c_depends_on_its_seed_alone_and_differs_from_imagenet_c(kind: str) -> None:
    image = smooth()
    found = corrupt(image, kind, 3, 11, CIFAR_C)
    assert (found.shape, found.dtype) == (image.shape, np.uint8)
    assert (found != image).any()
    assert (found != corrupt(image, kind, 3, 11)).any()
    np.random.seed(1)
    assert (found == corrupt(image, kind, 3, 11, CIFAR_C)).all()


def test_the_constants_of_cifar_c_are_refused_at_another_size() -> None:
    with pytest.raises(ConfigError, match="CIFAR-C are for images of 32 px, got 40: --image-size 32"):
        corrupt(picture(), "fog", 3, 0, CIFAR_C)
