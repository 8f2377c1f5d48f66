"""Decisions of people: a log that survives a kill, brought into effect by refilter, and taken back without a trace."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import imaginate
from imaginate import decisions
from imaginate.decisions import Decision, Word, in_effect, parse_log
from imaginate.errors import ConfigError, RunError
from imaginate.files import Folder
from imaginate.runs import REJECTED, RunFolder
from worlds import folder

WORDS: tuple[Word, ...] = ("accept", "reject", "relabel", "undo")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six new images, of which some are rejected by its own filter."""
    root = tmp_path_factory.mktemp("made")
    data = folder(root / "data", each=2)
    imaginate.expand(str(data), str(root / "run"), "randaugment", copies=2, progress=False)
    imaginate.refilter(str(root / "run"), [{"name": "quality", "sharpness": 0.06}], progress=False)
    return root / "run"


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    import shutil

    return Path(shutil.copytree(made, tmp_path / "run"))


def decide(run: Path, *given: Decision) -> None:
    decisions.add(Folder(run), str(RunFolder(run).facts["fingerprint"]), given)


def one(image: str, verdict: Word, label: str | None = None, by: str = "ada") -> Decision:
    return Decision(image=image, verdict=verdict, label=label, by=by, at=decisions.now())


def new(run: Path, name: str = "metadata.parquet") -> list[dict[str, object]]:
    return [row for row in RunFolder(run).rows(name) if row["method"] is not None]


def image(row: dict[str, object]) -> str:
    return str(row["file_name"]).rsplit("/", 1)[-1]


def tables(run: Path) -> list[dict[str, object]]:
    """Both tables, without the columns that only decisions bring."""
    rows = [*RunFolder(run).rows(), *RunFolder(run).rows(REJECTED)]
    return [{k: v for k, v in row.items() if not k.startswith(("info_reviewed", "info_before"))} for row in rows]


def files(run: Path) -> set[str]:
    return {str(p.relative_to(run)) for side in ("images", "rejected") for p in (run / side).rglob("*") if p.is_file()}


def test_a_verdict_is_the_last_word_with_name_and_time(run: Path) -> None:
    kept, refused = new(run), new(run, REJECTED)
    assert kept
    assert refused
    out, moved, back = kept[0], kept[1], refused[0]
    other = next(name for name in ("ant", "bee", "cow") if name != moved["class_name"])
    decide(run, one(image(out), "reject"), one(image(moved), "relabel", other), one(image(back), "accept", by="bo"))
    found = imaginate.refilter(str(run), reviewed=True, progress=False)
    assert found.decided == 3
    after = {image(row): row for row in [*new(run), *new(run, REJECTED)]}
    assert after[image(out)]["kept"] is False
    assert after[image(out)]["reason"] == "refilter: rejected by ada"
    assert after[image(moved)]["class_name"] == other
    assert str(after[image(moved)]["file_name"]).split("/")[1] == other
    assert after[image(back)]["kept"] is True
    assert after[image(back)]["info_reviewed_by"] == "bo"
    assert str(after[image(back)]["info_reviewed_at"]).startswith("20")
    named = {row["file_name"] for row in [*RunFolder(run).rows(), *RunFolder(run).rows(REJECTED)]}
    assert files(run) == named
    labels = imaginate.open_dataset(str(run))
    assert {s.id.rsplit("/", 1)[-1]: labels.labels[s.label].name for s in labels.samples}[image(moved)] == other


def test_any_decisions_undone_leave_the_run_as_it_was(run: Path) -> None:
    draw = random.Random(3)
    before, had = tables(run), files(run)
    images = [image(row) for row in [*new(run), *new(run, REJECTED)]]
    for _ in range(4):
        asked = [
            one(draw.choice(images), verdict, draw.choice(["ant", "bee", "cow"]) if verdict == "relabel" else None)
            for verdict in draw.choices(WORDS, k=6)
        ]
        decide(run, *asked)
        imaginate.refilter(str(run), reviewed=True, progress=False)
        once, now = tables(run), files(run)
        imaginate.refilter(str(run), reviewed=True, progress=False)  # again: nothing more
        assert (tables(run), files(run)) == (once, now)
        assert now == {row["file_name"] for row in once}
    log = decisions.read_log(Folder(run))
    while effect := in_effect(log):
        decide(run, *(one(name, "undo") for name in effect))
        log = decisions.read_log(Folder(run))
    imaginate.refilter(str(run), reviewed=True, progress=False)
    assert tables(run) == before
    assert files(run) == had


def test_filters_come_first_and_people_have_the_last_word(run: Path) -> None:
    kept = new(run)
    decide(run, one(image(kept[0]), "accept"), one(image(kept[1]), "reject"))
    imaginate.refilter(str(run), [{"name": "quality", "side": 4000}], progress=False)  # which no image passes
    assert [image(row) for row in new(run)] == [image(kept[0])]
    imaginate.refilter(str(run), progress=False)  # no filter: all come back, but for what people rejected
    assert image(kept[1]) not in {image(row) for row in new(run)}


