"""The pages stay true where a machine can tell: links lead somewhere, imports exist, the example of a method is one."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from imaginate import methods, registry
from imaginate.data.place import examine
from imaginate.records import Part, Request

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")
IMPORT = re.compile(r"^\s*(?:>>> )?from (imaginate[\w.]*) import ([\w, ]+)", re.MULTILINE)


def snippets(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    for place, heading in LINK.findall(page.read_text(encoding="utf-8")):
        there = (page.parent / place) if place else page
        assert there.exists(), place
        assert not heading or heading in anchors(there), f"{place}#{heading}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_in_the_pages_is_python_and_imports_what_there_is(page: Path) -> None:
    for code in snippets(page):
        compile(code, page.name, "exec")
    for module, names in IMPORT.findall(page.read_text(encoding="utf-8")):
        found = importlib.import_module(module)
        for name in names.replace(" ", "").split(","):
            assert hasattr(found, name) or importlib.import_module(f"{module}.{name}"), f"{module}.{name}"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of CONTRIBUTING's method, laid down as a file among the methods."""
    (code,) = (code for code in snippets(ROOT / "CONTRIBUTING.md") if "class Posterise" in code)
    (tmp_path / "posterise.py").write_text(code, encoding="utf-8")
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    registry.names.cache_clear()
    yield "posterise"
    registry.names.cache_clear()


def test_the_method_of_contributing_runs_as_it_is_printed(example: str) -> None:
    assert example in registry.names("methods")
    assert "highest bits" in registry.summary(registry.find("methods", example))
    image = torch.arange(256, dtype=torch.uint8).view(1, 16, 16).repeat(3, 1, 1)
    request = Request(key="a", label=0, copies=(0, 1), seeds=(5, 6), image=image)
    made = registry.make("methods", example, {"bits": 3}).expand([request], None)  # type: ignore[arg-type]
    assert [(c.copy, c.seed) for c in made] == [(0, 5), (1, 6)]
    for candidate in made:
        assert torch.equal(candidate.image, image // 32 * 32)


IMPORTS = """
from __future__ import annotations
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal
from torch import Tensor
from torch.nn import functional as F
from imaginate.contract import Context, GuideSetup
from imaginate.data.labelling import Labeller
from imaginate.data.sources.file import FileSource
from imaginate.evaluation.metrics.core.measurement import Findings, Measured, Need, Number
from imaginate.ops.batching import to_float
from imaginate.records import Candidate, Listing, Part, Place, Request, Sample, Skipped, Verdict
from imaginate.settings import check, setting
"""


@pytest.mark.parametrize(
    ("kind", "name", "start"),
    [
        ("filters", "bright", "Keeps an image that is not too dark."),
        ("metrics", "spread", "The mean distance of the new images' features from their mean."),
        ("guides", "mean-colour", "Compares the mean colour of an image"),
    ],
)
def test_the_other_members_of_contributing_are_found_as_they_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: registry.Kind, name: str, start: str
) -> None:
    code = next(code for code in snippets(ROOT / "CONTRIBUTING.md") if start in code)
    (tmp_path / f"{name.replace('-', '_')}.py").write_text(IMPORTS + code, encoding="utf-8")
    room = importlib.import_module(registry.ROOMS[kind][0])
    monkeypatch.setattr(room, "__path__", [*room.__path__, str(tmp_path)])
    registry.names.cache_clear()
    try:
        assert name in registry.names(kind)
        assert registry.summary(registry.find(kind, name)).startswith(start)
    finally:
        registry.names.cache_clear()
    assert len(code.strip().splitlines()) < 22, "an example is about fifteen lines"


def test_the_reader_of_contributing_runs_as_it_is_printed(tmp_path: Path) -> None:
    (code,) = (code for code in snippets(ROOT / "CONTRIBUTING.md") if "class Pairs" in code)
    names: dict[str, Any] = {"__name__": "pairs"}
    exec(compile(code, "CONTRIBUTING.md", "exec"), names)
    for name, word in {"a": "cat", "b": "dog", "c": "cat", "d": None}.items():
        (tmp_path / f"{name}.png").write_bytes(name.encode())
        if word:
            (tmp_path / f"{name}.txt").write_text(word + "\n")
    reader, place = names["Pairs"](), examine(str(tmp_path))
    assert reader.recognises(place)
    found = reader.read(place, Part())
    assert [(s.id, found.labels.names[s.label]) for s in found.samples] == [
        ("a.png", "cat"), ("b.png", "dog"), ("c.png", "cat"),
    ]  # fmt: skip
    assert [s.source.read() for s in found.samples] == [b"a", b"b", b"c"]
    assert [(s.id, s.reason) for s in found.skipped] == [("d.png", "no label")]


def _gap(mean: float, p: float) -> dict[str, object]:
    verdict = "gain" if mean > 0 else "loss"
    half = 0.01
    return {
        "mean": mean, "low": mean - half, "high": mean + half, "verdict": verdict, "p": p, "p_holm": p,
        "smallest": 0.02,
    }  # fmt: skip


