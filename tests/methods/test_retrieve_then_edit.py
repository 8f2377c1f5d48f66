"""Retrieve, then edit: neighbours of a tiny pool through a tiny Stable Diffusion, with their story."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import tiny
from colour_guide import COLOURS, ColourGuide
from imaginate.methods.retrieve_then_edit import RetrieveThenEdit
from imaginate.models.priors import build_prior
from imaginate.pool import build_pool, open_pool
from imaginate.records import LabelSpace, Request
from worlds import World, folder


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("hybrid")
    build_pool(str(root / "pool"), [str(folder(root / "web", each=3))], ColourGuide())
    prior = build_prior("stable-diffusion", str(tiny.tiny_sd(root / "sd")), device="cpu")
    made = World(guide=ColourGuide(), pool=open_pool(str(root / "pool")), prior=prior)
    made.labels = LabelSpace.of(tuple(COLOURS))
    return made


@pytest.mark.parametrize("edit", ["img2img", "gif"])
def test_edits_the_neighbours_and_keeps_their_story(world: World, edit: Any, tmp_path: Path) -> None:
    never = tmp_path / "never.txt"
    never.write_text("web/ant/000.png\n")
    method = RetrieveThenEdit(edit=edit, steps=2, contrastive=False, exclude=str(never))
    asked = [Request(key="class/red", label=0, copies=tuple(range(9)), seeds=tuple(range(9)))]
    found = method.expand(asked, world)
    assert [c.copy for c in found] == list(range(9))
    refused = [c for c in found if c.failed]
    assert [c.info["source"] for c in refused if c.failed == "excluded"] == ["web/ant/000.png"]
    for c in found:
        assert str(c.info["source"]).startswith("web/")
        if not c.failed:
            assert c.image.shape[0] == 3
            assert 0 <= float(c.image.min()) <= float(c.image.max()) <= 1
            assert c.info["edit_of"] == "retrieved"
            assert "neighbour_similarity" in c.scores
            side = world.prior.image_size
            assert c.image.shape[-2:] == (side * 24 // 32, side), "the neighbour's own shape"
    one = method.expand([Request(key="class/red", label=0, copies=(4,), seeds=(4,))], world)[0]
    assert torch.allclose(one.image, found[4].image, atol=2e-3) if not one.failed else found[4].failed == one.failed
