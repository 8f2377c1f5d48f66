"""Damaged and hostile files in every folder that a command reads: one line each, no traceback, nothing outside."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from imaginate.cli import main
from undisturbed import pictures

pytestmark = pytest.mark.integration

DEEP = "[" * 20_000
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abc", "bcd", strict=True)
)

# What is done to a file, by its ending: a name and the new bytes from the old ones.
ANY: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda old: b"",
    "cut": lambda old: old[: len(old) // 2],
    "short": lambda old: old[:40],
    "noise": lambda old: bytes(np.random.default_rng(0).integers(0, 256, 999, np.uint8)),
    "zeros": lambda old: bytes(4096),
}
TEXT: dict[str, Callable[[bytes], bytes]] = {
    "list": lambda old: b"[]",
    "null": lambda old: b"null",
    "number": lambda old: b"1e999",
    "text": lambda old: b'"text"',
    "deep": lambda old: DEEP.encode(),
    "latin": lambda old: b'{"a": "\xe9"}',
    "laughs": lambda old: LAUGHS.encode(),
    "tag": lambda old: b"!!python/object/apply:os.system ['touch PWNED']",
    "itself": lambda old: b"a: &a [*a]",
    "bare": lambda old: b"{}",
}
VALUES: dict[str, object] = {"none": None, "number": -1, "list": [[]], "text": "\0../x", "object": {"\0": {"a": []}}}


NETWORK = ["--arch", "small", "--updates", "2", "--batch", "4", "--device", "cpu"]
MAKE = [
    ["expand", "data", "run", "--method", "randaugment", "--split", "train", "--copies", "1", "--quiet"],
    ["refilter", "run", "--filter", "quality:sharpness=0.9"],
    ["train", "data", "--out", "classifier", "--split", "train", *NETWORK],
    ["compare", "data", "--arm", "original", "--held-out", "data", "--held-out-split", "test", "--out", "study",
     *NETWORK, "--seeds", "1", "--bootstrap", "100"],
    ["fit", "ft-conditioning", "data", "fit", "--split", "train", "--prior", "nano", "--epochs", "1", "--sheet-steps",
     "1", "--batch", "4", "--draws", "1", "--device", "cpu", "--quiet"],
    ["pool", "build", "pool", "data/train", "--guide", "nano", "--device", "cpu", "--quiet"],
]  # fmt: skip

# The commands that read a folder. `OUT` is a new folder.
OF_RUN = [
    ["inspect", "run"], ["export", "run", "OUT", "--format", "csv"], ["export", "run", "OUT", "--format", "parquet"],
    ["refilter", "run", "--filter", "quality"], ["report", "run", "--out", "OUT"], MAKE[0],
    ["expand", "run", "OUT", "--method", "duplicate", "--copies", "1", "--quiet"],
]  # fmt: skip
OF_CLASSIFIER = [MAKE[2]]
OF_STUDY = [["report", "study", "--out", "OUT"], MAKE[3]]
OF_FIT = [
    MAKE[4],
    ["expand", "data", "OUT", "--split", "train", "--method", "ft-conditioning", "--prior", "nano", "--adaptation",
     "fit", "--per-class", "1", "--steps", "1", "--quiet", "--device", "cpu"],
]  # fmt: skip
TARGETS = [
    ("run/run.json", OF_RUN), ("run/recipe.yaml", OF_RUN), ("run/metadata.parquet", OF_RUN),
    ("run/rejected.parquet", OF_RUN[2:5]), ("classifier/classifier.json", OF_CLASSIFIER),
    ("classifier/recipe.json", OF_CLASSIFIER), ("study/study.yaml", OF_STUDY), ("study/results.json", OF_STUDY),
    ("study/arms/original/seed-0/result.json", OF_STUDY[1:]),
    ("study/arms/original/seed-0/predictions.npz", OF_STUDY[1:]), ("fit/adaptation.json", OF_FIT),
    ("fit/checkpoints/epoch-01/conditioning.safetensors", OF_FIT[1:]),
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of each kind."""
    root = tmp_path_factory.mktemp("made")
    pictures(root / "data")
    with contextlib.chdir(root):
        for command in MAKE:
            assert main(command) == 0, command
    return root


def damages(name: str, old: bytes) -> Iterator[tuple[str, bytes]]:
    """Every damage of a file: its bytes, its text, and each of its values by itself."""
    is_text = name.endswith((".json", ".yaml"))
    for damage, change in {**ANY, **(TEXT if is_text else {})}.items():
        yield damage, change(old)
    if not is_text:
        return
    from imaginate.limits import parse_yaml

    values = json.loads(old) if name.endswith(".json") else parse_yaml(old.decode())
    for key in values:
        less = {k: v for k, v in values.items() if k != key}
        yield f"without {key}", json.dumps(less).encode()
        for kind, value in VALUES.items():
            yield f"{key} is {kind}", json.dumps({**values, key: value}).encode()


def outcome(command: list[str]) -> str:
    """ "" where a command ends as it should, else what went wrong."""
    shutil.rmtree("OUT", ignore_errors=True)
    try:
        with open(os.devnull, "w") as null, contextlib.redirect_stdout(null), contextlib.redirect_stderr(null):
            code = main(command)
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException as error:
        where = traceback.extract_tb(sys.exc_info()[2])[-1]
        own = [f for f in traceback.extract_tb(sys.exc_info()[2]) if "/imaginate/" in f.filename]
        line = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else f"{where.filename}:{where.lineno}"
        return f"{type(error).__name__} at {line}: {str(error)[:60]}"
    return "" if code in (0, 2) else f"exit code {code}"


@pytest.mark.parametrize(("name", "commands"), TARGETS, ids=[name for name, _ in TARGETS])
def test_a_damaged_file_is_one_line(made: Path, tmp_path: Path, name: str, commands: list[list[str]]) -> None:
    old = (made / name).read_bytes()
    wrong, count = [], 0
    for damage, new in damages(name, old):
        for command in commands:
            shutil.rmtree(tmp_path / "w", ignore_errors=True)
            shutil.copytree(made, tmp_path / "w", symlinks=True)
            (tmp_path / "w" / name).write_bytes(new)
            with contextlib.chdir(tmp_path / "w"):
                said = outcome(command)
            count += 1
            if said:
                wrong.append(f"{damage}: {' '.join(command[:2])}: {said}")
            assert not (tmp_path / "w" / "PWNED").exists()
    assert wrong == [], f"{len(wrong)} of {count}"
