"""Exports of annotation tools, in the forms that they write: each image has the class that a person gave it."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data import zoo
from imaginate.data import open_dataset
from imaginate.errors import DataError

WANTED = {"1.png": "cat", "2.png": "dog", "3.png": "cat"}  # and 4.png, which has no class


def example(root: Path) -> str:
    home = root / "fiftyone"
    for split in ("train", "test"):
        (home / split / "data").mkdir(parents=True)
        labels = {}
        for number, (at, name, data) in enumerate(zoo.EXAMPLE):
            if at == split:
                (home / split / "data" / f"{number}.png").write_bytes(data)
                labels[str(number)] = ["cat", "dog"].index(name)
        if split == "train":
            (home / split / "data" / "none.png").write_bytes(zoo.png(77))
            labels["none"] = None
        (home / split / "labels.json").write_text(json.dumps({"classes": ["cat", "dog"], "labels": labels}))
    return str(home)


def images(root: Path, folder: str) -> None:
    (root / folder).mkdir(parents=True, exist_ok=True)
    for number in range(1, 5):
        (root / folder / f"{number}.png").write_bytes(zoo.png(number))


def dump(root: Path, name: str, content: Any) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(json.dumps(content))


def fiftyone_labels(root: Path) -> Path:
    images(root, "data")
    labels = {"1": "cat", "2": {"label": "dog", "confidence": 0.5}, "3": ["cat"], "4": None}
    dump(root, "labels.json", {"classes": None, "labels": labels})
    return root


def fiftyone_samples(root: Path) -> Path:
    images(root, "data")
    rows = [
        {"filepath": f"data/{n}.png", "tags": [], "_media_type": "image",
         "ground_truth": {"_cls": "Classification", "label": WANTED[f"{n}.png"]} if n < 4 else None,
         "prediction": {"_cls": "Classification", "label": "dog", "confidence": 0.9}}
        for n in range(1, 5)
    ]  # fmt: skip
    dump(root, "samples.json", {"samples": rows})
    dump(root, "metadata.json", {"media_type": "image"})
    return root


def label_studio(root: Path, path: str = "/data/upload/7/0a1b2c3d-{}.png") -> Path:
    images(root, "images")
    tasks = []
    for n in range(1, 5):
        choice = {"type": "choices", "from_name": "choice", "to_name": "image", "value": {"choices": []}}
        boxes = {"type": "rectanglelabels", "from_name": "box", "value": {"rectanglelabels": ["x"]}}
        choice["value"] = {"choices": [WANTED[f"{n}.png"]]} if n < 4 else {"choices": []}
        skipped = {"was_cancelled": True, "result": [{**choice, "value": {"choices": ["wrong"]}}]}
        tasks.append({"id": n, "data": {"image": path.format(n)}, "predictions": [],
                      "annotations": [skipped, {"was_cancelled": False, "result": [boxes, choice]}]})  # fmt: skip
    dump(root, "project-1-at-2026.json", tasks)
    return root


def label_studio_local(root: Path) -> Path:
    return label_studio(root, "/data/local-files/?d=images/{}.png") / "project-1-at-2026.json"


def label_studio_min(root: Path) -> Path:
    images(root, "")
    rows = [
        {"image": f"/data/upload/7/0a1b2c3d-{n}.png", "id": n, "choice": WANTED.get(f"{n}.png", ""), "annotator": 1,
         "annotation_id": n, "created_at": "2026", "updated_at": "2026", "lead_time": 1.5}
        for n in range(1, 5)
    ]  # fmt: skip
    dump(root, "min.json", rows)
    return root / "min.json"


def label_studio_csv(root: Path) -> Path:
    images(root, "")
    lines = [
        f"{n},1,{WANTED.get(f'{n}.png', '')},2026,{n},/data/upload/7/0a1b2c3d-{n}.png,1.5,2026" for n in range(1, 5)
    ]
    head = "annotation_id,annotator,choice,created_at,id,image,lead_time,updated_at"
    (root / "export.csv").write_text("\n".join([head, *lines]))
    return root / "export.csv"


def cvat_xml(root: Path) -> Path:
    images(root, "images")
    shown = "".join(
        f'<image id="{n}" name="{n}.png" width="40" height="24">'
        f'<box label="x" xtl="1" ytl="1" xbr="2" ybr="2"/>{_tag(n)}</image>'
        for n in range(1, 5)
    )
    xml = f'<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>{shown}</annotations>'
    (root / "annotations.xml").write_text(xml)
    return root


def _tag(n: int) -> str:
    return f'<tag label="{WANTED[f"{n}.png"]}" source="manual"></tag>' if n < 4 else ""


def cvat_zip(root: Path) -> Path:
    cvat_xml(root / "inside")
    with zipfile.ZipFile(root / "task.zip", "w") as archive:
        for file in sorted((root / "inside").rglob("*.*")):
            archive.write(file, str(file.relative_to(root / "inside")))
    return root / "task.zip"


def cvat_imagenet(root: Path) -> Path:
    for name, label in {**WANTED, "4.png": "no_label"}.items():
        (root / label).mkdir(parents=True, exist_ok=True)
        (root / label / name).write_bytes(zoo.png(int(name[0])))
    return root


def datumaro(root: Path) -> Path:
    images(root, "images/default")
    items = [
        {"id": str(n), "image": {"path": f"{n}.png", "size": [24, 40]}, "attr": {"frame": n},
         "annotations": [{"type": "bbox", "label_id": 0}]
         + ([{"type": "label", "label_id": ["cat", "dog"].index(WANTED[f"{n}.png"])}] if n < 4 else [])}
        for n in range(1, 5)
    ]  # fmt: skip
    labels = [{"name": "cat", "parent": ""}, {"name": "dog", "parent": ""}]
    dump(root, "annotations/default.json", {"info": {}, "categories": {"label": {"labels": labels}}, "items": items})
    return root


def roboflow_csv(root: Path) -> Path:
    images(root, "train")
    rows = ["filename, cat, dog", "1.png, 1, 0", "2.png, 0, 1", "3.png, 1, 0", "4.png, 0, 0"]
    (root / "train" / "_classes.csv").write_text("\n".join(rows))
    (root / "README.roboflow.txt").write_text("exported")
    return root


def roboflow_folder(root: Path) -> Path:
    for name, label in WANTED.items():
        (root / "train" / label).mkdir(parents=True, exist_ok=True)
        (root / "train" / label / name).write_bytes(zoo.png(int(name[0])))
    (root / "README.dataset.txt").write_text("a set")
    return root


FORMS = (
    fiftyone_labels, fiftyone_samples, label_studio, label_studio_local, label_studio_min, label_studio_csv, cvat_xml,
    cvat_zip, cvat_imagenet, datumaro, roboflow_csv, roboflow_folder,
)  # fmt: skip
WITHOUT_FILE = (label_studio_csv, cvat_zip, cvat_imagenet, roboflow_csv, roboflow_folder)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_every_image_has_the_class_that_a_person_gave_it(form: Callable[[Path], Path], tmp_path: Path) -> None:
    data = open_dataset(form(tmp_path), split="all")
    assert {s.id.rsplit("/", 1)[-1]: data.labels.names[s.label] for s in data.samples} == WANTED
    if form is not roboflow_folder:
        assert data.reasons()["no label"] == 1


def test_several_classes_and_annotators_who_disagree(tmp_path: Path) -> None:
    tasks = json.loads((label_studio(tmp_path) / "project-1-at-2026.json").read_text())
    second = json.loads(json.dumps(tasks[0]["annotations"][1]))
    second["result"][1]["value"]["choices"] = ["dog"]
    tasks[0]["annotations"].append(second)
    dump(tmp_path, "project-1-at-2026.json", tasks)
    data = open_dataset(tmp_path)
    assert data.reasons() == {"annotators disagree": 1, "no label": 1}
    for task in tasks:
        task["annotations"][1]["result"].append(
            {"type": "choices", "from_name": "light", "value": {"choices": ["dark"]}}
        )
    dump(tmp_path, "project-1-at-2026.json", tasks)
    assert len(open_dataset(tmp_path)) == 2  # `choice` is the usual name
    assert open_dataset(tmp_path, label_column="light", layout="auto").labels.names == ("dark",)
    tasks[1]["annotations"][1]["result"][1]["value"]["choices"] = ["cat", "dog"]
    dump(tmp_path, "project-1-at-2026.json", tasks)
    with pytest.raises(DataError, match="several labels an image"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("name", ["annotations.xml", "train/_annotations.coco.json", "data.yaml"])
def test_boxes_are_no_classes(name: str, tmp_path: Path) -> None:
    images(tmp_path, "train")
    (tmp_path / name).write_text('<annotations><image name="1.png"><box label="x"/></image></annotations>')
    with pytest.raises(DataError, match="holds boxes or outlines, which are no classes"):
        open_dataset(tmp_path)


def test_class_folders_are_read_whatever_json_is_next_to_them(tmp_path: Path) -> None:
    zoo.folder(tmp_path)
    dump(tmp_path, "predictions.json", [{"image": "cat/000.png", "label": "dog"}])
    dump(tmp_path, "labels.json", {"0": "cat", "1": "dog"})
    assert open_dataset(tmp_path).format == "image folder"


def test_an_entity_in_xml_is_not_expanded(tmp_path: Path) -> None:
    cvat_xml(tmp_path)
    text = (tmp_path / "annotations.xml").read_text()
    (tmp_path / "annotations.xml").write_text(
        text.replace("<annotations>", '<!DOCTYPE a [<!ENTITY b "c">]><annotations>')
    )
    with pytest.raises(DataError):
        open_dataset(tmp_path / "annotations.xml")


@pytest.mark.parametrize("form", [f for f in FORMS if f not in WITHOUT_FILE], ids=lambda form: form.__name__)
def test_a_damaged_file_of_labels_is_one_line(form: Callable[[Path], Path], tmp_path: Path) -> None:
    path = form(tmp_path)
    files = [file for kind in ("*.json", "*.xml") for file in sorted(tmp_path.rglob(kind))]
    whole = {file: file.read_text() for file in files}
    said: list[str] = []
    for file, text in whole.items():
        others = ("[]", "{}", "null", '{"classes": 3, "labels": {"1": 7}}', '[{"data": {"image": 5}}]', "[[1]]")
        words = [text.replace(word, "0") for word in ('"labels"', '"annotations"', '"result"', '"value"', '"image"')]
        numbers = [text.replace('"label_id": 0', '"label_id": 99'), text.replace(": {", ": [{").replace("}", "}]")]
        for damaged in (text[: len(text) // 2], *others, *words, *numbers):
            file.write_text(damaged)
            try:
                open_dataset(path, split="all")
            except DataError as error:
                said.append(str(error))
        file.write_text(text)
    assert not any("\n" in line for line in said)


BOXES = {
    "VOC": ("JPEGImages/{}.png", ["Annotations/{}.xml"]),
    "COCO": ("images/{}.png", ["annotations.json"]),
    "COCO as published": ("train2017/{}.png", ["annotations/instances_train2017.json"]),
    "Roboflow": ("export/{}.png", ["export/_annotations.coco.json"]),
    "CVAT": ("images/{}.png", ["annotations.xml"]),
    "YOLO": ("images/{}.png", ["labels/{}.txt"]),
}


def boxed(root: Path, images: str, others: list[str]) -> Path:
    for number in range(6):
        for name in (images, *others):
            path = root / name.format(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(zoo.png(number) if path.suffix == ".png" else b"{}")
    return root


@pytest.mark.parametrize("kind", BOXES)
def test_a_folder_of_images_with_boxes_is_no_class(tmp_path: Path, kind: str) -> None:
    """Its name says nothing of them, and a run would label every image by it."""
    place = boxed(tmp_path / "data", *BOXES[kind])
    first = BOXES[kind][1][0].format(0)
    with pytest.raises(
        DataError, match=f"{re.escape(first)} (holds|looks like) boxes or outlines, which are no classes"
    ):
        open_dataset(str(place))
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", place)
    with pytest.raises(DataError, match="boxes or outlines, which are no classes"):
        open_dataset(archive)


def test_one_class_with_captions_or_a_table_is_read(tmp_path: Path) -> None:
    captions = boxed(tmp_path / "captions", "dog/{}.png", ["dog/{}.txt", "about.xml"])
    assert open_dataset(str(captions)).labels.names == ("dog",)
    voc = boxed(tmp_path / "voc", *BOXES["VOC"])
    assert open_dataset(str(voc), layout="folders").labels.names == ("JPEGImages",)
    lines = "".join(f"JPEGImages/{n}.png,{'cat' if n % 2 else 'dog'}\n" for n in range(6))
    (voc / "classes.csv").write_text("path,label\n" + lines)
    assert open_dataset(str(voc)).labels.names == ("cat", "dog")
