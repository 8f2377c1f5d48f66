"""Study and run folders as they lie on disk; what is missing is said, not guessed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from imaginate.errors import RunError

STUDY_FORMAT = "imaginate-study/1"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run folder. `kept` and `rejected` hold one row an image (originals are rows without a method)."""

    path: Path
    kept: pa.Table
    rejected: pa.Table
    facts: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    recipe_text: str = ""
    evaluation: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name


@dataclass(frozen=True, kw_only=True)
class Study:
    """One study folder: `results.json`, and the runs of its arms as far as they can be found."""

    path: Path
    results: Mapping[str, Any]
    text: str = ""
    runs: Mapping[str, Run] = field(default_factory=dict)
    lost: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The study's own name, or its folder's."""
        return str(self.results.get("name") or self.path.resolve().name)


def read(path: str | Path) -> Study | Run:
    """The study or the run in a folder. Raises RunError, in one line, for a folder that is neither."""
    folder = Path(path)
    if not folder.is_dir():
        raise RunError(f"no such folder: {folder}")
    if (folder / "results.json").is_file():
        return read_study(folder)
    if (folder / "study.yaml").is_file() or (folder / "arms").is_dir():
        raise RunError(f"study {folder} has no results yet: no arm has finished training; let it run on, then report")
    if any((folder / name).is_file() for name in ("metadata.parquet", "recipe.yaml", "run.json")):
        return read_run(folder)
    raise RunError(f"{folder} is neither a study (no results.json) nor a run (no recipe.yaml, no metadata.parquet)")


def read_study(folder: Path) -> Study:
    """A study with the runs of its arms."""
    results = _json(folder / "results.json")
    if not str(results.get("format", "")).startswith("imaginate-study/"):
        raise RunError(f"{folder / 'results.json'} is not a study's: its format is {results.get('format')!r}")
    if results["format"] != STUDY_FORMAT:
        raise RunError(
            f"{folder / 'results.json'} has format {results['format']!r}, this version reads {STUDY_FORMAT!r}"
        )
    missing = [key for key in ("arms", "protocol", "data") if key not in results]
    if missing:
        raise RunError(f"{folder / 'results.json'} is damaged: it has no {', '.join(missing)}")
    results["arms"] = distinct(results["arms"])
    runs: dict[str, Run] = {}
    lost: dict[str, str] = {}
    for named in dict.fromkeys(arm["run"] for arm in results["arms"] if arm.get("run")):
        try:
            runs[named] = read_run(_find_run(folder, named))
        except RunError as error:
            lost[named] = str(error)
    study = folder / "study.yaml"
    text = study.read_text(encoding="utf-8", errors="replace") if study.is_file() else ""
    return Study(path=folder, results=results, text=text, runs=runs, lost=lost)


def distinct(arms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The arms with titles that tell them apart: where several share one, the ratio is added, then the arm's name."""
    for mark in (_by_ratio, _by_name):
        times = Counter(arm["title"] for arm in arms)
        arms = [{**arm, "title": arm["title"] + mark(arm)} if times[arm["title"]] > 1 else arm for arm in arms]
    return arms


def _by_ratio(arm: Mapping[str, Any]) -> str:
    return "" if arm.get("ratio") is None else f" ×{arm['ratio']:g}"


def _by_name(arm: Mapping[str, Any]) -> str:
    return f" ({arm['name']})"


def _find_run(study: Path, named: str) -> Path:
    for place in (Path(named), study / named, study.parent / named, study.parent / Path(named).name):
        if place.is_dir():
            return place
    raise RunError(f"run folder {named} was not found, so its pictures, filters and cost are not shown")


def read_run(folder: Path) -> Run:
    """A run, finished or not."""
    facts = _json(folder / "run.json") if (folder / "run.json").is_file() else {}
    recipe = folder / "recipe.yaml"
    text = recipe.read_text(encoding="utf-8", errors="replace") if recipe.is_file() else ""
    kept, rejected, warnings = _tables(folder, facts)
    evaluation = folder / "evaluation.json"
    return Run(
        path=folder,
        kept=kept,
        rejected=rejected,
        facts=facts,
        recipe=_recipe(text, recipe),
        recipe_text=text,
        evaluation=_json(evaluation) if evaluation.is_file() else None,
        warnings=tuple(warnings),
    )


def _tables(folder: Path, facts: Mapping[str, Any]) -> tuple[pa.Table, pa.Table, list[str]]:
    metadata, rejected = folder / "metadata.parquet", folder / "rejected.parquet"
    if metadata.is_file():
        kept = _parquet(metadata)
        return kept, _parquet(rejected) if rejected.is_file() else kept.slice(0, 0), []
    parts = [_parquet(marker.with_suffix(".parquet")) for marker in sorted(folder.glob("shards/*.json"))]
    wanted = facts.get("shards")
    warning = f"The run is not finished: {len(parts)} of {'?' if wanted is None else wanted} shards are there."
    if not parts:
        raise RunError(f"run {folder} has no images yet: nothing is finished; `imaginate expand` on it goes on")
    rows = pa.concat_tables(parts, promote_options="permissive")
    return rows.filter(pc.field("kept")), rows.filter(~pc.field("kept")), [warning]


def _parquet(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise RunError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
    needed = {"file_name", "class_name", "method", "kept"} - set(table.column_names)
    if needed:
        raise RunError(f"{path} is not a run's table: it has no column {', '.join(sorted(needed))}")
    return table.drop_columns([c for c in ("soft_label",) if c in table.column_names])


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
    if not isinstance(value, dict):
        raise RunError(f"{path} is damaged: it holds no JSON object")
    return value


def _recipe(text: str, path: Path) -> Mapping[str, Any]:
    import yaml

    try:
        value = yaml.safe_load(text) if text else {}
    except yaml.YAMLError:
        raise RunError(f"{path} is not valid YAML") from None
    return value if isinstance(value, dict) else {}
