"""The README's lines work as they are typed: every command is one that the parser takes, and the quick ones are run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from imaginate.cli import commands, main, parser_of
from imaginate.cli._flags import take
from imaginate.evaluation.protocol import Protocol
from imaginate.settings import build
from worlds import folder

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = ["tutorial", *sorted(path.stem for path in (ROOT / "docs").glob("task-*.md"))]


def joined(block: str) -> list[str]:
    """The lines of a block; one that ends with a backslash goes on in the next."""
    return block.replace("\\\n", " ").splitlines()


def lines(text: str) -> list[list[str]]:
    """The words of every line of its blocks of shell."""
    blocks = re.findall(r"^```bash\n(.*?)^```", text, re.M | re.S)
    every = [shlex.split(line, comments=True) for block in blocks for line in joined(block)]
    return [words for words in every if words]


LINES = lines(TEXT)
SPANS = [shlex.split(span) for span in re.findall(r"`(imaginate [a-z][^`]*)`", TEXT) if "..." not in span]


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_a_line_of_the_readme_is_a_command_that_there_is(words: list[str]) -> None:
    if words[0] == "imaginate":
        parser_of(words[1], words[2:]).parse_intermixed_args(words[2:])
    elif words[0] == "make":
        assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
    else:
        assert words == ["pip", "install", "-e", ".[all]"]


@pytest.mark.parametrize("page", PAGES)
def test_the_lines_of_the_tutorial_and_of_the_tasks_are_commands_that_there_are(page: str) -> None:
    found = [one for one in lines((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")) if one[0] == "imaginate"]
    assert found
    for words in found:
        if words[1] == "pool":
            parser_of("pool").parse_args(words[2:])
        else:
            parser_of(words[1], words[2:]).parse_intermixed_args(words[2:])


@pytest.mark.parametrize("page", PAGES)
def test_a_study_of_a_page_names_its_held_out_images(page: str) -> None:
    """What the parser takes can still be refused by the protocol."""
    found = [one for one in lines((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")) if "compare" in one[:2]]
    for words in found:
        args = parser_of("compare", words[2:]).parse_intermixed_args(words[2:])
        protocol = build(Protocol, {"data": args.data, "held_out": None, **take(args, Protocol)}, where="compare")
        assert protocol.folds or protocol.held_out_split


@pytest.mark.parametrize("words", SPANS, ids=" ".join)
def test_a_command_in_the_text_is_one_that_there_is(words: list[str]) -> None:
    assert words[1] in commands()
    known = {flag for action in parser_of(words[1], words[2:])._actions for flag in action.option_strings}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.integration
def test_the_first_commands_and_the_python_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "flowers", each=3)
    run = [words[1:] for words in LINES if words[:1] == ["imaginate"]]
    assert [words[0] for words in run] == ["plan", "expand", "inspect"]
    for words in run:
        assert main(words) == 0
    (code,) = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)
    exec(compile(code, "README.md", "exec"), {})
    assert len(list((tmp_path / "flowers-x5" / "images").rglob("*.png"))) == 9 + 45
    import torchvision

    assert len(torchvision.datasets.ImageFolder("flowers-x5/images")) == 54
