"""Retrieval from a real (tiny) pool: RET's rules, provenance, and lists that do not depend on how they are asked."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from colour_guide import COLOURS, ColourGuide, coloured
from imaginate.errors import ConfigError, ModelError, RunError
from imaginate.methods.retrieval import Retrieval
from imaginate.pool import build_pool, open_pool
from imaginate.pool.settings import Building
from imaginate.records import Candidate, LabelSpace, Request, image_seed
from imaginate.write.images import Writing, encode
from imaginate.write.marks import Mark, packet
from worlds import World, png

LOOSE: dict[str, Any] = {"duplicate_cosine": 1.01, "duplicate_bits": 0}


@pytest.fixture(scope="module")
def pool_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("pool")
    for name in COLOURS:
        (root / "web" / name).mkdir(parents=True)
        for i in range(20 if name != "blue" else 6):
            (root / "web" / name / f"{i:02d}.png").write_bytes(png(coloured(name, i)))
            (root / "web" / name / f"{i:02d}.json").write_text(f'{{"url": "https://x.org/{i}", "license": "CC0"}}')
    build_pool(str(root / "pool"), [str(root / "web")], ColourGuide())
    return str(root / "pool")


@pytest.fixture
def world(pool_path: str) -> World:
    made = World(guide=ColourGuide(), pool=open_pool(pool_path))
    made.labels = LabelSpace.of(tuple(COLOURS))
    return made


def ask(label: int, copies: range) -> Request:
    key = f"class/{list(COLOURS)[label]}"
    return Request(
        key=key, label=label, copies=tuple(copies), seeds=tuple(image_seed(0, "retrieval", key, c) for c in copies)
    )


def colour_of(c: Candidate) -> str:
    return str(c.info["source"]).split("/")[1]


def test_nearest_real_images_with_their_story(world: World) -> None:
    found = Retrieval(**LOOSE).expand([ask(0, range(12)), ask(1, range(12))], world)
    assert [colour_of(c) for c in found] == ["red"] * 12 + ["green"] * 12
    first = found[0]
    assert first.prompt == "A photo of red."
    assert first.image.shape == (3, 24, 24)
    assert first.info["origin"] == "retrieved"
    assert first.info["licence"] == "CC0"
    assert str(first.info["url"]).startswith("https://x.org/")
    near = [c.scores["similarity"] for c in found[:12]]
    assert near == sorted(near, reverse=True)
    name = Path(str(first.info["source"])).name
    assert np.array_equal(first.image.permute(1, 2, 0).numpy(), coloured("red", int(name[:2])))


def test_a_rank_is_the_same_alone_later_and_in_another_process(world: World, pool_path: str) -> None:
    method = Retrieval(**LOOSE)
    whole = method.expand([ask(0, range(10))], world)
    later = method.expand([ask(0, range(4, 7))], world)
    assert [c.info["pool_id"] for c in later] == [c.info["pool_id"] for c in whole[4:7]]
    fresh = World(guide=ColourGuide(), pool=pickle.loads(pickle.dumps(open_pool(pool_path))))
    fresh.labels = world.labels
    again = pickle.loads(pickle.dumps(method)).expand([ask(0, range(10))], fresh)
    assert [c.info for c in again] == [c.info for c in whole]


def test_a_class_without_enough_matches_ends_short(world: World) -> None:
    found = Retrieval(contrastive=True, **LOOSE).expand([ask(2, range(40))], world)
    assert sum(c.failed is None for c in found) == 6
    assert {c.failed for c in found} == {None, "nearer another class"}


def test_an_image_serves_one_class_unless_it_may_be_shared(world: World) -> None:
    def used(**settings: Any) -> list[set[str]]:
        method = Retrieval(**settings, **LOOSE)
        found = [method.expand([ask(label, range(40))], world) for label in range(3)]
        assert {c.failed for one in found for c in one} <= {None, "goes to another class"}
        return [{str(c.info["pool_id"]) for c in one if c.failed is None} for one in found]

    alone, shared = used(), used(share=True)
    assert [len(ids) for ids in alone] == [20, 20, 6]
    assert len(set.union(*alone)) == 46
    assert [len(ids) for ids in shared] == [40, 40, 40]


def test_policies_for_classes_that_end_short(world: World, caplog: pytest.LogCaptureFixture) -> None:
    def kept(short: Any) -> list[int]:
        method = Retrieval(contrastive=True, short=short, **LOOSE)
        return [sum(c.failed is None for c in method.expand([ask(i, range(15))], world)) for i in range(3)]

    assert kept("keep")[2] in range(1, 7)  # the first fifteen neighbours hold some of the six blue ones
    assert "class 'blue' ends short: 6 of 15" in caplog.text
    assert kept("drop")[2] == 0
    assert kept("even")[2] == kept("keep")[2]
    assert max(kept("even")) <= 6
    with pytest.raises(RunError, match="class 'blue' ends short: 6 of 15"):
        kept("fail")


def test_of_many_classes_that_end_short_a_few_are_named(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imaginate.methods.core.retrieval.NAMED", 1)
    method = Retrieval(contrastive=True, **LOOSE)
    for label in range(3):
        list(method.expand([ask(label, range(100))], world))
    said = [record.message for record in caplog.records if "short" in record.message]
    assert len(said) == 2, said
    assert "class 'red' ends short" in said[0]
    assert said[1].startswith("more classes end short")


def test_seeds_and_both_and_their_duplicates(world: World, pool_path: str) -> None:
    class Seeds:
        def __len__(self) -> int:
            return 3

        def sample(self, index: int) -> Any:
            from imaginate.records import Sample

            return Sample(id=str(index), label=index, source=None)  # type: ignore[arg-type]

        def image(self, index: int) -> torch.Tensor:
            return torch.from_numpy(coloured(list(COLOURS)[index], 3)).permute(2, 0, 1).contiguous()

    world.samples = Seeds()  # type: ignore[assignment]
    for query in ("seeds", "both"):
        found = Retrieval(query=query, duplicate_bits=0, duplicate_cosine=1.0).expand([ask(0, range(10))], world)
        assert all(colour_of(c) == "red" for c in found)
        refused = [c for c in found if c.failed == "near-duplicate of a seed"]
        assert [Path(str(c.info["source"])).name for c in refused] == ["03.png"]
    assert Retrieval(query="seeds").expand([ask(0, range(1))], world)[0].prompt is None


def test_orders_give_the_same_images_in_another_order(world: World) -> None:
    lists = {}
    for order in ("similarity", "mmr", "coverage"):
        found = Retrieval(order=order, ask=1.0, widen=1, clusters=3, **LOOSE).expand([ask(0, range(20))], world)
        lists[order] = [str(c.info["pool_id"]) for c in found]
    assert len({tuple(sorted(ids)) for ids in lists.values()}) == 1
    assert len({tuple(ids) for ids in lists.values()}) == 3


def test_exclusions_come_from_a_file(world: World, tmp_path: Path) -> None:
    listed = tmp_path / "never.txt"
    listed.write_text("# opted out\nweb/red/0*\n")
    found = Retrieval(exclude=str(listed), **LOOSE).expand([ask(0, range(20))], world)
    out = {Path(str(c.info["source"])).name for c in found if c.failed == "excluded"}
    assert out == {f"0{i}.png" for i in range(10)}
    with pytest.raises(ConfigError, match="no exclude file"):
        Retrieval(exclude=str(tmp_path / "none")).expand([ask(0, range(1))], world)


def test_wrong_guides_are_refused(world: World, pool_path: str) -> None:
    world.pool = open_pool(pool_path)
    world.guide = ColourGuide(name="other", seed=5)
    with pytest.raises(ModelError, match=r"built with guide colour.*in use is other"):
        Retrieval().expand([ask(0, range(1))], world)

    class Blind:
        name, dim, labels = "blind", 12, world.labels
        embed, logits = ColourGuide().embed, ColourGuide().logits

    world.pool, world.guide = open_pool(pool_path), Blind()
    with pytest.raises(ConfigError, match="query text needs a guide that reads text"):
        Retrieval().expand([ask(0, range(1))], world)


def test_patterns_of_the_list_mean_star_and_question_mark_alone() -> None:
    from imaginate.methods.core.neighbours import excluded

    row = {"id": "0", "source": "pool/photo [0].png"}
    assert excluded(row, ["pool/photo [0].png"])
    assert excluded(row, ["pool/photo [?].*"])
    assert not excluded({"id": "0", "source": "pool/photo 0.png"}, ["pool/photo [0].png"])


@pytest.mark.parametrize("store", ["bytes", "reference"])
def test_a_picture_that_says_that_a_model_made_it_still_says_so(tmp_path: Path, store: str) -> None:
    (tmp_path / "web" / "red").mkdir(parents=True)
    drawn = packet(Mark("", "", "trainedAlgorithmicMedia"))
    for i in range(4):
        image = torch.from_numpy(coloured("red", i)).permute(2, 0, 1)
        (tmp_path / "web" / "red" / f"{i}.png").write_bytes(encode(image, Writing(), drawn if i % 2 else b""))
    build_pool(str(tmp_path / "pool"), [str(tmp_path / "web")], ColourGuide(), Building(store=store))  # type: ignore[arg-type]
    world = World(guide=ColourGuide(), pool=open_pool(str(tmp_path / "pool")))
    world.labels = LabelSpace.of(tuple(COLOURS))
    found = Retrieval(**LOOSE).expand([ask(0, range(4))], world)
    said = {Path(str(c.info["source"])).stem: c.digital_source for c in found}
    assert said == {str(i): "trainedAlgorithmicMedia" if i % 2 else None for i in range(4)}
