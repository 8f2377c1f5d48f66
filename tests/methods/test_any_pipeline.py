"""The methods of diffusion on today's pipelines: whole expansions on a tiny SD3 and a tiny FLUX.1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_flow
from imaginate import registry
from imaginate.models.adaptations.folder import Manifest, fingerprint, load_adaptation
from imaginate.models.priors import build_prior
from imaginate.settings import settings_of
from roles import guide_of, world_for
from worlds import World

torch.set_num_threads(1)
METHODS = ("gif-sd", "sd", "boomerang", "prompt", "real-guidance", "da-fusion")
NAMES = ("sd3", "flux")


@pytest.fixture(scope="module", params=NAMES)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from safetensors.torch import save_file

    root = tmp_path_factory.mktemp(request.param)
    place = getattr(tiny_flow, f"tiny_{request.param}")(root / "model")
    found: Any = World(count=3, size=32)
    found.guide = guide_of("clip", found, tmp_path_factory)
    found.prior = build_prior("stable-diffusion", str(place))
    names = found.labels.names
    words = {name: f"<{i}>" for i, name in enumerate(names)}
    out: Path = root / "fit"
    (out / "checkpoints" / "last").mkdir(parents=True)
    save_file({w: torch.ones(1, 16) for w in words.values()}, str(out / "checkpoints/last/learned_embeds.safetensors"))
    Manifest(
        finished=True,
        technique="textual-inversion", family=found.prior.family, prior=str(place),
        fingerprint=fingerprint(found.prior), classes=list(names), settings={}, words=words,
        chosen="last", checkpoints={"last": "last"},
    ).write(out)  # fmt: skip
    found.adaptation = load_adaptation(str(out), found.prior, found.labels)
    return found


def pictures_of(method: Any, requests: Any, world: Any) -> torch.Tensor:
    found = method.expand(requests, world)
    assert all(c.failed is None for c in found)
    return torch.stack([c.image for c in found])


@pytest.mark.parametrize("name", METHODS)
def test_every_method_draws_and_a_seed_gives_the_same_image_in_any_batch(name: str, world: Any) -> None:
    cls = registry.find("methods", name)
    known = {s.name for s in settings_of(cls)}
    fitting = {"steps": 4, "scheduler": None, "strength": 0.5, "strengths": (0.5,), "min_probability": 0.0}
    method = registry.make("methods", name, {key: v for key, v in fitting.items() if key in known})
    ask = world.requests if method.starts_from == "sample" else world.class_requests
    requests = list(ask(name))[:2]
    together = pictures_of(method, requests, world)
    assert together.shape[1:] == (3, 16, 16)
    assert together.isfinite().all()
    alone = torch.cat([pictures_of(method, [request], world) for request in requests])
    assert ((together - alone).abs() * 255).max() < 1
    assert together.flatten(1).std(dim=0).max() > 0


def test_a_retrieved_neighbour_is_edited(tmp_path_factory: pytest.TempPathFactory) -> None:
    found = world_for("retrieve-then-edit", tmp_path_factory)
    found.prior = build_prior("stable-diffusion", str(tiny_flow.tiny_flux(tmp_path_factory.mktemp("flux") / "model")))
    method = registry.make("methods", "retrieve-then-edit", {"steps": 4, "scheduler": None, "aesthetic": 0.0})
    candidates = method.expand(found.class_requests("retrieve-then-edit")[:1], found)
    drawn = [c.image for c in candidates if c.failed is None]
    assert drawn
    assert all(image.isfinite().all() for image in drawn)
