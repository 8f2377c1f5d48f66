"""What every registered guide must hold. A new file in `models/guides/` is found and tested here without a change."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from imaginate import registry
from imaginate.contract import FewShotGuide, Guide, StoringGuide, TextGuide, TrainedGuide
from imaginate.errors import ConfigError, ImaginateError
from imaginate.models.guides import build_guide
from imaginate.records import LabelSpace
from roles import GUIDE_ROWS, guide_of
from support.memory import kept_by
from worlds import World

torch.set_num_threads(1)
NAMES = registry.names("guides")
ROWS = [*NAMES, *GUIDE_ROWS]


@pytest.fixture(scope="module", params=ROWS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def world() -> World:
    return World(count=12, size=40)


@pytest.fixture(scope="module")
def guide(name: str, world: World, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return guide_of(name, world, tmp_path_factory)


def pictures(count: int, height: int = 33, width: int = 40) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(count))


def test_declaration(name: str, guide: Any, world: World) -> None:
    kind = GUIDE_ROWS.get(name, name).partition(":")[0]
    cls = registry.find("guides", kind)
    assert cls.takes in ("backbone", "checkpoint", "nothing")
    assert isinstance(cls.needs_seeds, bool)
    assert len(registry.summary(cls)) > 20
    assert isinstance(guide, Guide)
    assert isinstance(guide, TextGuide) == cls.reads_text
    if isinstance(guide, FewShotGuide | TrainedGuide):
        assert cls.needs_seeds
    assert guide.name.split(":")[0] == kind
    assert guide.labels == world.labels
    assert guide.device == "cpu"


@pytest.mark.parametrize("size", [(1, 1), (33, 40), (80, 20)])
def test_images_of_any_size_become_unit_vectors_and_logits(guide: Any, world: World, size: tuple[int, int]) -> None:
    with torch.no_grad():
        rows = guide.embed(pictures(3, *size))
        logits = guide.logits(rows)
    assert rows.shape == (3, guide.dim)
    assert rows.dtype == torch.float32
    assert torch.allclose(rows.norm(dim=1), torch.ones(3), atol=1e-4)
    assert logits.shape == (3, len(world.labels))
    assert logits.isfinite().all()


def test_the_same_batch_gives_the_same_bits_and_another_the_same_within_rounding(guide: Any) -> None:
    images = pictures(4)
    with torch.no_grad():
        once, again, alone = guide.embed(images), guide.embed(images), guide.embed(images[2:3])
    assert torch.equal(once, again)
    assert torch.allclose(once[2:3], alone, atol=1e-5)


def test_memory_stays_flat_over_batches(guide: Any) -> None:
    def see() -> None:
        guide.logits(guide.embed(pictures(2).requires_grad_())).sum().backward()

    assert kept_by(see) == 0


def test_built_twice_it_is_the_same_guide(
    name: str, guide: Any, world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    again, images = guide_of(name, world, tmp_path_factory), pictures(2)
    with torch.no_grad():
        assert torch.equal(guide.logits(guide.embed(images)), again.logits(again.embed(images)))


def test_the_gradient_reaches_the_pixels_and_no_weight(guide: Any) -> None:
    """The slope along a random direction is what a small step in that direction changes."""
    images = pictures(2, 64, 64).requires_grad_()
    weights = torch.randn(2, len(guide.labels), generator=torch.Generator().manual_seed(0))

    def value(x: torch.Tensor) -> torch.Tensor:
        return (guide.logits(guide.embed(x)) * weights).sum()

    (gradient,) = torch.autograd.grad(value(images), images)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0
    step = 1e-2 * gradient / gradient.norm()
    with torch.no_grad():
        change = value(images + step) - value(images - step)
    assert change.item() == pytest.approx(2 * (gradient * step).sum().item(), rel=0.1)


def test_seed_images_have_their_own_part(guide: Any, world: World) -> None:
    ids = [world.samples.sample(i).id for i in range(len(world.samples))]
    if isinstance(guide, TrainedGuide):
        assert set(guide.validation_ids) < set(ids)
    if isinstance(guide, FewShotGuide):
        rows = guide.seed_embeddings(ids)
        assert rows.shape == (len(ids), guide.dim)
        assert all(guide.is_removable(key) for key in ids)
        assert not guide.is_removable("unknown")
        assert not torch.allclose(guide.logits_without(rows, ids), guide.logits(rows))
        assert torch.equal(guide.logits_without(rows, [""] * len(ids)), guide.logits(rows))
    if isinstance(guide, StoringGuide):
        guide.store.add(["00"], torch.ones(1, guide.dim))
        assert torch.equal(guide.store["00"], torch.ones(guide.dim))


@pytest.mark.parametrize("name", NAMES)
def test_what_it_needs_is_asked_for_in_one_line(name: str, world: World) -> None:
    cls = registry.find("guides", name)
    bare = name if cls.takes == "nothing" else f"{name}:./nowhere"
    if cls.needs_seeds:
        with pytest.raises(ConfigError, match="learns from the seed set, which was not given"):
            build_guide(bare, world.labels)
    if cls.takes == "backbone":
        with pytest.raises(ConfigError, match="needs a backbone"):
            build_guide(name, world.labels, samples=world.samples)
    if cls.takes == "nothing":
        with pytest.raises(ConfigError, match="takes nothing after its name"):
            build_guide(f"{name}:more", world.labels)
    else:
        with pytest.raises(ImaginateError, match="no such checkpoint folder") as caught:
            build_guide(bare, world.labels, samples=world.samples)
        assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="at least two classes"):
        build_guide(bare, LabelSpace.of(["one"]), samples=world.samples)
