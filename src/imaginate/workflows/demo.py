"""Expand ten classes of real pictures, without a download: the first two minutes with imaginate.

Crops of public-domain photographs and micrographs that scikit-image carries become OUT/textures (train and held-out
halves); then they are expanded by RandAugment and by guided imagination with the bundled nano models.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from imaginate.data.textures import make_textures
from imaginate.engine.agreement import AUTO
from imaginate.engine.run import Run, expand
from imaginate.files import explained
from imaginate.models.extras import check_installed

GUIDED: dict[str, Any] = {"copies": 3, "guide": AUTO, "prior": "nano", "shots": 2}
RUNS: dict[str, dict[str, Any]] = {
    "randaugment": {"method": "randaugment", "copies": 5},
    "gif-mae": {"method": "gif-mae", "eps": 0.2, **GUIDED},
    "gif-sd": {"method": "gif-sd", **GUIDED},
}


def make_data(out: str, only: str | None = None) -> str:
    """The path of the ten classes, made where they are not there yet. What the runs (or `only` one) need is checked
    first."""
    chosen = [RUNS[only]] if only else [*RUNS.values()]
    roles = [role for run in chosen for role in ("guide", "prior") if role in run]
    check_installed("imaginate demo", ["pictures", *dict.fromkeys(roles)])
    data = os.path.join(out, "textures")
    if not os.path.exists(os.path.join(data, "classes.yaml")):
        with explained(out):
            make_textures(data)
    return data


def make_runs(out: str, data: str, only: str | None = None) -> Iterator[Run]:
    """Each run of the demo in turn, or one of them alone."""
    for name, settings in RUNS.items():
        if only in (None, name):
            yield expand(data, os.path.join(out, f"textures-{name}"), split="train", **settings)
