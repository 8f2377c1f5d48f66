"""What a run takes images from besides its dataset, a pool or other runs, and whether it is as it was when it began.

A run that goes on or grows over a pool that changed would take other images, and some of them twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imaginate.contract import Choosing
from imaginate.engine.resolve import ResolvedRecipe
from imaginate.errors import RunError
from imaginate.files import KEPT, Folder, content_hash, short_hash

KEY = "taken_from"  # of run.json


def state_of(recipe: ResolvedRecipe) -> dict[str, Any]:
    """A hash of what is in the pool, and of the table of each run in the method's setting `runs`; empty without."""
    found: dict[str, Any] = {}
    if "pool" in recipe.method.needs and recipe.roles.pool:
        from imaginate.pool.table import PoolTable

        found["pool"] = short_hash(sorted(PoolTable.open(recipe.roles.pool).finished().items()))
    if runs := _runs(recipe):
        found["runs"] = [content_hash(Folder(run).get(KEPT)) for run in runs]
    return found


def _runs(recipe: ResolvedRecipe) -> tuple[str, ...]:
    return recipe.method.runs if isinstance(recipe.method, Choosing) else ()


def check(root: str, known: Mapping[str, Any], recipe: ResolvedRecipe) -> None:
    """RunError where the pool, or one of the runs, changed since the run in `root` began. Runs of earlier versions say
    nothing of it."""
    before = known.get(KEY)
    if not before or before == (now := state_of(recipe)):
        return
    what = f"the pool {recipe.roles.pool}"
    if before.get("pool") == now.get("pool"):
        pairs = zip(before.get("runs", ()), now.get("runs", ()), _runs(recipe), strict=False)
        what = "the run " + next((run for old, new, run in pairs if old != new), "that it takes images from")
    raise RunError(
        f"{root} began with other images to take: {what} changed since then, and a run over both would hold images "
        "twice; use a new folder"
    )
