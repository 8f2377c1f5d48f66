"""Personalisation: a dataset -> an adaptation on disk. One file per technique; `core/` is what they share.

A technique is a frozen keyword-only dataclass, found by its file's name. It says which tensors learn and what the
denoiser is told (`build` returns a Learner); encoding, batches, precision, averaging, checkpoints, sheets and
resumption are the core's.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from imaginate.errors import ConfigError
from imaginate.settings import build, nearest

if TYPE_CHECKING:
    from pathlib import Path

    from imaginate.data import DataSpec
    from imaginate.models.adaptations.folder import Manifest


@cache
def names() -> tuple[str, ...]:
    """All techniques, sorted; imports none of them."""
    return tuple(sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__) if not m.ispkg))


def find(name: str) -> type[Any]:
    """The class of a technique. ConfigError with the nearest name where there is none."""
    if name not in names():
        raise ConfigError(f"unknown technique {name!r}{nearest(name, names())}")
    module = importlib.import_module(f"imaginate.personalisation.{name.replace('-', '_')}")
    classes = [v for v in vars(module).values() if isinstance(v, type) and dataclasses.is_dataclass(v)]
    return next(cls for cls in classes if cls.__module__ == module.__name__)


def make(name: str, values: Mapping[str, Any] | None = None) -> Any:
    """A technique from its name and plain settings."""
    return build(find(name), values or {}, where=name)


def fit(
    technique: str,
    data: str | DataSpec,
    out: str | Path,
    *,
    prior: Any = "nano",
    settings: Mapping[str, Any] | None = None,
    plan: Mapping[str, Any] | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> Manifest:
    """Fit a technique to a dataset and write the adaptation to `out`; the same call finishes a fit that was killed.

    `prior` is a checkpoint's id or folder, "nano", or a prior that was built already. `settings` are the technique's,
    `plan` those that all techniques share (`batch`, `held_out`, ...). Raises ImaginateError with one line.
    """
    from imaginate.personalisation.core.run import fit as run

    if isinstance(prior, str):
        from imaginate.models.priors import build_prior

        cls = find(technique)
        dtype = "float32" if cls.trains_weights else str((plan or {}).get("precision", "float32"))
        prior = build_prior(cls.family, prior, device=device, dtype=dtype)
    return run(technique, data, out, prior=prior, settings=settings, plan=plan, progress=progress)
