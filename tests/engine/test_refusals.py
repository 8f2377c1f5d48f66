"""What is refused, and that nothing is written then; a mistake that is put right leaves no trace in the folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import imaginate
from imaginate.engine.gather import gather
from imaginate.engine.recipe import changes
from imaginate.engine.resolve import recipe_from
from imaginate.errors import ConfigError, DataError, ImaginateError, RunError
from imaginate.files import Folder
from imaginate.write import tables
from worlds import folder

KNOBS: dict[str, Any] = {"method": "cutout", "copies": 1, "progress": False}


def tree(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return folder(tmp_path / "data", each=2)


def refused(tmp_path: Path, kind: type[ImaginateError], words: str, *args: Any, **settings: Any) -> None:
    """One line, and not a file or folder more than before."""
    before = tree(tmp_path)
    with pytest.raises(kind, match=words) as caught:
        imaginate.expand(*args, **{**KNOBS, **settings})
    assert "\n" not in str(caught.value)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("out", "words"),
    [("data/run", "is inside the dataset"), ("data", "is the dataset itself"), (".", "holds the dataset")],
)
def test_an_output_folder_that_meets_the_dataset(data: Path, tmp_path: Path, out: str, words: str) -> None:
    refused(tmp_path, RunError, words, str(data), tmp_path / out)
    (tmp_path / "link").symlink_to(data)
    refused(tmp_path, RunError, words, str(tmp_path / "link"), tmp_path / out)
    refused(tmp_path, RunError, words, os.path.relpath(data), tmp_path / "link" / ".." / out)


def test_a_neighbour_of_the_dataset_and_a_folder_beside_a_manifest_are_fine(data: Path, tmp_path: Path) -> None:
    assert imaginate.expand(str(data), tmp_path / "data-x2", **KNOBS).kept == 6
    rows = "".join(f"{p.relative_to(tmp_path)},{p.parent.name}\n" for p in sorted(data.rglob("*.png")))
    (tmp_path / "list.csv").write_text(f"path,label\n{rows}")
    assert imaginate.expand(str(tmp_path / "list.csv"), tmp_path / "run", **KNOBS).kept == 6


def test_an_output_folder_inside_the_held_out_images(data: Path, tmp_path: Path) -> None:
    folder(tmp_path / "other", each=1)
    refused(
        tmp_path, RunError, "is inside the dataset", str(data), tmp_path / "other/x", held_out=str(tmp_path / "other")
    )


def test_missing_data_leaves_no_lock_behind(tmp_path: Path) -> None:
    refused(tmp_path, DataError, "there is nothing at", str(tmp_path / "nowhere"), tmp_path / "out")


def test_a_lock_left_behind_is_no_seed_image(data: Path) -> None:
    (data / ".lock").touch()
    assert [item.reason for item in imaginate.open_dataset(str(data)).skipped] == ["system file"]


def test_keywords_override_a_recipe_object_as_flags_override_a_file(data: Path, tmp_path: Path) -> None:
    whole = recipe_from(gather(None, "elsewhere", "randaugment", {"copies": 5, "num_ops": 1, "format": "webp"}))
    run = imaginate.expand(str(data), tmp_path / "run", recipe=whole, copies=2, num_ops=3, progress=False)
    assert run.kept == 12
    rows = tables.read(Folder(tmp_path / "run")).to_pylist()
    assert {row["file_name"][-5:] for row in rows if row["method"]} == {".webp"}
    told = (tmp_path / "run" / "recipe.yaml").read_text()
    assert "num_ops: 3" in told
    other = imaginate.expand(str(data), tmp_path / "other", "cutout", recipe=whole, copies=1, progress=False)
    assert other.kept == 6
    assert "name: cutout" in (tmp_path / "other" / "recipe.yaml").read_text()


def test_what_follows_from_a_recipe_changes_with_it(data: Path) -> None:
    """Filters that the selection or the held-out dataset asked for are asked for anew by what replaces these."""
    first = recipe_from(gather(None, str(data), "cutout", {"policy": "informative", "guide": "nano", "held_out": "a"}))
    changed = recipe_from(gather(first, None, None, {"policy": "first", "held_out": "b", "guide": None}))
    assert [(f.name, f.filter.path, f.filter.split) for f in changed.filters] == [("held-out", "b", None)]
    written = recipe_from(gather(first.to_dict(), None, None, {"held_out": "b"}))
    assert {f.name: f.filter for f in written.filters}["held-out"].path == "b"
    twice = {"held_out": "b", "filters": [{"name": "held-out", "path": "a"}]}
    with pytest.raises(ConfigError, match="two held-out datasets"):
        recipe_from(gather(None, str(data), "cutout", twice))


@pytest.mark.parametrize("broken", [{"data": "flowers"}, {"expand": 3}, {"filters": 7}, {"method": 3}])
def test_a_recipe_of_another_shape_is_one_line(broken: Mapping[str, Any], data: Path) -> None:
    whole = {"data": {"path": str(data)}, "method": "cutout", **broken}
    with pytest.raises(ConfigError) as caught:
        recipe_from(gather(whole, None, None, {"copies": 2, "split": None, "held_out": "x"}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"held_out": "nowhere"},
        {"filters": [{"name": "held-out", "path": "nowhere"}]},
        {"filters": [{"name": "aesthetic", "head": "none.pth"}], "guide": "nano"},
        {"filters": [{"name": "safety", "checker": "nowhere"}]},
        {"filters": [{"name": "near-duplicate", "cosine": 0.9}], "guide": "nowhere"},
    ],
    ids=["role", "filter-path", "filter-head", "filter-checker", "guide"],
)
def test_a_mistyped_role_does_not_block_the_folder(wrong: dict[str, Any], data: Path, tmp_path: Path) -> None:
    with pytest.raises(ImaginateError) as caught:
        imaginate.expand(str(data), tmp_path / "run", **KNOBS, **wrong)
    assert "\n" not in str(caught.value)
    assert imaginate.expand(str(data), tmp_path / "run", **KNOBS).kept == 6


def test_the_first_images_that_fail_leave_a_folder_that_can_begin_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imaginate.methods.cutout import Cutout

    def fails(*_: object) -> None:
        raise ConfigError("not with these classes")

    with monkeypatch.context() as patch:
        patch.setattr(Cutout, "expand", fails)
        with pytest.raises(ConfigError, match="not with"):
            imaginate.expand(str(data), tmp_path / "run", **KNOBS)
    assert imaginate.expand(str(data), tmp_path / "run", **{**KNOBS, "copies": 2}).kept == 12


@pytest.mark.parametrize("select", [{"policy": "best"}, {"scope": "class"}])
def test_a_score_that_nothing_gives_is_refused_at_once(select: dict[str, Any], data: Path, tmp_path: Path) -> None:
    words = "cutout and its filters give no score 'foo' to select by; they give none"
    refused(tmp_path, ConfigError, words, str(data), tmp_path / "run", by="foo", **select)
    quality = {"filters": [{"name": "quality"}], "by": "qualty", **select}
    refused(tmp_path, ConfigError, "did you mean 'quality'", str(data), tmp_path / "run", **quality)
    run = imaginate.expand(str(data), tmp_path / "run", **KNOBS, **{**quality, "by": "quality"})
    assert run.kept == 6


@pytest.mark.parametrize(
    ("roles", "words"),
    [
        ({"prior": "nowhere"}, "cutout and its filters take no prior, no role at all: leave out --prior"),
        ({"pool": "x"}, "take no pool"),
        ({"guide": "nano"}, "take no guide"),
        ({"adaptation": "x"}, "take no adaptation"),
        ({"guide": "nano", "prior": "nano", "filters": [{"name": "consistency"}]}, "no prior, only guide"),
        ({"precision": "bfloat16"}, "--precision says something of --prior, which is not given"),
        ({"held_out_split": "test"}, "--held-out-split says something of --held-out, which is not given"),
    ],
)
def test_a_role_that_is_for_nothing_is_refused(roles: dict[str, Any], words: str, data: Path, tmp_path: Path) -> None:
    refused(tmp_path, ConfigError, words, str(data), tmp_path / "run", **roles)


def test_a_filter_that_compares_embeddings_takes_and_needs_a_guide(data: Path) -> None:
    alike = {"filters": [{"name": "seed-duplicate", "cosine": 0.9}]}
    assert recipe_from(gather(None, str(data), "cutout", {"guide": "nano", **alike})).roles.guide == "nano"
    with pytest.raises(ConfigError, match="filter seed-duplicate needs a guide"):
        recipe_from(gather(None, str(data), "cutout", alike))


@pytest.mark.parametrize(
    ("method", "wrong"),
    [("prompt", {"prompts": "nowhere"}), ("retrieval", {"exclude": "no"}), ("retrieve-then-edit", {"exclude": "no"})],
)
def test_a_file_that_a_class_started_method_lacks_is_missed_before_the_originals_are_written(
    method: str, wrong: dict[str, str]
) -> None:
    from imaginate import registry

    with pytest.raises(ConfigError, match="no"):
        registry.make("methods", method, wrong).prepare(None)


def test_a_run_of_an_earlier_version_goes_on_with_settings_that_came_later(data: Path, tmp_path: Path) -> None:
    """What its recipe does not name had the default; where the default is another one today, that is said."""
    from imaginate.engine.resolve import recipe_from

    words = {"data": {"path": str(data)}, "expand": {"copies": 1}}
    pixels = recipe_from({**words, "method": "cutout"})
    stored = pixels.to_dict()
    assert "fit_image" not in stored["expand"], "no prior, no square"
    for late in ("png_level", "keep_rejected"):
        del stored["write"][late]
    assert pixels.completed(stored) == pixels.to_dict()
    drawn = recipe_from({**words, "method": "sd", "roles": {"prior": "nano"}})
    stored = drawn.to_dict()
    del stored["expand"]["fit_image"]
    assert changes(stored, drawn.to_dict()) == ["expand.fit_image was None, is 'pad'"]
    assert changes(drawn.completed(stored), drawn.to_dict()) == ["expand.fit_image was 'stretch', is 'pad'"]
    stretched = recipe_from(
        {**words, "expand": {"copies": 1, "fit_image": "stretch"}, "method": "sd", "roles": {"prior": "nano"}}
    )
    assert changes(stretched.completed(stored), stretched.to_dict()) == []


@pytest.mark.parametrize(
    "flags",
    [
        {"method": "cutout", "held_out": "no/where"},
        {"method": "mix", "runs": "no/where", "guide": "nano"},
        {"method": "retrieval", "pool": "no/where", "guide": "nano", "per_class": 2},
        {"method": "duplicate", "filters": [{"name": "aesthetic", "head": "no/where"}]},
    ],
)
def test_what_is_refused_while_it_is_prepared_leaves_no_folder(tmp_path: Path, flags: dict[str, Any]) -> None:
    data = folder(tmp_path / "data", each=2)
    with pytest.raises(ImaginateError):
        imaginate.expand(str(data), tmp_path / "run", progress=False, **flags)
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "cache").mkdir()
    with pytest.raises(ImaginateError):
        imaginate.expand(str(data), tmp_path / "run", progress=False, **flags)
    assert (tmp_path / "run" / "cache").exists()


def test_a_value_of_the_wrong_kind_is_one_line(tmp_path: Path) -> None:
    data, out = str(folder(tmp_path / "data", each=2)), tmp_path / "run"
    for given, words in [
        ({"recipe": "run.yaml"}, r"recipe must be a mapping of sections, got 'run\.yaml'; a file is read by"),
        ({"method": 3}, r"method must be the name of one, got 3"),
        ({"method": {"name": "cutout"}}, r"a whole recipe is given as recipe=\.\.\."),
        ({"method": "cutout", "workers": "2"}, r"workers must be a whole number in \[1, inf\), got '2'"),
    ]:
        with pytest.raises(ConfigError, match=words):
            imaginate.expand(data, out, **given, progress=False)
    with pytest.raises(ConfigError, match="out must name the output folder"):
        imaginate.expand(data, None, "cutout", progress=False)
    assert not out.exists()
    imaginate.expand(data, out, "cutout", copies=1, progress=False)
    assert imaginate.refilter(out, "quality", progress=False).judged == 6
