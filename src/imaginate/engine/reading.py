"""The seed images of a run, read once: its plan, and which splits the dataset has."""

from __future__ import annotations

import math

from imaginate.data import open_dataset
from imaginate.engine.outlook import Fact, split_fact
from imaginate.engine.plan import Plan, make_plan
from imaginate.engine.resolve import ResolvedRecipe
from imaginate.progress import bar


def read(recipe: ResolvedRecipe, *, progress: bool, patience: float = math.inf) -> tuple[Plan, Fact]:
    """The plan of the run, and the fact about its split. `patience`: seconds for the bytes of the seed images."""
    dataset = open_dataset(recipe.data)
    with bar("reading", len(dataset.samples), show=progress) as shown:
        count = 0

        def seen() -> None:
            nonlocal count
            count += 1
            shown.advance()

        plan = make_plan(recipe, dataset, seen, patience=patience)
        shown.note(f"read {count} images")
        shown.expect(count)
    return plan, split_fact(dataset)
