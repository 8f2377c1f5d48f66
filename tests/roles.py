"""A context with the roles that a method needs, filled with tiny random models of the real classes."""

from __future__ import annotations

from typing import Any

import pytest

from imaginate import registry
from worlds import World

_BUILT: dict[str, Any] = {}


def world_for(name: str, tmp: pytest.TempPathFactory) -> Any:
    """The world in which a registered method can run. Methods without needs get three classes of small images."""
    needs = registry.find("methods", name).needs
    world = World(size=32)
    for need in needs:
        if need in ("pool", "adaptation"):
            pytest.skip(f"needs a {need} of its own; see the tests of its room")
        setattr(world, need.split(":")[0], _role(need, world, tmp))
    return world


def _role(need: str, world: World, tmp: pytest.TempPathFactory) -> Any:
    """One tiny role of each kind for the whole session."""
    if need not in _BUILT:
        import tiny
        from imaginate.models.guides import build_guide
        from imaginate.models.priors import build_prior

        kind, _, family = need.partition(":")
        makers = {"": tiny.tiny_clip, "mae": tiny.tiny_mae, "unclip": tiny.tiny_unclip}
        path = makers.get(family, tiny.tiny_sd)(tmp.mktemp(kind) / "model")
        if kind == "guide":
            _BUILT[need] = build_guide(f"clip:{path}", world.labels, samples=world.samples, device="cpu")
        else:
            _BUILT[need] = build_prior(family, str(path), device="cpu")
    return _BUILT[need]
