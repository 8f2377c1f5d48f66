"""The command line: what a user types, what a user sees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import imaginate
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
        (["expand", "DATA", "out", "--method", "cutout", "--balance", "to:200"], "to:200 is no path: --balance-to 200"),
        (["expand", "DATA", "--method", "cutout"], "OUT is missing: imaginate expand DATA OUT --method NAME"),
        (["expand", "--method", "cutout"], "give the dataset and the output folder: imaginate expand DATA OUT"),
        (["expand", "DATA", "OUT", "more", "--method", "cutout"], "give the dataset and the output folder"),
        (["expand", "DATA", "OUT", "--method", "cutot"], "did you mean 'cutout'?"),
        (["expand", "/no/such/place", "OUT", "--method", "cutout"], "/no/such/place"),
        (["expand", "DATA", "OUT", "--method", "cutout", "--size", "3"], "size must be in (0, 1], got 3"),
        (["expand", "DATA", "OUT", "--method", "cutout", "--size", "big"], "size must be float, got 'big'"),
        (["expand", "DATA", "OUT", "--method", "cutout", "--split", "tset"], "tset"),
        (["expand", "DATA", "OUT", "--method", "cutout", "--per-class", "9"], "per_class is for class-started methods"),
        (["expand", "DATA", "OUT", "--method", "cutout", "--filter", "nothing"], "unknown filter 'nothing'"),
        (["inspect", "/no/such/run"], "is not a run folder"),
        (["expand", "OUT", "--recipe", "/no/such.yaml"], "cannot read recipe /no/such.yaml"),
        (["expand", "DATA", "/proc/x", "--method", "cutout"], "cannot write /proc/x: "),
        (["expand", "DATA", "foo://x", "--method", "cutout"], "cannot open foo://x: "),
        (["expand", "DATA", "OUT", "--method", "cutout", "--filter", "quality:side"], "side needs a value: side=..."),
        (["expand", "DATA", "OUT", "--method", "cutout", "--filter", "quality:sid=3"], "did you mean 'side'?"),
        (["expand", "DATA", "OUT", "--method", "cutout", "--magnitude", "3"], "--magnitude is a flag of randaugment"),
        (["expand", "DATA", "OUT", "--method", "cutout", "--ratio=3"], "--ratio is a flag of"),
        (["expand", "DATA", "OUT", "--method", "cutout", "--copys", "3"], "did you mean '--copies'?"),
        (["methods", "quality"], "quality is a filter: imaginate methods --filters quality"),
        (["methods", "--filters", "cutout"], "cutout is a method: imaginate methods cutout"),
        (["methods", "cutot"], "did you mean 'cutout'?"),
        (["expand", "OUT", "--recipe", "RECIPE"], "no dataset: imaginate expand DATA OUT"),
        (["expand", "OUT", "--recipe", "RECIPE", "--split", "x"], "no dataset: imaginate expand DATA OUT"),
        (["plan", "--method", "cutout"], "no dataset: imaginate plan DATA"),
        (["demo", "FILE"], "cannot write FILE: a part of the path is a file"),
    ],
)
def test_bad_input_is_one_clear_line(
    arguments: list[str], words: str, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "run.yaml").write_text("method: cutout\ndata:\n")
    places = {name: str(tmp_path / part) for name, part in (("OUT", "out"), ("FILE", "file"), ("RECIPE", "run.yaml"))}
    places["DATA"] = data
    assert main([places.get(a, a) for a in arguments] + (["--quiet"] if arguments[0] == "expand" else [])) == 2
    error = capsys.readouterr().err
    assert words.replace("DATA", data, words.startswith("OUT is missing")).replace("FILE", places["FILE"]) in error
    assert error.count("\n") == 1
    assert error.startswith("imaginate: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["DATA", "--method", "cutout", "OUT", "--copies", "1"],
        ["--method", "cutout", "DATA", "--copies", "1", "OUT"],
        ["--method=cutout", "--copies=1", "DATA", "OUT"],
    ],
)
def test_flags_may_stand_between_the_paths(arguments: list[str], data: str, tmp_path: Path) -> None:
    places = {"DATA": data, "OUT": str(tmp_path / "out")}
    assert main(["expand", *(places.get(a, a) for a in arguments), "--quiet"]) == 0
    assert (tmp_path / "out" / "metadata.parquet").exists()


def test_flags_may_stand_between_the_paths_of_every_command(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "imagic", data, "--prior", "nano", str(tmp_path / "out"), "--device", "foo"]) == 2
    assert "device 'foo' cannot be used" in capsys.readouterr().err


def test_a_stop_is_told_as_one(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from imaginate.engine.shard import ShardWorker

    def stopped(self: ShardWorker, number: int) -> dict[str, object]:
        raise KeyboardInterrupt

    monkeypatch.setattr(ShardWorker, "make", stopped)
    assert main(["expand", data, str(tmp_path / "run"), "--method", "cutout", "--quiet"]) == 130
    told = capsys.readouterr().err
    assert told == "imaginate: stopped with 0 of 1 shards done; the same command goes on from there\n"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--sheet", "/proc/x.png"], "cannot write /proc/x.png: "),
        (["--sheet", "FOLDER"], "cannot write FOLDER: "),
        (["--sheet", "PNG", "--rows", "0"], "rows must be in [1, inf), got 0"),
    ],
)
def test_a_sheet_that_cannot_be_drawn_is_one_line(
    flags: list[str], words: str, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, places = str(tmp_path / "run"), {"PNG": str(tmp_path / "a.png"), "FOLDER": str(tmp_path)}
    assert main(["expand", data, run, "--method", "cutout", "--copies", "1", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["inspect", run, *(places.get(f, f) for f in flags)]) == 2
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert words.replace("FOLDER", places["FOLDER"]) in shown.err
    assert not (tmp_path / "a.png").exists()


def test_flags_and_keywords_make_one_recipe(data: str, tmp_path: Path) -> None:
    """The command line and the library sort settings into a recipe by the same rule."""
    from imaginate.cli._recipe import recipe_values
    from imaginate.engine.gather import gather

    (tmp_path / "run.yaml").write_text("method: {name: cutout, size: 0.3}\nexpand:\nwrite: {format: webp}\n")
    words = ["--recipe", str(tmp_path / "run.yaml"), "--copies", "2", "--fill", "7", "--filter", "quality:side=3"]
    parser = parser_of("expand", words)
    given = {"copies": "2", "fill": "7", "filters": [{"name": "quality", "side": "3"}]}
    base = {"method": {"name": "cutout", "size": 0.3}, "expand": None, "write": {"format": "webp"}}
    assert recipe_values(parser.parse_args(words), data) == gather(base, data, None, given)


@pytest.mark.integration
def test_any_name_on_any_terminal(tmp_path: Path) -> None:
    """A terminal that is not UTF-8 gets question marks; a file system encoding of ASCII is not used."""
    import os
    import subprocess

    from PIL import Image

    for name, colour in (("日本", "red"), ("b", "blue")):
        (tmp_path / "d" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8), colour).save(tmp_path / "d" / name / "0.png")
    quiet = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "PYTHON", "LANG"))}
    ascii_only = {**quiet, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    program = [sys.executable, "-c", "from imaginate.cli import main; raise SystemExit(main())"]
    source = {"PYTHONPATH": os.path.dirname(os.path.dirname(imaginate.__file__))}
    expand = [*program, "expand", "d", "run", "--method", "duplicate", "--copies", "1", "--quiet"]
    subprocess.run(expand, env={**ascii_only, **source}, cwd=tmp_path, check=True)
    assert sorted(p.name for p in (tmp_path / "run" / "images").iterdir()) == ["b", "日本"]
    latin = {**quiet, **source, "PYTHONIOENCODING": "latin-1"}
    said = subprocess.run([*program, "inspect", "run"], env=latin, cwd=tmp_path, check=True, capture_output=True)
    assert b"??" in said.stdout


def test_a_remark_of_the_library_is_a_note_said_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import logging

    folder(tmp_path / "data", each=1, size=40)
    logging.getLogger("imaginate").warning("before any command")
    words = ["expand", str(tmp_path / "data"), str(tmp_path / "run"), "--method", "duplicate", "--output-size", "8"]
    assert main([*words, "--copies", "1", "--shard", "1", "--quiet"]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert [note for note in notes if "smaller than their seeds" in note] == [
        "note: new images have 10 x 8 pixels, smaller than their seeds' 48 x 40; see --output-size"
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["inspect", "me/mine"],
        ["plan", "me/mine", "--method", "cutout"],
        ["pool", "build", "NEW", "me/mine", "--guide", "nano"],
    ],
)
def test_a_name_of_the_hub_is_answered_with_how_it_is_written(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "new") if word == "NEW" else word for word in words]) == 2
    assert "a dataset of the Hugging Face hub is written hf://datasets/me/mine" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


_PROGRAM = """
import atexit, sys
from imaginate.cli import main
class Kept:
    def __del__(self): print("taken apart")
