"""Study and run folders as a report needs them; what is missing is said, not guessed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from imaginate.errors import RunError
from imaginate.files import Folder
from imaginate.reports import words
from imaginate.runs import KEPT, METRICS, OLD_METRICS, RECIPE, REJECTED, Facts, RunFolder, json_object
from imaginate.shapes import RESULTS, misfit

View: TypeAlias = dict[str, Any]  # what a template, or a table, is filled with

STUDY_FORMAT = "imaginate-study/1"
_NEEDED = ("file_name", "class_name", "method", "kept")


@dataclass(frozen=True, kw_only=True)
class RunContents:
    """One run folder. `kept` and `rejected` hold one row an image (originals are rows without a method)."""

    folder: Folder
    kept: pa.Table
    rejected: pa.Table
    facts: Facts = field(default_factory=dict)
    recipe: Facts = field(default_factory=dict)
    recipe_text: str = ""
    evaluation: Facts | None = None
    stale: str = ""  # why the evaluation is of other images than those that the run has now
    warnings: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Its absolute path, or its URL."""
        return str(Path(self.folder.root).resolve()) if self.folder.local else self.folder.root

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.place.rsplit("/", 1)[-1]


@dataclass(frozen=True, kw_only=True)
class Study:
    """One study folder: `results.json`, and the runs of its arms as far as they can be found."""

    path: Path
    results: Facts
    text: str = ""
    runs: Mapping[str, RunContents] = field(default_factory=dict)
    lost: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The study's own name, or its folder's."""
        return str(self.results.get("name") or self.path.resolve().name)


def read(path: str | Path) -> Study | RunContents:
    """The study in a folder, or the run in a folder or behind a URL. Raises RunError, in one line, for a folder that is
    neither."""
    folder = Folder(path)
    if folder.local and not Path(path).is_dir():
        raise RunError(f"no such folder: {path}")
    if folder.exists("results.json"):
        if not folder.local:
            raise RunError(f"{path} is a study behind a URL: copy it to this machine, then report")
        return read_study(Path(path))
    if folder.exists("study.yaml") or folder.exists("arms"):
        raise RunError(f"study {path} has no results yet: no arm has finished training; let it run on, then report")
    if any(folder.exists(name) for name in ("metadata.parquet", "recipe.yaml", "run.json")):
        return read_run(folder)
    raise RunError(f"{path} is neither a study (no results.json) nor a run (no recipe.yaml, no metadata.parquet)")


def read_study(folder: Path) -> Study:
    """A study with the runs of its arms."""
    results = json_object(Folder(folder), "results.json")
    if not str(results.get("format", "")).startswith("imaginate-study/"):
        raise RunError(f"{folder / 'results.json'} is not a study's: its format is {results.get('format')!r}")
    if results["format"] != STUDY_FORMAT:
        raise RunError(
            f"{folder / 'results.json'} has format {results['format']!r}, this version reads {STUDY_FORMAT!r}"
        )
    missing = [key for key in ("arms", "protocol", "data") if key not in results]
    if missing:
        raise RunError(f"{folder / 'results.json'} is damaged: it has no {', '.join(missing)}")
    if wrong := misfit(results, RESULTS):
        raise RunError(f"{folder / 'results.json'} is damaged: {wrong}")
    results["arms"] = [without_verdict(arm) for arm in distinct(results["arms"])]
    runs: dict[str, RunContents] = {}
    lost: dict[str, str] = {}
    for named in dict.fromkeys(arm["run"] for arm in results["arms"] if arm.get("run")):
        try:
            runs[named] = read_run(_find_run(folder, named))
        except RunError as error:
            lost[named] = str(error)
    study = folder / "study.yaml"
    text = study.read_text(encoding="utf-8", errors="replace") if study.is_file() else ""
    return Study(path=folder, results=results, text=text, runs=runs, lost=lost)


def distinct(arms: list[View]) -> list[View]:
    """The arms with titles that tell them apart: where several share one, the ratio is added, then the arm's name."""
    for mark in (_by_ratio, _by_name):
        times = Counter(arm["title"] for arm in arms)
        arms = [{**arm, "title": arm["title"] + mark(arm)} if times[arm["title"]] > 1 else arm for arm in arms]
    return arms


