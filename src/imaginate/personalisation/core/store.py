"""The output folder of a fit: checkpoints that appear whole, one state to go on from, a manifest of what is there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from imaginate.errors import RunError
from imaginate.files import replace_file
from imaginate.models.adaptations.folder import Manifest, read_manifest, same_prior
from imaginate.models.weights import difference
from imaginate.ownership import is_begun

STATE = {"trainer", "epoch", "done", "total", "history", "checkpoints"}  # what it holds
# What reading a file that is no state, or a damaged one, raises.
UNREAD = (
    OSError, RuntimeError, ValueError, EOFError, KeyError, TypeError, AttributeError, UnpicklingError,
)  # fmt: skip
FREE = ("save_every", "sheet_every", "sheet_steps")  # these do not change what is learnt


class Store:
    """`OUT/` as the loop sees it."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).expanduser()
        self.state_file = self.root / "state" / "state.pt"

    def open(self, fresh: Manifest, *, is_dry: bool = False) -> Manifest:
        """The manifest to go on with. RunError where the folder holds something else, or another fit. `is_dry`: only
        check."""
        there = read_manifest(self.root)
        if there is None:
            if not is_begun(self.root, "fit"):
                raise RunError(f"{self.root} is not empty and holds no fit: choose another folder")
            if not is_dry:
                fresh.write(self.root)
            return fresh
        if other := difference({"prior": there.weights}, {"prior": fresh.weights}):
            raise RunError(f"{self.root} holds a fit that began from another network: {other}; or use a new folder")
        changed = _changes(there, fresh)
        if changed:
            raise RunError(f"{self.root} holds a fit with other settings ({changed}): choose another folder")
        return there

    def save_state(self, state: dict[str, Any]) -> None:
        """Write the state, all or nothing."""
        replace_file(self.state_file, lambda partial: torch.save(state, partial))

    def load_state(self, device: str) -> dict[str, Any] | None:
        """The last state; None at the start. Nothing in it is executed."""
        if not self.state_file.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(self.state_file, map_location=device, weights_only=True)
        except UNREAD:  # whose text is PyTorch's own, about how to load what cannot be loaded
            state = {}
        if not isinstance(state, dict) or not state.keys() >= STATE:
            message = "it is not the whole state of a fit; delete it to begin again"
            raise RunError(f"{self.state_file} is damaged: {message}")
        return state

    def save_checkpoint(self, name: str, write: Callable[[Path], None]) -> None:
        """`write(folder)` makes the checkpoint, which appears whole, in place of the one of a killed process."""

        def make(partial: Path) -> None:
            partial.mkdir()
            write(partial)

        replace_file(self.root / "checkpoints" / name, make)

    def keep_only(self, names: set[str]) -> None:
        """Remove the checkpoints of epochs that no role needs any more."""
        for folder in (self.root / "checkpoints").glob("*/"):
            if folder.name.startswith("epoch-") and folder.name not in names:
                shutil.rmtree(folder)

    def forget_state(self) -> None:
        """A finished fit needs no state (of a whole UNet it is several times the checkpoint)."""
        self.state_file.unlink(missing_ok=True)


def _changes(before: Manifest, after: Manifest) -> str:
    """What differs between two fits that should be the same one: `plan.batch was 4, is 8`."""
    if before.technique != after.technique:
        return f"technique was {before.technique}, is {after.technique}"
    pairs: dict[str, tuple[Any, Any]] = {
        "prior": (True, same_prior(before.fingerprint, after.fingerprint)),
        "classes": (before.classes, after.classes),
    }
    for section in ("technique", "plan"):
        old, new = before.settings.get(section, {}), after.settings.get(section, {})
        pairs.update({f"{section}.{k}": (old.get(k), new.get(k)) for k in {**old, **new} if k not in FREE})
    pairs["data"] = (before.data.get("fingerprint"), after.data.get("fingerprint"))
    if "content" in before.data:  # version 0.1.0 did not note it
        pairs["pictures under the same names"] = (before.data["content"], after.data.get("content"))
    out = []
    for key, (old, new) in pairs.items():
        if old != new:
            brief = key in ("prior", "classes", "data", "pictures under the same names")
            out.append(f"{key} changed" if brief else f"{key} was {old!r}, is {new!r}")
    return "; ".join(out)
