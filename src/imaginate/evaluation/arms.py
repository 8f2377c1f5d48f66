"""Arms of a study, as written on the command line.

    original[@F]          the original training images; F: a share of each class, such as original@0.5
    duplicate[:K]         the originals, K times more (default: to the largest run's size): no new information
    online-aug            the originals under strong on-line augmentation, new at every update
    run:PATH[@R]          the originals and a finished run's new images; R: only so many for each original image
    synthetic:PATH[@R]    a run's new images alone
    folder:PATH[@R]       the originals and images that another tool made, in any layout that is read; seeds unknown
    real:N                the originals and up to N more real images a class: the upper bound
    clip-zero-shot, clip-probe, clip-finetune[:PATH], clip-distill     baselines of GIF Tables 1, 4 and 5

`name=` in front gives an arm another name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from imaginate.errors import ConfigError
from imaginate.settings import nearest

KINDS = (
    "original", "subset", "duplicate", "online-aug", "run", "synthetic", "folder", "real",
    "clip-zero-shot", "clip-probe", "clip-finetune", "clip-distill",
)  # fmt: skip
_WITH_PATH = ("run", "synthetic", "folder", "clip-finetune")
_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9._+@-]*)=(.+)")


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One arm: `number` is duplicate's K or real's N, `ratio` new images for each original (None: all of them),
    `share` of the originals of a class for `original@F`, whose kind is `subset`, `renamed` whether the name was given.
    """

    name: str
    spec: str
    kind: str
    path: str | None = None
    ratio: float | None = None
    number: int | None = None
    share: float | None = None
    renamed: bool = False

    @property
    def baseline(self) -> bool:
        """Whether this arm uses CLIP as the classifier or the teacher."""
        return self.kind.startswith("clip-")


def parse_arms(specs: Sequence[str]) -> list[Arm]:
    """The arms, in order. Raises ConfigError for an unknown kind, a missing part, or two arms of one name."""
    arms = [parse_arm(spec) for spec in specs]
    if not arms:
        raise ConfigError("at least one --arm is needed, such as --arm original --arm run:FOLDER")
    names = [arm.name for arm in arms]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two arms are called {name!r}; give one another name with --arm NAME=SPEC")
    return arms


def parse_arm(spec: str) -> Arm:
    """One arm from its text."""
    text, name = spec, None
    if match := _NAME.fullmatch(spec):
        name, text = match.groups()
    kind, _, rest = text.partition(":")
    if kind.startswith("original@"):
        share = _share(kind.removeprefix("original@"), spec)
        return Arm(name=name or f"original@{share:g}", spec=spec, kind="subset", share=share, renamed=name is not None)
    if kind not in KINDS or kind == "subset":
        raise ConfigError(f"unknown arm {spec!r}{nearest(kind, KINDS)}")
    if kind in _WITH_PATH and (rest or kind != "clip-finetune"):
        path, ratio = _path_ratio(rest, spec)
        called = name or _called(kind, path, ratio)
        return Arm(name=called, spec=spec, kind=kind, path=path, ratio=ratio, renamed=name is not None)
    number = None
    if kind in ("duplicate", "real") and (rest or kind == "real"):
        number = _count(rest, spec)
    elif rest:
        raise ConfigError(f"arm {spec!r}: {kind} takes nothing after it")
    called = kind if number is None else f"{kind}-{number}"
    return Arm(name=name or called, spec=spec, kind=kind, number=number, renamed=name is not None)


def _path_ratio(rest: str, spec: str) -> tuple[str, float | None]:
    path, at, tail = rest.rpartition("@")
    if not at or "/" in tail:
        path, tail = rest, ""
    if not path:
        raise ConfigError(f"arm {spec!r} needs a folder, such as run:flowers-gif/")
    path = os.path.normpath(path)
    if not tail:
        return path, None
    try:
        ratio = float(tail.removesuffix("x"))
    except ValueError:
        ratio = -1.0
    if ratio <= 0:
        raise ConfigError(f"arm {spec!r}: the ratio after @ must be above 0, got {tail!r}")
    return path, ratio


def _called(kind: str, path: str, ratio: float | None) -> str:
    base = re.sub(r"[^A-Za-z0-9._+-]+", "-", os.path.basename(os.path.normpath(path))).strip("-.") or "run"
    front = "" if kind in ("run", "folder") else f"{kind}-"
    return f"{front}{base}" + ("" if ratio is None else f"@{ratio:g}")


def _share(text: str, spec: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 < share < 1:
        raise ConfigError(f"arm {spec!r}: the share after @ must be between 0 and 1, got {text!r}")
    return share


def _count(rest: str, spec: str) -> int:
    if not rest.isdigit() or int(rest) < 1:
        raise ConfigError(f"arm {spec!r}: the number must be at least 1, got {rest!r}")
    return int(rest)
