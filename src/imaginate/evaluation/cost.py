"""What a study will take, before it begins: arms x seeds x classifiers x the time of a few measured updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imaginate.errors import ConfigError
from imaginate.evaluation.arms import Arm
from imaginate.evaluation.protocol import LONG, Protocol
from imaginate.evaluation.study_images import OpenedStudy
from imaginate.processes import processors
from imaginate.progress import duration
from imaginate.runs import Values
from imaginate.training.settings import PROBE
from imaginate.training.trial import Pace

FEWEST = 50  # updates that are worth a study
READ = 0.004  # seconds to decode one image, about


@dataclass(frozen=True, kw_only=True)
class Part:
    """One classifier's share: how many are to be trained, the updates of each, and the seconds of all of them."""

    arch: str
    classifiers: int
    updates: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a study will take on this machine. `memory`: bytes, of one classifier."""

    arms: int
    seeds: int
    parts: tuple[Part, ...]
    reading: float
    memory: int
    device: str
    workers: int

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.reading + sum(part.seconds for part in self.parts) / self.workers

    def __str__(self) -> str:
        parts = ", ".join(_words(part) for part in self.parts)
        return (
            f"{self.arms} arms x {self.seeds} seeds: about {duration(self.seconds)} on {self.device} and "
            f"{self.memory / 2**30:.1f} GB ({parts})"
        )

    def to_dict(self) -> Values:
        """Everything, as JSON can hold it."""
        rows = [
            {"arch": p.arch, "classifiers": p.classifiers, "updates": p.updates, "seconds": round(p.seconds, 1)}
            for p in self.parts
        ]
        return {
            "arms": self.arms, "seeds": self.seeds, "learners": rows, "seconds": round(self.seconds, 1),
            "memory": self.memory, "device": self.device, "text": str(self),
        }  # fmt: skip

    def check(self, protocol: Protocol, *, agreed: bool) -> None:
        """ConfigError for what takes more than an hour on a CPU and nobody has agreed to; a smaller choice is named."""
        if agreed or not self.device.startswith("cpu") or self.seconds <= LONG:
            return
        probes = [part.seconds for part in self.parts if part.arch.startswith("probe:")]
        rest = sum(part.seconds for part in self.parts) - sum(probes)
        if probes and self.reading + sum(probes) <= LONG:
            smaller = f"--arch {PROBE} alone takes about {duration(self.reading + sum(probes))}"
        elif not probes:
            smaller = f"--arch {PROBE} takes minutes"
        else:
            smaller = f"fewer seeds or arms, or --shots; one seed takes about {duration(self.seconds / self.seeds)}"
        fewer = ""
        if rest > LONG and protocol.updates is None:
            most = max(part.updates for part in self.parts)
            updates = int(most * LONG / 2 / rest)
            fewer = f"; --updates {updates} half an hour" if updates >= FEWEST else ""
        raise ConfigError(f"this study is {self}: {smaller}{fewer}; --yes begins it all the same")


def _words(part: Part) -> str:
    each = f" of {part.updates} updates" if part.updates > 1 else ""
    return f"{part.classifiers} x {part.arch}{each} {duration(part.seconds)}"


def sizes_of(arms: Sequence[Arm], protocol: Protocol, opened: OpenedStudy, times: int | None) -> dict[str, int]:
    """About how many images each arm trains on, from the lists alone."""
    share = 1 - (protocol.validation if protocol.validation_split is None else 0)
    if protocol.folds is not None:
        share *= 1 - 1 / protocol.folds
    originals = sum(s.meta.get("origin", "original") == "original" for s in opened.train.samples) * share
    new = {path: len(run.new) * share for path, run in opened.runs.items()}
    new_of = {a.name: min(new[a.path], (a.ratio or 1e9) * originals) if a.path else 0.0 for a in arms}
    largest = max(new_of.values(), default=0.0)
    found: dict[str, int] = {}
    for arm in arms:
        count = new_of[arm.name] + (0 if arm.kind == "synthetic" else originals)
        if arm.kind == "subset":
            count = originals * (arm.share or 1.0)
        elif arm.kind == "duplicate":
            grown = 1 + largest / max(1.0, originals) if largest else 6.0
            count = originals * (1 + arm.number if arm.number else times or grown)
        elif arm.kind == "real" and opened.real is not None:
            count += min(len(opened.real), (arm.number or 0) * len(opened.train.labels))
        found[arm.name] = max(1, round(count))
    return found


def estimate(
    arms: Sequence[Arm],
    protocol: Protocol,
    opened: OpenedStudy,
    *,
    pace: Mapping[str, Pace],
    missing: Mapping[tuple[str, str], int],
    times: int | None,
    device: str,
    workers: int = 1,
) -> Cost:
    """The cost of what is missing: `missing` counts classifiers by (arch, arm); `pace` is measured for each arch."""
    sizes = sizes_of(arms, protocol, opened, times)
    measured = 1 + 75 * bool(protocol.severities) * min(1.0, protocol.corruption_images / max(1, len(opened.held_out)))
    parts = []
    for arch in protocol.archs:
        one, own = pace[arch], protocol.of(arch)
        updates = {name: updates_of(own, size, max(sizes.values())) for name, size in sizes.items()}
        count = {name: missing.get((arch, name), 0) * (protocol.folds or 1) for name in sizes}
        seen = len(opened.held_out) * (measured if protocol.folds is None else 1 / protocol.folds)
        tried = {arm.name: len(own.weights_new) if arm.path else 1 for arm in arms}
        if own.learner.sees_views:
            looks = seen + 25 * protocol.validation * len(opened.train)
            each = {n: updates[n] * tried[n] * one.update + looks * one.image for n in sizes}
            seconds = sum(count[name] * each[name] for name in sizes)
        else:
            images = sum(map(len, opened.every)) if sum(count.values()) else 0
            again = sum(count.values()) * (seen - len(opened.held_out) if protocol.severities else 0)
            side_by_side = processors() if device.startswith("cpu") else 1
            classes = len(opened.train.labels)
            left = {name: size for name, size in sizes.items() if count[name]}
            fit = {size: _fit_seconds(size, own.head, classes) for size in set(left.values())}
            fits = sum(count[name] * tried[name] * fit[size] for name, size in left.items())
            seconds = (images + max(0, again)) * one.image + fits / side_by_side
        most = max(updates.values()) if own.learner.sees_views else 1
        parts.append(Part(arch=arch, classifiers=sum(count.values()), updates=most, seconds=seconds))
    return Cost(
        arms=len(arms), seeds=protocol.seeds, parts=tuple(parts), reading=READ * sum(map(len, opened.every)),
        memory=max(one.memory for one in pace.values()), device=device, workers=workers,
    )  # fmt: skip


def _fit_seconds(size: int, head: str = "ridge", classes: int = 2) -> float:
    """Seconds of a probe's fit on so many images, about, with features that are taken to be 1,280 wide. Ridge: the
    spectrum of the smaller Gram matrix, then products that grow with the images. Logistic: measured on a few steps."""
    if head == "logistic":
        from imaginate.training.learners.core.heads import logistic_seconds

        return 0.15 + logistic_seconds(size, classes)
    return 0.15 + 0.5 * (min(size, 1280) / 1000) ** 3 + 6e-4 * max(0, size - 1280)


def updates_of(protocol: Protocol, size: int, largest: int) -> int:
    """The updates of an arm of this size."""
    recipe = protocol.adjusted_recipe()
    if protocol.budget == "epochs":
        return recipe.updates(size)
    return protocol.updates or recipe.updates(largest)
