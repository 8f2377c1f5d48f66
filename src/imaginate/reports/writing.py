"""Reports into files: report.html, report.csv, report.md, report.tex, report.json, next to what they report on.

With csv, and with a page that cannot show every class, a study also gets per_class.csv: a row an arm and class.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from imaginate.errors import ConfigError, RunError
from imaginate.files import Folder, replace_file
from imaginate.reports import tables
from imaginate.reports.page import html
from imaginate.reports.read import RunContents, Study, read
from imaginate.reports.view_classes import MOST, class_rows
from imaginate.reports.view_run import Options
from imaginate.settings import nearest

FORMATS = {
    "html": "report.html",
    "csv": "report.csv",
    "markdown": "report.md",
    "latex": "report.tex",
    "json": "report.json",
}
PER_CLASS = "per_class.csv"


def write_report(
    path: str | Path,
    *,
    out: str | Path | None = None,
    formats: Sequence[str] = ("html",),
    options: Options | None = None,
) -> list[Path]:
    """Report on a study or run folder, into the same folder or `out`. Returns the files, in the order of `formats`,
    per_class.csv last.

    Raises RunError for a folder that is neither, ConfigError for an unknown format.
    """
    _check(formats)
    source, options = read(path), options or Options()
    try:
        texts = [render(source, name, options) for name in formats]
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise RunError(f"{path} cannot be shown: its files hold other values than a report is made of") from error
    if out is None and not Folder(path).local:
        raise ConfigError(f"{path} is behind a URL: name a folder for the report with --out")
    folder = Path(out) if out is not None else Path(path)
    files = [_write(folder / FORMATS[name], text) for name, text in zip(formats, texts, strict=True)]
    return files + (_per_class([source], folder, formats) if isinstance(source, Study) else [])


def write_tables(
    paths: Sequence[str | Path], *, out: str | Path, formats: Sequence[str], options: Options
) -> list[Path]:
    """One table over several studies: datasets side by side, as in the papers. csv, markdown, latex or json."""
    _check(formats)
    if "html" in formats:
        raise ConfigError("html reports on one study at a time; over several there is csv, markdown, latex and json")
    studies = [_study(path) for path in paths]
    rows = [row for s in studies for row in tables.study_rows(s, options)]
    cells = tables.paper_table(studies)
    note = tables.study_note(studies)
    texts = {
        "csv": lambda: tables.to_csv(rows),
        "json": lambda: _json(rows),
        "markdown": lambda: tables.to_markdown(cells, note),
        "latex": lambda: tables.to_latex(cells, note),
    }
    files = [_write(Path(out) / FORMATS[name], texts[name]()) for name in formats]
    ranks = tables.predictor_ranks(studies)
    if table := tables.predictor_table(ranks):
        files.append(_write(Path(out) / "predictors.md", tables.to_markdown(table, tables.PREDICTOR_NOTE)))
        files.append(_write(Path(out) / "predictors.json", _json(ranks)))
    return files + _per_class(studies, Path(out), formats)


def _per_class(studies: Sequence[Study], folder: Path, formats: Sequence[str]) -> list[Path]:
    """per_class.csv, where csv was asked for or a page leaves classes out; nothing where no class was measured."""
    arms = [arm for s in studies for arm in s.results["arms"]]
    cut = any(len(arm.get("per_class") or []) > MOST for arm in arms)
    if "csv" not in formats and not ("html" in formats and cut):
        return []
    rows = [row for s in studies for row in class_rows(s.name, s.results)]
    return [_write(folder / PER_CLASS, tables.to_csv(rows))] if rows else []


def render(source: Study | RunContents, name: str, options: Options) -> str:
    """One format of one report, as text."""
    if name == "html":
        return html(source, options)
    rows = tables.study_rows(source, options) if isinstance(source, Study) else tables.run_rows(source, options)
    if name in ("csv", "json"):
        return tables.to_csv(rows) if name == "csv" else _json(rows)
    cells = tables.paper_table([source]) if isinstance(source, Study) else tables.run_table(source, options)
    note = tables.study_note([source]) if isinstance(source, Study) else f"Run {source.name}."
    return tables.to_markdown(cells, note) if name == "markdown" else tables.to_latex(cells, note)


def _study(path: str | Path) -> Study:
    source = read(path)
    if not isinstance(source, Study):
        raise RunError(f"{path} is a run; a table over several folders takes studies")
    return source


def _check(formats: Sequence[str]) -> None:
    for name in formats:
        if name not in FORMATS:
            raise ConfigError(f"unknown report format {name!r}{nearest(name, FORMATS)}")


def _json(rows: Sequence[tables.Fields]) -> str:
    return json.dumps(list(rows), indent=2, ensure_ascii=False) + "\n"


def _write(path: Path, text: str) -> Path:
    try:
        replace_file(path, lambda partial: partial.write_text(text, encoding="utf-8", errors="replace"))
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror or error}") from None
    return path
