"""Where a diffusion that starts from an image really begins: asked of the prior, stated, and refused where the copies
would be their seeds again."""

from __future__ import annotations

from imaginate.contract import Beginning, BeginsSomewhere, Edits, Level, Prior
from imaginate.errors import ConfigError
from imaginate.records import Scalar

LEAST = 0.01  # a share of noise below this changes nothing that one could see


def begins(prior: Prior, level: Level, steps: int, scheduler: str | None) -> Beginning | None:
    """Where a run begins; None for a prior that does not know it."""
    if not isinstance(prior, BeginsSomewhere):
        return None
    return prior.begins(strength=level.strength, noise=level.noise, steps=steps, scheduler=scheduler)


def describe_start(prior: Prior, method: Edits) -> list[str]:
    """`starts at 4.3 % noise (DDIMScheduler, 1 step, strength 0.1)`, a line for each level of the method.

    ConfigError, in one line that names --noise, for a start that changes nothing.
    """
    lines = []
    for level in method.levels:
        found = begins(prior, level, method.steps, method.scheduler)
        if found is None:
            continue
        share, steps = 100 * found.noise, f"{found.steps} step{'s' if found.steps > 1 else ''}"
        if found.noise < LEAST:
            raise ConfigError(
                f"{level} of {method.steps} steps starts at {share:.2g} % noise with {found.scheduler}, so the copies "
                "would be their seeds again: give --noise (the share of noise at the start), or more strength or steps"
            )
        lines.append(f"starts at {share:.3g} % noise ({found.scheduler}, {steps}, {level})")
    return lines


def level_facts(prior: Prior, level: Level, steps: int, scheduler: str | None) -> dict[str, Scalar]:
    """What is written with an image: the strength that was asked for, and the noise that its diffusion began with."""
    asked: dict[str, Scalar] = {} if level.noise is not None else {"strength": level.strength}
    found = begins(prior, level, steps, scheduler)
    return asked if found is None else {**asked, "noise": round(found.noise, 6)}
