"""The lock of the development environment: within the bounds of pyproject.toml, hashed, for every platform."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements-dev.lock").read_text()
PLATFORMS = [
    {"sys_platform": system, "platform_system": name, "platform_machine": machine, "os_name": os_name}
    for system, name, machine, os_name in (
        ("linux", "Linux", "x86_64", "posix"), ("linux", "Linux", "aarch64", "posix"),
        ("darwin", "Darwin", "arm64", "posix"), ("win32", "Windows", "AMD64", "nt"),
    )
]  # fmt: skip
PYTHONS = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+", c)]


def entries() -> list[tuple[Requirement, int]]:
    """(pin, number of its hashes) of every entry."""
    blocks = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", LOCK, flags=re.MULTILINE))
    return [(Requirement(block.split("\\\n")[0].strip()), block.count("--hash=sha256:")) for block in blocks if block]


def wanted() -> list[Requirement]:
    """What the project and its extras ask for, other than its own extras."""
    extras = [text for texts in PROJECT["optional-dependencies"].values() for text in texts]
    found = [Requirement(text) for text in [*PROJECT["dependencies"], *extras]]
    return [requirement for requirement in found if requirement.name != "imaginate"]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda p: f"{p['sys_platform']}-{p['platform_machine']}")
def test_every_dependency_is_pinned_once_within_its_bounds(platform: dict[str, str], python: str) -> None:
    place = {
        **platform,
        "python_version": python,
        "python_full_version": f"{python}.9",
        "implementation_name": "cpython",
    }
    pins: dict[str, Requirement] = {}
    for pin, _ in entries():
        if pin.marker is None or Marker(str(pin.marker)).evaluate(place):
            assert canonicalize_name(pin.name) not in pins
            pins[canonicalize_name(pin.name)] = pin
    for requirement in wanted():
        (only,) = pins[canonicalize_name(requirement.name)].specifier
        assert only.operator == "=="
        assert requirement.specifier.contains(only.version), f"{requirement}, but the lock has {only}: run `make lock`"


def test_every_entry_has_hashes_and_no_address() -> None:
    assert len(entries()) > 100
    assert all(hashes for _, hashes in entries())
    assert "://" not in LOCK
    assert " @ " not in LOCK


def test_every_dependency_has_a_lower_bound() -> None:
    assert all(any(s.operator in (">=", "==") for s in requirement.specifier) for requirement in wanted())
