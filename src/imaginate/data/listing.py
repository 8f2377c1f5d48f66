"""Small steps that several readers share: a label space from names, listings from paths, printable ids."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence

from imaginate.data.layout import NO_CLASS, SHOWN, arranged, label_files
from imaginate.data.mask_files import IS_MASK, masks_among
from imaginate.data.packed import FileSamples, splits_of
from imaginate.data.splits import of_folder, ordered
from imaginate.errors import DataError, some
from imaginate.records import ImageSource, LabelSpace, LayoutWord, Listing, Sample, Skipped

NO_IMAGE = "not an image"
TOO_LARGE = "too many pixels"
_TABLES = (".csv", ".tsv", ".jsonl", ".parquet", ".json")
_NAMED = re.compile(r"([^\W\d_]+(?:[ _-][^\W\d_]+)*)[ ._()-]*\d+[^/]*$")
_CAMERAS = frozenset({
    "img", "image", "dsc", "dscn", "dscf", "pict", "photo", "pic", "p", "frame", "scan", "train", "test", "val",
    "valid",
})  # fmt: skip
_BOXES = re.compile(
    r"(?:^|[/.])(?:instances_[^/]*|_?annotations(?:\.coco)?|coco)\.(?:json|xml)$"
    r"|data\.yaml$|_annotations\.csv$|_darknet\.labels$",
    re.IGNORECASE,
)


def printable(path: str) -> str:
    """A file name as text that can be stored: bytes that are not UTF-8 become `\\xff`."""
    if path.isascii():
        return path
    try:
        path.encode()
        return path
    except UnicodeEncodeError:
        return os.fsencode(path).decode("utf-8", "backslashreplace")


def sorted_names(found: Iterable[str]) -> list[str]:
    """Class names of a table in label order: by number where all are numbers, else by code point."""
    names = set(found)
    if names and all(name.isascii() and name.isdigit() and str(int(name)) == name for name in names):
        return sorted(names, key=int)
    return sorted(names)


def unique_names(names: Sequence[str]) -> list[str]:
    """Names as given, where a repeated one gets its number: `crane`, `crane (2)`."""
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return out


def from_paths(
    format: str,
    paths: Sequence[str],
    source: Callable[[str], ImageSource],
    skipped: Iterable[Skipped],
    where: str,
    layout: LayoutWord = "auto",
    *,
    packed: bool = False,
) -> Listing:
    """A listing of relative paths, class and split taken from the path. `source` of a path: the image. `packed`: in
    columns, so that `source` is asked whenever an image is wanted."""
    left = list(skipped)
    masks = masks_among(paths, source) if layout != "classes" else frozenset()
    if masks:
        left += [Skipped(printable(path), IS_MASK) for path in paths if path in masks]
        paths = [path for path in paths if path not in masks]
    names = [printable(path) for path in paths]
    tree = arranged(names, layout, [item.id for item in left])
    left += [Skipped(name, split or "") for name, (of, split) in zip(names, tree.rows, strict=True) if not of]
    if not any(of for of, _ in tree.rows):
        expected = tree.problem or "expected <class>/<image> or <split>/<class>/<image>"
        raise DataError(nothing(where, left, expected + _tables_there(left) + _in_names(left) + _archives_there(left)))
    one = {name: unicodedata.normalize("NFC", name) for name in {of for of, _ in tree.rows if of}}
    labels = LabelSpace.of(sorted(set(one.values()), key=_in_a_folder))
    index = {name: label for label, name in enumerate(labels.names)}
    label = {name: index[title] for name, title in one.items()}
    columns = (
        (path for path, (of, _) in zip(paths, tree.rows, strict=True) if of),
        (label[of] for of, _ in tree.rows if of),
        (split for of, split in tree.rows if of),
    )
    samples: Sequence[Sample]
    if packed:
        samples = FileSamples(*columns, id_of=printable, source=source)
    else:
        rows = zip(*columns, strict=True)
        samples = [Sample(id=printable(path), label=own, source=source(path), split=split) for path, own, split in rows]
    splits = ordered({split for split in splits_of(samples) if split})
    notes = (*tree.notes, *_not_read(left, layout), *_about_masks(masks))
    return Listing(format=format, labels=labels, samples=samples, skipped=left, splits=splits, notes=notes)


def _about_masks(masks: Collection[str]) -> list[str]:
    if not masks:
        return []
    return [
        f"{len(masks)} files are masks of images that are here, and are left out (the first: {printable(min(masks))}); "
        "`--method paste --masks FOLDER` uses them, --layout classes takes them for images"
    ]


def _not_read(skipped: Iterable[Skipped], layout: LayoutWord) -> list[str]:
    """A note on files that look like labels or splits, where classes are taken from folders all the same."""
    found = label_files(item.id for item in skipped if item.reason == NO_IMAGE) if layout == "auto" else []
    if not found:
        return []
    which = "it looks" if len(found) == 1 else "they look"
    return [
        f"{some(found, SHOWN)} {'is' if len(found) == 1 else 'are'} not read, and {which} like labels or splits of the "
        "publisher: images of a test part may be among these; --layout folders says that the folders are right"
    ]


def _in_a_folder(name: str) -> str:
    """The order of class folders, as ImageFolder has it: by code point, `10` before `9`; a nested class as the one
    folder that a run gives it."""
    return name.replace("/", "%2F")


def _tables_there(skipped: Iterable[Skipped]) -> str:
    """The end of a message where tables are next to the images that have no class."""
    names = [s.id for s in skipped]
    boxes = box_files(names, 0)
    tables = [n for n in names if n.lower().endswith(_TABLES) and n not in boxes and not is_submission(n)]
    if tables:
        return f"; the labels may be in {min(tables, key=_rank)}: give that table in place of the folder"
    say = "holds boxes or outlines, which are no classes: export class folders or a table of classes"
    return f"; {boxes[0]} {say}" if boxes else ""


def _in_names(skipped: Iterable[Skipped]) -> str:
    """The end of a message where the classes seem to be in the names of the files (`cat.0.jpg`, `dog_12.jpg`)."""
    names = [item.id for item in skipped if item.reason == NO_CLASS]
    of_train = [name for name in names if any(of_folder(part) == "train" for part in name.split("/")[:-1])]
    stems = [name.rsplit("/", 1)[-1] for name in of_train or names]
    found = [match[1] for stem in stems if (match := _NAMED.match(stem)) and match[1].lower() not in _CAMERAS]
    first = dict(zip(reversed(found), reversed(stems), strict=False)) if len(found) == len(stems) else {}
    if not 1 < len(first) <= len(stems) / 2:
        return ""
    examples = some([first[name] for name in sorted(first)], SHOWN)
    return (
        f"; the classes seem to be in the names of the files ({examples}): write a table of file_name,label with the "
        "class of each, and give that"
    )


def is_submission(name: str) -> bool:
    """Whether a table is the form of a competition's answers (`sample_submission.csv`), which holds no labels."""
    return re.search(r"submission|submit", name.rsplit("/", 1)[-1], re.IGNORECASE) is not None


