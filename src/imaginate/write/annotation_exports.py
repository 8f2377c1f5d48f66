"""A run as annotation tools and trainers import it: FiftyOne's dataset folder, Label Studio's tasks, class folders of
Ultralytics, COCO's annotations. Labels are complete in each; what else is known of an image stays in the run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from imaginate.files import Folder, json_bytes
from imaginate.runs import Row

Images: TypeAlias = Iterable[tuple[Row, bytes]]  # rows of the run, each with its image as it is exported


def write_fiftyone(images: Images, target: Folder, classes: list[str]) -> None:
    """`labels.json` and `data/`: a `FiftyOneImageClassificationDataset`."""
    labels = {}
    for row, data in images:
        name = row["file_name"].rsplit("/", 1)[-1]
        target.put(f"data/{name}", data)
        labels[name.rsplit(".", 1)[0]] = row["label"]
    target.put("labels.json", json_bytes({"classes": classes, "labels": labels}))


def write_label_studio(images: Images, target: Folder, classes: list[str]) -> None:
    """`tasks.json` with the class of each image as an answer, `images/`, and `config.xml` of the project."""
    from xml.sax.saxutils import quoteattr

    tasks = []
    for row, data in images:
        name = f"images/{row['file_name'].rsplit('/', 1)[-1]}"
        target.put(name, data)
        answer = {
            "from_name": "class",
            "to_name": "image",
            "type": "choices",
            "value": {"choices": [classes[row["label"]]]},
        }
        tasks.append({"data": {"image": name}, "annotations": [{"result": [answer]}]})
    choices = "".join(f"<Choice value={quoteattr(name)}/>" for name in classes)
    view = f'<Choices name="class" toName="image" choice="single">{choices}</Choices>'
    target.put("config.xml", f'<View><Image name="image" value="$image"/>{view}</View>\n'.encode())
    target.put("tasks.json", json_bytes(tasks))


def write_ultralytics(images: Images, target: Folder, classes: list[str]) -> None:
    """`train/<class>/`, as `yolo classify train data=OUT` reads it; held-out images belong into `val/<class>/`."""
    for row, data in images:
        target.put(f"train/{row['file_name'].split('/', 1)[1]}", data)


def write_coco(images: Images, target: Folder, classes: list[str]) -> None:
    """`annotations.json` and `images/`: COCO's layout with a class an image; the box is the whole image, which
    tools that know boxes alone need."""
    import io

    from PIL import Image

    pictures, annotations = [], []
    for number, (row, data) in enumerate(images, 1):
        name = row["file_name"].split("/", 1)[1]
        target.put(f"images/{name}", data)
        with Image.open(io.BytesIO(data)) as opened:
            width, height = opened.size
        pictures.append({"id": number, "file_name": name, "width": width, "height": height})
        box = {"bbox": [0, 0, width, height], "area": width * height, "iscrowd": 0}
        annotations.append({"id": number, "image_id": number, "category_id": row["label"] + 1, **box})
    categories = [{"id": number, "name": name} for number, name in enumerate(classes, 1)]
    found = {"info": {}, "licenses": [], "images": pictures, "annotations": annotations, "categories": categories}
    target.put("annotations.json", json_bytes(found))
