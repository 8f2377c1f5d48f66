"""The page: complete in itself, well-formed, nothing hidden, nothing injected."""

from __future__ import annotations

import csv
import itertools
import json
import random
import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from imaginate.errors import ImaginateError
from imaginate.reports import Options, write_report

VOID = {"meta", "link", "img", "br"}


class Reader(HTMLParser):
    """Collects elements and text, and checks that tags are nested."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(page)
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.found if name == tag]


def page(folder: Path, options: Options | None = None) -> Reader:
    (file,) = write_report(folder, options=options or Options(seeds=3, copies=2))
    assert file == folder / "report.html"
    assert file.stat().st_size < 3_000_000
    return Reader(file.read_text(encoding="utf-8"))


def edit(study: Path, **changes: object) -> None:
    file = study / "results.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_study_page_is_complete_in_itself(world: Path) -> None:
    read = page(world / "study")
    sources = [a.get("src") or a.get("href") or "" for tag in ("img", "script", "link", "a") for a in read.all(tag)]
    assert all(s.startswith(("data:", "#")) or s == "" for s in sources)
    text = (world / "study/report.html").read_text()
    assert not re.search(r"url\(|@import|https?://", text)
    anchors = {a["id"] for _, a in read.found if a.get("id")}
    assert {s[1:] for s in sources if s.startswith("#")} <= anchors
    assert len(anchors) == len([1 for _, a in read.found if a.get("id")])
    pictures = read.all("img")
    assert len(pictures) > 30
    assert all(a.get("alt") and a.get("width") and a.get("height") for a in pictures)
    assert all(a.get("aria-label") for a in read.all("svg") if a.get("role") == "img")
    assert read.all("html")[0]["lang"] == "en"
    assert [tag for tag, _ in read.found if tag in ("header", "nav", "main", "footer")] == [
        "header",
        "nav",
        "main",
        "footer",
    ]


def test_headings_never_skip_a_level(world: Path) -> None:
    for folder in ("study", "flowers-gif"):
        levels = [int(tag[1]) for tag, _ in page(world / folder).found if re.fullmatch(r"h\d", tag)]
        assert levels[0] == 1
        assert all(b <= a + 1 for a, b in pairwise(levels))


def test_findings_follow_the_intervals(world: Path) -> None:
    words = page(world / "study").words
    assert "GIF-SD is better than the original data: +3.6 [+2.2, +5.0] points." in words
    assert "RandAugment: no clear difference to the original data, the interval covers 0" in words
    assert "class prompts is worse than the original data" in words
    assert "4 arms are compared" in words


def test_the_verdict_is_on_top_with_what_it_rests_on(world: Path) -> None:
    found = page(world / "study").words
    order = [
        found.index(text)
        for text in ("Use GIF-SD: +3.6", "Do not use class prompts", "Open: RandAugment", "Next: --seeds 9")
    ]
    assert order == sorted(order)
    assert order[-1] < found.index("Mean over n trained classifiers")
    assert "p 0.012, Holm 0.037, sign flips 0.250, visible 2.1" in found
    assert "original against original@0.5" in found
    assert "below −51.0 [below −51.0, −41.7]" in found, "real images a class, beyond the yardstick"
    assert "+25.0 [+3.3, above +33.3]" in found
    assert "macro F1" in found
    assert "AUROC" not in found, "there are more than two classes"


def test_a_study_that_cannot_judge_says_so(world: Path) -> None:
    results = json.loads((world / "study/results.json").read_text())
    edit(
        world / "study", controls={**results["controls"], "can_judge": False, "fault": "more real images did not show"}
    )
    assert (
        "No. more real images did not show. What it says of new images does not count." in page(world / "study").words
    )


def test_one_seed_is_no_verdict_on_the_page_either(world: Path) -> None:
    results = json.loads((world / "study/results.json").read_text())
    arms = [{**arm, "units": arm["units"][:1]} for arm in results["arms"]]
    edit(world / "study", arms=arms)
    found = page(world / "study").words
    assert "GIF-SD: one seed, no verdict against the original data" in found
    assert "is better than" not in found
    assert "is worse than" not in found


def test_a_study_of_several_learners_shows_every_arm_by_each(world: Path) -> None:
    assert "Every learner" not in page(world / "study").words
    results = json.loads((world / "study/results.json").read_text())
    arms = results["arms"]
    other = [{**arm, "top1": {**arm["top1"], "mean": 0.123, "se": 0.01}, "difference": None} for arm in arms[:-1]]
    edit(world / "study", by_learner={"probe:nano": {"arms": arms}, "small": {"arms": other}})
    found = page(world / "study").words
    assert "Only a learner of features (finetune, from scratch) can be helped by augmentation." in found
    assert found.count("12.3 ± 1.0") == len(arms) - 1
    assert "The rest of this page is about probe:nano." in found


def test_mistakes_are_named_and_shown(world: Path) -> None:
    png = next((world / "flowers-gif/images").rglob("*.png")).read_bytes()
    found = page(world / "study", Options(read_image=lambda dataset, name: png if name.endswith("1.png") else None))
    results = json.loads((world / "study/results.json").read_text())
    first, second = results["data"]["classes"][:2]
    assert f"{first}, taken for {second}" in found.words
    assert "100 % of the classifiers, 67 % of the reference's" in found.words
    alts = [img["alt"] for img in found.all("img")]
    assert sum(alt == f"{first}, taken for {second}" for alt in alts) == len(results["arms"])


def test_an_unfinished_quick_study_says_what_is_missing(world: Path) -> None:
    words = page(world / "study").words
    assert "Unfinished study." in words
    assert "real-500: seed 0, seed 1 and seed 2" in words
    assert "Quick study." in words
    assert "run folder flowers-randaug/ was not found" in words
    edit(world / "study", missing=[], quick=False, complete=True)
    words = page(world / "study").words
    assert "Unfinished" not in words
    assert "Quick" not in words


def test_arms_of_one_title_are_told_apart_everywhere(world: Path) -> None:
    results = json.loads((world / "study/results.json").read_text())
    twin = {**results["arms"][3], "name": "flowers-gif@1", "ratio": 1.0}
    other = {**results["arms"][1], "name": "duplicate-2"}
    edit(world / "study", arms=[*results["arms"], twin, other])
    words = page(world / "study").words
    for title in ("GIF-SD ×5", "GIF-SD ×1", "duplicated originals (duplicate)", "duplicated originals (duplicate-2)"):
        assert title in words
    assert words.count("The run flowers-gif, made by gif-sd.") == 1, "a run used by two arms is shown once"
    (table,) = write_report(world / "study", formats=("markdown",))
    assert table.read_text().count("\n|") == 1 + len(results["arms"]) + 2


def units(arms: list[dict[str, Any]], **changes: Callable[[int], object]) -> list[dict[str, Any]]:
    """The arms with every trained classifier changed; each change is told the classifier's number."""
    numbers = itertools.count()

    def changed(unit: dict[str, Any]) -> dict[str, Any]:
        if not unit["updates"]:
            return unit
        number = next(numbers)
        return unit | {key: change(number) for key, change in changes.items()}

    return [{**arm, "units": [changed(unit) for unit in arm["units"]]} for arm in arms]


