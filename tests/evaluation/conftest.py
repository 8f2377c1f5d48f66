"""Tiny datasets and runs; see studies.py."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def studies() -> ModuleType:
    """The functions that write tiny datasets and runs."""
    spec = importlib.util.spec_from_file_location("tiny_studies", Path(__file__).with_name("studies.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
