"""Class files that come with imaginate, for data sets whose own files hold numbers alone: those of MedMNIST.

A set is recognised by its name, its number of classes and the size of its images. `--classes-file breastmnist` names
one for a file of another name.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from imaginate.data.class_yaml import read_yaml
from imaginate.records import LabelSpace

FOLDER = Path(__file__).parent / "class_files"
_SIZES = (28, 64, 128, 224)
_SIZE_WORD = re.compile(r"[-_. ]?(28|64|128|224)(x\1)?$")


def shipped(name: str) -> str | None:
    """The class file of that name; None where there is none."""
    return str(FOLDER / f"{name}.yaml") if name in names() else None


def names() -> tuple[str, ...]:
    """The sets that have a class file."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.yaml")))


def recognised(path: str, labels: LabelSpace, size: tuple[int, int]) -> str | None:
    """The name of the set at a path, whose images have that height and width; None where it is another data set, or
    its classes have names already."""
    stem = os.path.basename(os.path.normpath(path)).split(".")[0].lower()
    name = _SIZE_WORD.sub("", stem)
    numbers = {str(number) for number in range(len(labels))}
    is_bare = set(labels.names) == numbers and not any(info.display for info in labels)
    if name not in names() or not is_bare or size[0] != size[1] or size[0] not in _SIZES:
        return None
    return name if len(read_yaml(str(FOLDER / f"{name}.yaml"))["classes"]) == len(labels) else None
