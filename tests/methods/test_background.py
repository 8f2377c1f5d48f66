"""Backgrounds that change while the object stays, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imaginate import registry
from imaginate.records import Request
from worlds import World

pytest.importorskip("cv2")
from imaginate.methods.core.objects import composed, filled, find_object
from imaginate.methods.core.seen import seen_at

SIDE = 64


def scene(number: int, *, ball: bool = True) -> tuple[torch.Tensor, np.ndarray]:
    """A ball of one colour before a noisy ground of another, and where it is."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    ground = np.array([40, 120, 60]) + rng.normal(0, 12, (SIDE, SIDE, 3)) + 20 * np.sin(x / 9 + number)[..., None]
    cy, cx = rng.integers(26, 38, 2)
    mask = (y - cy) ** 2 + (x - cx) ** 2 < 13**2 if ball else np.zeros((SIDE, SIDE), bool)
    ground[mask] = np.array([210, 60, 50]) + rng.normal(0, 8, (int(mask.sum()), 3))
    picture = ground.clip(0, 255).astype(np.uint8)
    return torch.from_numpy(picture).permute(2, 0, 1).contiguous(), mask


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("number", range(4))
def test_the_object_is_found_stays_and_is_gone_from_the_other_image(number: int) -> None:
    image, mask = scene(number)
    other, there = scene(number + 50)
    found = find_object(image, 0.8)
    assert overlap(found, mask) > 0.9
    ground = filled(other, find_object(other, 0.8))
    seen = ground.float().mean(0).numpy()
    assert ground[0].numpy()[there].mean() < 90  # no red ball is left
    assert np.abs(seen - seen.mean()).max() < 90
    out = composed(image, found, ground, 0.0)
    inside, outside = (torch.from_numpy(_narrowed(m)) for m in (found, ~found))
    assert torch.equal(out[:, inside], image[:, inside])
    assert torch.equal(out[:, outside], ground[:, outside])
    moved = composed(image, found, ground, 1.0)
    assert (moved[0, inside].float().mean() - ground[0].float().mean()).abs() < 25  # it has the ground's colours now
    assert moved[:, inside].float().std() > 3


def _narrowed(mask: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.erode(mask.astype(np.uint8), np.ones((11, 11), np.uint8), borderValue=1).astype(bool)


@pytest.mark.parametrize("place", [(0, 0), (40, 44), (4, 40)])
def test_a_guide_finds_a_small_object_off_the_middle(place: tuple[int, int]) -> None:
    """A guide whose class is redness: the object is the red square, whatever a larger thing in the middle is."""
    rng = np.random.default_rng(1)
    picture = rng.normal(90, 10, (SIDE, SIDE, 3))
    picture[20:44, 20:44] = np.array([60, 60, 190]) + rng.normal(0, 8, (24, 24, 3))
    mask = np.zeros((SIDE, SIDE), bool)
    mask[place[0] : place[0] + 20, place[1] : place[1] + 20] = True
    picture[mask] = np.array([220, 40, 40]) + rng.normal(0, 8, (int(mask.sum()), 3))
    image = torch.from_numpy(picture.clip(0, 255).astype(np.uint8)).permute(2, 0, 1).contiguous()
    seen = seen_at(Redness(), image, 0, "cpu")
    assert seen.shape == (SIDE, SIDE)
    assert seen[mask].mean() > 2 * seen[~mask].mean()
    assert overlap(find_object(image, 0.8, seen), mask) > max(0.6, overlap(find_object(image, 0.8), mask))


class Redness:
    """Two classes: red, and not."""

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        return (images[:, 0] - images[:, 2]).clamp(min=0).mean((1, 2))[:, None]

    def logits(self, embeddings: torch.Tensor) -> torch.Tensor:
        return torch.cat([20 * embeddings, torch.zeros_like(embeddings)], 1)


def test_the_windows_of_a_naive_loop_say_the_same() -> None:
    image, _ = scene(2)
    guide = Redness()
    mean = image.float().mean((1, 2)).round().to(torch.uint8)
    total, count = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    whole = 20 * float(guide.embed(image[None].float() / 255)[0, 0])
    for i in range(7):
        for j in range(7):
            view = image.clone()
            for channel in range(3):
                view[channel, 8 * i : 8 * i + 16, 8 * j : 8 * j + 16] = mean[channel]
            total[8 * i : 8 * i + 16, 8 * j : 8 * j + 16] += whole - 20 * float(
                guide.embed(view[None].float() / 255)[0, 0]
            )
            count[8 * i : 8 * i + 16, 8 * j : 8 * j + 16] += 1
    import cv2

    expected = cv2.GaussianBlur((total / count).astype(np.float32), (0, 0), 0.06 * SIDE)
    np.testing.assert_allclose(seen_at(guide, image, 0, "cpu"), expected, atol=1e-5)


def test_what_was_cut_before_does_not_matter() -> None:
    images = [scene(n)[0] for n in range(3)]
    first = [find_object(image, 0.8) for image in images]
    again = [find_object(image, 0.8) for image in reversed(images)][::-1]
    assert all((a == b).all() for a, b in zip(first, again, strict=True))


def test_an_image_without_an_object_is_refused_with_the_reason() -> None:
    world = World(size=24)
    flat = torch.full((3, 40, 40), 90, dtype=torch.uint8)
    flat[:, 18:20, 18:20] = 200
    asked = Request(key="flat", label=0, copies=(0, 1), seeds=(1, 2), sample=world.samples.sample(0), image=flat)
    made = registry.make("methods", "background", {}).expand([asked], world)
    assert [c.failed for c in made] == ["no object found"] * 2
    image, mask = scene(0)
    asked = Request(key="s0", label=0, copies=(0, 1, 2), seeds=(1, 2, 3), sample=world.samples.sample(0), image=image)
    made = registry.make("methods", "background", {}).expand([asked], world)
    assert {c.info["partner"] for c in made}.isdisjoint({"s0"})
    assert all(overlap(c.mask, mask) > 0.9 for c in made)
    assert not torch.equal(made[0].image, made[1].image)


def test_the_object_of_an_image_is_found_once_for_all_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a guide it takes 49 passes of its network."""
    world, asked = World(size=24, guide=Redness()), list[str]()
    pictures = {world.samples.image(i).numpy().tobytes() for i in range(len(world.samples))}

    def seen(guide: object, image: torch.Tensor, label: int, device: str) -> np.ndarray:
        asked.append(f"{label} {image.numpy().tobytes().hex()}")
        return np.zeros(tuple(image.shape[-2:]), np.float32)

    monkeypatch.setattr("imaginate.methods.core.seen.seen_at", seen)
    method = registry.make("methods", "background", {"find": "guide", "least": 0.0, "most": 1.0})
    first = world.samples.sample(0)
    request = Request(
        key=first.id, label=first.label, copies=tuple(range(40)), seeds=tuple(range(40)), sample=first,
        image=world.samples.image(0),
    )  # fmt: skip
    made = method.expand([request], world)
    assert len(made) == 40
    assert not any(one.failed for one in made)
    assert len(asked) == len(set(asked))
    assert 2 < len(asked) <= len(pictures)
    again = method.expand([request], world)
    assert len(asked) == len(set(asked))
    assert all(torch.equal(a.image, b.image) for a, b in zip(made, again, strict=True))