def test_the_budget_is_told_as_it_was_spent(world: Path) -> None:
    study = world / "study"
    results = json.loads((study / "results.json").read_text())
    assert "trained for the same number of updates (600), whatever its size." in page(study).words

    recipe = results["protocol"]["recipe_settings"] | {"patience": 20}
    early = units(results["arms"], updates=lambda i: 600 - 10 * i, stopped_early=lambda i: 0 < i < 15)
    edit(study, arms=early, protocol=results["protocol"] | {"recipe_settings": recipe})
    words = page(study).words
    assert "same number of updates" not in words
    assert "Every arm was given up to 600 updates, whatever its size. 14 of 15 classifiers stopped earlier" in words
    assert (
        "after 460 to 590 updates, by the same rule for every arm (no better validation accuracy for 20 passes" in words
    )

    protocol = results["protocol"] | {"budget": "epochs", "updates": None}
    larger = units(results["arms"], updates=lambda i: 600 if i < 6 else 3000)
    edit(study, arms=larger, protocol=protocol)
    words = page(study).words
    assert "Every arm was trained for 60 epochs, so a larger set got more updates (600 to 3\u202f000)" in words
    assert "part of a gain may be training time" in words
    edit(study, arms=early, protocol=protocol | {"recipe_settings": recipe})
    assert "trained for up to 60 epochs" in page(study).words


