"""A tiny prior, a tiny dataset, and a short plan."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

torch.set_num_threads(1)
COLOURS = {"grass snake": (40, 200, 60), "tench": (180, 120, 40), "water": (30, 60, 220)}
QUICK = {"batch": 4, "held_out": 0.25, "sheet_every": 0, "draws": 4, "patience": 40}


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A tiny random pipeline on disk, made once: "sd", "sdxl", or of flow matching ("sd3", "flux", "z_image")."""
    import tiny
    import tiny_flow

    makers = {**vars(tiny), **vars(tiny_flow)}
    return cache(lambda kind: makers[f"tiny_{kind}"](tmp_path_factory.mktemp(kind)))


@pytest.fixture
def kind() -> str:
    """Which prior a test is about; a test that says nothing is about Stable Diffusion."""
    return "sd"


@pytest.fixture
def prior_folder(kind: str, tiny_folder: Callable[[str], Path]) -> Path:
    """The tiny prior on disk."""
    return tiny_folder(kind)


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random CLIP on disk."""
    from tiny import tiny_clip

    return tiny_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def make_prior(prior_folder: Path) -> Callable[[], Any]:
    """Builds the tiny prior, fresh each time."""
    from imaginate.models.priors import build_prior

    return lambda: build_prior("stable-diffusion", str(prior_folder))


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three classes of 5 noisy one-colour images."""
    root = tmp_path_factory.mktemp("data")
    draw = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (root / name).mkdir()
        for number in range(5):
            pixels = np.clip(np.array(colour) + draw.normal(0, 12, (20, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return str(root)
