"""`imaginate fit` as a user runs it: one-line errors, then the whole way from fit to expand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imaginate.cli import main, parser_of
from imaginate.cli.fit import hint
from imaginate.models.adaptations.folder import read_manifest
from worlds import folder

CHOOSE = ["fit", "imagic", "a", "b", "--select-by", "accuracy"]  # told before the fit, which may take hours


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit"], "give technique, dataset and output folder"),
        (["fit", "imagik", "a", "b"], "unknown technique 'imagik'; did you mean 'imagic'"),
        (["fit", "imagic", "a", "b", "--epochs", "0"], "epochs must be in [1, inf), got 0"),
        (["fit", "imagic", "a", "b", "--batch", "0"], "batch must be in [1, inf), got 0"),
        (["fit", "imagic", "a", "b", "--prior", "./none"], "prior folder not found: ./none"),
        (["fit", "imagic", "a", "b", "--epoch", "3"], "unrecognized arguments: --epoch 3; did you mean '--epochs'?"),
        (["fit", "imagic", "a", "b", "--select-by", "eye"], "invalid choice: 'eye'"),
        ([*CHOOSE, "--held-out", "0"], "select-by accuracy needs held-out images, got held_out 0"),
        ([*CHOOSE, "--select-method", "imagik"], "unknown method 'imagik'; did you mean 'imagic'"),
        ([*CHOOSE, "--select-arch", "resnet19d"], "unknown arch 'resnet19d'; did you mean"),
        ([*CHOOSE, "--select-per-class", "0"], "select-per-class must be in [1, inf), got 0"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr().err.strip()
    assert message in told
    assert len(told.splitlines()) == 1


def test_a_refiner_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = {"_class_name": "StableDiffusionXLImg2ImgPipeline", "_diffusers_version": "0.30.0"}
    there = {"unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]}
    (tmp_path / "model_index.json").write_text(json.dumps({**index, **there, "text_encoder": [None, None]}))
    assert main(["fit", "textual-inversion", "a", str(tmp_path / "out"), "--prior", str(tmp_path)]) == 2
    told = capsys.readouterr().err.strip()
    assert len(told.splitlines()) == 1
    assert "is an SDXL refiner, without the first text encoder: give the base checkpoint instead" in told


def test_what_to_do_next_is_a_command_that_works(tmp_path: Path) -> None:
    given = ["imagic", "my birds", str(tmp_path), "--split", "train", "--shots", "4", "--prior", "nano"]
    args = parser_of("fit", given).parse_args(given)
    line = (
        f"imaginate expand 'my birds' RUN --method imagic --prior nano --adaptation {tmp_path} --split train --shots 4"
    )
    assert hint(args) == f"next: {line}"
    (tmp_path / "samples").mkdir()
    assert hint(args) == f"look at {tmp_path}/samples, then: {line}"


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


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    ("technique", "method"),
    [
        ("ft-conditioning", "ft-conditioning"),
        ("ft-cluster", "ft-cluster"),
        ("imagic", "imagic"),
        ("textual-inversion", "textual-inversion"),
        ("textual-inversion", "da-fusion"),
        ("pseudoword-dm", "pseudoword-dm"),
        ("dreambooth", "prompt"),
        ("dreambooth", "sd"),
    ],
)
def test_sdxl_from_fit_to_images(
    technique: str, method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tiny import tiny_clip, tiny_sdxl

    data, prior, out = str(folder(tmp_path / "data", each=6)), str(tiny_sdxl(tmp_path / "xl")), str(tmp_path / "fit")
    more = ["--backbone", str(tiny_clip(tmp_path / "clip"))] if technique == "ft-cluster" else []
    more = ["--text-encoder"] if technique == "dreambooth" else more
    few = ["--epochs", "1", "--batch", "4", "--sheet-steps", "2", "--device", "cpu", "--quiet"]
    assert main(["fit", technique, data, out, "--prior", prior, *few, *more]) == 0
    assert (tmp_path / "fit" / "samples" / "epoch-01.png").is_file()
    asked = ["expand", data, str(tmp_path / "run"), "--method", method, "--prior", prior, "--adaptation", out]
    count = ["--copies", "1", "--steps", "8"] if method in ("da-fusion", "sd") else ["--per-class", "2", "--steps", "2"]
    assert main([*asked, *count, "--device", "cpu", "--quiet"]) == 0
    wanted = 18 if method in ("da-fusion", "sd") else 6
    assert f"{wanted} new images" in capsys.readouterr().out
