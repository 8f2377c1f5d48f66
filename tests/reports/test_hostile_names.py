"""Names from data in the pages that imaginate writes: they are text, and nothing else."""

from __future__ import annotations

import base64
import csv
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import imaginate
from imaginate.reports import write_report
from imaginate.reports.tables import to_markdown

NAMES = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><svg onload=alert(1)>', "a|b", "a\nb", "```",
    "![x](http://far.example/p.png)", "javascript:alert(1)", "{{ 7 * 7 }}", "'; alert(1); '", "</title><b>", "a\u2028b",
]  # fmt: skip


class _Page(HTMLParser):
    """What a browser would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.wrong: list[str] = []
        self.policy = ""
        self.texts: list[str] = []
        self._tag = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect policy and what should not be there."""
        self._tag = tag
        given = dict(attrs)
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given.get("content") or ""
        self.wrong += [f"{tag} {name}" for name in given if name.startswith("on")]
        for name in ("src", "href", "action", "srcset", "data", "xlink:href"):
            value = given.get(name)
            if value is not None and value != "data:," and not value.startswith(("data:image/", "#")):
                self.wrong.append(f"{tag} {name}={value}")
        if tag in ("iframe", "object", "embed", "base", "form"):
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        """Collect scripts, and all other text."""
        (self.scripts if self._tag == "script" else self.texts).append(data)

    def handle_endtag(self, tag: str) -> None:
        """The text after a tag is no script."""
        self._tag = ""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of classes with these names, from files with such names."""
    root = tmp_path_factory.mktemp("names")
    rows = []
    for number, name in enumerate(NAMES):
        file = f"{number}-{name.replace('/', '-')}.png"
        pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(root / file)
        rows.append([file, name])
    with (root / "m.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["file_name", "label"], *rows])
    imaginate.expand(str(root / "m.csv"), root / "run", "duplicate", copies=1, progress=False)
    return root / "run"


def test_a_page_loads_and_runs_nothing_that_a_name_says(run: Path, tmp_path: Path) -> None:
    (file,) = write_report(run, out=tmp_path)
    page = _Page()
    page.feed(file.read_text(encoding="utf-8"))
    assert page.wrong == []
    assert len(page.scripts) == 1
    digest = base64.b64encode(hashlib.sha256(page.scripts[0].encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in page.policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'sha256-{digest}'"
    assert rules["img-src"] == "data:"
    shown = "".join(page.texts)
    assert all(name in shown for name in NAMES if "\n" not in name and "\u2028" not in name)


def test_the_card_of_a_run_keeps_a_name_in_its_cell(run: Path) -> None:
    text = (run / "README.md").read_text(encoding="utf-8")
    table = text.split("## Classes\n\n", 1)[1].split("\n\n", 1)[0]
    lines = re.split(r"[\n\x85\u2028\u2029]", table)
    assert len(lines) == 2 + len(NAMES)
    assert all(line.count("|") == 4 for line in lines)
    assert "<script" not in table
    assert "](http" not in table


def test_the_seeds_of_a_run_are_one_a_line(run: Path) -> None:
    lines = (run / "shards" / "seeds.sha256").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(NAMES)
    assert all(re.match(r"[0-9a-f]{64}  .", line) for line in lines)


def test_a_report_takes_the_place_of_a_planted_link(run: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.html").symlink_to(victim)
    write_report(run, out=tmp_path / "out")
    assert victim.read_text() == "mine"
    assert not (tmp_path / "out" / "report.html").is_symlink()


@pytest.mark.parametrize("name", NAMES)
def test_a_cell_of_markdown_is_one_cell(name: str) -> None:
    line = to_markdown([["arm", "x"], [name, "1"]], "note").split("\n")[2]
    assert len(re.split(r"(?<!\\)\|", line)) == 4
    assert "<" not in line
    assert "](" not in line
