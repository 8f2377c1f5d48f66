"""Every method that diffuses treats what is no number alike: drawn again from a new seed, counted, then rejected."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from imaginate import registry
from imaginate.settings import settings_of
from roles import world_for

APART = {"diff-ii"}  # its prior denoises what was inverted and draws nothing by a seed: a test of its own
VERBS = {"prior:stable-diffusion": "diffuse", "prior:unclip": "generate"}
NAMES = [
    n for n in registry.names("methods") if VERBS.keys() & set(registry.find("methods", n).needs) and n not in APART
]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_number_is_drawn_again_then_rejected(
    name: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_for(name, tmp_path_factory)
    cls = registry.find("methods", name)
    few: dict[str, Any] = {"steps": 4} if "steps" in {s.name for s in settings_of(cls)} else {}
    if name == "real-guidance":
        few["min_probability"] = 0
    method = registry.make("methods", name, few)
    ask = world.requests if method.starts_from == "sample" else world.class_requests
    asked = ask(name, copies=2)
    good = method.expand(asked, world)
    first = asked[0].seeds[0]
    verb = next(VERBS[need] for need in method.needs if need in VERBS)
    real, asked_seeds = getattr(world.prior, verb), {seed for r in asked for seed in r.seeds}
    forever = False

    def unlucky(*args: Any, seeds: Any, **more: Any) -> torch.Tensor:
        out = real(*args, seeds=seeds, **more)
        for row, seed in enumerate(seeds):
            if seed == first or (forever and seed not in asked_seeds):
                out[row] = float("nan")
        return out

    monkeypatch.setattr(world.prior, verb, unlucky)
    given = method.expand(asked, world)
    assert [c.failed for c in given] == [None] * len(given)
    assert [c.info.get("retried") for c in given] == [1] + [None] * (len(given) - 1)
    assert not torch.equal(given[0].image, good[0].image)
    assert all(torch.allclose(a.image, b.image, atol=2e-3) for a, b in zip(given[2:], good[2:], strict=True))
    forever = True
    given = method.expand(asked, world)
    assert [c.failed for c in given] == ["nan latents"] + [None] * (len(given) - 1)
    assert given[0].image is None
    assert given[0].scores.keys() <= {f"neighbour_{part}" for part in ("similarity", "consistency", "aesthetic")}
