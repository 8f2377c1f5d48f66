"""csv, json, Markdown and LaTeX: the numbers of results.json, laid out as in the papers."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from imaginate.errors import ConfigError, RunError
from imaginate.reports import FORMATS, Options, write_report, write_tables


def test_csv_and_json_hold_the_numbers_unrounded(world: Path, tmp_path: Path) -> None:
    files = write_report(world / "study", out=tmp_path / "out", formats=("csv", "json"))
    assert [f.name for f in files] == ["report.csv", "report.json", "per_class.csv"]
    results = json.loads((world / "study/results.json").read_text())
    rows = list(csv.DictReader(io.StringIO(files[0].read_text())))
    assert [r["arm"] for r in rows] == [a["name"] for a in results["arms"]]
    for row, same, arm in zip(rows, json.loads(files[1].read_text()), results["arms"], strict=True):
        assert float(row["top1"]) == arm["top1"]["mean"] == same["top1"]
        if arm["difference"]:
            assert float(row["top1_low"]) == arm["difference"]["top1"]["low"]
            assert row["finding"] == arm["difference"]["top1"]["verdict"]
    assert float(rows[3]["seconds_per_image"]) > 0


def test_per_class_holds_every_arm_and_class(world: Path, tmp_path: Path) -> None:
    *_, file = write_report(world / "study", out=tmp_path, formats=("csv",))
    results = json.loads((world / "study/results.json").read_text())
    rows = list(csv.DictReader(io.StringIO(file.read_text())))
    wanted = [(arm, r) for arm in results["arms"] for r in arm["per_class"]]
    assert [(r["arm"], r["class"]) for r in rows] == [(arm["name"], r["class"]) for arm, r in wanted]
    for row, (arm, r) in zip(rows, wanted, strict=True):
        for key in ("accuracy", "change", "low", "high"):
            assert row[key] == ("" if r[key] is None else repr(r[key]))
        few = "reference" if arm["reference"] else "too few held-out images"
        assert (row["finding"] in ("gain", "loss", "unclear")) == (r["low"] is not None)
        assert r["low"] is not None or row["finding"] == few
    assert write_report(world / "study", out=tmp_path) == [tmp_path / "report.html"], (
        "a page with every class needs none"
    )


def test_markdown_and_latex_say_what_is_unclear(world: Path) -> None:
    markdown, latex = (f.read_text() for f in write_report(world / "study", formats=("markdown", "latex")))
    assert "| GIF-SD | 44.6 ± 0.4 | +3.6 [+2.2, +5.0] |" in markdown
    assert "| RandAugment | 42.1 ± 0.4 | +1.1 [−0.3, +2.5] (unclear) |" in markdown
    assert r"GIF-SD & 44.6 $\pm$ 0.4 & +3.6 [+2.2, +5.0] \\" in latex
    assert "Quick study: no evidence." in markdown
    assert latex.isascii()


def test_latex_escapes_what_latex_would_run(world: Path) -> None:
    file = world / "study/results.json"
    results = json.loads(file.read_text())
    results["arms"][1]["title"] = r"50% & \input{x}_#$^~"
    file.write_text(json.dumps(results))
    (latex,) = write_report(world / "study", formats=("latex",))
    line = next(row for row in latex.read_text().splitlines() if row.startswith("50"))
    assert line.startswith(r"50\% \& \textbackslash{}input\{x\}\_\#\$\textasciicircum{}\textasciitilde{} & ")
    assert len(re.findall(r"(?<!\\)&", line)) == 2


def test_several_studies_stand_side_by_side_with_their_average(world: Path, tmp_path: Path) -> None:
    import shutil

    second = Path(shutil.copytree(world / "study", world / "second"))
    results = json.loads((second / "results.json").read_text())
    results["data"]["name"] = "cars"
    results["arms"] = results["arms"][:4]
    for arm in results["arms"]:
        arm["top1"]["mean"] += 0.1
    (second / "results.json").write_text(json.dumps(results))
    (file,) = write_tables([world / "study", second], out=tmp_path, formats=("markdown",), options=Options())
    lines = file.read_text().splitlines()
    assert lines[0] == (
        "| arm | flowers | difference to the original data | cars | difference to the original data | average |"
    )
    assert "| GIF-SD | 44.6 ± 0.4 | +3.6 [+2.2, +5.0] | 54.6 ± 0.4 | +3.6 [+2.2, +5.0] | 49.6 |" in lines
    assert "| class prompts | 37.9 ± 0.4 | −3.1 [−4.5, −1.7] | – | – | – |" in lines
    with pytest.raises(RunError, match="is a run"):
        write_tables([world / "flowers-gif"], out=tmp_path, formats=("csv",), options=Options())


def test_a_run_has_every_format_too(world: Path) -> None:
    files = write_report(world / "flowers-gif", formats=tuple(FORMATS), options=Options(hourly_price=1))
    assert all(f.stat().st_size for f in files)
    assert "price per kept image" in files[2].read_text()
    assert json.loads(files[4].read_text())[0]["coverage"] == 0.62


def test_unknown_formats_name_the_nearest(world: Path) -> None:
    with pytest.raises(ConfigError, match="unknown report format 'markdwn'; did you mean 'markdown'"):
        write_report(world / "study", formats=("markdwn",))


def test_predictors_are_ranked_against_what_training_found(world: Path, tmp_path: Path) -> None:
    """Over two studies, by ranks inside each: a predictor that follows the difference has +1, its opposite -1; an arm
    without verdict does not count."""
    results = json.loads((world / "study/results.json").read_text())
    for shift, name in ((0.0, "one"), (0.3, "two")):
        arms = []
        for arm in results["arms"]:
            gap = (arm["difference"] or {}).get("top1")
            known = {"influence": gap["mean"] + shift, "kernel_distance": -gap["mean"], "vendi": 0.5} if gap else None
            arms.append({**arm, "predictors": known})
        odd = {**arms[-1], "name": "odd", "title": "odd", "predictors": {"influence": 99.0}}
        odd["difference"] = {"top1": {**(arms[1]["difference"]["top1"]), "mean": -1.0, "verdict": "no verdict"}}
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps({**results, "arms": [*arms, odd]}))
    files = write_tables(
        [tmp_path / "one", tmp_path / "two"], out=tmp_path / "out", formats=("csv",), options=Options()
    )  # fmt: skip
    ranks = {row["predictor"]: row for row in json.loads((tmp_path / "out/predictors.json").read_text())}
    assert ranks["influence"]["rank_correlation"] == pytest.approx(1)
    assert ranks["kernel_distance"]["rank_correlation"] == pytest.approx(-1)
    assert ranks["vendi"]["rank_correlation"] is None
    assert ranks["coverage"] == {"predictor": "coverage", "arms": 0, "rank_correlation": None}
    assert tmp_path / "out/predictors.md" in files
    assert "| influence | +1.00 |" in (tmp_path / "out/predictors.md").read_text()
