"""What a trained classifier says of images: of a folder or file of anyone's, of a dataset, of a run."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imaginate.data import load, open_dataset
from imaginate.data.decoding import has_image_suffix
from imaginate.data.layout import arranged
from imaginate.data.listing import printable
from imaginate.data.scanning import scan
from imaginate.data.spec import reading_elsewhere
from imaginate.errors import ConfigError, DataError, ImageError
from imaginate.files import RECIPE, Folder, content_hash
from imaginate.markdown import table as html_table
from imaginate.ownership import contents, is_begun, own
from imaginate.progress import bar
from imaginate.records import Image
from imaginate.write.names import class_folders, stem
from imaginate.write.plain import TABLES, columns_of, write_table

if TYPE_CHECKING:
    import pyarrow as pa

    from imaginate.training.loading import Classifier

BATCH = 128
COMMAND = "predict"  # which owns a folder of copies
_COLUMNS = {"image", "class", "probability"}  # of every table of predictions


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Of n images: `images` their names, `classes` the likeliest classes of each, the likeliest first, and
    `probabilities` theirs; `skipped`: name -> why it could not be read; `known`: the class that a dataset says."""

    images: tuple[str, ...]
    classes: tuple[tuple[str, ...], ...]
    probabilities: tuple[tuple[float, ...], ...]
    skipped: dict[str, str]
    known: tuple[str, ...] | None = None
    paths: tuple[str | None, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        counts = Counter(names[0] for names in self.classes).most_common(5)
        shown = ", ".join(f"{name} {count}" for name, count in counts)
        return f"Predictions({len(self)} images: {shown}; {len(self.skipped)} skipped)"

    def _repr_html_(self) -> str:
        """For notebooks: the first predictions as a table."""
        return html_table(list(islice(self.rows(), 20)), repr(self))

    @property
    def accuracy(self) -> float | None:
        """The share that is right, where the images have labels; None where not."""
        if not self.known or not self.images:
            return None
        return sum(names[0] == own for names, own in zip(self.classes, self.known, strict=True)) / len(self)

    def rows(self) -> Iterator[dict[str, Any]]:
        """A row an image: `image`, `class`, `probability`, then `class_2`, `probability_2`, ..."""
        for i, image in enumerate(self.images):
            row: dict[str, Any] = {"image": image}
            if self.known:
                row["label"] = self.known[i]
            for place, (name, value) in enumerate(zip(self.classes[i], self.probabilities[i], strict=True), 1):
                end = "" if place == 1 else f"_{place}"
                row |= {f"class{end}": name, f"probability{end}": round(value, 4)}
            yield row

    def table(self) -> pa.Table:
        """The rows as a pyarrow table."""
        import pyarrow as pa

        return pa.Table.from_pylist(list(self.rows()))

    def to_pandas(self) -> Any:
        """The rows as a pandas data frame (pandas is not installed with imaginate)."""
        return self.table().to_pandas()


def predict(
    model: str | os.PathLike[str] | Classifier,
    images: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    split: str | None = None,
    top: int = 1,
    device: str = "auto",
    progress: bool = True,
) -> Predictions:
    """What the classifier in the folder `model` (or what `train` returned) says of images: paths of files, a folder of
    files (however deep), or a labelled dataset of any layout, whose labels are then compared.

    `top`: how many of the likeliest classes. Files that are no usable images are skipped with a reason. Raises
    DataError where no image is left, RunError for a folder without a finished classifier.
    """
    from imaginate.training.loading import Classifier, load_classifier

    if top < 1:
        raise ConfigError(f"top must be at least 1, got {top}")
    classifier = load_classifier(model, device=device) if isinstance(model, (str, os.PathLike)) else model
    if not isinstance(classifier, Classifier):
        raise ConfigError(f"model must be the folder of a classifier, or what train returned, got {model!r}")
    found = _listed(images, split, classifier)
    skipped = {name: why for name, why, _, _ in found if why}
    wanted = [(name, path, label) for name, why, path, label in found if not why]
    names: list[str] = []
    paths: list[str | None] = []
    known: list[str | None] = []
    classes: list[tuple[str, ...]] = []
    values: list[tuple[float, ...]] = []
    with bar("predict", len(wanted), show=progress) as shown:
        for start in range(0, len(wanted), BATCH):
            pictures: list[Image] = []
            for name, source, label in wanted[start : start + BATCH]:
                try:
                    pictures.append(source() if callable(source) else classifier.image(source))
                except ImageError as error:
                    skipped[name] = str(error)
                    continue
                names.append(name)
                paths.append(None if callable(source) else source)
                known.append(label)
            if pictures:
                ranked = classifier.probabilities(pictures).topk(min(top, len(classifier.classes)))
                classes += [tuple(classifier.classes[i] for i in row) for row in ranked.indices.tolist()]
                values += [tuple(row) for row in ranked.values.tolist()]
            shown.advance(len(wanted[start : start + BATCH]))
    if not names:
        first = next(iter(skipped.items()), None)
        raise DataError(f"no usable image in {images}" + (f"; {first[0]}: {first[1]}" if first else ""))
    return Predictions(
        images=tuple(names), classes=tuple(classes), probabilities=tuple(values), skipped=skipped, paths=tuple(paths),
        known=_labels(known, classifier.classes),
    )  # fmt: skip


def write_predictions(found: Predictions, out: str | os.PathLike[str]) -> int:
    """Write a .csv, .jsonl or .parquet file, or into a folder a copy of each image under its class; how many. DataError
    for a place that holds something else (`check_place`)."""
    place = check_place(out)
    if place.suffix:
        write_table(place, found.table())
    else:
        _copy(found, place)
    return len(found)


def check_place(out: str | os.PathLike[str]) -> Path:
    """Where predictions can be written: a file that is not there, or holds earlier ones; an empty folder, or one of
    copies that was begun. DataError for anything else, so that nothing of anyone's is lost."""
    place = Path(out)
    if not place.suffix:
        if contents(Folder(place)) and not is_begun(place, COMMAND):
            raise DataError(f"{place} is not empty: choose another folder for the copies")
    elif place.suffix not in TABLES:
        raise DataError(f"predictions are written as .csv, .jsonl, .parquet, or into a folder, not as {place.suffix}")
    elif place.exists() and not set(columns_of(place)) >= _COLUMNS:
        raise DataError(f"{place} is there and holds no predictions: choose another name, or remove it")
    return place


Found = tuple[str, str, Any, str | None]  # name, why it is skipped or "", path or loader, label


def _listed(
    images: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], split: str | None, classifier: Classifier
) -> list[Found]:
    if not isinstance(images, (str, os.PathLike)):
        return [(printable(os.fspath(one)), "", os.fspath(one), None) for one in images]
    place = os.fspath(images)
    if os.path.isdir(place) and split is None and not os.path.exists(os.path.join(place, RECIPE)):
        found = [(printable(name), why, path) for name, path, why in sorted(scan(place))]
        usable = [name for name, why, _ in found if not why]
        label = {name: of or None for name, (of, _) in zip(usable, arranged(usable).rows, strict=True)}
        return [(name, why, path, label.get(name)) for name, why, path in found]
    if has_image_suffix(place) and split is None:
        return [(printable(place), "", place, None)]
    data = open_dataset(place, split=split, **_reading(classifier))
    names = data.labels.names
    skipped: list[Found] = [(one.id, one.reason, None, None) for one in data.skipped]
    return [(one.id, "", partial(load, one), names[one.label]) for one in data.samples] + skipped