class Cycle: pass
{load}
cycle = Cycle(); cycle.kept = Kept(); cycle.itself = cycle
sys.argv = ["imaginate", *{words}]
code = main()
atexit.register(print, "handlers")
raise SystemExit(code)
"""


@pytest.mark.parametrize(("words", "code"), [(["methods", "cutout"], 0), (["methods", "no such"], 2)])
@pytest.mark.parametrize("load", ["import torch", "pass"])
def test_a_program_with_pytorch_ends_after_its_exit_handlers_with_its_code(
    words: list[str], code: int, load: str
) -> None:
    """Nothing printed is lost, handlers run, and modules are taken apart only where that costs nothing."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(load=load, words=words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    lines = done.stdout.splitlines()
    assert "handlers" in lines
    assert ("taken apart" in lines) == (load == "pass")
    assert code == 0 or "unknown method" in done.stderr
    assert code or any("cutout" in line.lower() for line in lines)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here that is always full")
@pytest.mark.parametrize("words", [["methods"], ["methods", "cutout"], ["inspect", "{data}", "--json"]])
def test_output_that_cannot_be_written_is_one_line(words: list[str], data: str) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "imaginate", *(word.format(data=data) for word in words)],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "imaginate: cannot write: No space left on device"
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_help_all_of_a_sub_command_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pool", "search", "--help-all"]) == 0
    assert "--queries" in capsys.readouterr().out
    assert main(["pool", "--help-all"]) == 0
    assert "--queries" not in capsys.readouterr().out
