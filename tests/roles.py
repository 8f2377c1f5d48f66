"""A context with the roles that a method needs, filled with tiny random models of the real classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imaginate import registry
from worlds import World, folder, png

_BUILT: dict[str, Any] = {}
SIZE = 32
# More kinds of checkpoints that a registered family reads, for the conformance suites: the family, or the front of a
# guide's name.
PRIOR_ROWS = {
    "sdxl": "stable-diffusion", "sd3": "stable-diffusion", "schnell": "stable-diffusion", "z_image": "stable-diffusion",
    "kontext": "edit", "karlo": "unclip",
}  # fmt: skip
GUIDE_ROWS = {
    **dict.fromkeys(("siglip", "siglip2_fixed", "siglip2", "metaclip_2", "altclip", "chinese_clip"), "clip:"),
    "timm": "prototypes:timm:", "vit_mae": "prototypes:",
}  # fmt: skip


def world_for(name: str, tmp: pytest.TempPathFactory) -> Any:
    """The world in which a registered method can run. Methods without needs get three classes of small images.

    A pool is searched by the guide that built it, and its classes are the colours that this guide knows. A prior with
    an adaptation is one of its own: what was learnt is loaded into it.
    """
    needs = registry.find("methods", name).needs
    world = World(size=SIZE)
    if "pool" in needs:
        _with_pool(world, tmp)
    if "adaptation" in needs:
        _with_adaptation(world, name, tmp)
    for need in needs:
        kind = need.split(":")[0]
        if not hasattr(world, kind):
            setattr(world, kind, _once(need, lambda need=need: _role(need, world, tmp)))
    return world


def _once(key: str, build: Callable[[], Any]) -> Any:
    """One of each for the whole session."""
    if key not in _BUILT:
        _BUILT[key] = build()
    return _BUILT[key]


def _role(need: str, world: World, tmp: pytest.TempPathFactory) -> Any:
    kind, _, family = need.partition(":")
    return guide_of("clip", world, tmp) if kind == "guide" else prior_of(family, tmp)


def guide_of(name: str, world: World, tmp: pytest.TempPathFactory, **more: Any) -> Any:
    """A registered guide with what it says that it needs: a tiny checkpoint or backbone, and the seed images."""
    import tiny
    from imaginate.models.guides import build_guide

    if name in GUIDE_ROWS:
        kind = GUIDE_ROWS[name]
        spec = f"{kind}{_once(f'row {name}', lambda: _row(name, tmp.mktemp(name) / 'model'))}"
        samples = None if kind == "clip:" else world.samples
        return build_guide(spec, world.labels, samples=samples, device="cpu", **more)
    family = registry.find("guides", name)
    own = f"{name.replace('-', '_')}_guide"
    model = _model(own if f"tiny_{own}" in vars(tiny) else "clip", tmp)
    spec = name if family.takes == "nothing" else f"{name}:{model}"
    samples = world.samples if family.needs_seeds else None
    return build_guide(spec, world.labels, samples=samples, device="cpu", **more)


def prior_of(family: str, tmp: pytest.TempPathFactory, **more: Any) -> Any:
    """A registered prior: the tiny model of its family in `tiny.py`, or else its bundled miniature; or a row of
    `PRIOR_ROWS`."""
    import tiny
    from imaginate.models.priors import build_prior

    if family in PRIOR_ROWS:
        place = _once(f"row {family}", lambda: _row(family, tmp.mktemp(family) / "model"))
        return build_prior(PRIOR_ROWS[family], str(place), device="cpu", **more)
    word = family.replace("-", "_")
    spec = _model(word, tmp) if f"tiny_{word}" in vars(tiny) else "nano"
    return build_prior(family, spec, device="cpu", **more)


def _row(name: str, folder: Path) -> Path:
    """A tiny random model of one more kind that a registered family has."""
    import tiny
    import tiny_flow
    from tiny_towers import tiny_towers

    if name == "schnell":
        return tiny_flow.tiny_flux(folder, guidance=False)
    if name == "timm":
        import timm
        from timm.models._hub import save_for_hf

        save_for_hf(
            tiny.seeded(lambda: timm.create_model("test_vit", num_classes=7)).eval(), str(folder),
            safe_serialization=True,
        )  # fmt: skip
        return folder
    if name == "vit_mae":
        return tiny.tiny_mae(folder)
    if name in GUIDE_ROWS:
        return tiny_towers(folder, name)
    builds = {"sdxl": tiny.tiny_sdxl, "karlo": tiny.tiny_karlo, "sd3": tiny_flow.tiny_sd3}
    builds |= {"z_image": tiny_flow.tiny_z_image, "kontext": tiny_flow.tiny_kontext}
    return builds[name](folder)


def _model(kind: str, tmp: pytest.TempPathFactory) -> str:
    """The folder of a tiny random model."""
    import tiny

    return str(_once(f"tiny_{kind}", lambda: getattr(tiny, f"tiny_{kind}")(tmp.mktemp(kind) / "model")))


def _with_pool(world: World, tmp: pytest.TempPathFactory) -> None:
    from colour_guide import COLOURS, ColourGuide
    from imaginate.records import LabelSpace

    world.labels = LabelSpace.of(tuple(COLOURS))
    world.guide, world.pool = ColourGuide(), _once("pool", lambda: _pool(tmp.mktemp("pool")))


def _picture(name: str, number: int) -> np.ndarray:
    """A picture of a colour with one black or white quarter: no two of them are near-duplicates, by any detector."""
    from colour_guide import coloured

    picture = coloured(name, number)
    top, left = (12 * part for part in divmod(number % 4, 2))
    picture[top : top + 12, left : left + 12] = 255 * (number // 4)
    return picture


def _pool(root: Path) -> Any:
    """Six real images of each colour, indexed."""
    from colour_guide import COLOURS, ColourGuide
    from imaginate.pool import build_pool, open_pool

    for name in COLOURS:
        (root / "web" / name).mkdir(parents=True)
        for i in range(6):
            (root / "web" / name / f"{i}.png").write_bytes(png(_picture(name, i)))
    build_pool(str(root / "pool"), [str(root / "web")], ColourGuide())
    return open_pool(str(root / "pool"))


def _with_adaptation(world: World, name: str, tmp: pytest.TempPathFactory) -> None:
    """What one step of the technique of the method's own name learns; pseudowords for a method of another name."""
    technique = name if name in registry.names("techniques") else "textual-inversion"
    world.prior, world.adaptation = _once(f"adapted {technique}", lambda: _adapted(technique, world, tmp))


def _adapted(technique: str, world: World, tmp: pytest.TempPathFactory) -> tuple[Any, Any]:
    from imaginate.models.adaptations.folder import load_adaptation
    from imaginate.models.priors import build_prior
    from imaginate.personalisation.core.run import fit

    data = _once("data", lambda: str(folder(tmp.mktemp("data"), each=2)))
    out = str(tmp.mktemp("fit") / technique)
    settings = {"backbone": _model("clip", tmp), "clusters": 2} if technique == "ft-cluster" else {}
    plan = {"max_steps": 1, "held_out": 0.0, "sheet_every": 0}
    prior = build_prior(registry.find("techniques", technique).family, _model("stable_diffusion", tmp), device="cpu")
    fit(technique, data, out, prior=prior, settings=settings, plan=plan, progress=False)
    return prior, load_adaptation(out, prior, world.labels)
