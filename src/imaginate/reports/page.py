"""The page itself: one HTML file with its style, script and pictures inside."""

from __future__ import annotations

import base64
import datetime
import hashlib
from functools import cache
from importlib import resources

import jinja2
from markupsafe import Markup

from imaginate.reports import words
from imaginate.reports.read import RunContents, Study, View
from imaginate.reports.view_run import Options, run_view
from imaginate.reports.view_study import study_view
from imaginate.version import __version__


def html(source: Study | RunContents, options: Options, *, date: datetime.date | None = None) -> str:
    """The report of a study or a run as one HTML document. `date` is shown in the footer; today by default."""
    day = (date or datetime.datetime.now(datetime.UTC).date()).isoformat()
    if isinstance(source, Study):
        study = study_view(source, options)
        study["held_out"] = _held_out(source)
        return _render(
            "study.html.j2", f"{source.name}: expansion study", _study_contents(study), day, {"study": study}
        )
    run = run_view(source, options)
    return _render("run.html.j2", f"{source.name}: expansion run", [], day, {"run": run})


def _held_out(study: Study) -> str:
    data, protocol = study.results["data"], study.results["protocol"]
    place = str(protocol.get("held_out") or data.get("name") or "the data")
    split = f", split {protocol['held_out_split']}" if protocol.get("held_out_split") else ""
    n = data.get("held_out")
    shown = words.count(n, "held-out image") if n is not None else "held-out images"
    on = data.get("held_out_on")
    return f"{shown} ({place}{split})" + (f", {on}" if on else "")


def _study_contents(study: View) -> list[tuple[str, str]]:
    found = [
        ("verdict", "Verdict", study["verdict"]),
        ("findings", "Findings", True),
        ("table", "Accuracy", True),
        ("learners", "Learners", study["learners"]),
        ("plots", "Plots", study["forest"] or study["curves"]),
    ]
    found += [("controls", "Controls", study["controls"]), ("classes", "Classes", study["classes"]["arms"])]
    found += [("measures", "Measures", study["measures"]), ("mistakes", "Mistakes", study["mistakes"])]
    found += [("corruptions", "Corruptions", study["corruption"])]
    found += [("exchange", "Real images", study["exchange"]), ("leaks", "Leaks", study["leak"])]
    found += [("elsewhere", "Images from elsewhere", study["elsewhere"]), ("files", "Files", study["files"])]
    found += [(f"run-{i}", run["title"], True) for i, run in enumerate(study["runs"], 1)]
    found += [("protocol", "Protocol", True)]
    return [(anchor, name) for anchor, name, there in found if there]


def _render(template: str, title: str, contents: list[tuple[str, str]], date: str, view: View) -> str:
    return _environment().get_template(template).render(title=title, contents=contents, date=date, **view) + "\n"


@cache
def _environment() -> jinja2.Environment:
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("imaginate.reports", "templates"),
        autoescape=True,
        undefined=jinja2.ChainableUndefined,
        finalize=lambda value: "" if value is None else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    files = resources.files("imaginate.reports") / "templates"
    script = (files / "script.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    env.globals.update(
        version=__version__,
        script_hash=Markup(f"sha256-{digest}"),  # the page runs this script and no other
        style=Markup((files / "style.css").read_text(encoding="utf-8")),
        script=Markup(script),
        count=words.count,
        number=lambda value: words.number(value) if isinstance(value, (int, float)) else "–",
        percent=words.percent,
        sign=words.verdict_sign,
    )
    return env
