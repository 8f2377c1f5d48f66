"""A study: arms trained under one protocol, resumable arm by arm and seed by seed, and put together in results.json.

STUDY/study.yaml   cache/   arms/<arm>/seed-<n>/{state.pt, history.json, predictions.npz, result.json}   results.json
"""

from __future__ import annotations

import math
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

import numpy as np

from imaginate.devices import pick_device
from imaginate.errors import ConfigError, RunError, some
from imaginate.evaluation import results
from imaginate.evaluation.arms import Arm, parse_arms
from imaginate.evaluation.comparison import Comparison
from imaginate.evaluation.compose import Composition, compose, uneven
from imaginate.evaluation.controls import with_controls
from imaginate.evaluation.cost import Cost, estimate
from imaginate.evaluation.curves import Curves
from imaginate.evaluation.folder import StudyFile
from imaginate.evaluation.job import RESULT, Corrupting, Job
from imaginate.evaluation.protocol import Protocol, continue_with, protocol_from
from imaginate.evaluation.running import run_job
from imaginate.evaluation.study_images import OpenedStudy, StudyImages, gather, open_study
from imaginate.evaluation.verdict import seeds_to_add
from imaginate.files import derive_seed
from imaginate.models.extras import check_installed, packages_of
from imaginate.processes import processors
from imaginate.progress import bar
from imaginate.records import Scalar
from imaginate.runs import Values
from imaginate.settings import nearest, with_keywords
from imaginate.training.distributed import assemble
from imaginate.training.learners import learner_of
from imaginate.training.plan import TrainPlan, arithmetic
from imaginate.training.recipes import check_watched
from imaginate.training.settings import RULES
from imaginate.training.training_set import TrainingSet, join
from imaginate.training.trial import measure_pace
from imaginate.training.weighting import drop_resume_points

Compositions: TypeAlias = dict[tuple[str, int, int, int], Composition]  # by arm, seed, resample and fold

_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")  # what the name of a folder of a classifier does not have
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
    held_out: str | os.PathLike[str] | None,
    out: str | os.PathLike[str],
    *,
    device: str = "auto",
    workers: int = 1,
    keep_weights: bool = False,
    plan: bool = False,
    yes: bool = False,
    progress: bool = True,
    **settings: Scalar,
) -> Comparison:
    """Train every arm under one protocol and measure it on the held-out images; returns what results.json holds.

    `settings` are fields of `Protocol`. The same call on the same folder goes on where it was stopped, and trains only
    the arms and seeds that are new. Arms of the folder that are not named stay in the study, until their folder under
    arms/ is deleted. `plan`: only say what it would take; `yes`: begin although it takes more than an hour on a CPU.
    """
    place = None if held_out is None else os.fspath(held_out)
    protocol = protocol_from({"data": os.fspath(data), "held_out": place, **settings})
    learners = protocol.archs or protocol.with_learners(pick_device(device)).archs
    check_installed("imaginate compare", ["study"], along=packages_of(" ".join(learners)))
    hardware = Hardware(device=device, workers=workers, keep_weights=keep_weights, progress=progress)
    parsed = parse_arms(list(arms))
    study = Study(protocol, parsed, Path(out), hardware)
    if plan:
        return Comparison(study.cost().to_dict())
    with study.team.owns(Path(out), "compare"):
        found = Study(protocol, parsed, Path(out), hardware).run(agreed=yes)  # as the folder is now that it is owned
        more = seeds_to_add(found) if found else None
        if more:
            found = Study(replace(protocol, seeds=more), parsed, Path(out), hardware).run(agreed=yes)
        return Comparison(found)


