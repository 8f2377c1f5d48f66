"""A damaged run: every command that reads it says in one line which file is damaged, and changes nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import imaginate
from imaginate.cli import main
from worlds import folder


def _json(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        facts = json.loads((run / "run.json").read_text())
        changed = change(facts)
        (run / "run.json").write_text(json.dumps(facts if changed is None else changed))

    return damage


def _cut(name: str, size: int) -> Callable[[Path], None]:
    return lambda run: (run / name).write_bytes((run / name).read_bytes()[:size]) and None


def _text(name: str, text: str) -> Callable[[Path], None]:
    return lambda run: (run / name).write_text(text) and None


def _name(value: str) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        table = pq.read_table(run / "metadata.parquet")
        names = [value, *table.column("file_name").to_pylist()[1:]]
        pq.write_table(table.set_column(0, "file_name", pa.array(names)), run / "metadata.parquet")

    return damage


DAMAGES: dict[str, Callable[[Path], None]] = {
    "run.json cut": _cut("run.json", 40),
    "run.json a list": _json(lambda facts: []),
    "run.json without classes": _json(lambda facts: facts.pop("classes") and None),
    "run.json without totals": _json(lambda facts: facts.pop("totals") and None),
    "recipe.yaml a list": _text("recipe.yaml", "- a\n"),
    "recipe.yaml with a Python tag": _text("recipe.yaml", "a: !!python/name:os.getcwd ''\n"),
    "metadata.parquet cut": _cut("metadata.parquet", 3000),
    "rejected.parquet cut": _cut("rejected.parquet", 100),
    "a name without a folder": _name("x.png"),
    "an empty name": _name(""),
    "a name with NUL": _name("images/a\0b.png"),
    "a name that leaves the run": _name("../../x.png"),
}
COMMANDS: dict[str, list[str]] = {
    "inspect": ["inspect", "RUN"],
    "csv": ["export", "RUN", "OUT", "--format", "csv"],
    "webdataset": ["export", "RUN", "OUT", "--format", "webdataset"],
    "parquet": ["export", "RUN", "OUT", "--format", "parquet"],
    "refilter": ["refilter", "RUN", "--filter", "quality"],
    "report": ["report", "RUN"],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("damaged")
    folder(place / "data", classes=("ant", "bee"), each=2)
    imaginate.expand(str(place / "data"), place / "run", "flip-crop", copies=1, progress=False)
    return place / "run"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_one_line_and_no_traceback(
    run: Path, tmp_path: Path, damage: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "run"
    shutil.copytree(run, damaged)
    DAMAGES[damage](damaged)
    words = {"RUN": str(damaged), "OUT": str(tmp_path / "out")}
    code = main([words.get(word, word) for word in COMMANDS[command]])
    said = capsys.readouterr().err.strip().splitlines()
    assert code in (0, 2)
    if code == 2:
        assert said[-1].startswith("imaginate: ")
        assert len([line for line in said if line.startswith("imaginate: ")]) == 1
