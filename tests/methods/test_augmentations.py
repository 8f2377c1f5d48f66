"""Each augmentation against the definition in its paper."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest
import torch

from imaginate.errors import ConfigError
from imaginate.methods.augmix import Augmix
from imaginate.methods.cutmix import Cutmix
from imaginate.methods.cutout import Cutout
from imaginate.methods.duplicate import Duplicate
from imaginate.methods.flip_crop import FlipCrop
from imaginate.methods.gridmask import Gridmask
from imaginate.methods.mixup import Mixup
from imaginate.methods.randaugment import Randaugment
from imaginate.methods.trivialaugment import Trivialaugment
from worlds import World


def test_duplicate_changes_nothing() -> None:
    world = World()
    for candidate in Duplicate().expand(world.requests("duplicate"), world):
        assert torch.equal(candidate.image, world.samples.image(int(candidate.key[1:])))


@pytest.mark.parametrize("seed", range(20))
def test_cutout_covers_one_square_and_nothing_else(seed: int) -> None:
    image = torch.randint(0, 100, (3, 20, 30), dtype=torch.uint8)
    out = Cutout(size=0.5, fill=200).cover(image, random.Random(seed))
    changed = (out != image).any(0)
    rows, columns = changed.any(1).nonzero().flatten(), changed.any(0).nonzero().flatten()
    height, width = int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1
    assert changed.sum() == height * width
    assert (out[:, changed] == 200).all()
    inside = rows[0] > 0 and rows[-1] < 19
    assert height == 10 if inside else height <= 10
    assert max(height, width) <= 10


def test_cutout_centres_are_uniform_over_the_image() -> None:
    image = torch.zeros(3, 8, 8, dtype=torch.uint8)
    covered = sum((Cutout(size=0.125).cover(image, random.Random(s))[0] == 128).float() for s in range(6400))
    assert abs(covered - 100).max() < 50  # 64 cells, 100 expected each, standard deviation 10


def test_gridmask_without_turning_is_the_paper_grid() -> None:
    method = Gridmask(ratio=0.6, period_min=0.5, period_max=0.5, rotate=0)
    mask = method.mask(40, 40, random.Random(3))
    square, period = 20 - 12, 20
    for y in range(40 - period):
        assert torch.equal(mask[y], mask[y + period])
        assert int(mask[y, :period].sum()) in (0, square)
    assert int(mask[:period, :period].sum()) == square**2


def test_gridmask_keeps_the_share_it_says() -> None:
    method = Gridmask(ratio=0.5, period_min=0.25, period_max=0.25)
    shares = [method.mask(64, 64, random.Random(s)).float().mean().item() for s in range(50)]
    assert abs(sum(shares) / 50 - 0.25) < 0.02


def test_gridmask_refuses_crossed_periods() -> None:
    with pytest.raises(ConfigError, match=r"period_min must be at most period_max \(0.2\), got 0.5"):
        Gridmask(period_min=0.5, period_max=0.2)


@pytest.mark.parametrize("method", [Mixup(alpha=0.7), Cutmix(alpha=0.7)], ids=["mixup", "cutmix"])
def test_mixed_images_and_labels_agree(method: Mixup | Cutmix) -> None:
    world = World(size=32, square=True)
    for c in method.expand(world.requests("mix", copies=8), world):
        weight = c.info["weight"]
        seed, other = world.samples.image(int(c.key[1:])), world.samples.image(int(c.info["partner"][1:]))
        label, second = int(c.key[1:]) % 3, int(c.info["partner"][1:]) % 3
        expected = [0.0, 0.0, 0.0]
        expected[label] += weight
        expected[second] += 1 - weight
        assert c.soft_label == pytest.approx(expected)
        assert 0.5 <= weight <= 1
        assert c.label == label
        if isinstance(method, Mixup):
            naive = weight * seed.double() + (1 - weight) * other.double()
            assert float((c.image.double() - naive).abs().max()) <= 0.5 + 1e-4  # the nearest whole number
        else:
            from_other = (c.image != seed).any(0)
            assert torch.equal(c.image[:, from_other], other[:, from_other])
            assert from_other.float().mean() <= 1 - weight + 1e-6


@pytest.mark.parametrize("magnitude", [3, 12, 30])
def test_randaugment_is_torchvision_under_the_image_seed(magnitude: int) -> None:
    """Bit by bit, over enough draws that every operator with either sign is among them."""
    from torchvision.transforms import v2
    from torchvision.transforms.v2 import functional as tvf

    world = World()
    transform = v2.RandAugment(3, magnitude, interpolation=v2.InterpolationMode.BILINEAR, fill=128)
    made = Randaugment(num_ops=3, magnitude=magnitude).expand(world.requests("randaugment", copies=40), world)
    for candidate in made:
        torch.manual_seed(candidate.seed)
        expected = transform(tvf.to_pil_image(world.samples.image(int(candidate.key[1:]))))
        assert torch.equal(candidate.image, tvf.pil_to_tensor(expected))


def test_randaugment_operators_on_ugly_images() -> None:
    """Flat, two-valued, one-pixel, narrow: what histograms, stretches and neighbourhoods stumble over."""
    from torchvision.transforms.v2 import functional as tvf

    from imaginate.methods.core.operators import auto_contrast, blended, contrast_by, equalize, smooth

    two = torch.randint(0, 2, (3, 9, 40), dtype=torch.uint8) * 60 + 20
    ugly = [torch.full((3, 7, 5), 9, dtype=torch.uint8), two, torch.zeros(3, 1, 1, dtype=torch.uint8)]
    ugly += [torch.randint(0, 256, (3, 2, 9), dtype=torch.uint8), torch.randint(0, 256, (3, 9, 2), dtype=torch.uint8)]
    ugly += [torch.randint(0, 256, (3, 80, 70), dtype=torch.uint8)]
    pairs = [(auto_contrast, tvf.autocontrast), (equalize, tvf.equalize)]
    for factor in (0.1, 0.73, 1.27, 1.9):
        pairs += [
            (contrast_by(factor), partial(tvf.adjust_contrast, contrast_factor=factor)),
            (
                lambda x, factor=factor: blended(smooth(x), x, factor),
                partial(tvf.adjust_sharpness, sharpness_factor=factor),
            ),
        ]
    for image in ugly:
        picture = tvf.to_pil_image(image)
        for ours, theirs in pairs:
            expected = tvf.pil_to_tensor(theirs(picture))
            assert torch.equal(torch.from_numpy(ours(image.numpy())), expected)


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        (Trivialaugment(fill=7), {"name": "TrivialAugmentWide", "fill": 7}),
        (Augmix(), {"name": "AugMix", "all_ops": False, "fill": 128}),
        (
            Augmix(severity=9, width=2, depth=4, alpha=0.3, all_ops=True),
            {"name": "AugMix", "severity": 9, "mixture_width": 2, "chain_depth": 4, "alpha": 0.3, "fill": 128},
        ),
    ],
    ids=["trivialaugment", "augmix", "augmix with all settings"],
)
def test_it_is_the_transform_of_torchvision_under_the_image_seed(
    method: Trivialaugment | Augmix, settings: dict[str, Any]
) -> None:
    from torchvision.transforms import v2
    from torchvision.transforms.v2 import functional as tvf

    world = World()
    settings = dict(settings)
    transform = getattr(v2, settings.pop("name"))(interpolation=v2.InterpolationMode.BILINEAR, **settings)
    made = method.expand(world.requests("augment", copies=20), world)
    for candidate in made:
        torch.manual_seed(candidate.seed)
        expected = transform(tvf.to_pil_image(world.samples.image(int(candidate.key[1:]))))
        assert torch.equal(candidate.image, tvf.pil_to_tensor(expected))


@pytest.mark.parametrize(
    "method", [Randaugment(), Trivialaugment(), Augmix()], ids=lambda method: type(method).__name__
)
def test_it_leaves_the_global_generator_alone(method: Randaugment | Trivialaugment | Augmix) -> None:
    world = World()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    method.expand(world.requests("augment"), world)
    assert torch.equal(before, torch.get_rng_state())


def test_flip_crop_flips_half_and_crops_within_bounds() -> None:
    image = torch.arange(64, dtype=torch.uint8).repeat(3, 64, 1)  # brightness grows to the right
    outs = [FlipCrop(area=0.4).crop(image, random.Random(s)) for s in range(400)]
    flipped = sum(bool(o[0, 0, 0] > o[0, 0, -1]) for o in outs)
    assert 160 < flipped < 240
    widths = [abs(int(o[0, 0, 0]) - int(o[0, 0, -1])) + 1 for o in outs]
    assert min(widths) >= 64 * (0.4 / (4 / 3)) ** 0.5 - 3
    assert max(widths) <= 64
