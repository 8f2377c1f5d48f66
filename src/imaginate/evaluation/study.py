"""A study: arms trained under one protocol, resumable arm by arm and seed by seed, and put together in results.json.

STUDY/study.yaml   cache/   arms/<arm>/seed-<n>/{state.pt, history.json, predictions.npz, result.json}   results.json
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from imaginate.devices import pick_device
from imaginate.errors import ConfigError
from imaginate.evaluation import results
from imaginate.evaluation.arms import Arm, parse_arms
from imaginate.evaluation.compose import Composition, compose
from imaginate.evaluation.controls import with_controls
from imaginate.evaluation.folder import StudyFile
from imaginate.evaluation.job import Corrupting, Job
from imaginate.evaluation.protocol import Protocol, continue_with, protocol_from
from imaginate.evaluation.running import run_job
from imaginate.evaluation.study_images import StudyImages, gather
from imaginate.evaluation.verdict import seeds_to_add
from imaginate.files import derive_seed
from imaginate.progress import bar
from imaginate.records import Scalar
from imaginate.runs import Facts, Values
from imaginate.settings import nearest, with_keywords
from imaginate.training.architectures import check_arch
from imaginate.training.distributed import assemble
from imaginate.training.plan import TrainPlan, arithmetic
from imaginate.training.recipes import check_watched
from imaginate.training.training_set import TrainingSet, join

DUPLICATES = 6  # of each original in `duplicate` where no run says how many: the originals and five copies


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """Where the classifiers are trained; changes nothing of what is compared."""

    device: str = "auto"
    workers: int = 1
    keep_weights: bool = False
    progress: bool = True

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigError(f"workers must be at least 1, got {self.workers}")


@with_keywords(Protocol)
def compare(
    data: str | os.PathLike[str],
    arms: Sequence[str],
    held_out: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    device: str = "auto",
    workers: int = 1,
    keep_weights: bool = False,
    progress: bool = True,
    **settings: Scalar,
) -> Facts:
    """Train every arm under one protocol and measure it on the held-out images; returns what results.json holds.

    `settings` are fields of `Protocol`. The same call on the same folder goes on where it was stopped, and trains only
    the arms and seeds that are new. Arms of the folder that are not named stay in the study, until their folder under
    arms/ is deleted.
    """
    protocol = protocol_from({"data": os.fspath(data), "held_out": os.fspath(held_out), **settings})
    hardware = Hardware(device=device, workers=workers, keep_weights=keep_weights, progress=progress)
    found = Study(protocol, parse_arms(list(arms)), Path(out), hardware).run()
    more = seeds_to_add(found) if found else None
    return Study(replace(protocol, seeds=more), parse_arms(list(arms)), Path(out), hardware).run() if more else found


class Study:
    """The arms of one call, on one folder."""

    def __init__(self, protocol: Protocol, arms: list[Arm], out: Path, hardware: Hardware) -> None:
        self.file = StudyFile(out)
        self.out, self.arms, self.hardware = out, self.file.with_earlier(arms), hardware
        _check(protocol, self.arms)
        self.team, self.device = assemble(pick_device(hardware.device))
        self.known: dict[object, Values] = {}
        self.protocol = continue_with(protocol, self.file.protocol, str(out))
        self.arms = with_controls(self.arms, self.protocol) if self.protocol.controls else self.arms
        self.protocol = replace(self.protocol, precision=arithmetic(self.protocol.precision, self.device))

    def run(self) -> Values:
        """Read, check, train what is missing, put together."""
        first = self.team.main
        if not first:
            self.team.wait()
        material = gather(self.protocol, self.arms, self.out / "cache", progress=self.hardware.progress and first)
        composed = self._compositions(material)
        self.protocol = self._budget(composed)
        jobs = [
            self._job(arm, material, seed, r, composed[arm.name, seed, r])
            for arm in self.arms
            for seed, r in self.units()
        ]
        missing = [job for job in jobs if not job.done()]
        self._check_guide(missing, material)
        if first:
            self.file.write(self.protocol, self.arms, material)
            self.team.wait()
        found: Values = {}

        def put_together(_: Job | None = None) -> None:
            if first:
                found.update(results.write(self.out, self.protocol, self.arms, material, jobs, self.known))

        self._train(missing, put_together)
        self.team.wait()
        put_together()
        return found

    def units(self) -> list[tuple[int, int]]:
        """(seed, resample) of every unit of an arm."""
        return [(seed, r) for seed in range(self.protocol.seeds) for r in range(self.protocol.resamples)]

    def _compositions(self, material: StudyImages) -> dict[tuple[str, int, int], Composition]:
        """The images of every unit. The size of `duplicate` is fixed when it first appears: that of the largest run
        there is then."""

        def composition(arm: Arm, seed: int, resample: int, times: int = 1) -> Composition:
            return compose(arm, material, self.protocol, seed=seed, resample=resample, times=times)

        grown = any(arm.kind == "duplicate" and not arm.number for arm in self.arms)
        if grown and self.file.times is None:
            runs = [composition(arm, 0, 0) for arm in self.arms if arm.kind in ("run", "folder")]
            self.file.times = max((round(1 + c.synthetic / c.original) for c in runs), default=DUPLICATES)
        return {(a.name, s, r): composition(a, s, r, self.file.times or 1) for a in self.arms for s, r in self.units()}

    def _check_guide(self, missing: list[Job], material: StudyImages) -> None:
        """Load the guide of the clip-... arms before anything is trained: a wrong one would be found hours later."""
        if any(job.kind.startswith("clip-") for job in missing):
            from imaginate.evaluation.clip_baselines import guide_of

            guide_of(self.protocol.clip, material.labels, self.device)

    def _budget(self, composed: dict[tuple[str, int, int], Composition]) -> Protocol:
        """The protocol with its number of updates: the recipe's epochs over the largest arm, for every arm."""
        recipe = self.protocol.adjusted_recipe()
        if self.protocol.budget == "epochs" or self.protocol.updates is not None:
            return self.protocol
        largest = max(len(c.train) for (_, s, r), c in composed.items() if (s, r) == (0, 0))
        return replace(self.protocol, updates=recipe.epochs * math.ceil(largest / recipe.batch))

    def _job(self, arm: Arm, material: StudyImages, seed: int, resample: int, composed: Composition) -> Job:
        protocol = self.protocol
        recipe = protocol.adjusted_recipe()
        originals = len(material.train) * (1 - protocol.validation if material.validation is None else 1)
        own = protocol.budget == "epochs"
        epoch = max(1, math.ceil((len(composed.train) if own else originals) / recipe.batch))
        plan = TrainPlan(
            arch=protocol.arch, classes=len(material.labels), size=protocol.size, recipe=recipe,
            updates=recipe.epochs * epoch if own else protocol.updates or 0, epoch=epoch,
            seed=derive_seed("unit", seed, resample), pretrained=protocol.pretrained, augment=protocol.online_aug,
            device=self.device, precision=protocol.precision,
        )  # fmt: skip
        tail = f"-resample-{resample}" if protocol.resamples > 1 else ""
        return Job(
            arm=arm.name, kind=arm.kind, seed=seed, resample=resample, plan=plan, train=composed.train,
            validation=composed.validation, held_out=_held(material),
            folder=self.out / "arms" / arm.name / f"seed-{seed}{tail}",
            images=composed.images, labels=material.labels, clip=protocol.clip, corrupting=self._corrupting(material),
            keep_weights=self.hardware.keep_weights,
        )  # fmt: skip

    def _corrupting(self, material: StudyImages) -> Corrupting | None:
        """The same held-out images for every unit: a share of each class."""
        if not self.protocol.severities:
            return None
        from imaginate.evaluation.corruption import chosen

        rows = chosen(material.held.label[material.held_rows], self.protocol.corruption_images)
        return Corrupting(rows=rows, severities=self.protocol.severities)

    def _train(self, jobs: list[Job], finished: Callable[[Job], None]) -> None:
        """Train them, here or on Ray; `finished` after each job on Ray, here after the last one of each arm."""
        if self.hardware.workers > 1 and len(jobs) > 1:
            from imaginate.evaluation.workers import spread

            spread(jobs, self.hardware.workers, progress=self.hardware.progress, finished=finished)
            return
        show = self.hardware.progress and self.team.main
        for _, arm in groupby(jobs, key=lambda job: job.arm):
            for job in arm:
                with bar(job.title, job.plan.updates, unit="updates", show=show) as progress:
                    run_job(job, progress.advance, self.team)
            finished(job)


def _held(material: StudyImages) -> TrainingSet:
    store, rows = material.held, material.held_rows
    return join([store.piece(rows, soft=False)], len(material.labels))


def _check(protocol: Protocol, arms: Sequence[Arm]) -> None:
    """Refuse before anything is read what could not work after hours of training."""
    recipe = protocol.adjusted_recipe()
    check_arch(protocol.arch, protocol.pretrained)
    check_watched(recipe, protocol.validation > 0 or protocol.validation_split is not None)
    if protocol.severities:
        from imaginate.evaluation.corruption import check_corruptions

        check_corruptions(protocol.size)
    names = [arm.name for arm in arms]
    if protocol.reference not in ("original", *names):
        raise ConfigError(
            f"reference {protocol.reference!r} is no arm of this study{nearest(protocol.reference, names)}"
        )
