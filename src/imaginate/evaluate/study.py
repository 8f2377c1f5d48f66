"""A study: arms trained under one protocol, resumable arm by arm and seed by seed, and put together in results.json.

STUDY/study.yaml   cache/   arms/<arm>/seed-<n>/{state.pt, history.json, predictions.npz, result.json}   results.json
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from imaginate.errors import ConfigError, RunError
from imaginate.evaluate import results
from imaginate.evaluate.arms import Arm, parse_arms
from imaginate.evaluate.compose import Composition, compose
from imaginate.evaluate.material import Material, gather
from imaginate.evaluate.protocol import FORMAT, Protocol, protocol_from, settle
from imaginate.evaluate.unit import Corrupting, Job, run_job
from imaginate.progress import bar
from imaginate.records import short_hash
from imaginate.train.classifiers import check_arch
from imaginate.train.plan import TrainPlan, pick_device
from imaginate.train.pool import ImagePool, join
from imaginate.train.stream import seed_of
from imaginate.train.team import Team, assemble


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """Where the classifiers are trained; changes nothing of what is compared."""

    device: str = "auto"
    workers: int = 1
    keep_weights: bool = False
    show: bool = True


def compare(
    data: str | os.PathLike[str],
    arms: Sequence[str],
    held_out: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    device: str = "auto",
    workers: int = 1,
    keep_weights: bool = False,
    show: bool = True,
    **settings: Any,
) -> dict[str, Any]:
    """Train every arm under one protocol and measure it on the held-out images; returns what results.json holds.

    `settings` are fields of `Protocol`. The same call on the same folder goes on where it was stopped, and trains only
    the arms and seeds that are new.
    """
    protocol = protocol_from({"data": os.fspath(data), "held_out": os.fspath(held_out), **settings})
    hardware = Hardware(device=device, workers=workers, keep_weights=keep_weights, show=show)
    return Study(protocol, parse_arms(list(arms)), Path(out), hardware).run()


class Study:
    """The arms of one call, on one folder."""

    def __init__(self, protocol: Protocol, arms: list[Arm], out: Path, hardware: Hardware) -> None:
        protocol.schedule_of()
        check_arch(protocol.arch)
        self.team, self.device = assemble(pick_device(hardware.device))
        self.out, self.arms, self.hardware = out, arms, hardware
        self.stored = _stored(out)
        self.known: dict[Any, dict[str, Any]] = {}
        self.protocol = settle(protocol, self.stored.get("protocol"), str(out))

    def run(self) -> dict[str, Any]:
        """Read, check, train what is missing, put together."""
        first = self.team.main
        if not first:
            self.team.wait()
        material = gather(self.protocol, self.arms, self.out / "cache", show=self.hardware.show and first)
        composed = self._compositions(material)
        self.protocol = self._budget(material, composed)
        if first:
            self._remember(material)
            self.team.wait()
        jobs = [self._job(arm, material, seed, r, made) for (arm, seed, r), made in self._each(composed)]
        missing = [job for job in jobs if not job.done()]
        together = self.hardware.workers > 1
        for arm in [None] if together else dict.fromkeys(job.arm for job in missing):
            self._train([job for job in missing if arm in (None, job.arm)])
            if first:
                results.write(self.out, self.protocol, self.arms, material, jobs, self.known)
        self.team.wait()
        return results.write(self.out, self.protocol, self.arms, material, jobs, self.known) if first else {}

    def units(self) -> list[tuple[int, int]]:
        """(seed, resample) of every unit of an arm."""
        return [(seed, r) for seed in range(self.protocol.seeds) for r in range(self.protocol.resamples)]

    def _each(self, composed: dict[Any, Composition]) -> Iterator[tuple[tuple[Arm, int, int], Composition]]:
        """Arm by arm in the order given, unit by unit."""
        by_name = {arm.name: arm for arm in self.arms}
        for (name, seed, r), composition in composed.items():
            yield (by_name[name], seed, r), composition

    def _compositions(self, material: Material) -> dict[tuple[str, int, int], Composition]:
        """The images of every unit; runs first, because `duplicate` grows to the size of the largest."""
        found: dict[tuple[str, int, int], Composition] = {}
        ordered = sorted(self.arms, key=lambda arm: arm.path is None)
        for seed, r in self.units():
            largest = 0
            for arm in ordered:
                size = largest or 6 * len(material.train)
                made = compose(arm, material, self.protocol, seed=seed, resample=r, largest=size)
                found[arm.name, seed, r] = made
                if arm.path is not None:
                    largest = max(largest, made.original + made.synthetic)
        return {(a.name, s, r): found[a.name, s, r] for a in self.arms for s, r in self.units()}

    def _budget(self, material: Material, composed: dict[tuple[str, int, int], Composition]) -> Protocol:
        """The protocol with the number of updates settled: the recipe's epochs over the largest arm, for every arm."""
        recipe = self.protocol.schedule_of()
        if self.protocol.budget == "epochs" or self.protocol.updates is not None:
            return self.protocol
        largest = max(len(c.train) for (_, s, r), c in composed.items() if (s, r) == (0, 0))
        return replace(self.protocol, updates=recipe.epochs * math.ceil(largest / recipe.batch))

    def _job(self, arm: Arm, material: Material, seed: int, resample: int, made: Composition) -> Job:
        protocol = self.protocol
        recipe = protocol.schedule_of()
        originals = len(material.train) * (1 - protocol.validation if material.validation is None else 1)
        own = protocol.budget == "epochs"
        epoch = max(1, math.ceil((len(made.train) if own else originals) / recipe.batch))
        plan = TrainPlan(
            arch=protocol.arch, classes=len(material.labels), size=protocol.size, recipe=recipe,
            updates=recipe.epochs * epoch if own else protocol.updates or 0, epoch=epoch,
            seed=seed_of("unit", seed, resample), pretrained=protocol.pretrained, augment=protocol.online_aug,
            device=self.device, precision=protocol.precision,
        )  # fmt: skip
        tail = f"-resample-{resample}" if protocol.resamples > 1 else ""
        return Job(
            arm=arm.name, kind=arm.kind, seed=seed, resample=resample, plan=plan, train=made.train,
            validation=made.validation, held_out=_held(material),
            folder=self.out / "arms" / arm.name / f"seed-{seed}{tail}",
            images=made.images, labels=material.labels, clip=protocol.clip, corrupting=self._corrupting(material),
            keep_weights=self.hardware.keep_weights,
        )  # fmt: skip

    def _corrupting(self, material: Material) -> Corrupting | None:
        """The same held-out images for every unit: a share of each class."""
        if not self.protocol.severities:
            return None
        label = material.held.label[material.held_rows]
        share = self.protocol.corruption_images / len(label)
        rows = np.arange(len(label)) if share >= 1 else split(label, np.ones(len(label), bool), share, 0)[1]
        return Corrupting(rows=rows, severities=self.protocol.severities)

    def _train(self, jobs: list[Job]) -> None:
        if self.hardware.workers > 1 and len(jobs) > 1:
            from imaginate.evaluate.spread import spread

            spread(jobs, self.hardware.workers, show=self.hardware.show)
            return
        for job in jobs:
            show = self.hardware.show and self.team.main
            with bar(job.title, job.plan.updates, unit="updates", show=show) as progress:
                run_job(job, progress.advance, self.team)

    def _remember(self, material: Material) -> None:
        """Write study.yaml; RunError if the images of this folder's study have changed since."""
        import yaml

        data = {"train": material.train.fingerprint, "held_out": material.held.fingerprint}
        arms = dict(self.stored.get("arms", {}))
        if self.stored and self.stored.get("data") != data:
            raise RunError(f"{self.out} is a study of other images: the training or held-out images have changed since")
        for arm in self.arms:
            mark = short_hash([arm.spec, material.runs[arm.path].store.fingerprint if arm.path else ""])
            if arm.name in arms and arms[arm.name]["fingerprint"] != mark:
                raise RunError(
                    f"arm {arm.name!r} of {self.out} was another one ({arms[arm.name]['spec']}), or its images "
                    "have changed; give it another name with --arm NAME=SPEC"
                )
            arms[arm.name] = {"spec": arm.spec, "fingerprint": mark}
        self.out.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(
            {"format": FORMAT, "protocol": asdict(self.protocol), "data": data, "arms": arms}, sort_keys=False
        )
        part = self.out / "study.yaml.part"
        part.write_text(text, encoding="utf-8")
        os.replace(part, self.out / "study.yaml")


def _held(material: Material) -> ImagePool:
    store, rows = material.held, material.held_rows
    return join([(store.path, rows, store.label[rows], None)], len(material.labels))


def _stored(out: Path) -> dict[str, Any]:
    """What study.yaml says; RunError for a folder that holds something else."""
    import yaml

    path = out / "study.yaml"
    if not path.exists():
        if out.exists() and (not out.is_dir() or any(p.name != "cache" for p in out.iterdir())):
            raise RunError(f"{out} exists and is not a study; choose another --out")
        return {}
    try:
        stored = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise RunError(f"cannot read {path}: {str(error).splitlines()[0]}") from None
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        raise ConfigError(f"{path} is not a study of this version ({FORMAT})")
    return stored


__all__ = ["Hardware", "Study", "Team", "compare"]