def _rank(name: str) -> tuple[int, int, str]:
    """How likely a table holds the labels, the likeliest first: those of training, those of other names, those of
    a test."""
    last = name.rsplit("/", 1)[-1].lower()
    is_of_test = re.search(r"test|valid|(?<![a-z])val(?![a-z])", last) is not None
    rank = 0 if "train" in last else 3 if is_of_test else 1 if re.search(r"label|class|annot|truth", last) else 2
    return rank, name.count("/"), name


def box_files(names: Sequence[str], images: int) -> list[str]:
    """Of the files that are no images, those that look like boxes or outlines: COCO's, and VOC's or YOLO's where there
    is one for half of so many images at least."""
    of_all = [name for name in names if _BOXES.search(name)]
    of_one = [name for name in names if name.lower().endswith(".xml") or _is_of_yolo(name.lower())]
    return of_all + (of_one if 2 * len(of_one) >= images else [])


def _is_of_yolo(name: str) -> bool:
    return name.endswith(".txt") and "labels" in name.split("/")[:-1]


def refuse_boxes(listing: Listing, where: str) -> None:
    """DataError where all images are in one folder, and boxes or outlines next to them: the folder is no class."""
    if len(listing.labels) != 1:
        return
    found = box_files([item.id for item in listing.skipped if item.reason == NO_IMAGE], len(listing.samples))
    if found:
        raise DataError(
            f"all images of {where} are in one folder, {listing.labels[0].name!r}, and {found[0]} looks like boxes or "
            "outlines, which are no classes: export class folders or a table of classes; --layout folders takes that "
            "folder as the class"
        )


def _archives_there(skipped: Iterable[Skipped]) -> str:
    """The end of a message where the images may be in archives in the folder."""
    packed = [s.id for s in skipped if s.id.lower().endswith((".zip", ".tar", ".tgz", ".tar.gz", ".7z", ".rar"))]
    return f"; {packed[0]} is an archive: give it in place of the folder, or unpack it" if packed else ""


def nothing(where: str, skipped: Sequence[Skipped], hint: str = "") -> str:
    """The line for a source without a usable image: how many there were, and the reasons."""
    from collections import Counter

    counted = Counter(item.reason for item in skipped).most_common(4)
    why = ": " + ", ".join(f"{count} {reason}" for reason, count in counted) if counted else ""
    if any(reason == TOO_LARGE for reason, _ in counted):
        hint = "; ".join(filter(None, (hint, "--tiles 512 cuts slides into images")))
    return f"no usable image in {where}{why}" + (f"; {hint}" if hint else "")
