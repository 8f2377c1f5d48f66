"""Files of weights that hold something else, a pickle with a call among it: one line, and nothing of it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from imaginate.errors import ImaginateError
from imaginate.filters.aesthetic import _head
from imaginate.models.adaptations.folder import _conditioning
from imaginate.models.guides.finetuned import _restore
from imaginate.personalisation.core.store import Store
from imaginate.training import checkpoint
from imaginate.training.loop import State


class Call:
    """Says that it ran, where it is unpickled without care."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, ("ran", "w"))


def write(kind: str, path: Path) -> None:
    """A file that is no weights of the wanted kind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "text":
        path.write_bytes(b"not weights")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "half":
        torch.save({"weight": torch.zeros(100)}, path)
        path.write_bytes(path.read_bytes()[:300])
    else:
        values: dict[str, object] = {
            "call": {"x": Call()}, "list": [1, 2], "other": {"weight": "x", "bias": 3}, "number": 7,
        }  # fmt: skip
        torch.save(values[kind], path)


def train_state(folder: Path) -> object:
    model = torch.nn.Linear(1, 1)
    return checkpoint.resume(folder, "key", State, model, torch.optim.SGD(model.parameters()))


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "aesthetic head": ("head.pth", lambda folder: _head(str(folder / "head.pth"))),
    "state of a fit": ("state/state.pt", lambda folder: Store(folder).load_state("cpu")),
    "state of a training": ("state.pt", train_state),
    "fine-tuned guide": (
        "g.safetensors", lambda folder: _restore(folder / "g.safetensors", torch.nn.Linear(1, 1), torch.nn.Linear(1, 1))
    ),
    "conditionings": ("conditioning.safetensors", _conditioning),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["text", "empty", "half", "call", "list", "other", "number"])
@pytest.mark.parametrize("reader", READERS)
def test_it_is_one_line(reader: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name, read = READERS[reader]
    write(kind, tmp_path / name)
    with pytest.raises(ImaginateError) as said:
        read(tmp_path)
    assert "\n" not in str(said.value)
    assert name.rsplit("/", 1)[-1] in str(said.value)
    assert not (tmp_path / "ran").exists()
