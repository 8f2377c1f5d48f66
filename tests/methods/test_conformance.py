"""What every registered method must hold. A new file in `methods/` is found and tested here without a change.

A method that needs roles gets tiny random models of the real classes (`tiny.py`); the nano models are for level 2.
"""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest
import torch

from imaginate import registry
from imaginate.engine.recipe import SECTIONS
from imaginate.errors import ConfigError
from imaginate.records import Candidate, Request, image_seed
from imaginate.settings import settings_of
from roles import SIZE, world_for
from worlds import mask_folder

NAMES = registry.names("methods")
# Eight settings are what a person keeps in mind. Guidance is a diffusion and an ascent, each with its own; retrieval
# has one for each rule by which RET 3.2 refuses, orders, widens or ends a list: none follows from another, each is off
# or at RET's value unless it is asked for, and one text in their place would take away their checks and their help.
MANY = {"gif-sd": 13, "gif-dalle": 9, "retrieve-then-edit": 18, "retrieval": 20}


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def world(name: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return world_for(name, tmp_path_factory)


NOTHING_REFUSED: dict[str, dict[str, Any]] = {
    "real-guidance": {"min_probability": 0},
    "mix": {"force": True},
    "background": {"least": 0, "most": 1},
    "paste": {"masks": mask_folder(size=SIZE)},
}


def make(name: str) -> Any:
    """With few denoising steps (what is tested does not depend on their number), and refusing no image."""
    few = {"steps": 4} if "steps" in {s.name for s in settings_of(registry.find("methods", name))} else {}
    return registry.make("methods", name, {**few, **NOTHING_REFUSED.get(name, {})})


def requests_of(world: Any, method: Any, name: str, **amount: int) -> list[Request]:
    ask = world.requests if method.starts_from == "sample" else world.class_requests
    return list(ask(name, **amount))


def images(candidates: list[Candidate]) -> list[torch.Tensor]:
    return [c.image if c.image is not None else torch.zeros(0) for c in candidates]


def test_declaration(name: str) -> None:
    cls = registry.find("methods", name)
    assert dataclasses.is_dataclass(cls)
    assert cls.__dataclass_params__.frozen
    assert cls.starts_from in ("sample", "class")
    assert isinstance(cls.needs, tuple)
    assert cls.paper
    assert len(registry.summary(cls)) > 20
    settings = settings_of(cls)
    assert {s.name for s in settings} == {f.name for f in dataclasses.fields(cls)}
    assert all(s.rule.help for s in settings)
    assert len(settings) <= MANY.get(name, 8)
    shared = {s.name for section in SECTIONS.values() for s in settings_of(section)}
    assert not shared & {s.name for s in settings}, "a flag of every run has this name already"
    for s in settings:
        if str(s.rule) and "inf" not in str(s.rule):
            with pytest.raises(ConfigError, match=s.name):
                registry.make("methods", name, {s.name: 1e9 if s.type is float else 10**9})
    with pytest.raises(ConfigError, match="unknown setting"):
        registry.make("methods", name, {"no_such_setting": 1})


def test_answers_every_copy_in_order_with_valid_images(name: str, world: Any) -> None:
    method = make(name)
    asked = requests_of(world, method, name)
    if hasattr(method, "prepare"):
        method.prepare(world)
    given = method.expand(asked, world)
    slots = [(r.key, copy, seed) for r in asked for copy, seed in zip(r.copies, r.seeds, strict=True)]
    assert [(c.key, c.copy, c.seed) for c in given] == slots
    labels = {r.key: r.label for r in asked}
    for c in given:
        assert c.label == labels[c.key]
        assert c.failed is None
        assert c.image.ndim == 3
        assert c.image.shape[0] == 3
        if c.image.dtype != torch.uint8:
            assert c.image.isfinite().all()
            assert c.image.min() >= 0
            assert c.image.max() <= 1
        if c.soft_label is not None:
            assert len(c.soft_label) == len(world.labels)
            assert sum(c.soft_label) == pytest.approx(1)
        assert all(isinstance(v, float) for v in c.scores.values())
        assert set(c.scores) <= set(getattr(method, "scores", ())), "scores that selection does not know of"
        assert all(isinstance(v, (str, int, float, bool, type(None))) for v in c.info.values())


def test_repeats_itself_and_survives_pickling(name: str, world: Any) -> None:
    method = make(name)
    asked = requests_of(world, method, name, copies=2)
    first = method.expand(asked, world)
    again = pickle.loads(pickle.dumps(method)).expand(asked, world)
    assert all(torch.equal(a, b) for a, b in zip(images(first), images(again), strict=True))


def test_does_not_depend_on_the_batch(name: str, world: Any) -> None:
    method = make(name)
    asked = requests_of(world, method, name, copies=2)
    together = method.expand(asked, world)
    alone = [c for r in reversed(asked) for c in method.expand([r], world)]
    order = {(c.key, c.copy): c for c in alone}
    for c in together:
        other = order[(c.key, c.copy)]
        assert c.prompt == other.prompt
        assert c.soft_label == other.soft_label
        if c.image.dtype == torch.uint8:
            assert torch.equal(c.image, other.image)
        else:
            assert torch.allclose(c.image, other.image, atol=2e-3)


@pytest.mark.parametrize("size", [(1, 1), (300, 1)])
def test_takes_the_smallest_images(name: str, world: Any, size: tuple[int, int]) -> None:
    method = make(name)
    if method.starts_from != "sample":
        return
    image = torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    copies = tuple(range(2 if method.needs else 40))  # enough for every random operation to have its turn
    seeds = tuple(image_seed(0, name, "small", copy) for copy in copies)
    asked = Request(key="small", label=0, copies=copies, seeds=seeds, sample=world.samples.sample(0), image=image)
    for c in method.expand([asked], world):
        assert c.failed is None
        assert min(c.image.shape) >= 1


def test_leaves_seed_images_alone(name: str, world: Any) -> None:
    method = make(name)
    asked = requests_of(world, method, name, copies=2)
    before = [None if r.image is None else r.image.clone() for r in asked]
    method.expand(asked, world)
    for r, image in zip(asked, before, strict=True):
        assert image is None or torch.equal(r.image, image)