class Study:
    """The arms of one call, on one folder."""

    def __init__(self, protocol: Protocol, arms: list[Arm], out: Path, hardware: Hardware) -> None:
        self.file = StudyFile(out)
        self.out, self.arms, self.hardware = out, self.file.with_earlier(arms), hardware
        device = pick_device(hardware.device)
        protocol = protocol.with_learners(device) if protocol.archs or self.file.protocol is None else protocol
        _check(protocol, self.arms)
        self.team, self.device = assemble(device)
        self.known: dict[str, dict[object, Values]] = {}
        self.protocol = continue_with(protocol, self.file.protocol, str(out))
        self.arms = with_controls(self.arms, self.protocol) if self.protocol.controls else self.arms
        self.protocol = replace(self.protocol, precision=arithmetic(self.protocol.precision, self.device))
        self.opened: OpenedStudy | None = None

    @property
    def _listed(self) -> OpenedStudy:
        """The datasets of the study, listed once."""
        if self.opened is None:
            self.opened = open_study(self.protocol, self.arms)
        return self.opened

    def cost(self) -> Cost:
        """What is still to be done, and what that takes here, by a few updates of each classifier."""
        missing = Counter(
            (arch, arm.name) for arch, arm, seed, r in self._wanted() if not self._is_done(arch, arm, seed, r)
        )
        if self.protocol.budget == "cost":
            _check_costs(self._listed, self.arms)
        classes = len(self._listed.train.labels)
        paces = {arch: measure_pace(self._plan(arch, classes, 1, 1, 0)) for arch in self.protocol.archs}
        return estimate(
            self.arms, self.protocol, self._listed, pace=paces, missing=missing, times=self.file.times,
            device=self.device, workers=self.hardware.workers,
        )  # fmt: skip

    def run(self, *, agreed: bool = False) -> Values:
        """Read, check, train what is missing, put together."""
        first = self.team.main
        if not first:
            self.team.wait()
        else:
            self._drop_resume_points()
        cost = None
        if not all(self._is_done(*one) for one in self._wanted()):
            cost = self.cost()
            self._say(str(cost))
            cost.check(self.protocol, agreed=agreed)
        clip = self._clip_size()
        sizes = [*(self.protocol.of(arch).size for arch in self.protocol.archs), *([clip] if clip else [])]
        material = gather(
            self.protocol, self.arms, self.out / "cache", opened=self._listed, sizes=sizes,
            progress=self.hardware.progress and first,
        )  # fmt: skip
        composed = self._compositions(material)
        self._fix_budgets(composed)
        if first and self.protocol.class_weights == "none":
            firsts = {arm: one.train for (arm, *key), one in composed.items() if key == [0, 0, 0]}
            for words in uneven(firsts):
                self._say(words)
        jobs = {
            arch: [
                self._job(arch, arm, material, seed, r, composed)
                for arm in self.arms
                for seed, r in self.units()
                if _has(arch, arm)
            ]
            for arch in self.protocol.archs
        }
        every = [job for some in jobs.values() for job in some]
        missing = [job for job in every if not job.done()]
        self._check_missing(missing, material)
        if first:
            self.file.write(self.protocol, self.arms, material)
            self.team.wait()
        found: Values = {}

        curves = Curves(every)
        began = time.monotonic()
        spent = 0.0

        def put_together(last: Job | None = None) -> None:
            """After an arm, where all of this takes at most a twentieth of the time, so that one can look."""
            nonlocal spent
            start = time.monotonic()
            if first:
                curves.log_finished()
            if first and (last is None or spent <= 0.05 * (start - began)):
                found.update(self._results(material, jobs))
                spent += time.monotonic() - start

        self._train(missing, cost, put_together)
        if first:
            self.file.write(self.protocol, self.arms, material)  # now the files of all weights are here
        self.team.wait()
        put_together()
        return found

    def _drop_resume_points(self) -> None:
        """Those of finished classifiers, which a process that was killed left."""
        for result in (self.out / "arms").rglob(RESULT):
            drop_resume_points(result.parent)

    def _results(self, material: StudyImages, jobs: Mapping[str, list[Job]]) -> Values:
        """results.json: that of the main classifier, with those of the others under `by_learner`."""
        each = {}
        for arch, own in jobs.items():
            known = self.known.setdefault(arch, {})
            each[arch] = results.collect(self.out, self.protocol.of(arch), self.arms, material, own, known)
        main = self.protocol.archs[0]
        found = {**each[main], "learners": list(each), "weights": self.file.weights(self.protocol, self.arms)}
        found["complete"] = all(one["complete"] for one in each.values())
        if len(each) > 1:
            found["protocol"] = {**found["protocol"], "learners": list(each)}
            found["missing"] = [{**row, "learner": arch} for arch, one in each.items() for row in one["missing"]]
            shared = ("format", "name", "versions", "data", "leak", "quick")
            found["by_learner"] = {
                arch: {key: value for key, value in one.items() if key not in shared} for arch, one in each.items()
            }
        return results.save(self.out, found)

    def _say(self, line: str) -> None:
        if self.hardware.progress and self.team.main:
            print(line, file=sys.stderr, flush=True)

    def units(self) -> list[tuple[int, int]]:
        """(seed, resample) of every unit of an arm."""
        return [(seed, r) for seed in range(self.protocol.seeds) for r in range(self.protocol.resamples)]

    def _wanted(self) -> Iterator[tuple[str, Arm, int, int]]:
        """Every classifier of the study: its architecture, arm, seed and resample."""
        for arch in self.protocol.archs:
            for arm in self.arms:
                if _has(arch, arm):
                    yield from ((arch, arm, seed, r) for seed, r in self.units())

    def _folder(self, arch: str, arm: Arm, seed: int, resample: int) -> Path:
        """arms/ARM/seed-N; with the classifier's name between them where the study has several."""
        tail = f"-resample-{resample}" if self.protocol.resamples > 1 else ""
        own = (_NO_NAME.sub("-", arch),) if self.protocol.learners else ()
        return self.out.joinpath("arms", arm.name, *own, f"seed-{seed}{tail}")

    def _is_done(self, arch: str, arm: Arm, seed: int, resample: int) -> bool:
        return (self._folder(arch, arm, seed, resample) / RESULT).exists()

    def _compositions(self, material: StudyImages) -> Compositions:
        """The images of every unit, and of each of its folds. The size of `duplicate` is fixed when it first appears:
        that of the largest run there is then."""
        folds = {seed: self._folds(material, seed) for seed in range(self.protocol.seeds)}

        def composition(arm: Arm, seed: int, resample: int, fold: int = 0, times: int = 1) -> Composition:
            return compose(
                arm, material, self.protocol, seed=seed, resample=resample, times=times, fold=folds[seed][fold]
            )

        grown = any(arm.kind == "duplicate" and not arm.number for arm in self.arms)
        if grown and self.file.times is None:
            runs = [composition(arm, 0, 0) for arm in self.arms if arm.kind in ("run", "folder")]
            self.file.times = max((round(1 + c.synthetic / c.original) for c in runs), default=DUPLICATES)
        return {
            (a.name, s, r, f): composition(a, s, r, f, self.file.times or 1)
            for a in self.arms
            for s, r in self.units()
            for f in range(len(folds[s]))
        }

    def _folds(self, material: StudyImages, seed: int) -> Sequence[np.ndarray | None]:
        """The rows of each fold that are held out, other ones for each seed; one None where images are held out."""
        return [None] if self.protocol.folds is None else material.folds(self.protocol.folds, seed)

    def _check_missing(self, missing: list[Job], material: StudyImages) -> None:
        """Refuse before anything is trained what would be found hours later: a wrong guide of the clip-... arms; a
        schedule that an earlier version kept by another rule."""
        if any(job.kind.startswith("clip-") for job in missing):
            from imaginate.evaluation.clip_baselines import guide_of

            guide_of(self.protocol.clip, material.labels, self.device)
        if missing and self.protocol.rules != RULES and self.protocol.adjusted_recipe().watches:
            raise RunError(
                f"{self.out} was begun by an earlier version, whose plateau and patience went by the loss too: begin a "
                "new study"
            )

    def _clip_size(self) -> int:
        """The side at which the guide of the clip-... arms sees images; 0 where there is no such arm, or in a study of
        an earlier version, whose arms saw the study's images."""
        if self.protocol.rules != RULES or not any(arm.baseline for arm in self.arms):
            return 0
        from imaginate.evaluation.clip_baselines import guide_of, input_size

        return input_size(guide_of(self.protocol.clip, self._listed.train.labels, self.device))

    def _fix_budgets(self, composed: Compositions) -> None:
        """How long each classifier is trained is fixed when the study begins: the recipe's epochs over the largest arm,
        for every arm; with equal cost, the seconds of an update, too."""
        protocol = self.protocol
        largest = max(len(c.train) for (_, s, r, _), c in composed.items() if (s, r) == (0, 0))
        if protocol.budget != "epochs" and protocol.updates is None:
            for arch in protocol.archs:
                self.file.budgets.setdefault(arch, protocol.of(arch).adjusted_recipe().updates(largest))
            if not protocol.learners:
                self.protocol = replace(protocol, updates=self.file.budgets.pop(protocol.archs[0]))
        if protocol.budget == "cost":
            for arch in protocol.archs:
                if arch not in self.file.pace and protocol.of(arch).learner.sees_views:
                    self.file.pace[arch] = measure_pace(self._plan(arch, 2, 1, 1, 0)).update

    def _updates(self, arch: str, arm: Arm, composed: Compositions, key: tuple[int, int, int]) -> int:
        """The updates of one classifier."""
        own = composed[arm.name, *key]
        if self.protocol.budget == "epochs":
            return self.protocol.of(arch).adjusted_recipe().updates(len(own.train))
        base = self.protocol.updates or self.file.budgets[arch]
        if self.protocol.budget != "cost" or arch not in self.file.pace:
            return base
        dearest = max(composed[a.name, *key].seconds for a in self.arms)
        return base + int((dearest - own.seconds) / max(1e-9, self.file.pace[arch]))

    def _plan(self, arch: str, classes: int, updates: int, epoch: int, seed: int) -> TrainPlan:
        """How one classifier is trained."""
        protocol = self.protocol.of(arch)
        learner = protocol.learner
        return TrainPlan(
            arch=arch, classes=classes, size=protocol.size, recipe=protocol.adjusted_recipe(), updates=updates,
            epoch=epoch, seed=seed, pretrained=learner.starts_trained, augment=protocol.online_aug, device=self.device,
            precision=protocol.precision, statistics=(learner.mean, learner.std), finish=protocol.finish_on_originals,
            head=protocol.head, class_weights=protocol.class_weights,
        )  # fmt: skip

    def _job(self, arch: str, arm: Arm, material: StudyImages, seed: int, resample: int, composed: Compositions) -> Job:
        folds = self._folds(material, seed)
        folder = self._folder(arch, arm, seed, resample)
        parts = [
            self._one(arch, arm, material, (seed, resample, f), composed, rows, folder / f"fold-{f}")
            for f, rows in enumerate(folds)
        ]
        if folds[0] is None:
            return replace(parts[0], folder=folder)
        return replace(parts[0], folder=folder, folds=tuple(parts), held_out=_held(material, material.held_rows))

    def _one(
        self,
        arch: str,
        arm: Arm,
        material: StudyImages,
        key: tuple[int, int, int],
        composed: Compositions,
        fold: np.ndarray | None,
        folder: Path,
    ) -> Job:
        """One classifier: of a fold, or of all training images."""
        protocol, own = self.protocol.of(arch), composed[arm.name, *key]
        batch = protocol.adjusted_recipe().batch
        originals = own_share(material, protocol)
        epoch = max(1, math.ceil((len(own.train) if protocol.budget == "epochs" else originals) / batch))
        seed, resample, f = key
        drawn = derive_seed("unit", seed, resample) if fold is None else derive_seed("unit", seed, resample, f)
        plan = self._plan(arch, len(material.labels), self._updates(arch, arm, composed, key), epoch, drawn)
        clip = self._clip_size() if arm.baseline else 0
        size = clip or protocol.size
        held = _held(material, material.held_rows if fold is None else fold)
        return Job(
            arm=arm.name, kind=arm.kind, seed=seed, resample=resample, plan=plan, train=material.at(size, own.train),
            validation=None if own.validation is None else material.at(size, own.validation),
            held_out=material.at(protocol.size if arm.kind == "clip-distill" else size, held), folder=folder,
            images=own.images, labels=material.labels, clip=protocol.clip, clip_size=clip, weights=protocol.weights_new,
            corrupting=self._corrupting(material) if fold is None else None, keep_weights=self.hardware.keep_weights,
        )  # fmt: skip

    def _corrupting(self, material: StudyImages) -> Corrupting | None:
        """The same held-out images for every unit: a share of each class."""
        if not self.protocol.severities:
            return None
        from imaginate.evaluation.corruption import chosen

        rows = chosen(material.held.label[material.held_rows], self.protocol.corruption_images)
        return Corrupting(rows=rows, severities=self.protocol.severities, constants=self.protocol.corruption_constants)

    def _train(self, jobs: list[Job], cost: Cost | None, finished: Callable[[Job], None]) -> None:
        """Train them, here or on Ray; `finished` after each job on Ray, here after the last one of each arm."""
        if self.hardware.workers > 1 and len(jobs) > 1:
            from imaginate.evaluation.workers import spread

            spread(jobs, self.hardware.workers, progress=self.hardware.progress, finished=finished)
            return
        show = self.hardware.progress and self.team.main and bool(jobs)
        price = _prices(jobs, cost)
        with bar("training", sum(map(price, jobs)), unit="", show=show) as progress:

            def train(job: Job) -> Job:
                progress.note(job.title if not self.protocol.learners else f"{job.plan.arch}, {job.title}")
                each = price(job) / max(1, job.updates)
                run_job(job, lambda count: progress.advance(count * each), self.team)
                return job

            for _, arm in groupby(jobs, key=lambda job: (job.plan.arch, job.arm)):
                finished(_each(train, list(arm))[-1])