def without_verdict(arm: View) -> View:
    """The arm, its differences without a verdict where it has one seed: studies of earlier versions gave one."""
    if len({unit.get("seed") for unit in arm.get("units") or []}) != 1:
        return arm
    found = {key: d and {**d, "verdict": words.ONE_SEED} for key, d in (arm.get("difference") or {}).items()}
    rows = [row if row.get("low") is None else {**row, "verdict": words.ONE_SEED} for row in arm.get("per_class") or []]
    return {**arm, "difference": found or None, "per_class": rows}


def _by_ratio(arm: Facts) -> str:
    return "" if arm.get("ratio") is None else f" ×{arm['ratio']:g}"


def _by_name(arm: Facts) -> str:
    return f" ({arm['name']})"


def _find_run(study: Path, named: str) -> Path:
    for place in (Path(named), study / named, study.parent / named, study.parent / Path(named).name):
        if place.is_dir():
            return place
    raise RunError(f"run folder {named} was not found, so its pictures, filters and cost are not shown")


def read_run(path: Path | Folder) -> RunContents:
    """A run, finished or not."""
    folder = RunFolder(path)
    kept, rejected, warnings = _tables(folder)
    has = folder.store.exists
    metrics = next((name for name in (METRICS, OLD_METRICS) if has(name)), None)
    evaluation = folder.json(metrics) if metrics else None
    return RunContents(
        folder=folder.store,
        kept=kept,
        rejected=rejected,
        facts=folder.facts,
        recipe=folder.recipe if has(RECIPE) else {},
        recipe_text=folder.recipe_text if has(RECIPE) else "",
        evaluation=evaluation,
        stale=_stale(folder, evaluation) if evaluation and folder.is_finished else "",
        warnings=(*warnings, *(str(note) for note in folder.facts.get("data_notes") or ())),
    )


def _stale(folder: RunFolder, evaluation: Facts) -> str:
    """One line where the metrics are of other images than those that the run has now; earlier versions stored no mark
    but only how many new images there were."""
    now, then = folder.images_mark(), evaluation.get("measured")
    if then is not None:
        changed = then.get("hash") != now["hash"]
        before = f"{then.get('new')} new images and {then.get('originals')} originals"
    else:
        images = evaluation.get("images") or {}
        limited = any("(--limit)" in str(text) for text in evaluation.get("warnings") or [])
        changed = not limited and "new" in images and images["new"] + (images.get("unreadable") or 0) < now["new"]
        changed = changed or images.get("new", 0) > now["new"]
        before = f"{images.get('new')} new images"
    if not changed:
        return ""
    return (
        f"The metrics are out of date: they are of {before}, the run has {now['new']} and {now['originals']} now, or "
        "other ones of these names; evaluate again."
    )


def _tables(folder: RunFolder) -> tuple[pa.Table, pa.Table, list[str]]:
    """Kept and rejected images; of an unfinished run those of its finished shards, with a warning."""
    if folder.is_finished:
        kept = _table(folder, KEPT)
        return kept, _table(folder, REJECTED) if folder.store.exists(REJECTED) else kept.slice(0, 0), []
    parts = [_table(folder, name) for name in folder.finished_shards()]
    wanted = folder.facts.get("shards")
    warning = f"The run is not finished: {len(parts)} of {'?' if wanted is None else wanted} shards are there."
    if not parts:
        raise RunError(f"run {folder.root} has no images yet: nothing is finished; `imaginate expand` on it goes on")
    rows = pa.concat_tables(parts, promote_options="permissive")
    return rows.filter(pc.field("kept")), rows.filter(~pc.field("kept")), [warning]


def _table(folder: RunFolder, name: str) -> pa.Table:
    return folder.table(name, columns=lambda column: column != "soft_label", needed=_NEEDED)
