"""Commands that are killed or disturbed, and whether what they leave is what an undisturbed one leaves."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
from PIL import Image

NETWORK = ["--arch", "small", "--updates", "4", "--batch", "4", "--device", "cpu"]
COMMANDS = {
    "expand": ["expand", "data", "out", "--method", "randaugment", "--split", "train", "--copies", "1", "--shard", "4",
               "--quiet"],
    "refilter": ["refilter", "out", "--filter", "quality:sharpness=0.9"],
    "export": ["export", "run", "out", "--format", "webdataset", "--per-file", "3"],
    "train": ["train", "data", "--out", "out", "--split", "train", *NETWORK],
    "compare": ["compare", "data", "--arm", "original", "--held-out", "data", "--held-out-split", "test", "--out",
                "out", *NETWORK, "--seeds", "1", "--bootstrap", "100"],
    "fit": ["fit", "ft-conditioning", "data", "out", "--split", "train", "--prior", "nano", "--epochs", "1",
            "--sheet-steps", "1", "--batch", "4", "--draws", "1", "--device", "cpu", "--quiet"],
    "pool build": ["pool", "build", "out", "data/train", "--guide", "nano", "--device", "cpu", "--quiet"],
}  # fmt: skip
MAKES_RUN = [word.replace("out", "run") for word in COMMANDS["expand"]]  # what `refilter` and `export` need
TIMES = {"seconds", "sessions", "cost", "seconds_per_image"}


def pictures(root: Path) -> Path:
    """Two classes in two splits."""
    for split, count in (("train", 4), ("test", 2)):
        for label, name in enumerate(("fern", "rose")):
            (root / split / name).mkdir(parents=True)
            for k in range(count):
                rng = np.random.default_rng(1000 * label + 10 * k + (split == "test"))
                small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8))
                small.resize((32, 32), Image.Resampling.BICUBIC).save(root / split / name / f"{k}.png")
    return root


def contents(root: Path, name: str) -> dict[str, str]:
    """A hash of every file but those of a cache, times and costs left out; of a pool, whose files have random names,
    the rows. `name`: of the command."""
    if name == "pool build":
        import lancedb

        rows = lancedb.connect(str(root)).open_table("rows").to_arrow().to_pylist()
        found = {str(row["id"]): hashlib.sha256(repr(row["vector"]).encode()).hexdigest() for row in rows}
        return {**found, **{p.name: "" for p in root.iterdir()}}
    found = {}
    for path in (p for p in root.rglob("*") if p.is_file() and p.relative_to(root).parts[0] != "cache"):
        data = path.read_bytes()
        if path.suffix == ".json":
            data = json.dumps(_without_times(json.loads(data))).encode()
        if path.name == "README.md":
            data = re.sub(rb"(?m)^.*second.*$", b"", data)
        found[str(path.relative_to(root))] = hashlib.sha256(data).hexdigest()
    return found


def _without_times(value: object) -> object:
    """JSON without what differs between any two runs."""
    if isinstance(value, dict):
        return {key: _without_times(item) for key, item in value.items() if key not in TIMES}
    return [_without_times(item) for item in value] if isinstance(value, list) else value
