"""Whether copies still show their class is judged by a guide that did not make them, next to the same on the seeds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import imaginate
from imaginate.engine import agreement
from imaginate.engine.agreement import MOST, Tally, is_judged, remark, share_judged
from imaginate.files import derive_seed
from worlds import folder

JUDGE = "prototypes:nano"


def _facts(run: Path) -> dict:
    return json.loads((run / "run.json").read_text())["agreement"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("agreement") / "data", classes=("ant", "bee", "cow"), each=4)


def test_exact_copies_are_judged_as_their_seeds_are(data: Path, tmp_path: Path) -> None:
    """Each without its own seed: a copy that adds nothing looks no better than the seed itself."""
    imaginate.expand(str(data), tmp_path / "run", "duplicate", copies=2, judge=JUDGE, shard=5, progress=False)
    found = _facts(tmp_path / "run")
    assert found["copies"] == pytest.approx(found["seeds"])
    assert {name: c["copies"] for name, c in found["classes"].items()} == {
        name: [2 * right, 2 * judged] for name, c in found["classes"].items() for right, judged in [c["seeds"]]
    }
    assert sum(c["seeds"][1] for c in found["classes"].values()) == 12
    assert "still show their class" in str(imaginate.inspect(tmp_path / "run"))
    assert "still show their class" in (tmp_path / "run" / "README.md").read_text()


def test_the_judge_changes_no_image_and_no_fingerprint(data: Path, tmp_path: Path) -> None:
    for judge in ("none", JUDGE):
        imaginate.expand(str(data), tmp_path / judge, "cutout", copies=1, judge=judge, progress=False)
    first, second = (tmp_path / judge for judge in ("none", JUDGE))
    names = sorted(p.relative_to(first) for p in (first / "images").rglob("*.png"))
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)
    assert "agreement" not in json.loads((first / "run.json").read_text())
    again = imaginate.expand(str(data), first, "cutout", copies=1, judge=JUDGE, progress=False)
    assert again.kept == 12, "another judge is not another recipe"


def test_pixel_methods_are_not_judged_unless_asked(data: Path, tmp_path: Path) -> None:
    imaginate.expand(str(data), tmp_path / "run", "cutout", copies=1, progress=False)
    assert "agreement" not in json.loads((tmp_path / "run" / "run.json").read_text())


def test_a_judge_that_holds_no_seeds_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(imaginate.ConfigError, match="prototypes:BACKBONE"):
        imaginate.expand(str(data), tmp_path / "run", "cutout", copies=1, judge="nano", progress=False)


def test_a_lost_class_is_remarked_on_below_half_of_the_seeds_share() -> None:
    seeds = Tally({0: 9}, {0: 10})
    assert remark(Tally({0: 5}, {0: 10}), seeds) == ""
    assert "only 40%" in remark(Tally({0: 4}, {0: 10}), seeds)
    assert remark(Tally({0: 0}, {0: 7}), seeds) == "", "too few to tell"
    assert remark(Tally({}, {}), seeds) == ""
    assert remark(Tally({0: 0}, {0: 10}), Tally({}, {})) == "", "a class of one image has no seed to be judged"


def test_tallies_add_up() -> None:
    one, other = Tally(), Tally()
    one.add([0, 0, 2], [0, 1, 2])
    other.add([2], [0])
    assert Tally.of([one.to_json(), other.to_json()]) == Tally({0: 1, 2: 1}, {0: 2, 2: 2})


@pytest.mark.parametrize(
    ("method", "given", "found"),
    [
        ("sd", {}, {"strength": 0.1, "noise": None}),
        ("sd", {"strength": 0.5}, {"strength": 0.5}),
        ("sd", {"steps": 4}, {"strength": 0.5}),  # two steps at least
        ("sd", {"steps": 1}, {"strength": 1.0}),
        ("sd", {"noise": 0.3}, {"strength": 0.5, "noise": 0.3}),
        ("sd", {"scheduler": "euler"}, {"noise": 0.1}),
        ("sd", {"scheduler": "euler", "strength": 0.7}, {"strength": 0.7, "noise": None}),
        ("gif-sd", {}, {"strength": 0.1, "eps": 0.1}),
        ("gif-sd", {"strength": 0.5, "eps": 0.8}, {"strength": 0.5, "eps": 0.8}),
        ("boomerang", {}, {"strength": 0.1}),
        ("da-fusion", {}, {"strengths": (0.1,), "noise": None}),
        ("da-fusion", {"scheduler": "euler"}, {"noise": (0.1,)}),
    ],
)
def test_a_weak_prior_has_defaults_that_keep_the_class(method: str, given: dict, found: dict) -> None:
    """The papers' strengths take the class away where the prior is the bundled one; what is given stays."""
    from imaginate.engine.resolve import recipe_from

    def resolved(prior: str) -> object:
        more = {"gif-sd": {"guide": "nano"}, "da-fusion": {"adaptation": "fit"}}
        roles = {"prior": prior, **more.get(method, {})}
        return recipe_from({"data": {"path": "d"}, "method": {"name": method, **given}, "roles": roles}).method

    weak, other = resolved("nano"), resolved("some/checkpoint")
    assert {name: getattr(weak, name) for name in found} == found
    defaults = type(other)(**given)
    assert other == defaults


def test_a_long_run_is_judged_by_a_sample_that_is_always_the_same() -> None:
    assert share_judged(10) == 1
    share = share_judged(20_000)
    seeds = [derive_seed("copy", i) for i in range(20_000)]
    judged = [seed for seed in seeds if is_judged(seed, share)]
    assert 0.9 * MOST < len(judged) < 1.1 * MOST
    assert judged == [seed for seed in reversed(seeds) if is_judged(seed, share)][::-1]
    assert all(is_judged(seed, 1.0) for seed in seeds)


def test_the_first_shard_is_judged_whole_and_the_others_in_part(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreement, "MOST", 0)
    imaginate.expand(str(data), tmp_path / "run", "duplicate", copies=2, judge=JUDGE, shard=4, progress=False)
    classes = _facts(tmp_path / "run")["classes"].values()
    assert sum(c["copies"][1] for c in classes) == 4
    assert sum(c["seeds"][1] for c in classes) == 12
