"""What every command takes: --config, --quiet, --verbose, --log-file, and help that begins with the first flags."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import subprocess
from pathlib import Path
from typing import Any

import pytest

from imaginate.cli import GROUPS, commands, main, parser_of
from imaginate.cli._common import sub_parsers
from imaginate.progress import bar
from worlds import folder

FIRST = {name: importlib.import_module(f"imaginate.cli.{name.replace('-', '_')}") for name in commands()}
SHORT = [name for name, module in FIRST.items() if "FIRST" in vars(module)]


@pytest.fixture
def data(tmp_path: Path) -> str:
    return str(folder(tmp_path / "data", each=2))


def test_every_command_is_in_one_group() -> None:
    named = [name for names in GROUPS.values() for name in names]
    assert sorted(named) == sorted(commands())


@pytest.mark.parametrize("name", SHORT)
def test_help_begins_with_flags_that_there_are_and_help_all_has_every_one(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = parser_of(name)
    options = {flag for flag in parser._option_string_actions if flag.startswith("--")}
    assert set(FIRST[name].FIRST) <= options
    short = parser.format_help()
    assert f"more flags: imaginate {name} --help-all" in short
    assert main([name, "--help-all"]) == 0
    whole = capsys.readouterr().out
    assert len(short) < 0.75 * len(whole)
    assert all(flag in whole for flag in options if not flag.startswith("--no-"))
    assert parser.format_help() == short


def test_help_of_a_named_method_shows_its_flags() -> None:
    assert "--num-ops" in parser_of("expand", ["--method", "randaugment"]).format_help()


@pytest.mark.parametrize("name", commands())
def test_every_command_has_the_common_flags(name: str) -> None:
    parser = parser_of(name)
    for one in [*sub_parsers(parser).values()] or [parser]:
        assert {"--config", "--quiet", "--verbose", "--log-file", "--json"} <= one._option_string_actions.keys()


def test_flags_from_a_file_and_flags_that_override_them(data: str, tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("method: randaugment\nnum-ops: 1\ncopies: 3\nshots: 1\nfilter: [quality]\nkeep_rejected: true\n")
    assert main(["expand", data, str(tmp_path / "run"), "--config", str(config), "--copies", "2", "--quiet"]) == 0
    recipe = (tmp_path / "run" / "recipe.yaml").read_text()
    for line in ("name: randaugment", "num_ops: 1", "copies: 2", "shots: 1", "name: quality", "keep_rejected: true"):
        assert line in recipe


def test_a_list_gives_a_flag_more_than_once_where_it_may_be_and_a_subcommand_has_its_own(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "study.yaml"
    config.write_text(f"arm: [original, duplicate]\nout: {tmp_path / 'study'}\nheld_out: {data}\narch: no-such\n")
    assert main(["compare", data, "--config", str(config)]) == 2
    assert "no-such" in capsys.readouterr().err
    pool = tmp_path / "pool.yaml"
    pool.write_text("json: true\n")
    assert main(["pool", "info", str(tmp_path / "nothing"), "--config", str(pool)]) == 2
    assert "nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("copeis: 3\n", "imaginate expand has no flag --copeis; did you mean '--copies'?"),
        ("- 3\n", "must hold flags by name, such as `copies: 5`"),
        ("a: [\n", "is not YAML"),
        ("expand: {copies: 3}\n", "has no flag --expand"),
        ("copies: {a: 3}\n", "copies is a section; a whole recipe is given with --recipe"),
        ("keep-rejected: maybe\n", "keep-rejected must be true or false, got 'maybe'"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text(text)
    assert main(["expand", data, str(tmp_path / "run"), "--method", "cutout", "--config", str(config)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_remarks_go_to_a_log_file_and_the_lesser_ones_are_said_where_that_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(args: argparse.Namespace) -> int:
        log = logging.getLogger("imaginate")
        log.warning("a remark")
        log.info("a lesser one")
        with bar("work", 3) as shown:
            shown.advance(3)
        return 0

    monkeypatch.setattr("imaginate.cli.methods.run", run)
    log = tmp_path / "log.txt"
    assert main(["methods", "--quiet", "--log-file", str(log)]) == 0
    assert capsys.readouterr().err == "note: a remark\n"
    assert [line.split(" ", 2)[2] for line in log.read_text().splitlines()] == ["WARNING a remark", "INFO a lesser one"]
    assert main(["methods", "--quiet", "--verbose"]) == 0
    assert capsys.readouterr().err == "note: a remark\nnote: a lesser one\n"
    assert main(["methods"]) == 0
    assert "work" in capsys.readouterr().err
    assert main(["methods", "--log-file", str(tmp_path / "no" / "log")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_a_shell_completes_commands_and_flags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab")
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "imaginate"
    script.write_text(capsys.readouterr().out)
    ask = (
        f"source {script}; f() {{ COMP_WORDS=(imaginate $@); COMP_CWORD=$#; $(complete -p imaginate | "
        "sed 's/.*-F \\([^ ]*\\) .*/\\1/'); echo ${COMPREPLY[@]}; }; f exp; f expand --co"
    )
    shown = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True).stdout.splitlines()
    assert "expand" in shown[0].split()
    assert {"--copies", "--config"} <= set(shown[1].split())
    assert main(["completion", "dosh"]) == 2
    assert "no completion for 'dosh'" in capsys.readouterr().err


QUICK = {  # command -> words behind it, and what has to be in its JSON; DATA, RUN and NEW are folders
    "adopt": (["DATA", "NEW", "--data", "DATA"], {"kept": 6, "originals": 6}),
    "cache": ([], {"entries": 0}),
    "completion": (["bash"], {"shell": "bash"}),
    "expand": (["DATA", "NEW", "--method", "cutout", "--copies", "1"], {"kept": 6, "rejected": {}}),
    "export": (["RUN", "NEW", "--format", "csv"], {"images": 12, "format": "csv", "pushed": None}),
    "inspect": (["RUN"], {"origins": {"original": 6, "synthetic": 6}, "is_finished": True}),
    "methods": (["cutout"], {"name": "cutout", "needs": []}),
    "plan": (["DATA", "--method", "cutout", "--copies", "2"], {"new": 12, "method": "cutout"}),
    "refilter": (["RUN", "--filter", "quality"], {"judged": 6, "dry_run": False}),
    "report": (["RUN"], {}),
}


@pytest.mark.parametrize("name", QUICK)
def test_json_is_all_that_is_printed_and_the_other_common_flags_work_too(
    name: str, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "completion":
        pytest.importorskip("shtab")
    words, values = QUICK[name]
    run = str(tmp_path / "run")
    if "RUN" in words:
        assert main(["expand", data, run, "--method", "cutout", "--copies", "1", "--quiet"]) == 0
    capsys.readouterr()
    (tmp_path / "flags.yaml").write_text("json: true\nquiet: true\n")
    there = {"DATA": data, "RUN": run, "NEW": str(tmp_path / "new")}
    common = ["--config", str(tmp_path / "flags.yaml"), "--log-file", str(tmp_path / "log.txt"), "--verbose"]
    assert main([name, *(there.get(word, word) for word in words), *common]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert {key: found[key] for key in values} == values
    assert "\u2501" not in said.err  # no bar
    assert (tmp_path / "log.txt").exists()


@pytest.mark.integration
def test_json_of_commands_that_train_and_measure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split in ("train", "test"):
        folder(tmp_path / "data" / split, ("ant", "bee", "cow"), each=6)
    data, model, run = str(tmp_path / "data"), str(tmp_path / "model"), str(tmp_path / "run")

    def answer(*words: str) -> Any:
        capsys.readouterr()
        assert main([*words, "--verbose"]) == 0
        return json.loads(capsys.readouterr().out)

    answer("expand", data, run, "--method", "cutout", "--copies", "1", "--json")
    assert answer("train", data, "--out", model, "--arch", "small", "--updates", "4", "--json")["updates"] == 4
    assert len(answer("predict", model, data, "--split", "test", "--json")["rows"]) == 18
    study = ["compare", data, "--held-out", data, "--held-out-split", "test", "--arm", "original", "--out"]
    found = answer(*study, str(tmp_path / "study"), "--seeds", "2", "--allow-leak", "--arch", "probe:nano", "--json")
    assert {arm["name"] for arm in found["arms"]} >= {"original"}
    assert answer("evaluate", run, "--against", data, "--features", "nano", "--json")["metrics"]
    assert answer("guide", data, "--guide", "nano", "--json", "-")["accuracy"] >= 0
    assert answer("pool", "build", str(tmp_path / "pool"), data, "--guide", "nano", "--json")["added"] > 0
    assert answer("pool", "info", str(tmp_path / "pool"), "--json")
    assert len(answer("pool", "search", str(tmp_path / "pool"), "an ant", "--limit", "3", "--json")["rows"]) == 3
    assert answer("inspect", data, "--json")["splits"] == {"train": 18, "test": 18}
    assert answer("inspect", run, "--licences", "--json")[0]["what"] == "seeds"
    assert answer("inspect", run, "--image", "000", "--json")[0]["in_words"]
