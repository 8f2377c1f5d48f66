"""The lowest versions that are let in have the fixes that docs/reliability.md names."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([a-z0-9]+) \| ([0-9.]+) \| CVE-", PAGE, re.MULTILINE)


def version(text: str) -> list[int]:
    return ([int(part) for part in text.split(".")] + [0, 0])[:3]


@pytest.mark.parametrize(("package", "fixed"), ROWS)
def test_the_lowest_version_has_the_fix(package: str, fixed: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(text for some in project["optional-dependencies"].values() for text in some)]
    floors = [m[1] for text in wanted if (m := re.match(rf"{package}>=([0-9.]+)", text))]
    assert floors
    assert all(version(floor) >= version(fixed) for floor in floors)


def test_the_table_is_there() -> None:
    assert len(ROWS) >= 5