def test_a_study_of_probes_speaks_of_no_updates(world: Path) -> None:
    study = world / "study"
    results = json.loads((study / "results.json").read_text())
    protocol = results["protocol"] | {"arch": "probe:efficientnet-lite0"}
    edit(study, arms=units(results["arms"], updates=lambda i: 0), protocol=protocol)
    words = page(study).words
    assert "The head of every arm was fitted to its end" in words
    assert "number of updates" not in words


CLEAN = {"compared": [10, 20], "same": 0, "near": 0, "removed": 0, "examples": [], "allowed": False}


@pytest.mark.parametrize(
    ("leak", "said"),
    [
        ({"same": 3}, "Training images and held-out images: 3 pairs the same;"),
        (
            {"runs": {"flowers-gif/": {"same": 1, "near": 2, "removed": 0}}},
            "New images of GIF-SD and held-out images: 1",
        ),
        ({"runs": {"a/unmeasured": {"same": 0, "near": 2, "removed": 0}}}, "New images of unmeasured and held-out"),
        (
            {"validation": {"held_out": 2, "train": 1, "removed": 0}},
            "2 pairs with a held-out image and 1 pair with a tr",
        ),
    ],
)
def test_every_leak_is_said_at_the_top(world: Path, leak: dict[str, Any], said: str) -> None:
    results = json.loads((world / "study/results.json").read_text())
    for allowed in (True, False):
        protocol = results["protocol"] | {"allow_leak": allowed, "drop_leak": not allowed}
        edit(world / "study", leak=CLEAN | {"allowed": allowed} | leak, protocol=protocol)
        words = page(world / "study").words
        header = words[: words.index("Findings")]
        assert said in header
        assert ("Accuracies may be too high." in header) == allowed
        assert ("; left in." in header) == allowed
        assert ("was left out before anything was measured" in header) != allowed


def test_what_was_removed_is_counted_run_by_run(world: Path) -> None:
    words = page(world / "study").words
    assert "2 pairs nearly the same; 2 held-out images left out of the measurement." in words
    assert "New images of GIF-SD and held-out images: 1 pair nearly the same; 1 new image left out" in words
    assert "New images of class prompts" not in words
    told = "Of the further real images, 1 that show a held-out image and 12 that show a training image were left out."
    assert told in words
    edit(world / "study", leak=CLEAN | {"real": {"shows a held-out image": 1, "shows a training image": 12}})
    assert told in page(world / "study").words


@pytest.mark.parametrize(
    "leak", [None, CLEAN, CLEAN | {"runs": {"x": {"same": 0, "near": 0, "removed": 0}}, "real": None}]
)
def test_nothing_found_is_no_alert(world: Path, leak: dict[str, Any] | None) -> None:
    edit(world / "study", leak=leak)
    words = page(world / "study").words
    assert "must be apart" not in words
    assert ("None is the same or nearly the same." in words) == (leak is not None)


def test_what_each_arm_was_trained_on(world: Path) -> None:
    words = page(world / "study").words
    assert "1\u202f020: child of a validation image" in words
    assert "All were trained on cpu in float32." in words
    results = json.loads((world / "study/results.json").read_text())
    mixed = units(results["arms"], device=lambda i: "cpu" if i else "cuda")
    plain = [{**arm, "images": {**arm["images"], "excluded": {}}} for arm in mixed]
    edit(world / "study", arms=plain)
    words = page(world / "study").words
    assert "child of a validation image" not in words
    assert "not all classifiers were trained on the same device" in words.lower()
    assert "cpu in float32 and cuda in float32" in words


def test_every_class_has_a_row(world: Path) -> None:
    read = page(world / "study")
    assert read.words.count("Every class (12)") == 4
    assert read.words.count("too few held-out images") == 1 + 2 * 4, "the hint, the tally and the row of each arm"
    assert "about 0.55 of 11 classes in each arm, and about 2.2 over all 4 arms" in read.words
    arms = json.loads((world / "study/results.json").read_text())["arms"]
    counted = [r for a in arms[1:5] for r in a["per_class"] if r["low"] is not None]
    out = sum(r["low"] > 0 or r["high"] < 0 for r in counted)
    assert f"Here it does so for {out}." in read.words


