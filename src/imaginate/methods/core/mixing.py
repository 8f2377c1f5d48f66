"""The candidates of several runs, and the choice among them by influence."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean

import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.contract import Context
from imaginate.data import load, open_dataset
from imaginate.data.digital_source import source_of
from imaginate.data.lineage import read_lineage
from imaginate.data.matching import matched
from imaginate.errors import ConfigError, ImageError, RunError
from imaginate.files import derive_seed
from imaginate.methods.core.kept import Kept
from imaginate.ops.batching import map_images
from imaginate.ops.influence import Chooser, HeldBack, Loss, Offers
from imaginate.records import Candidate, Image, LabelSpace, Request, Sample
from imaginate.runs import RunFolder
from imaginate.settings import nearest

BATCH = 256  # images in memory
CHECKED = 3  # rounds by which it is judged whether the choice helps
log = logging.getLogger("imaginate")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How to choose: the settings of the method `mix`."""

    runs: tuple[str, ...]
    folds: int
    step: int
    weight: float
    alike: float
    coverage: float
    only: tuple[str, ...]
    force: bool


@dataclass(frozen=True)
class Offer:
    """An image that may be taken: where it is, the names of the seeds that went into it, and the run that it is of."""

    sample: Sample
    parents: frozenset[str]
    run: str


class Offered:
    """The candidates of the runs with their features, and the order in which those of each class are taken."""

    def __init__(self, choice: Choice, context: Context) -> None:
        self._choice, self._classes = choice, len(context.labels)
        samples = context.samples
        seeds = [samples.sample(i) for i in range(len(samples))]
        self._x, readable = _embedded(context, [partial(samples.image, i) for i in range(len(seeds))])
        seeds = [seeds[i] for i in readable]
        self._y = torch.tensor([seed.label for seed in seeds])
        self._folds = _folds(seeds, choice.folds)
        if len(self._y.unique()) < 2:
            raise ConfigError("mix compares classes: it needs seed images of at least two")
        offers = _of_runs(choice.runs, context) if choice.runs else [_own(seed) for seed in seeds]
        offers = _only(offers, choice.only, context.labels)
        rows, usable = _embedded(context, [partial(load, one.sample) for one in offers])
        self.offers = [offers[i] for i in usable]
        at = {seed.id: fold for seed, fold in zip(seeds, self._folds.tolist(), strict=True)}
        banned = torch.zeros(len(self.offers), choice.folds, dtype=torch.bool)
        for row, one in enumerate(self.offers):
            banned[row, [at[name] for name in one.parents if name in at]] = True
        labels = torch.tensor([one.sample.label for one in self.offers])
        self._rows = Offers(features=rows, labels=labels, banned=banned, shares=self._shares(labels))
        self._chooser = self._chooser_over(torch.ones(len(self._y), dtype=torch.bool))

    def _shares(self, labels: Tensor) -> Tensor | None:
        """Of every offer how much of each class it is; None where all are of one class."""
        soft = [one.sample.soft_label for one in self.offers]
        if not any(soft):
            return None
        shares = F.one_hot(labels, self._classes).double()
        for row, share in enumerate(soft):
            if share:
                shares[row] = torch.tensor(share, dtype=torch.float64)
        return shares

    def check(self) -> None:
        """RunError where nothing helps, or where what is taken first would not help on seeds that had no part in it."""
        first = any(self._chooser.up_to(1, label) for label in range(self._classes))
        if not first:
            raise RunError(f"none of {len(self.offers)} images is predicted to help; --force takes the least harmful")
        before, after = self.predicted()
        words = (
            f"log loss {before.log:.3f} -> {after.log:.3f}, called wrongly {before.wrong:.1%} -> {after.wrong:.1%}, "
        )
        words += "of seeds that had no part in the choice"
        if after.log < before.log:
            log.info(f"mix is predicted to help: {words}")
        elif self._choice.force:
            log.warning(f"mix is predicted to harm: {words}")
        else:
            raise RunError(f"nothing is written, for the mix is predicted to harm: {words}; --force writes it")

    def predicted(self) -> tuple[Loss, Loss]:
        """Of every fold of the seeds, by heads and choices of the other folds alone: without new images, and with
        those of the first rounds."""
        losses: tuple[list[Loss], list[Loss]] = ([], [])
        for fold in self._folds.unique().tolist():
            rest = self._folds != fold
            if len(self._folds[rest].unique()) < 2:  # two folds: the choice is made on the other one, whole
                rest = torch.ones_like(rest)
            chooser = self._chooser_over(rest)
            for _ in range(CHECKED):
                if not chooser.take():
                    break
            rows = [row for own in chooser.taken for row in own]
            judge = self._judge(fold)
            losses[0].append(judge.loss())
            losses[1].append(self._with(judge, rows).loss())
        before, after = (
            Loss(log=fmean(one.log for one in some), wrong=fmean(one.wrong for one in some)) for some in losses
        )
        return before, after

    def answers(self, request: Request) -> list[Candidate]:
        """The copies of a class that there are."""
        own = self._chooser.up_to(max(request.copies) + 1, request.label)
        pairs = zip(request.copies, request.seeds, strict=True)
        return [self._candidate(request, copy, seed, own[copy]) for copy, seed in pairs if copy < len(own)]

    def _chooser_over(self, seeds: Tensor) -> Chooser:
        held = HeldBack(self._x[seeds], self._y[seeds], self._folds[seeds], self._classes, weight=self._choice.weight)
        how = self._choice
        return Chooser(
            held, self._rows, step=how.step, alike=how.alike, force=how.force, coverage=how.coverage
        )  # fmt: skip

    def _judge(self, fold: int) -> HeldBack:
        """A head on all folds but one, measured on that one."""
        folds = self._folds
        return HeldBack(self._x, self._y, folds, self._classes, weight=self._choice.weight, only=(fold,))

    def _with(self, judge: HeldBack, rows: list[int]) -> HeldBack:
        if rows:
            judge.add(self._rows.only(torch.tensor(rows)))
        return judge

    def _candidate(self, request: Request, copy: int, seed: int, row: int) -> Candidate:
        one = self.offers[row]
        image, failed = None, None
        try:
            image = load(one.sample)
        except ImageError as error:
            failed = str(error)
        parents = {f"parent_{i}": name for i, name in enumerate(sorted(one.parents))}
        origin = str(one.sample.meta.get("origin") or "synthetic")
        return Candidate(
            key=request.key, label=request.label, copy=copy, seed=seed, image=image, failed=failed,
            soft_label=one.sample.soft_label, scores={"influence": self._chooser.scores[row]},
            info={"origin": "retrieved" if origin == "retrieved" else "synthetic", "taken_from": one.run, **parents},
            digital_source=source_of(one.sample),
        )  # fmt: skip