def test_the_page_of_the_laboratory_says_of_each_claim_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "lab"))
    value = {"mean": 0.5, "se": 0.01, "n": 11}
    arms = [
        {
            "name": name, "kind": kind, "method": None, "ratio": 4.0, "images": {"real": 0}, "top1": value,
            "seconds": 1.0, "mean_per_class": value, "predictors": None, "difference": gap,
        }
        for name, kind, gap in (
            ("original", "original", None), ("gif-mae", "run", _gap(0.03, 0.001)), ("mae", "run", _gap(-0.03, 0.2)),
        )
    ]  # fmt: skip
    record = {
        "protocol": {"arch": "probe:x", "image_size": 112, "updates": 1, "seeds": 11}, "arms": arms, "controls": None,
        "data": {"train": 8, "validation": 2, "held_out": 9}, "removed": 0, "missing": {"cutout": "not run yet"},
        "worth": [{"arm": "gif-mae", "value": 4.0, "low": -8.0, "high": None}],
        "pairs": {
            "gif-mae|mae": _gap(0.06, 0.001), "gif-mae|original": _gap(-0.03, 0.01),
            "gif-mae|randaugment": _gap(0.0, 0.9),
        },
    }  # fmt: skip
    broken = {**record, "arms": [{**arms[1], "corruption": _gap(0.02, 0.01)}]}
    learners = {"probe": record, "robustness": broken}
    found = {"targets": {"flowers102": {"title": "Flowers-102", "learners": learners}}}
    page = importlib.import_module("page")
    page.write_page(found, tmp_path / "results.md")
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    for place, heading in LINK.findall(text):
        assert heading in anchors(ROOT / "docs" / place) if heading else (ROOT / "docs" / place).exists()
    rows = {row.split(":")[0][2:]: row for row in text.splitlines() if row.startswith("| C")}
    assert "**shown** here (1 of 1 comparisons, no loss)" in rows["C2"]
    assert "**refuted** here (1 of 1 comparisons are losses" in rows["C1"]
    assert "**open** here" in rows["C3"]
    assert "**shown** here (1 of 1 comparisons, no loss) | Flowers-102: gif-mae - original +2.0" in rows["C9"]
    assert "**refuted** here" in rows["C10"]
    assert "Better than the originals: gif-mae +3.0. Worse: none. No difference shown: 1;" in text
    assert "+50 % of the originals (-100 to ?)" in text
    assert "Flowers-102, probe, not run yet: cutout" in text


def test_the_page_of_the_laboratory_is_that_of_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "lab"))
    found = json.loads((ROOT / "benchmarks/results/lab.json").read_text(encoding="utf-8"))
    importlib.import_module("page").write_page(found, tmp_path / "results.md")
    assert (tmp_path / "results.md").read_text() == (ROOT / "docs" / "results.md").read_text()


TRANSLATED = r"told|knock|insist|insists|march|marches|beside|lies|settle|settles|settled|company|whence|therein"


def test_code_and_pages_are_in_plain_english() -> None:
    """Words that read like a translation stay away. (`lie` as a verb of images; say "is at", "is in".)"""
    found = []
    for path in sorted([*(ROOT / "src").rglob("*.py"), *PAGES, *(ROOT / "benchmarks").rglob("*.py")]):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(rf"\b({TRANSLATED})\b", line, re.IGNORECASE):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert found == []


def test_every_row_of_the_papers_names_files_and_tests_that_exist() -> None:
    """docs/fidelity.md: each row has a place in the code and a test of it, or says that it was not measured."""
    page = (ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8")
    defined = set[str]()
    for path in (ROOT / "tests").rglob("test_*.py"):
        defined |= set(re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| ") and not line.startswith("| row |")]
    rows = [cells for cells in rows if set("".join(cells)) - set("| -")]
    assert len(rows) > 80
    for cells in rows:
        assert len(cells) in (4, 5), cells[0]
        assert set(re.findall(r"`(test_\w+)`", cells[3])) or "not measured" in cells[3], cells[0]
    assert set(re.findall(r"`(test_\w+)`", page)) - defined == set()
    for place in re.findall(r"`([\w*-]+/[\w*/.-]+)`", page):
        assert any((ROOT / home).glob(place) for home in ("src/imaginate", ".")), place


def test_which_method_when_follows_the_laboratory() -> None:
    spec = importlib.util.spec_from_file_location("choose", Path(__file__).parents[1] / "docs" / "choose.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def arm(name: str, mean: float, verdict: str, p: float) -> dict[str, object]:
        gap = {"mean": mean, "verdict": verdict, "p": p, "p_holm": p}
        return {"name": name, "difference": gap, "predictors": None}

    arms = [arm("mix", 0.031, "gain", 0.01), arm("gif-sd", -0.2, "loss", 0.01), arm("sd", 0.05, "gain", 0.3)]
    record = {"arms": arms, "controls": {"can_judge": True}}
    blind = {"arms": [arm("mix", 0.5, "gain", 0.01)], "controls": {"can_judge": False}}
    learners = {"finetune": record, "scratch": blind}
    page = module.choose_page({"targets": {"x": {"title": "Roses", "learners": learners}}})
    assert "`mix` **+3.1** (Roses, fine-tuned)" in page
    assert "`gif-sd` *-20.0* (Roses, fine-tuned)" in page
    assert "`sd` +5.0 (Roses, fine-tuned)" in page
    assert "+50" not in page
    assert "not measured yet" in page
