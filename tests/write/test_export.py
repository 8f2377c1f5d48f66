"""Every export reads back as the same dataset."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
import torch

import imaginate
from data import zoo
from imaginate.data import load, open_dataset
from imaginate.data.digital_source import source_in
from imaginate.errors import ConfigError, RunError
from imaginate.runs import RunFolder
from imaginate.write.export import FORMATS, export
from imaginate.write.images import Writing, encode
from imaginate.write.marks import Mark, packet
from worlds import folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("export")
    data = folder(root / "data", each=2)
    imaginate.expand(str(data), root / "run", method="mixup", copies=2, progress=False)
    return root / "run"


def seen(path: str) -> list[tuple[str, bytes]]:
    dataset = open_dataset(path)
    return sorted((dataset.labels[s.label].name, load(s).numpy().tobytes()) for s in dataset.samples)


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_holds_the_same_labelled_images(run: Path, tmp_path: Path, form: str) -> None:
    assert export(str(run), str(tmp_path / "out"), form, per_file=5) == 18
    place = tmp_path / "out"
    assert seen(str(place / "manifest.csv" if form == "csv" else place)) == seen(str(run))


@pytest.mark.parametrize("form", ["csv", "parquet", "webdataset"])
def test_the_shares_of_mixed_images_come_back(run: Path, tmp_path: Path, form: str) -> None:
    export(str(run), str(tmp_path / "out"), form, per_file=5)
    again = open_dataset(tmp_path / "out/manifest.csv" if form == "csv" else tmp_path / "out")
    assert shares(again) == shares(open_dataset(run))
    assert any(soft for _, soft in shares(again))


def shares(dataset: imaginate.data.Dataset) -> list[tuple[bytes, tuple[float, ...]]]:
    return sorted((load(s).numpy().tobytes(), s.soft_label or ()) for s in dataset.samples)


@pytest.mark.parametrize("form", ["fiftyone", "coco", "label-studio", "ultralytics"])
def test_a_format_of_one_class_an_image_says_what_it_leaves_out(
    run: Path, tmp_path: Path, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "imaginate.facts")
    export(str(run), str(tmp_path / "out"), form)
    mixed = sum(bool(soft) for _, soft in shares(open_dataset(run)))
    assert f"{mixed} images are mixtures of classes: {form} holds the main class of each alone" in caplog.text


def test_shares_of_a_class_that_a_table_does_not_list_are_said(run: Path, tmp_path: Path) -> None:
    export(str(run), str(tmp_path / "out"), "csv")
    header, *lines = (tmp_path / "out/manifest.csv").read_text().splitlines()
    gone = open_dataset(run).labels.names[0]
    place = header.split(",").index("class_name")
    kept = [line for line in lines if line.split(",")[place] != gone]
    (tmp_path / "out/manifest.csv").write_text("\n".join([header, *kept]))
    again = open_dataset(tmp_path / "out/manifest.csv")
    assert any("mixed images are partly of classes that are not here" in note for note in again.notes)
    assert all(sum(s.soft_label or (1,)) == pytest.approx(1) for s in again.samples)


@pytest.mark.parametrize("form", FORMATS)
def test_odd_class_names_come_back(tmp_path: Path, form: str) -> None:
    names = ["a\nb", " blank", "dog", '"quoted"', "z\u2028", "10", "9"]
    zoo.folder(tmp_path / "img", {"a": len(names)})
    with (tmp_path / "list.jsonl").open("w") as file:
        for number, name in enumerate(names):
            row = {"file_name": f"img/a/{number:03}.png", "label": number, "class_name": name}
            file.write(json.dumps(row) + "\n")
    imaginate.expand(str(tmp_path / "list.jsonl"), tmp_path / "run", method="duplicate", copies=1, progress=False)
    assert open_dataset(tmp_path / "run").labels.names == tuple(names)
    export(str(tmp_path / "run"), str(tmp_path / "out"), form)
    place = tmp_path / "out"
    again = open_dataset(place / "manifest.csv" if form == "csv" else place)
    assert again.labels.names == tuple(names)
    assert sorted(again.counts().values()) == [2] * len(names)


def test_labels_are_the_numbers_that_readers_of_folders_count(tmp_path: Path) -> None:
    datasets, torchvision = pytest.importorskip("datasets"), pytest.importorskip("torchvision")
    names = ["rose", "fern", "10", "9", "a/b", "a-b", "Été"]  # in the order of a table, no alphabet's
    zoo.folder(tmp_path / "img", {"a": len(names)})
    lines = [f"img/a/{number:03}.png,{number},{name}" for number, name in enumerate(names)]
    (tmp_path / "list.csv").write_text("\n".join(["file_name,label,class_name", *lines]))
    imaginate.expand(str(tmp_path / "list.csv"), tmp_path / "run", method="duplicate", copies=1, progress=False)
    rows = RunFolder(tmp_path / "run").rows()
    counted = torchvision.datasets.ImageFolder(tmp_path / "run/images")
    by_file = {Path(path).name: label for path, label in counted.samples}
    assert {by_file[Path(row["file_name"]).name] - row["label"] for row in rows} == {0}
    loaded = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "run/images"), cache_dir=str(tmp_path / "c"))
    assert loaded["train"].features["label"].names == counted.classes


def test_the_parquet_export_loads_with_datasets(run: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    export(str(run), str(tmp_path / "out"), "parquet", per_file=7)
    files = sorted(str(p) for p in (tmp_path / "out").glob("*.parquet"))
    loaded = datasets.Dataset.from_parquet(files, cache_dir=str(tmp_path / "cache"))
    assert loaded.num_rows == 18
    assert loaded.features["label"].names == ["ant", "bee", "cow"]
    assert loaded[0]["image"].size == (32, 24)


def test_the_folder_of_a_csv_export_is_read_like_its_table(run: Path, tmp_path: Path) -> None:
    export(str(run), str(tmp_path / "out"), "csv")
    table = next((tmp_path / "out").glob("*.csv"))
    assert seen(str(tmp_path / "out")) == seen(str(table)) == seen(str(run))


def test_a_filled_folder_is_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    with pytest.raises(RunError, match="not empty"):
        export(str(run), str(tmp_path), "csv")
    with pytest.raises(RunError, match="is not a run folder"):
        export(str(tmp_path), str(tmp_path / "out"), "csv")


def test_plain_readers_load_a_run(run: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    torchvision = pytest.importorskip("torchvision")
    assert len(torchvision.datasets.ImageFolder(run / "images")) == 18
    loaded = datasets.load_dataset("imagefolder", data_dir=str(run), split="train", cache_dir=str(tmp_path))
    assert loaded.num_rows == 18
    assert {"image", "label", "class_name", "origin", "seed_image", "rng_seed", "soft_label"} <= set(
        loaded.column_names
    )
    assert all(image.size == (32, 24) for image in loaded["image"])


def test_what_cannot_be_exported_is_one_line(run: Path, tmp_path: Path) -> None:
    for per_file in (0, -3):
        with pytest.raises(ConfigError, match=rf"per_file must be in \[1, inf\), got {per_file}"):
            export(str(run), str(tmp_path / "out"), "parquet", per_file=per_file)
    assert not (tmp_path / "out").exists()
    for form in FORMATS:
        with pytest.raises(RunError, match="cannot write /proc/x: ") as caught:
            export(str(run), "/proc/x", form)
        assert "\n" not in str(caught.value)
    with pytest.raises(RunError, match="cannot open foo://x: "):
        export(str(run), "foo://x", "csv")


def test_the_tars_load_with_datasets_and_hold_one_kind_of_picture(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    for label, name in enumerate(("apple", "banana", "10")):
        for number in range(7):
            (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
            (tmp_path / "data" / name / f"{number}.jpg").write_bytes(zoo.jpeg(10 * label + number))
    imaginate.expand(tmp_path / "data", tmp_path / "run", method="mixup", copies=1, progress=False)
    export(str(tmp_path / "run"), str(tmp_path / "tars"), "webdataset", per_file=30)
    given = ({"data_files": str(tmp_path / "tars" / "*.tar")}, {"data_dir": str(tmp_path / "tars")})
    for number, where in enumerate(given):
        rows = datasets.load_dataset("webdataset", cache_dir=str(tmp_path / str(number)), split="train", **where)
        assert rows.num_rows == 42
        assert sorted(map(int, rows["cls"])) == sorted([0, 1, 2] * 14)
        assert all(row["png"].size == (40, 24) for row in rows)
    assert seen(str(tmp_path / "tars")) == seen(str(tmp_path / "run"))


@pytest.mark.parametrize(("form", "ending"), [("png", ".png"), ("jpeg", ".jpg"), ("webp", ".webp")])
def test_originals_of_webp_are_listed_where_the_copies_are(form: str, ending: str, tmp_path: Path) -> None:
    from PIL import Image

    for name in ("a", "b"):
        for number, kind in ((0, "WEBP"), (1, "JPEG")):
            image = Image.fromarray(zoo.picture(number + (name == "b") * 9))
            (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
            (tmp_path / "data" / name / f"{number}.{kind.lower()}").write_bytes(zoo.encoded(image, kind))
    imaginate.expand(tmp_path / "data", tmp_path / "run", method="duplicate", copies=1, format=form, progress=False)
    endings = {Path(row["file_name"]).suffix for row in RunFolder(tmp_path / "run").rows()}
    assert endings == ({ending} if form != "png" else {".png", ".jpg"})
    card = (tmp_path / "run" / "README.md").read_text()
    assert ("timm and Keras do not list" in card) == (form == "webp")
    assert "Cut a validation part by `seed_image`" in card


def test_a_generated_original_says_so_in_an_export_of_several_kinds(tmp_path: Path) -> None:
    source = folder(tmp_path / "data", ("ant",), each=1)
    drawn = encode(torch.zeros(3, 24, 32), Writing(format="jpeg"), packet(Mark("", "", "trainedAlgorithmicMedia")))
    (source / "ant" / "drawn.jpg").write_bytes(drawn)
    imaginate.expand(str(source), tmp_path / "run", method="duplicate", copies=1, progress=False)
    export(str(tmp_path / "run"), str(tmp_path / "out"), "webdataset")
    with tarfile.open(tmp_path / "out" / "shard-000000.tar") as tar:
        images = [tar.extractfile(m).read() for m in tar if m.name.endswith(".png")]  # type: ignore[union-attr]
    assert [source_in(data) for data in images].count("trainedAlgorithmicMedia") == 2
    assert len(images) == 4


@pytest.mark.parametrize("form", ["parquet", "webdataset"])
def test_many_processes_write_the_same_bytes(
    run: Path, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imaginate.write import export as module

    export(str(run), str(tmp_path / "one"), form, per_file=5)
    started = []
    monkeypatch.setattr(module, "_MANY", 1)
    monkeypatch.setattr(module, "processors", lambda: 3)
    together = module.side_by_side
    monkeypatch.setattr(module, "side_by_side", lambda *given: started.append(given[2]) or together(*given))
    export(str(run), str(tmp_path / "many"), form, per_file=5)
    assert started == [3]
    assert contents(tmp_path / "many") == contents(tmp_path / "one")


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


def test_an_image_that_another_process_misses_is_one_line(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imaginate.write import export as module

    monkeypatch.setattr(module, "_MANY", 1)
    monkeypatch.setattr(module, "processors", lambda: 2)
    gone = next((run / "images").rglob("*.png"))
    before = gone.read_bytes()
    kept = module._kept_rows
    monkeypatch.setattr(module, "_kept_rows", lambda run: (kept(run), gone.unlink())[0])
    try:
        with pytest.raises(RunError, match=gone.name):
            export(str(run), str(tmp_path / "out"), "webdataset", per_file=5)
    finally:
        gone.write_bytes(before)
