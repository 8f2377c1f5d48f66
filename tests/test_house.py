"""The house itself: who may import whom, what starts fast, what is public."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import imaginate
from imaginate import registry

SRC = Path(imaginate.__file__).parent
FIRST = {
    "records",
    "errors",
    "settings",
    "contract",
    "files",
    "ownership",
    "limits",
    "shapes",
    "processes",
    "progress",
    "cluster",
    "devices",
    "ops",
    "version",
    "runs",
    "decisions",
    "machine_cache",
    "lettering",
    "markdown",
    "tracking",
}
SECOND = ("registry", "prompts", "nano", "data", "models")  # each may import those before it
BUILT_ON = FIRST | set(SECOND)
MAY: dict[str, set[str]] = {
    **dict.fromkeys(FIRST, FIRST),
    **{room: FIRST | set(SECOND[: place + 1]) for place, room in enumerate(SECOND)},
    **{room: BUILT_ON | {room} for room in ("personalisation", "pool", "methods", "filters", "select")},
    "write": BUILT_ON | {"write"},
    "engine": BUILT_ON | {"engine", "write", "select", "pool", "personalisation"},
    "training": BUILT_ON | {"training"},
    "evaluation": BUILT_ON | {"training", "evaluation"},
    "reports": FIRST | {"reports"},
    "reviews": FIRST | {"reviews"},
    "workflows": BUILT_ON
    | {
        "personalisation",
        "pool",
        "select",
        "write",
        "engine",
        "training",
        "evaluation",
        "reports",
        "reviews",
        "workflows",
    },
}
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


def module(path: Path) -> str:
    """The dotted name of a file: `imaginate.engine.plan`, `imaginate.data` for an `__init__.py`."""
    parts = path.relative_to(SRC.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path, known: set[str]) -> set[str]:
    """The modules of the package that a file imports anywhere; `from package import name` is the module `name`, where
    there is one, else the package."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & known
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found |= {inner if inner in known else node.module} & known
    return found - {module(path)}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The groups of nodes that reach one another (strongly connected components of more than one node)."""
    reach: dict[str, set[str]] = {}
    for start in graph:
        seen: set[str] = set()
        todo = list(graph[start])
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo += graph.get(name, ())
        reach[start] = seen
    rings = {frozenset(b for b in reach[a] if a in reach[b]) for a in graph if a in reach[a]}
    return sorted(sorted(ring) for ring in rings)


def room(path: Path) -> str:
    return path.relative_to(SRC).parts[0].removesuffix(".py")


FILES = sorted(p for p in SRC.rglob("*.py") if room(p) not in FREE)


def test_every_room_is_in_the_table() -> None:
    assert {room(p) for p in FILES} <= set(MAY)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_imports_go_one_way(path: Path) -> None:
    inside = {name for name in imports(path) if not name.startswith(":")}
    assert inside <= MAY[room(path)], f"{room(path)} may not import {sorted(inside - MAY[room(path)])}"


def test_no_circle_of_imports() -> None:
    every = sorted(SRC.rglob("*.py"))
    known = {module(path) for path in every}
    assert circles({module(path): imported_modules(path, known) for path in every}) == []


def test_a_circle_would_be_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize("path", [p for p in FILES if room(p) in FIRST], ids=lambda p: str(p.relative_to(SRC)))
def test_the_first_row_needs_no_third_party(path: Path) -> None:
    outside = {name[1:] for name in imports(path) if name.startswith(":")} - set(sys.stdlib_module_names)
    allowed = {
        "ops": {"torch"},
        "progress": {"rich"},
        "processes": set(),
        "cluster": {"ray"},
        "devices": {"torch"},
        "files": {"fsspec"},
        "runs": {"pyarrow"},
        "limits": {"yaml"},
        "lettering": {"PIL"},
        "tracking": {"torch"},
    }
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


FUNCTIONS = [
    "adopt",
    "build_pool",
    "compare",
    "evaluate",
    "expand",
    "export",
    "fit",
    "guide",
    "inspect",
    "load",
    "open_dataset",
]
FUNCTIONS += [
    "load_classifier",
    "plan",
    "predict",
    "recipe_from",
    "refilter",
    "report",
    "search_pool",
    "search_pool_batch",
    "train",
]
FUNCTIONS += ["export_decisions", "export_model", "improve", "review"]
CLASSES = [
    "Classifier",
    "DataSpec",
    "Dataset",
    "Forecast",
    "Improved",
    "InspectedRun",
    "MeasuredGuide",
    "PoolResults",
    "Predictions",
]
CLASSES += ["Refiltered", "Run"]
CLASSES += ["Comparison", "Exported", "ExportedModel", "Fitted", "TrainedClassifier", "WrittenReport"]
ERRORS = ["ConfigError", "DataError", "ImageError", "ImaginateError", "ModelError", "RunError"]


def test_public_names_are_pinned() -> None:
    assert dir(imaginate) == sorted([*FUNCTIONS, *CLASSES, *ERRORS, "__version__"]) == sorted(imaginate.__all__)
    for name in FUNCTIONS:
        assert inspect.isfunction(getattr(imaginate, name))
    for name in (*CLASSES, *ERRORS):
        assert inspect.isclass(getattr(imaginate, name))


def test_no_public_name_is_also_a_module() -> None:
    rooms = {path.stem if path.suffix == ".py" else path.name for path in SRC.iterdir()}
    assert set(imaginate.__all__).isdisjoint(rooms)


def test_the_version_is_the_packages_own() -> None:
    assert imaginate.__version__ == metadata.version("imaginate")


ENGINE = sorted((SRC / "engine").glob("*.py"))


@pytest.mark.parametrize("path", ENGINE, ids=lambda p: p.stem)
def test_the_engine_knows_no_filter_and_asks_no_type(path: Path) -> None:
    """What the engine needs of a member is in `contract.py`: no filter's or method's name, no question by attribute."""
    known = {*registry.names("filters"), *registry.names("methods")} - {"prompt"}  # also a column of the tables
    tree = ast.parse(path.read_text())
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert words.isdisjoint(known)
    assert calls.isdisjoint({"getattr", "hasattr"})