def test_a_thousand_classes_and_fifteen_arms_stay_a_small_page(world: Path) -> None:
    study = world / "study"
    results = json.loads((study / "results.json").read_text())
    rng = random.Random(0)
    names = [f"n{i:08d}" for i in range(1000)]

    def rows() -> list[dict[str, Any]]:
        changes = [rng.gauss(0, 0.1) for _ in names]
        known = [
            {"low": c - 0.2, "high": c + 0.2} if i % 10 else {"low": None, "high": None} for i, c in enumerate(changes)
        ]
        return [
            {"class": n, "held_out": 50 if d["low"] else 3, "accuracy": 0.5, "change": c, **d}
            for n, c, d in zip(names, changes, known, strict=True)
        ]

    arms = [
        {**results["arms"][3], "name": f"a{i}", "title": f"arm {i}", "run": None, "per_class": rows()}
        for i in range(15)
    ]
    titles = [f"class {i // 2}" if i < 4 else f"class {i}" for i in range(1000)]
    edit(study, arms=[results["arms"][0], *arms], data=results["data"] | {"classes": names, "titles": titles})
    page_file, per_class = write_report(study, options=Options(seeds=1, copies=1))
    assert page_file.stat().st_size < 1_600_000
    words = Reader(page_file.read_text()).words
    assert words.count("200 of 1\u202f000 classes of arm") == 15
    assert "per_class.csv" in words
    assert "not counted: 100 with too few held-out images" in words
    with per_class.open() as file:
        found = list(csv.DictReader(file))
    assert len(found) == 15 * 1000 + 12
    assert {row["class_title"] for row in found} >= {"class 0", "class 999"}
    highest = max((r for r in arms[0]["per_class"] if r["low"] is not None), key=lambda r: r["change"])
    assert titles[names.index(highest["class"])] in words


def test_class_names_are_text_not_markup(world: Path) -> None:
    read = page(world / "study")
    assert "<i>iris</i>" in read.words
    assert not read.all("i")


def test_a_study_with_one_arm_and_nothing_else(world: Path) -> None:
    results = json.loads((world / "study/results.json").read_text())
    lean = {"name": "a", "title": "a", "kind": "run", "difference": None, "top1": {"mean": 0.5, "se": None, "n": 1}}
    edit(world / "study", arms=[lean], curves=[], exchange=[], leak=None, warnings=[], data={"name": "d"})
    assert "50.0" in page(world / "study").words
    edit(world / "study", arms=[], protocol={"level": results["protocol"]["level"]})
    assert "Accuracy" in page(world / "study").words


def test_metrics_of_other_images_are_said_to_be_out_of_date(world: Path) -> None:
    from imaginate.runs import RunFolder

    run = world / "flowers-gif"
    place = run / "evaluation.json"
    evaluation = json.loads(place.read_text())
    assert "out of date" not in page(run).words, "as many images as an earlier version counted"
    place.write_text(json.dumps({**evaluation, "images": {**evaluation["images"], "new": 7}}))
    assert "they are of 7 new images" in page(run).words
    place.write_text(json.dumps({**evaluation, "measured": RunFolder(run).images_mark()}))
    assert "out of date" not in page(run).words
    image = next(row["file_name"] for row in RunFolder(run).rows() if row["method"])
    (run / image).write_bytes((run / image).read_bytes() + b" ")
    assert "out of date" in page(run).words, "another image of the same name"


def test_a_run_page_counts_every_reject(world: Path) -> None:
    read = page(world / "flowers-gif", Options(hourly_price=2.0))
    facts = json.loads((world / "flowers-gif/run.json").read_text())["totals"]
    for reason, n in facts["rejected"].items():
        assert re.search(rf"{re.escape(reason)}\s*{n}\s*new image", read.words), reason
    assert re.search(r"truncated\s*1\s*seed image skipped", read.words)
    assert "Higher after guidance in" in read.words
    assert "after it" in read.words
    assert "$ " in read.words
    assert "1 new image (0." in read.words
    assert "method: {name: gif-sd, strength: 0.5}" in read.words


def test_a_run_page_shows_how_many_copies_still_show_their_class(world: Path) -> None:
    run = world / "flowers-gif"
    facts = json.loads((run / "run.json").read_text())
    assert "still show their class" not in page(run).words
    name = facts["classes"][0]["name"]
    one = {"copies": [3, 4], "seeds": [2, 2]}
    facts["agreement"] = {"judge": "prototypes:nano", "copies": 0.65, "seeds": 0.9, "classes": {name: one}}
    (run / "run.json").write_text(json.dumps(facts))
    words = " ".join(page(run).words.split())
    assert "65.0 % of the new images, seeds 90.0 % (judge: prototypes:nano)" in words
    assert "seeds that do, %" in words
    assert re.search(r"\d+ ?\d+ ?\d+ ?75 ?100", words)


