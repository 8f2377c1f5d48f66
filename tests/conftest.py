"""Fixtures that every level shares."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ["IMAGINATE_CACHE"] = "off"  # no test leans on what another one, or the user, has computed


@pytest.fixture(autouse=True)
def _denormals_as_usual() -> Iterator[None]:
    """Training flushes denormal numbers in its process; the next test may draw some."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real development images; tests that need it skip where it is missing."""
    root = Path(__file__).resolve().parents[1]
    places = [Path(p) for p in [os.environ.get("IMAGINATE_SHARED", "")] if p] + [root / "../shared", root / "shared"]
    for place in places:
        if (place / "data").is_dir():
            return (place / "data").resolve()
    pytest.skip("needs the development images (../shared/data, or IMAGINATE_SHARED)")
