"""`imaginate fit` as a user runs it: one-line errors, then the whole way from fit to expand."""

from __future__ import annotations

from pathlib import Path

import pytest

from imaginate.cli import main
from imaginate.models.adaptation import read_manifest
from worlds import folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit"], "give technique, dataset and output folder"),
        (["fit", "imagik", "a", "b"], "unknown technique 'imagik'; did you mean 'imagic'"),
        (["fit", "imagic", "a", "b", "--epochs", "0"], "epochs must be in [1, inf), got 0"),
        (["fit", "imagic", "a", "b", "--batch", "0"], "batch must be in [1, inf), got 0"),
        (["fit", "imagic", "a", "b", "--prior", "./none"], "prior folder not found: ./none"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr().err.strip()
    assert message in told
    assert len(told.splitlines()) == 1


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_fit_choose_and_expand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tiny import tiny_sd

    data, prior, out = str(folder(tmp_path / "data", each=6)), str(tiny_sd(tmp_path / "sd")), str(tmp_path / "fit")
    fit = ["fit", "textual-inversion", data, out, "--prior", prior, "--epochs", "2", "--batch", "4", "--quiet"]
    few = [
        "--sheet-steps",
        "2",
        "--held-out",
        "0.34",
        "--device",
        "cpu",
        "--select-arch",
        "small",
        "--select-size",
        "16",
    ]
    chosen = ["--select-by", "accuracy", "--select-per-class", "2", "--select-updates", "4"]
    assert main([*fit, *few, *chosen]) == 0
    manifest = read_manifest(out)
    assert manifest is not None
    assert manifest.finished
    assert manifest.chosen_by.startswith("validation accuracy: epoch-01")
    assert len(list((tmp_path / "fit" / "samples").glob("*.png"))) == 2
    again = ["expand", data, str(tmp_path / "run"), "--method", "textual-inversion", "--prior", prior, "--steps", "2"]
    assert main([*again, "--adaptation", out, "--per-class", "2", "--device", "cpu", "--quiet"]) == 0
    assert "6 new images" in capsys.readouterr().out
    other = ["expand", data, str(tmp_path / "no"), "--method", "imagic", "--prior", prior, "--device", "cpu", "--quiet"]
    assert main([*other, "--adaptation", out, "--per-class", "2"]) == 2
    assert "must be made by `imaginate fit imagic`" in capsys.readouterr().err
