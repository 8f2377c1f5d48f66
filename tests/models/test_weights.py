"""Which weights were used: told apart by content, refused where they changed."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiny
from imaginate.engine.run import expand
from imaginate.errors import ModelError, RunError
from imaginate.models import hub
from imaginate.models.guides import build_guide
from imaginate.models.weights import difference, guide_weights, weights_of
from imaginate.records import LabelSpace
from worlds import folder


def test_a_folder_is_known_by_its_content(tmp_path: Path) -> None:
    one, other = tiny.tiny_clip(tmp_path / "one"), tmp_path / "other"
    import shutil

    shutil.copytree(one, other)
    first = guide_weights(f"clip:{one}")
    assert first is not None
    assert first["hash"] == (guide_weights(f"prototypes:{other}") or {})["hash"]
    data = bytearray((other / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (other / "model.safetensors").write_bytes(data)
    assert first["hash"] != (weights_of(str(other), "clip") or {})["hash"]
    assert (
        guide_weights("prototypes:timm:resnet18") is guide_weights("efficientnet-lite0") is guide_weights(None) is None
    )
    assert (guide_weights("nano") or {})["id"] == "nano"


def test_a_difference_is_named_with_the_way_back() -> None:
    old = {"prior": {"id": "a/b", "commit": "1" * 40, "hash": "x"}}
    new = {"prior": {"id": "a/b", "commit": "2" * 40, "hash": "x"}}
    assert difference(old, {"prior": {**old["prior"], "hash": "y"}}) is None
    line = difference(old, new)
    assert line is not None
    assert f"a/b@{'1' * 40} is the old one" in line
    assert difference(None, new) is difference(old, {}) is difference(old, {"prior": {"id": "a/b"}}) is None


def test_revisions_are_split_from_ids_and_not_from_paths(tmp_path: Path) -> None:
    assert hub.split_revision("a/b@refs/pr/3") == ("a/b", "refs/pr/3")
    assert hub.split_revision("a/b") == ("a/b", "")
    (tmp_path / "x@y").mkdir()
    assert hub.split_revision(str(tmp_path / "x@y")) == (str(tmp_path / "x@y"), "")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", "is a pointer of Git LFS"),
        (b"", "is empty: fetch it again"),
        (b"\xff\x00\x00\x00\x00\x00\x00\x00{", "is cut short"),
    ],
)
def test_damaged_files_of_a_folder_are_named(content: bytes, words: str, tmp_path: Path) -> None:
    place = tiny.tiny_clip(tmp_path / "clip")
    (place / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=words) as caught:
        build_guide(f"clip:{place}", LabelSpace.of(["a", "b"]))
    assert "\n" not in str(caught.value)


@pytest.mark.integration
def test_a_run_says_which_weights_and_goes_on_with_these_alone(tmp_path: Path) -> None:
    import json

    place = tiny.tiny_clip(tmp_path / "clip")
    data, out = str(folder(tmp_path / "data", each=2)), tmp_path / "out"
    how = {"copies": 1, "guide": f"clip:{place}", "filters": [{"name": "consistency"}], "progress": False}
    expand(data, out, "flip-crop", judge="none", **how)
    facts = json.loads((out / "run.json").read_text())
    assert facts["weights"]["guide"] == dict(guide_weights(f"clip:{place}") or {})
    (out / "run.json").write_text(json.dumps({**facts, "finished": False}))
    bytes_before = bytearray((place / "model.safetensors").read_bytes())
    bytes_before[-1] ^= 1
    (place / "model.safetensors").write_bytes(bytes_before)
    with pytest.raises(RunError, match=r"began with another network: guide .* has other weights: hash"):
        expand(data, out, "flip-crop", judge="none", **how)