def test_a_run_of_a_class_started_method_shows_real_images_of_the_class(world: Path) -> None:
    assert "real image of the class" in page(world / "flowers-prompt").words


def test_a_run_without_new_images(world: Path, fixture_module: object) -> None:
    import pyarrow.parquet as pq

    run = world / "flowers-gif"
    table = pq.read_table(run / "metadata.parquet").to_pylist()
    schema = pq.read_schema(run / "metadata.parquet")
    import pyarrow as pa

    pq.write_table(pa.Table.from_pylist([r for r in table if r["method"] is None], schema), run / "metadata.parquet")
    assert "This run has no new image." in page(run).words


def test_missing_pictures_and_pictures_elsewhere(world: Path) -> None:
    run = world / "flowers-gif"
    asked: list[tuple[Any, str]] = []
    for file in (run / "images/0").iterdir():
        file.write_bytes(b"no image")

    def read_image(dataset: Any, name: str) -> bytes | None:
        asked.append((dataset, name))
        return None

    read = page(run, Options(read_image=read_image))
    assert "no picture" in read.words
    assert ("flowers/", "test", "test/9.png") in [(d.get("path"), d.get("split"), name) for d, name in asked]


def test_an_unfinished_run_is_reported_from_its_shards(world: Path) -> None:
    import pyarrow.parquet as pq

    run = world / "flowers-gif"
    (run / "shards").mkdir()
    pq.write_table(pq.read_table(run / "metadata.parquet"), run / "shards/000000.parquet")
    (run / "shards/000000.json").write_text("{}")
    (run / "shards/000001.parquet").write_bytes(b"torn")
    facts = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(facts | {"shards": 4, "finished": False}))
    for name in ("metadata.parquet", "rejected.parquet"):
        (run / name).unlink()
    assert "The run is not finished: 1 of 4 shards are there." in page(run).words


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f: None, "neither a study"),
        (lambda f: f.rmdir(), "no such folder"),
        (lambda f: (f / "study.yaml").write_text("x: 1"), "has no results yet"),
        (lambda f: (f / "results.json").write_text("{"), "cannot be read"),
        (lambda f: (f / "results.json").write_text("[]"), "holds no JSON object"),
        (lambda f: (f / "results.json").write_text("{}"), "not a study's"),
        (lambda f: (f / "results.json").write_text('{"format": "imaginate-study/9"}'), "this version reads"),
        (lambda f: (f / "results.json").write_text('{"format": "imaginate-study/1"}'), "damaged: it has no arms"),
        (lambda f: (f / "recipe.yaml").write_text("method: {name: x}"), "no images yet"),
        (lambda f: (f / "metadata.parquet").write_bytes(b"x"), "cannot be read"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, make: object, message: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    make(folder)  # type: ignore[operator]
    with pytest.raises(ImaginateError, match=message) as caught:
        write_report(folder)
    assert "\n" not in str(caught.value)


def test_corrupted_accuracies_name_the_size_of_their_images(world: Path) -> None:
    assert "Accuracy in per cent on images of 32 pixels" in page(world / "study").words


def test_images_from_elsewhere_and_what_files_give_away_are_on_the_page(world: Path) -> None:
    results = json.loads((world / "study/results.json").read_text())
    facts = {
        "images": 40, "held_out": 3, "validation": 1, "training": 2, "unmatched": ["purple"], "unmatched_images": 8,
        "without": [], "doubt": "3 of its 40 images are near-copies of 3 of the 50 held-out images",
    }  # fmt: skip
    arms = [dict(arm) for arm in results["arms"]]
    arms[-1] |= {"elsewhere": facts, "files": {"text": "Files alone say of 98 % which images are new."}}
    edit(world / "study", arms=arms)
    found = page(world / "study").words
    assert "No verdict: 3 of its 40 images are near-copies of 3 of the 50 held-out images" in found
    assert "purple" in found
    assert "Files alone say of 98 % which images are new." in found