_KEPT: Kept[Offered] = Kept(2)


def offered(choice: Choice, context: Context) -> Offered:
    """The candidates for this context, kept between calls."""
    key = (choice, context.labels, id(context.samples), id(context.guide))
    return _KEPT.get(key, lambda: Offered(choice, context))


def _of_runs(paths: Sequence[str], context: Context) -> list[Offer]:
    """The new images of the runs, in our classes, with the seeds that went into each. Those that are partly of a class
    that we do not have are left out."""
    found = []
    for path in paths:
        data, _ = matched(open_dataset(path), context.labels, path)
        if data.format != "run":
            raise ConfigError(f"{path} is no run: `imaginate adopt {path} RUN` makes one of it")
        lineage = read_lineage(RunFolder(path))
        new = [sample for sample in data.samples if sample.meta.get("origin") != "original"]
        if not new:
            raise ConfigError(f"{path} has no new images")
        found += [Offer(one, lineage.names_of(one.id) - {one.id} | lineage.ancestors_of(one.id), path) for one in new]
    return found


def _only(offers: list[Offer], names: Sequence[str], labels: LabelSpace) -> list[Offer]:
    """Those of the classes of these names; all where none is named."""
    if unknown := [name for name in names if name not in labels.names]:
        raise ConfigError(f"only: there is no class {unknown[0]!r}{nearest(unknown[0], labels.names)}")
    wanted = {labels.index(name) for name in names} if names else set(range(len(labels)))
    return [one for one in offers if one.sample.label in wanted]


def _own(seed: Sample) -> Offer:
    return Offer(seed, frozenset({seed.id}), "")


def _folds(seeds: Sequence[Sample], count: int) -> Tensor:
    """The fold of each seed, (n,): of each class in turn, in an order that is drawn by name."""
    labels = sorted({seed.label for seed in seeds})
    turn = {label: place for place, label in enumerate(labels)}  # no fold is that of the first seed of every class
    folds = [0] * len(seeds)
    for i in sorted(range(len(seeds)), key=lambda i: derive_seed("fold", seeds[i].id)):
        folds[i] = turn[seeds[i].label] % count
        turn[seeds[i].label] += 1
    return torch.tensor(folds)


def _embedded(context: Context, pictures: Sequence[Callable[[], Image]]) -> tuple[Tensor, list[int]]:
    """Features (n, dim), unit norm, of the readable ones, and which these are; `BATCH` in memory at a time."""
    parts, usable = [torch.zeros(0, context.guide.dim)], []
    for start in range(0, len(pictures), BATCH):
        images = []
        for i in range(start, min(start + BATCH, len(pictures))):
            try:
                images.append(pictures[i]())
            except ImageError:
                continue
            usable.append(i)
        if images:
            with torch.no_grad():
                parts.append(map_images(context.guide.embed, images, device=context.device).float().cpu())
    return F.normalize(torch.cat(parts), dim=-1), usable
