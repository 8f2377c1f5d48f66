"""Which weights were used: told apart by content, refused where they changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import tiny
from imaginate.engine.run import expand
from imaginate.errors import ModelError, RunError
from imaginate.models import hub
from imaginate.models.guides import build_guide
from imaginate.models.weights import adaptation_weights, completed, difference, guide_weights, weights_of
from imaginate.records import LabelSpace
from worlds import folder


def test_a_folder_is_known_by_its_content(tmp_path: Path) -> None:
    one, other = tiny.tiny_clip(tmp_path / "one"), tmp_path / "other"
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


def changed(place: Path) -> None:
    data = bytearray((place / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (place / "model.safetensors").write_bytes(data)


def test_a_pool_says_which_weights_and_grows_with_these_alone(tmp_path: Path) -> None:
    pytest.importorskip("lancedb")
    from imaginate.pool.info import describe
    from imaginate.pool.table import PoolTable
    from imaginate.workflows.pools import build_pool

    place, pool = tiny.tiny_clip(tmp_path / "clip"), str(tmp_path / "pool")
    images = str(folder(tmp_path / "images", each=1))
    build_pool(pool, images, guide=f"clip:{place}", progress=False)
    known = guide_weights(f"clip:{place}") or {}
    assert PoolTable.open(pool).header.weights == dict(known)
    assert describe(pool)["weights"] == f"hash {known['hash'][:12]}"
    copied = tmp_path / "copied"
    shutil.copytree(place, copied)
    build_pool(pool, images, guide=f"clip:{copied}", progress=False)
    changed(place)
    with pytest.raises(ModelError, match=r"was begun with another network: guide .* has other weights: hash"):
        build_pool(pool, images, guide=f"clip:{place}", progress=False)


def test_an_adaptation_is_known_by_what_is_used_of_it(tmp_path: Path) -> None:
    from imaginate.models.adaptations.folder import Manifest

    for name in ("epoch-01", "epoch-02"):
        (tmp_path / "fit" / "checkpoints" / name).mkdir(parents=True)
        (tmp_path / "fit" / "checkpoints" / name / "model.safetensors").write_bytes(name.encode())
    kept = {"best": "epoch-01", "last": "epoch-02"}
    fit = Manifest(
        technique="imagic", family="sd", prior="p", fingerprint={}, classes=["a"], settings={}, checkpoints=kept,
        chosen="epoch-01",
    )  # fmt: skip
    fit.write(tmp_path / "fit")
    one = adaptation_weights(str(tmp_path / "fit"))
    assert one is not None
    changed(tmp_path / "fit" / "checkpoints" / "epoch-02")
    assert adaptation_weights(str(tmp_path / "fit")) == one
    last = adaptation_weights(f"{tmp_path / 'fit'}@last")
    assert last is not None
    assert last["hash"] != one["hash"]
    file = tmp_path / "a.safetensors"
    file.write_bytes(b"a")
    mixed = [adaptation_weights(f"{file}:{scale}+{file}") for scale in (0.5, 0.6)]
    assert None not in mixed
    assert mixed[0] != mixed[1]
    assert adaptation_weights(None) is None


def test_what_a_download_shows_is_added_and_nothing_is_replaced() -> None:
    before = {"prior": {"id": "a/b", "commit": "1"}, "guide": {"id": "c", "hash": "x"}}
    now = {"prior": {"id": "a/b", "commit": "1", "hash": "h"}, "guide": {"id": "c", "hash": "y"}}
    assert completed(before, now) == {"prior": now["prior"], "guide": before["guide"]}
