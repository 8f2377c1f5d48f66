"""Published layouts, by one of them: Food-101."""

from __future__ import annotations

import json
from pathlib import Path

from data import zoo


def example(root: Path) -> str:
    home = root / "food-101"
    lists: dict[str, dict[str, list[str]]] = {"train": {}, "test": {}}
    for number, (split, name, data) in enumerate(zoo.EXAMPLE):
        file = home / "images" / name / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        lists[split].setdefault(name, []).append(f"{name}/{number}")
    lists["test"]["cat"].append("cat/missing")
    (home / "meta").mkdir()
    for split, found in lists.items():
        (home / "meta" / f"{split}.json").write_text(json.dumps(found))
    return str(home)
