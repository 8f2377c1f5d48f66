"""The command line: what a user types, what a user sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from imaginate.cli import commands, main, parser_of
from worlds import folder


@pytest.fixture
def data(tmp_path: Path) -> str:
    return str(folder(tmp_path / "data", each=2))


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["--help"])
    assert done.value.code == 0
    shown = capsys.readouterr().out
    for name in commands():
        assert name in shown
        assert parser_of(name).format_help()


def test_expand_inspect_export(data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(tmp_path / "run")
    assert main(["expand", data, run, "--method", "randaugment", "--num-ops", "1", "--copies", "2", "--quiet"]) == 0
    assert "12 new images, 6 originals" in capsys.readouterr().out
    assert main(["inspect", run, "--sheet", str(tmp_path / "sheet.png")]) == 0
    shown = capsys.readouterr().out
    assert "12  synthetic" in shown
    assert "6  seeds with 2" in shown
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert main(["inspect", run, "--image", "000"]) == 0
    assert "rng_seed" in capsys.readouterr().out
    assert main(["export", run, str(tmp_path / "wds")]) == 0
    assert list((tmp_path / "wds").glob("*.tar"))


def test_a_recipe_file_and_flags_that_override_it(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.yaml").write_text(
        f"data: {{path: {data}}}\nmethod: {{name: cutout, size: 0.3}}\nexpand: {{copies: 3}}\n"
    )
    arguments = ["expand", str(tmp_path / "run"), "--recipe", str(tmp_path / "run.yaml"), "--copies", "1", "--quiet"]
    assert main([*arguments, "--fill", "7"]) == 0
    written = (tmp_path / "run" / "recipe.yaml").read_text()
    assert "size: 0.3" in written
    assert "fill: 7" in written
    assert "copies: 1" in written
    (tmp_path / "bad.yaml").write_text(f"data: {{path: {data}}}\nmethod: {{name: cutout, sise: 0.3}}\n")
    assert main(["expand", str(tmp_path / "x"), "--recipe", str(tmp_path / "bad.yaml")]) == 2
    assert "unknown setting of cutout: 'sise'; did you mean 'size'?" in capsys.readouterr().err


def test_plan_counts_and_writes_nothing(data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert main(["plan", data, "--method", "gridmask", "--copies", "4", "--shots", "1"]) == 0
    shown = capsys.readouterr().out
    assert "12 new images by gridmask" in shown
    assert "images/s" in shown
    assert sorted(tmp_path.rglob("*")) == before


def test_methods_tells_range_default_paper_and_equation(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "gridmask"]) == 0
    shown = capsys.readouterr().out
    for words in ("Chen et al. 2020", "--ratio", "in (0, 1)", "default 0.6", "[eq. 2]"):
        assert words in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["expnd"], "unknown command 'expnd'; did you mean 'expand'?"),
        (["expand", "DATA", "OUT"], "no method"),
        (["expand", "OUT", "--method", "cutout"], "no dataset"),
        (["expand", "DATA", "OUT", "--method", "cutot"], "did you mean 'cutout'?"),
        (["expand", "/no/such/place", "OUT", "--method", "cutout"], "/no/such/place"),
        (["expand", "DATA", "OUT", "--method", "cutout", "--size", "3"], "size must be in (0, 1], got 3"),
        (["expand", "DATA", "OUT", "--method", "cutout", "--size", "big"], "size must be float, got 'big'"),
        (["expand", "DATA", "OUT", "--method", "cutout", "--split", "tset"], "tset"),
        (["expand", "DATA", "OUT", "--method", "cutout", "--per-class", "9"], "per_class is for class-started methods"),
        (["expand", "DATA", "OUT", "--method", "cutout", "--filter", "nothing"], "unknown filter 'nothing'"),
        (["inspect", "/no/such/run"], "is not a run folder"),
        (["expand", "OUT", "--recipe", "/no/such.yaml"], "cannot read recipe /no/such.yaml"),
    ],
)
def test_bad_input_is_one_clear_line(
    arguments: list[str], words: str, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"DATA": data, "OUT": str(tmp_path / "out")}
    assert main([places.get(a, a) for a in arguments] + (["--quiet"] if arguments[0] == "expand" else [])) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert error.startswith("imaginate: ")