def _each(train: Callable[[Job], Job], jobs: list[Job]) -> list[Job]:
    """The jobs of one arm, one after the other; probes on a CPU side by side, a processor each."""
    first = jobs[0]
    if first.sees_views or first.kind.startswith("clip-") or not first.plan.device.startswith("cpu"):
        return [train(job) for job in jobs]
    from concurrent.futures import ThreadPoolExecutor

    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(min(processors(), len(jobs))) as threads:
        try:
            return list(threads.map(train, jobs))
        finally:
            threads.shutdown(cancel_futures=True)


def _prices(jobs: Sequence[Job], cost: Cost | None) -> Callable[[Job], float]:
    """The planned seconds of a job: its share of what its classifier was planned to take."""
    updates = Counter[str]()
    for job in jobs:
        updates[job.plan.arch] += job.updates
    seconds = {part.arch: part.seconds for part in cost.parts} if cost else {}
    return lambda job: job.updates * seconds.get(job.plan.arch, 1.0) / max(1, updates[job.plan.arch])


def _held(material: StudyImages, rows: np.ndarray) -> TrainingSet:
    return join([material.held.piece(rows, soft=False)], len(material.labels))


def own_share(material: StudyImages, protocol: Protocol) -> float:
    """About how many original images are trained on: the updates over them are an epoch of `plateau` and `patience`."""
    share = 1 - protocol.validation if material.validation is None else 1
    return len(material.train) * share * (1 if protocol.folds is None else 1 - 1 / protocol.folds)