def test_a_line_that_a_kill_cut_off_does_not_count(run: Path) -> None:
    decide(run, one("a.png", "accept"))
    whole = (run / decisions.LOG).read_bytes()
    (run / decisions.LOG).write_bytes(whole + b'{"image": "b.pn')
    assert [d.image for d in decisions.read_log(Folder(run))] == ["a.png"]
    decide(run, one("c.png", "reject"))
    assert [d.image for d in decisions.read_log(Folder(run))] == ["a.png", "c.png"]
    (run / decisions.LOG).write_bytes(b'{"format": "imagi')
    decide(run, one("d.png", "reject"))
    assert [d.image for d in decisions.read_log(Folder(run))] == ["d.png"]


def test_a_damaged_log_is_one_line(run: Path) -> None:
    decide(run, one("a.png", "accept"))
    for line in ("no json", '{"image": "b.png", "verdict": "burn", "by": "x", "at": "y"}', "[]"):
        with (run / decisions.LOG).open("a") as file:
            file.write(line + "\n")
        with pytest.raises(RunError, match=r"decisions.jsonl is damaged: line 3 is no"):
            imaginate.refilter(str(run), reviewed=True, progress=False)
        text = (run / decisions.LOG).read_text().splitlines()[:2]
        (run / decisions.LOG).write_text("\n".join(text) + "\n")


def test_decisions_go_to_another_machine(run: Path, made: Path, tmp_path: Path) -> None:
    row = new(run)[0]
    decide(run, one(image(row), "reject"))
    assert imaginate.export_decisions(run, tmp_path / "mine.jsonl") == 1
    import shutil

    there = shutil.copytree(made, tmp_path / "there")
    imaginate.refilter(str(there), decisions=tmp_path / "mine.jsonl", progress=False)
    imaginate.refilter(str(there), decisions=tmp_path / "mine.jsonl", progress=False)  # known already
    assert len(parse_log((there / decisions.LOG).read_bytes(), "")[1]) == 1
    assert image(row) not in {image(r) for r in new(there)}
    changed = (tmp_path / "mine.jsonl").read_text().replace(str(RunFolder(run).facts["fingerprint"]), "0" * 16)
    (tmp_path / "mine.jsonl").write_text(changed)
    with pytest.raises(RunError, match="decisions on another run"):
        imaginate.refilter(str(there), decisions=tmp_path / "mine.jsonl", progress=False)


def test_decisions_are_not_written_over_what_is_none(run: Path, tmp_path: Path) -> None:
    decide(run, one(image(new(run)[0]), "reject"))
    (tmp_path / "mine.csv").write_text("path,label")
    with pytest.raises(RunError, match=r"mine.csv is there and holds no decisions"):
        imaginate.export_decisions(run, tmp_path / "mine.csv")
    assert (tmp_path / "mine.csv").read_text() == "path,label"
    for _ in range(2):
        assert imaginate.export_decisions(run, tmp_path / "mine.jsonl") == 1


def test_decisions_that_are_refused_leave_the_run_as_it_was(run: Path, tmp_path: Path) -> None:
    mine, name = tmp_path / "mine.jsonl", image(new(run)[0])
    decide(run, one(name, "reject"))
    imaginate.export_decisions(run, mine)
    mine.write_text(mine.read_text() + one(name, "relabel", "zebra").line() + "\n")
    before = {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}
    with pytest.raises(
        RunError, match=r"mine.jsonl: a decision gives .* the class 'zebra', which the run does not have"
    ):
        imaginate.refilter(str(run), decisions=mine, progress=False)
    mine.write_text(mine.read_text().replace('"label": "zebra"', '"label": "cow"'))
    with pytest.raises(ConfigError, match="nearest"):
        imaginate.refilter(str(run), ["nearest"], decisions=mine, progress=False)
    assert {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()} == before


def test_a_last_decision_without_a_line_break_counts_where_it_is_whole(run: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.jsonl"
    for row in new(run)[:2]:
        decide(run, one(image(row), "reject"))
    imaginate.export_decisions(run, mine)
    fingerprint, whole = str(RunFolder(run).facts["fingerprint"]), mine.read_bytes()
    for data, count in ((whole, 2), (whole.rstrip(b"\n"), 2), (whole[:-10], 1)):
        mine.write_bytes(data)
        assert len(decisions.read_file(mine, fingerprint)) == count


def test_a_person_s_class_replaces_the_mixture_of_a_method_and_undo_brings_it_back(tmp_path: Path) -> None:
    """Soft labels win in training: one that stayed would teach the class that a person took away."""
    data = folder(tmp_path / "data", each=2)
    imaginate.expand(str(data), str(tmp_path / "run"), "mixup", copies=1, progress=False)
    before, row = tables(tmp_path / "run"), new(tmp_path / "run")[0]
    assert row["soft_label"] is not None
    other = next(name for name in ("ant", "bee", "cow") if name != row["class_name"])
    decide(tmp_path / "run", one(image(row), "relabel", other))
    imaginate.refilter(str(tmp_path / "run"), reviewed=True, progress=False)
    (found,) = [r for r in new(tmp_path / "run") if image(r) == image(row)]
    assert (found["class_name"], found["soft_label"]) == (other, None)
    decide(tmp_path / "run", one(image(row), "undo"))
    imaginate.refilter(str(tmp_path / "run"), reviewed=True, progress=False)
    assert tables(tmp_path / "run") == before
