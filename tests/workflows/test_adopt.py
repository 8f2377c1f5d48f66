"""`adopt`: images that another tool made become a run, on which the other commands work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import imaginate
from imaginate.cli import main
from imaginate.errors import ConfigError, DataError, RunError


def pictures(root: Path, counts: dict[str, int], seed: int, size: int = 24) -> Path:
    rng = np.random.default_rng(seed)
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((size, size), Image.Resampling.NEAREST).save(root / name / f"{i}.png")
    return root


@pytest.fixture
def world(tmp_path: Path) -> Path:
    pictures(tmp_path / "data", {"cat": 3, "black_dog": 3}, 0)
    pictures(tmp_path / "made", {"Cat": 4, "Black dog": 2, "bird": 1}, 1, size=40)
    return tmp_path


def test_a_run_of_the_images_matched_by_name(world: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = imaginate.adopt(world / "made", world / "run", data=world / "data", progress=False)
    assert (run.kept, run.originals, sum(run.rejected.values())) == (6, 6, 0)
    assert "left out (1), for no class here has these names: bird" in caplog.text
    data = imaginate.open_dataset(world / "run", origin="synthetic")
    assert data.counts() == {"black_dog": 2, "cat": 4}
    theirs = {(s.id, imaginate.load(s).numpy().tobytes()) for s in imaginate.open_dataset(world / "made").samples}
    own = {imaginate.load(sample).numpy().tobytes() for sample in data.samples}
    assert own == {pixels for name, pixels in theirs if not name.startswith("bird")}


def test_it_is_filtered_inspected_exported_and_reported(
    world: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world)
    twin = Image.open("made/Cat/0.png")
    twin.save("made/Cat/twin.png")
    assert main(["adopt", "made", "run", "--data", "data", "--filter", "near-duplicate", "--quiet"]) == 0
    assert "6 adopted images, 6 originals, 1 rejected (1 near-duplicate)" in capsys.readouterr().out
    assert main(["inspect", "run"]) == 0
    assert main(["refilter", "run", "--dry-run", "--filter", "quality:side=30"]) == 0
    assert main(["export", "run", "exported", "--format", "csv"]) == 0
    assert len(Path("exported/manifest.csv").read_text().splitlines()) == 13
    assert main(["report", "run", "--out", "pages"]) == 0
    assert main(["adopt", "made", "run", "--data", "data", "--filter", "near-duplicate", "--quiet"]) == 0


def test_without_a_dataset_its_classes_are_its_own(world: Path) -> None:
    run = imaginate.adopt(world / "made", world / "run", progress=False)
    assert (run.kept, run.originals) == (7, 0)
    assert imaginate.open_dataset(world / "run").counts() == {"Black dog": 2, "Cat": 4, "bird": 1}


def test_other_images_in_the_folder_are_another_run(world: Path) -> None:
    imaginate.adopt(world / "made", world / "run", data=world / "data", progress=False)
    pictures(world / "more", {"x": 1}, 5)
    (world / "more/x/0.png").rename(world / "made/Cat/new.png")
    with pytest.raises(RunError, match="another recipe"):
        imaginate.adopt(world / "made", world / "run", data=world / "data", progress=False)


def test_an_image_that_cannot_be_read_is_rejected_with_its_reason(world: Path) -> None:
    (world / "made/Cat/0.png").write_bytes((world / "made/Cat/0.png").read_bytes()[:60])
    run = imaginate.adopt(world / "made", world / "run", data=world / "data", progress=False)
    assert run.kept == 5
    assert sum(run.rejected.values()) == 1


def test_what_cannot_be_adopted_is_one_line(world: Path) -> None:
    pictures(world / "strange", {"x": 1, "y": 1}, 3)
    with pytest.raises(DataError, match="there: x, y; here: black_dog, cat"):
        imaginate.adopt(world / "strange", world / "run", data=world / "data", progress=False)
    imaginate.adopt(world / "made", world / "run", data=world / "data", progress=False)
    with pytest.raises(ConfigError, match="is a run already"):
        imaginate.adopt(world / "run", world / "again", progress=False)


def test_a_study_takes_an_adopted_run_as_images_of_unknown_seeds(world: Path) -> None:
    pictures(world / "test", {"cat": 4, "black_dog": 4}, 7)
    imaginate.adopt(world / "made", world / "run", data=world / "data", progress=False)
    held = next((world / "test" / "cat").glob("*.png"))
    pictures(world / "leaky", {"cat": 3}, 8)
    Image.open(held).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(world / "leaky/cat/leak.png")
    imaginate.adopt(world / "leaky", world / "leaky-run", progress=False)
    found = imaginate.compare(
        world / "data", ["original", f"run:{world / 'run'}", f"run:{world / 'leaky-run'}"], world / "test",
        world / "study", arch="small", image_size=32, seeds=2, updates=2, batch=4, controls=False, progress=False,
        device="cpu", validation=0.34,
    )  # fmt: skip
    facts = [arm["elsewhere"] for arm in found["arms"]]
    assert facts[0] is None
    assert (facts[1]["held_out"], facts[1]["images"]) == (0, 6)
    assert (facts[2]["held_out"], facts[2]["without"]) == (1, ["black_dog"])