def _has(arch: str, arm: Arm) -> bool:
    """Whether a classifier takes part in an arm: a probe is no student of a teacher."""
    return arm.kind != "clip-distill" or learner_of(arch).sees_views


def _check(protocol: Protocol, arms: Sequence[Arm]) -> None:
    """Refuse before anything is read what could not work after hours of training."""
    for arch in protocol.archs:
        own = protocol.of(arch)
        check_watched(own.adjusted_recipe(), protocol.validation > 0 or protocol.validation_split is not None)
        own.learner.check()
        if protocol.severities:
            from imaginate.evaluation.corruption import check_corruptions

            check_corruptions(own.size, protocol.corruption_constants)
        for arm in arms:
            if not _has(arch, arm) and len(protocol.archs) == 1:
                raise ConfigError(
                    f"{arm.kind} needs a student that is trained by updates: --arch finetune or a network"
                )
    _check_probes(protocol)
    names = [arm.name for arm in arms]
    if protocol.reference not in ("original", *names):
        raise ConfigError(
            f"reference {protocol.reference!r} is no arm of this study{nearest(protocol.reference, names)}"
        )


def _check_costs(opened: OpenedStudy, arms: Sequence[Arm]) -> None:
    """ConfigError for images of which nothing says how long they took, where that is to be counted."""
    unknown = [arm.name for arm in arms if arm.path and not opened.runs[arm.path].knows_cost]
    if unknown:
        raise ConfigError(
            f"--budget cost counts what making the images took, and nothing says it of {some(unknown)}, which another "
            "tool made: use --budget updates"
        )


def _check_probes(protocol: Protocol) -> None:
    """A probe sees each image once: ConfigError for what only changes how often or when an image is seen."""
    probes = [arch for arch in protocol.archs if not learner_of(arch).sees_views]
    if probes and protocol.mode == "replace":
        raise ConfigError(
            f"{probes[0]} sees each image once: --mode replace needs a classifier that is trained by updates"
        )
    if probes and len(probes) == len(protocol.archs):
        for name, given in (
            ("finish-on-originals", protocol.finish_on_originals > 0),
            ("budget cost", protocol.budget == "cost"),
        ):
            if given:
                raise ConfigError(f"{probes[0]} sees each image once: {name} changes nothing; add --learners finetune")
