"""A made-up study and a made-up run, drawn once; see study_fixture.py. No result."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support.chromium import chromium


@pytest.fixture(scope="session")
def fixture_module() -> ModuleType:
    """The functions that draw runs and studies."""
    spec = importlib.util.spec_from_file_location("study_fixture", Path(__file__).with_name("study_fixture.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def _drawn(tmp_path_factory: pytest.TempPathFactory, fixture_module: ModuleType) -> Path:
    root = tmp_path_factory.mktemp("drawn")
    fixture_module.make_study(root / "study")
    return root


@pytest.fixture
def world(_drawn: Path, tmp_path: Path) -> Path:
    """A fresh copy: `study/` beside the runs `flowers-gif/` and `flowers-prompt/`."""
    return Path(shutil.copytree(_drawn, tmp_path / "world"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium, with what it fetches recorded."""
    with chromium(tmp_path_factory.mktemp("chromium"), logs=("browser", "performance")) as opened:
        yield opened
