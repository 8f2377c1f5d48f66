"""The closed loop: find where a classifier fails, make and choose images for these classes, train again, measure.

One round: the classifier is fitted without each fold of the originals in turn, and what it says of the fold shows its
confusions. For the classes of the most frequent ones, candidates are made or retrieved, those stay that a guide sees as
their class, and `mix` takes of them what is predicted to help on seeds that are held back. The classifier is fitted
again with these, fold by fold, without what descends from the fold. Its images are kept where the interval of the gain
is above 0, and another round follows where the gain is at least the smallest that these images show reliably. Held-out
images are measured once, at the end, and decide nothing.

Ours. Choosing by influence: `ops.influence`; spending on confusions: compare Feedback-guided Data Synthesis
(Askari-Hemmat et al. 2023), which guides the generation in place of choosing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from html import escape
from pathlib import Path
from typing import Any

from imaginate import registry
from imaginate.data import DataSpec
from imaginate.devices import pick_device
from imaginate.engine.resolve import recipe_from
from imaginate.engine.run import expand
from imaginate.errors import ConfigError, DataError, RunError
from imaginate.evaluation.weak_classes import by_class, confusions, gain, weak_classes
from imaginate.files import derive_seed, json_bytes, replace_file, short_hash
from imaginate.limits import parse_json
from imaginate.models.extras import check_installed, packages_of
from imaginate.ownership import is_begun, own
from imaginate.personalisation.core.settings import FitPlan
from imaginate.runs import RunFolder, Values
from imaginate.settings import build, settings_of, with_keywords
from imaginate.training.classifier import CUTS, Training, check_held_out, train
from imaginate.training.crossfit import Answers, CrossFit
from imaginate.training.leaks import ADVICE
from imaginate.workflows.fit import fit
from imaginate.workflows.improve_report import history_table, write_page
from imaginate.workflows.improve_settings import Improvement
from imaginate.workflows.improve_start import check_classes, guide_for, learner_settings

ADAPTED = "prior:stable-diffusion"  # the priors that `fit` adapts
COMMAND, SETTINGS, HISTORY, RESULT = "improve", "improve.json", "history.json", "result.json"
log = logging.getLogger("imaginate")


@dataclass(frozen=True)
class Improved:
    """What came out: the folder, its rounds, the run that the classifier is trained on (None: nothing was seen to
    help), and the held-out accuracies before and after, where they were measured."""

    path: str
    rounds: tuple[Values, ...]
    chosen: str | None
    why: str
    held_out: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        return f"Improved({self.path!r}, {len(self.rounds)} rounds: {self.why})"

    def _repr_html_(self) -> str:
        """For notebooks: the rounds."""
        return f"<pre>{escape(str(self))}</pre>"

    def to_pandas(self) -> Any:
        """A row a round, as a pandas data frame (pandas is not installed with imaginate)."""
        import pyarrow as pa

        plain = [{k: v for k, v in one.items() if isinstance(v, (str, int, float, bool))} for one in self.rounds]
        return pa.Table.from_pylist(plain).to_pandas()

    def __str__(self) -> str:
        return history_table(self.path, self.rounds, self.chosen, self.why, self.held_out)


@with_keywords(Improvement)
def improve(
    data: str | os.PathLike[str],
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    device: str = "auto",
    progress: bool = True,
    **settings: Any,
) -> Improved:
    """Improve a classifier where it fails, round by round, into `out`.

    `model`: a folder of `train` or a study of `compare`, whose classifier is taken: its architecture, size, split and
    schedule. `settings` are fields of `Improvement`. The same call goes on where it was stopped and comes to the same
    result; other settings on the same folder are refused. Raises ImaginateError in one line.
    """
    asked = build(Improvement, settings, where=COMMAND)
    check_installed("imaginate improve", ["study", "guide"], along=packages_of(asked.guide or "efficientnet-lite0"))
    learner = replace(learner_settings(model), seed=asked.seed)
    learner.learner.check()
    loop = _Loop(os.fspath(data), Path(out), os.fspath(model), asked, learner, pick_device(device), progress)
    loop.check()
    with own(out, COMMAND):
        return loop.run()


@dataclass(frozen=True)
class _Weak:
    """The classes that a round spends on, the confusions that it is about (true class, called class), and what the
    prior was fitted to them with."""

    classes: tuple[str, ...]
    confused: tuple[tuple[str, str], ...] = ()
    adaptation: str | None = None


class _Loop:
    """The rounds of one folder."""

    def __init__(
        self, data: str, out: Path, model: str, asked: Improvement, learner: Training, device: str, progress: bool
    ) -> None:
        self.data, self.out, self.model, self.asked, self.learner = data, out, model, asked, learner
        self.device, self.progress = device, progress
        self.guide = guide_for(asked.guide, learner, asked.pool)
        self.reading: dict[str, Any] = learner.chosen

    def check(self) -> None:
        """Refuse before any work what the rounds could not do."""
        if self.out.exists() and not (self.out / SETTINGS).is_file() and not is_begun(self.out, COMMAND):
            raise RunError(f"{self.out} is not empty and holds no improvement; choose a new or empty folder")
        takers = [name for name in self.asked.sources if ADAPTED in registry.find("methods", name).needs]
        if self.asked.fit:
            registry.make("techniques", self.asked.fit, {})
            if not takers or self.asked.prior is None:
                missing = "--prior" if takers else "--methods that take an adaptation, such as diff-mix or prompt"
                raise ConfigError(f"fit {self.asked.fit} needs {missing}")
        for name in self.asked.sources:
            if name == "mix":
                raise ConfigError("methods: mix chooses among the others; name the methods that make images")
            if not (self.asked.fit and name in takers):  # it is complete once the fit is there
                recipe_from(self._recipe(name, _Weak(("x", "y")), 1, 0))
        for place in self.asked.runs:
            RunFolder(place).check_finished()

    def run(self) -> Improved:
        """All rounds, then the last classifier."""
        self._check_held_out()
        cross = CrossFit(
            self.data, self.learner, self.out / "cache", count=self.asked.folds, repeats=self.asked.repeats,
            device=self.device, progress=self.progress,
        )  # fmt: skip
        check_classes(self.model, cross.labels, self.data)
        self._same(cross)
        best, best_run = cross.answers(self.data, self.out / "round-0"), self.data
        rounds: list[Values] = []
        why = f"{self.asked.rounds} rounds were asked for"
        for number in range(1, self.asked.rounds + 1):
            found, answers = self._round(number, rounds, best, cross)
            rounds.append(found)
            self._write(HISTORY, rounds)
            log.info(f"round {number}: {found['why']}")
            if answers is not None:
                best, best_run = answers, str(self.out / f"round-{number}" / "chosen")
            if not found.get("goes_on"):
                why = f"round {number}: {found['why']}"
                break
        chosen = None if best_run == self.data else best_run
        held = self._final(best_run) if chosen or self.asked.held_out else None
        result = {"chosen": chosen and os.path.relpath(chosen, self.out), "why": why, "held_out": held}
        self._write(RESULT, result)
        write_page(self.out, rounds, chosen, why, held)
        return Improved(str(self.out), tuple(rounds), chosen, why, held)

    def _round(
        self, number: int, earlier: Sequence[Values], before: Answers, cross: CrossFit
    ) -> tuple[Values, Answers | None]:
        """One round: what happened, and the answers with the images that it added; None where these are not kept."""
        folder, names = self.out / f"round-{number}", cross.labels.names
        budget = self.asked.budget or len(cross.ids)
        weak, pairs = weak_classes(confusions(before.said, before.label), self.asked.share, most=budget)
        if not weak:
            return {"round": number, "why": "the classifier makes no mistake on its originals"}, None
        spent = sorted({names[label] for label in weak} | {name for one in earlier for name in one["weak"]})
        each = budget // len(weak)
        found: Values = {
            "round": number,
            "weak": [names[label] for label in weak],
            "confusions": [[names[a], names[b], n] for a, b, n in pairs],
        }
        target = _Weak(tuple(found["weak"]), tuple((a, b) for a, b, _ in found["confusions"]))
        if self.asked.fit:
            target = replace(target, adaptation=self._fitted(folder / "adaptation", target.classes))
        for name in self.asked.sources:
            made = self._made(name, folder / name, target, each, number)
            found.setdefault("candidates", {})[name] = made
        runs = [
            str(self.out / f"round-{n}" / name)
            for n in range(1, number + 1)
            for name, made in (found if n == number else earlier[n - 1]).get("candidates", {}).items()
            if made
        ]
        try:
            taken = self._choose(folder / "chosen", [*runs, *self.asked.runs], spent, budget * number // len(spent))
        except RunError as error:
            return {**found, "why": f"nothing was added: {str(error).partition('; --force')[0]}"}, None
        after = cross.answers(str(folder / "chosen"), folder)
        measured = gain(after.right, before.right, before.label, self.asked.level)
        found |= {"added": taken, "gain": measured}
        found["classes"] = by_class(after.right, before.right, before.label, names)
        found["is_kept"], found["goes_on"], found["why"] = _verdict(measured)
        return found, after if found["is_kept"] else None

    def _made(self, name: str, out: Path, weak: _Weak, each: int, number: int) -> int:
        """The candidates of one method; how many there are."""
        result = expand(out=out, recipe=self._recipe(name, weak, each, number), progress=self.progress)
        return result.kept

    def _fitted(self, out: Path, weak: tuple[str, ...]) -> str:
        """An adaptation of the prior to the weak classes."""
        assert self.asked.fit is not None
        assert self.asked.prior is not None
        data = build(DataSpec, {"path": self.data, **self.reading, "classes": list(weak)}, where="data")
        plan = FitPlan(max_steps=self.asked.fit_steps, sheet_every=0, seed=self.asked.seed)
        made = fit(
            self.asked.fit, data, out, prior=self.asked.prior, plan=plan, device=self.device, progress=self.progress
        )
        return str(made.folder)

    def _recipe(self, name: str, weak: _Weak, each: int, number: int) -> dict[str, Any]:
        """What makes the candidates of a method: of the weak classes alone, each of the class that it is taken for
        where a method goes from one class to another; of all classes where it searches, for there they compete."""
        method = registry.find("methods", name)
        wanted = -(-each * self.asked.offers // max(1, len(self.asked.sources)))
        roles: dict[str, str | None] = {"guide": self.guide}
        roles |= {"prior": self.asked.prior} if any(need.startswith("prior") for need in method.needs) else {}
        roles |= {"pool": self.asked.pool} if "pool" in method.needs else {}
        roles |= {"adaptation": weak.adaptation or self.asked.adaptation} if ADAPTED in method.needs else {}
        roles |= {"device": self.device, **self._guarded()}
        starts_from_class = method.starts_from == "class"
        amount = {"per_class": wanted} if starts_from_class else {"copies": self._copies(wanted)}
        own: dict[str, Any] = {"score": "head"} if name == "retrieval" else {}
        if weak.confused and "between" in {s.name for s in settings_of(method)}:
            own["between"] = [f"{a}={b}" for a, b in sorted({(min(pair), max(pair)) for pair in weak.confused})]
        classes = {} if "pool" in method.needs else {"classes": list(weak.classes)}
        return {
            "data": {"path": self.data, **self.reading, **classes},
            "method": {"name": name, **own},
            "expand": {**amount, "seed": derive_seed("improve", self.asked.seed, number) % 2**31},
            "roles": {key: value for key, value in roles.items() if value is not None},
            "filters": ["consistency"],
            "write": {"originals": "none", "keep_rejected": False},
        }

    def _copies(self, wanted: int) -> int:
        """Copies of each seed that come to about so many a class."""
        return max(1, -(-wanted * self._classes // self._images)) if self._images else 1

    _images, _classes = 0, 0

    def _choose(self, out: Path, runs: Sequence[str], weak: Sequence[str], each: int) -> dict[str, int]:
        """A run of the originals and what `mix` takes; how many of each class. RunError where nothing helps."""
        if not runs:
            raise RunError("no candidate was made")
        roles = {"guide": self.guide, "device": self.device, "judge": "none"} | self._guarded()
        result = expand(
            out=out,
            recipe={
                "data": {"path": self.data, **self.reading},
                "method": {"name": "mix", "runs": list(runs), "only": list(weak)},
                "expand": {"per_class": each, "seed": self.asked.seed},
                "roles": roles,
            },
            progress=self.progress,
        )
        if not result.kept:
            raise RunError("none of the candidates is predicted to help")
        rows = [row["class_name"] for row in result.table().to_pylist() if row["method"]]
        return {name: rows.count(name) for name in sorted(set(rows))}

    def _guarded(self) -> dict[str, str | None]:
        """The held-out images, near-duplicates of which are no candidates."""
        named = {"held_out": self.asked.held_out, "held_out_split": self.asked.held_out_split}
        return {role: value for role, value in named.items() if value is not None}

    def _check_held_out(self) -> None:
        """DataError, before any work, for held-out images that the last step would refuse."""
        if not self.asked.held_out:
            return
        settings = replace(self.learner, held_out=self.asked.held_out, held_out_split=self.asked.held_out_split)
        try:
            check_held_out(self.data, settings, self.out, progress=self.progress)
        except DataError as error:
            raise DataError(str(error).replace(ADVICE, "leave them out of one of the two")) from None

    def _same(self, cross: CrossFit) -> None:
        """Write with what the loop began, or refuse another beginning on the same folder."""
        self._images, self._classes = len(cross.ids), len(cross.labels)
        asked = {name: list(v) if isinstance(v, tuple) else v for name, v in vars(self.asked).items()}
        learner = {k: v for k, v in vars(self.learner).items() if k not in ("held_out", "held_out_split")}
        images = short_hash([list(cross.ids), cross.label.tolist()])
        now = {"settings": asked, "classifier": learner, "guide": self.guide, "images": images}
        now = parse_json(json_bytes(now))
        file = self.out / SETTINGS
        if file.is_file():
            then = parse_json(file.read_text(encoding="utf-8"))
            for part, cls in (("settings", Improvement), ("classifier", Training)):
                then[part] = _plain_defaults(cls, now[part]) | then.get(part, {})  # a setting that came later
            for part, value in now.items():
                if then.get(part) != value:
                    raise RunError(
                        f"{self.out} was begun with {_changed(part, then.get(part), value)}; use a new folder"
                    )
        self._write(SETTINGS, now)

    def _final(self, best: str) -> dict[str, Any] | None:
        """The classifier on what the loop ends with, and on the originals alone where both are measured."""
        plain = {k: v for k, v in vars(self.learner).items() if k != "rules"}
        plain |= {"held_out": self.asked.held_out, "held_out_split": self.asked.held_out_split}
        found: dict[str, Any] = {}
        for name, data in (("before", self.data), ("after", best)):
            if (name == "before" and not self.asked.held_out) or (name == "after" and best == self.data):
                continue
            whole = {"split": None, "read_as": None, **dict.fromkeys(CUTS)}
            reading = {} if data == self.data else whole
            place = self.out / ("model" if name == "after" else "model-before")
            facts = train(data, place, device=self.device, progress=self.progress, **{**plain, **reading})
            found[name] = facts["held_out"]
        return found if self.asked.held_out else None

    def _write(self, name: str, value: Any) -> None:
        data = json_bytes(value)
        replace_file(self.out / name, lambda partial: partial.write_bytes(data))


def _verdict(measured: Values) -> tuple[bool, bool, str]:
    """Whether the images of a round are kept, whether another round is worth it, and the sentence about both: kept
    where the interval is above 0; on where the gain is at least the smallest that is seen in four of five cases."""
    points = f"{100 * measured['mean']:+.1f} points"
    interval = f"[{100 * measured['low']:+.1f}, {100 * measured['high']:+.1f}]"
    smallest = measured["smallest"]
    if smallest is None:
        return False, False, f"{points} {interval}: the answers did not change enough to measure it: not kept"
    kept, goes_on = measured["low"] > 0, measured["low"] > 0 and measured["mean"] >= smallest
    end = "" if goes_on else f"; the smallest gain that these images show reliably is {100 * smallest:.1f}"
    return kept, goes_on, f"{points} {interval}, {'kept' if kept else 'not kept'}{end}"


def _plain_defaults(cls: type, names: Collection[str]) -> Values:
    """The defaults of these fields, as JSON has them."""
    return dict(parse_json(json_bytes({f.name: f.default for f in fields(cls) if f.name in names})))


def _changed(part: str, then: Any, now: Any) -> str:
    if isinstance(then, dict) and isinstance(now, dict):
        name = next(key for key in [*now, *then] if then.get(key) != now.get(key))
        return f"{name} {then.get(name)!r}, and now it is {now.get(name)!r}"
    return f"other {part}"