def _reading(classifier: Classifier) -> dict[str, Any]:
    """How the images that the classifier was trained on were read."""
    rendering, reading = classifier.rendering, reading_elsewhere(classifier.reading)
    if rendering is None:
        return reading
    return {**reading, "rendered_as": rendering, "channels": rendering.channels, "page": rendering.page}


def _labels(known: Sequence[str | None], classes: Sequence[str]) -> tuple[str, ...] | None:
    """The labels, where every image has one that the classifier knows: folders may mean something else."""
    labels = [one for one in known if one is not None and one in classes]
    return tuple(labels) if labels and len(labels) == len(known) else None


def _copy(found: Predictions, out: Path) -> None:
    """Each image under its class, under a name that no other has."""
    missing = [name for name, path in zip(found.images, found.paths, strict=True) if path is None]
    if missing:
        raise DataError(f"{missing[0]} is no file of its own, so that it is not copied: write a .csv or .parquet")
    names = sorted({classes[0] for classes in found.classes})
    folders = dict(zip(names, class_folders(names), strict=True))
    what = content_hash("\n".join(found.images).encode(errors="surrogatepass"), size=8)
    with own(out, COMMAND, what={"images": what}) as owned:
        for name, path, classes in zip(found.images, found.paths, found.classes, strict=True):
            target = f"{folders[classes[0]]}/{stem(name)}{Path(str(path)).suffix}"
            with owned.store.writing(target) as to, open(str(path), "rb") as file:
                shutil.copyfileobj(file, to)
