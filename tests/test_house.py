"""The house itself: who may import whom, what starts fast, what is public."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import imaginate

SRC = Path(imaginate.__file__).parent
FIRST = {"records", "errors", "settings", "contract", "progress", "cluster", "devices", "versions", "ops"}
MODELS = FIRST | {"data", "models", "nano"}
MAY: dict[str, set[str]] = {
    **dict.fromkeys(FIRST, FIRST),
    "data": FIRST | {"data"},
    "models": FIRST | {"models", "nano"},
    "nano": FIRST | {"nano"},
    **{room: MODELS | {room} for room in ("fit", "pool", "methods", "filters", "select")},
    "registry": FIRST,
    "engine": MODELS | {"engine", "registry", "write", "select", "pool", "fit", "__version__"},
    "write": MODELS | {"write", "registry"},
    "train": MODELS | {"train", "evaluate"},
    "evaluate": MODELS | {"train", "evaluate"},
    "report": {"records", "errors", "settings", "report", "__version__"},
}
THIRD_PARTY_OF_OPS = {"torch"}
FREE = {"cli", "__init__", "__main__"}


def imports(path: Path) -> set[str]:
    """Top-level modules imported anywhere in a file: `imaginate.x.y` as `x`, others with a leading `:`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
            if node.module == "imaginate":
                names = [f"imaginate.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            found.add(parts[1] if parts[0] == "imaginate" and len(parts) > 1 else f":{parts[0]}")
    return found


def room(path: Path) -> str:
    return path.relative_to(SRC).parts[0].removesuffix(".py")


FILES = sorted(p for p in SRC.rglob("*.py") if room(p) not in FREE)


def test_every_room_is_in_the_table() -> None:
    assert {room(p) for p in FILES} <= set(MAY)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_imports_go_one_way(path: Path) -> None:
    inside = {name for name in imports(path) if not name.startswith(":")}
    assert inside <= MAY[room(path)], f"{room(path)} may not import {sorted(inside - MAY[room(path)])}"


@pytest.mark.parametrize("path", [p for p in FILES if room(p) in FIRST], ids=lambda p: str(p.relative_to(SRC)))
def test_the_first_row_needs_no_third_party(path: Path) -> None:
    outside = {name[1:] for name in imports(path) if name.startswith(":")} - set(sys.stdlib_module_names)
    allowed = {"ops": THIRD_PARTY_OF_OPS, "progress": {"rich"}, "cluster": {"ray"}, "devices": {"torch"}}
    assert outside <= allowed.get(room(path), set()) | {"imaginate"}


@pytest.mark.parametrize("command", [["--help"], ["methods"], ["methods", "--filters"], ["expand", "--help"]])
def test_start_up_imports_no_torch(command: list[str]) -> None:
    code = (
        "import sys; from imaginate.cli import main\n"
        f"try: main({command!r})\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'torchvision', 'transformers', 'diffusers', 'pyarrow', 'rich', 'ray'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_public_names_are_pinned() -> None:
    assert sorted(imaginate.__all__) == [
        "DataSpec",
        "Dataset",
        "Run",
        "__version__",
        "expand",
        "load",
        "open_dataset",
        "recipe_from",
    ]
    for name in imaginate.__all__:
        assert getattr(imaginate, name) is not None
