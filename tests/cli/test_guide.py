"""`imaginate guide` on an image folder, and its measures against loops."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from imaginate.cli import main
from imaginate.models.guides.core.assess import assess, calibration_error, wilson, worst
from imaginate.records import LabelSpace, Sample
from imaginate.workflows.guide import MeasuredGuide


class Images:
    """Embeddings as images: the guide reads the first pixel's three values."""

    def __init__(self, rows: list[tuple[list[float], int]]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def sample(self, index: int) -> Sample:
        return Sample(id=f"s{index}", label=self.rows[index][1], source=None)

    def image(self, index: int) -> torch.Tensor:
        return torch.tensor(self.rows[index][0]).view(3, 1, 1).expand(3, 4, 4)


class Reader:
    name, labels, dim, device = "reader", LabelSpace.of(["a", "b", "c"]), 3, "cpu"

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, :, 0, 0]

    def logits(self, embeddings: torch.Tensor) -> torch.Tensor:
        return 4 * embeddings


ROWS = [([0.9, 0.1, 0.0], 0), ([0.2, 0.8, 0.0], 0), ([0.1, 0.9, 0.2], 1), ([0.3, 0.6, 0.1], 0), ([0.0, 0.2, 0.9], 2)]


def test_accuracy_confusions_and_worst_classes():
    found = assess(Reader(), Images(ROWS), batch=2)
    assert (found.how, found.images, found.right) == ("untrained", 5, 3)
    assert found.confused == ((0, 1, 2, pytest.approx(2 / 3)),)
    assert worst(found, 2) == [(0, 1, 3), (1, 1, 1)]
    assert found.class_mean == pytest.approx((1 / 3 + 1 + 1) / 3)
    assert assess(Reader(), Images(ROWS), batch=99) == found


def test_an_accuracy_names_the_classes_that_it_was_measured_on():
    def lines(rows):
        return str(
            MeasuredGuide(assessment=assess(Reader(), Images(rows)), labels=Reader.labels, skipped=0)
        ).splitlines()

    whole, two, one = lines(ROWS), lines(ROWS[:4]), lines(ROWS[:2])
    assert "class" not in whole[1]
    assert whole[2].startswith("mean over classes")
    assert " on 2 of 3 classes (1 of 3 classes have no image that it could be measured on: c), chance" in two[1]
    assert two[2].startswith("mean over the 2 measured classes 66.7%")
    assert " on class a alone (2 of 3 classes have no image that it could be measured on: b, c)" in one[1]
    assert not any(word in line for line in one for word in ("interval", "chance", "mean over"))


def test_calibration_error_is_the_binned_gap():
    rng = torch.Generator().manual_seed(0)
    confidence, hit = torch.rand(200, generator=rng), torch.rand(200, generator=rng) < 0.5
    naive = 0.0
    for b in range(15):
        member = [i for i, c in enumerate(confidence.tolist()) if b / 15 < c <= (b + 1) / 15]
        if member:
            mean = math.fsum(confidence[i].item() for i in member) / len(member)
            right = sum(bool(hit[i]) for i in member) / len(member)
            naive += len(member) / 200 * abs(mean - right)
    assert calibration_error(confidence, hit) == pytest.approx(naive, abs=1e-9)


def test_wilson_interval_solves_its_equation():
    for right, n in ((0, 3), (7, 10), (50, 50)):
        for edge in wilson(right, n):
            if 1e-9 < edge < 1 - 1e-9:
                assert abs(right / n - edge) == pytest.approx(1.959964 * math.sqrt(edge * (1 - edge) / n), rel=1e-6)
    assert wilson(0, 3)[0] == pytest.approx(0, abs=1e-12)
    assert wilson(50, 50)[1] == pytest.approx(1, abs=1e-12)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for label, name in enumerate(("ant", "bee")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(4):
            pixels = (rng.integers(0, 60, (24, 24, 3)) + np.array([[120, 0, 0], [0, 0, 120]])[label]).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{i}.png")
    return tmp_path / "data"


def test_the_command_prints_and_writes_everything(folder, tmp_path, capsys):
    command = ["guide", str(folder), "--guide", "random-init:efficientnet-lite0", "--json", str(tmp_path / "g.json")]
    pytest.importorskip("timm")
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "random-init:efficientnet-lite0: untrained" in printed
    assert "95 % interval" in printed
    told = json.loads((tmp_path / "g.json").read_text())
    assert told["images"] == 8
    assert [c["images"] for c in told["classes"]] == [4, 4]
    assert told["accuracy"] == sum(c["right"] for c in told["classes"]) / 8


def test_bad_input_is_one_line(folder, capsys):
    for arguments, text in [
        (["--guide", "clipp:x"], "did you mean 'clip'?"),
        (["--guide", "clip:./nowhere"], "no such checkpoint folder"),
        (["--guide", "prototypes:timm:nothing"], "timm has no model"),
        (["--guide", "nano", "--split", "test"], "split"),
    ]:
        assert main(["guide", str(folder), *arguments]) == 2
        line = capsys.readouterr().err
        assert text in line
        assert line.count("\n") == 1
