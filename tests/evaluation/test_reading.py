"""A study reads its dataset in the way in which the run was read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import imaginate
from data.test_field_files import RAMP, dicom
from imaginate.data.spec import as_read, reading_of
from imaginate.errors import ConfigError, DataError
from imaginate.evaluation.arms import parse_arms
from imaginate.evaluation.protocol import Protocol
from imaginate.evaluation.study_images import open_study


def test_settings_of_reading_are_one_text_and_back() -> None:
    how = {"layout": "splits", "channels": (3, 2, 1), "range": "0..4095", "slices": None, "page": 2}
    assert as_read(how) == "layout=splits range=0..4095 channels=3,2,1 page=2"
    assert reading_of("--label-tag=Modality channels=3,2,1") == {"label_tag": "Modality", "channels": "3,2,1"}
    assert as_read({"layout": "auto"}) == ""
    for wrong in ("slices", "shots=3", "path=a"):
        with pytest.raises(ConfigError, match="read-as takes NAME=VALUE"):
            reading_of(wrong)


def test_a_run_of_some_frames_is_compared_with_the_same_frames(tmp_path: Path) -> None:
    for at in range(4):
        for label in ("a", "b"):
            film = np.stack([np.roll(RAMP, 3 * at + n + (label == "b"), 1) for n in range(5)])
            file = tmp_path / "data" / ("train", "test")[at % 2] / label / f"{at}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(dicom(film, PatientID=f"P{at}", WindowCenter=2048, WindowWidth=4096))
    run = tmp_path / "run"
    imaginate.expand(tmp_path / "data", run, method="duplicate", copies=1, slices="every:2")
    say = {"data": str(tmp_path / "data"), "held_out": str(tmp_path / "data"), "held_out_split": "test"}
    arms = parse_arms([f"new=run:{run}"])
    with pytest.raises(DataError, match=r"read in another way: --read-as slices=every:2"):
        open_study(Protocol(**say, read_as="slices=middle"), arms)
    study = open_study(Protocol(**say, read_as="slices=every:2"), arms)
    assert len(study.train) == len(study.held_out) == 12
    assert len(study.runs[str(run)].new) == 12


def test_a_run_in_another_range_is_no_arm(tmp_path: Path) -> None:
    """Its new images would be brighter than the originals next to which they are trained on."""
    for part in ("train", "test"):
        for label in ("a", "b"):
            (tmp_path / "data" / part / label).mkdir(parents=True)
            for n in range(3):
                values = np.roll(RAMP, 3 * n + (label == "b") + 7 * (part == "test"), 1)
                Image.fromarray(values.astype(np.uint16)).save(tmp_path / "data" / part / label / f"{n}.png")
    runs = {}
    for name, how in {"plain": {}, "narrow": {"range": "0..900"}}.items():
        runs[name] = parse_arms([f"new=run:{tmp_path / name}"])
        imaginate.expand(tmp_path / "data", tmp_path / name, method="duplicate", copies=1, progress=False, **how)
    say = {"data": str(tmp_path / "data"), "held_out": str(tmp_path / "data"), "held_out_split": "test"}
    open_study(Protocol(**say), runs["plain"])
    open_study(Protocol(**say, read_as="range=0..900"), runs["narrow"])
    with pytest.raises(DataError, match=r"were made into pictures in another way: compare with --read-as range=0..900"):
        open_study(Protocol(**say), runs["narrow"])
    with pytest.raises(DataError, match=r"were made into pictures in another way: compare without --read-as"):
        open_study(Protocol(**say, read_as="range=0..900"), runs["plain"])
