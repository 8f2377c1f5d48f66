"""Fixtures that every level shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real development images; tests that need it skip where it is missing."""
    root = Path(__file__).resolve().parents[1]
    places = [Path(p) for p in [os.environ.get("IMAGINATE_SHARED", "")] if p] + [root / "../shared", root / "shared"]
    for place in places:
        if (place / "data").is_dir():
            return (place / "data").resolve()
    pytest.skip("needs the development images (../shared/data, or IMAGINATE_SHARED)")
