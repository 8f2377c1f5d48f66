"""Which column of an arrow table is the image, which the label, and the class names: Hugging Face libraries write
them into the schema (`features`); without that, the column's name and type decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imaginate.data.columns import asked_column, check_once
from imaginate.errors import DataError, listed
from imaginate.limits import parse_json
from imaginate.records import Part

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE_NAMES = ("image", "img", "images", "jpg", "png", "jpeg", "webp", "pixel_values", "bytes")
_WHOLE = Part()
LABEL_NAMES = ("label", "labels", "fine_label", "class", "class_name", "category", "target", "cls", "y")


@dataclass(frozen=True, slots=True)
class Columns:
    """The image column (a struct of bytes and path, or plain bytes), the label column, and the stored class names."""

    image: str
    label: str
    names: tuple[str, ...] | None


def find(
    schema: pa.Schema, features: Mapping[str, Any] | None = None, part: Part = _WHOLE, where: str = "the table"
) -> Columns | None:
    """The columns of an arrow schema that hold images and labels, as `part` asks for them; None where there are none.
    DataError for a column that is asked for and not there, where one of them is there twice, and where several may
    hold the labels."""
    stored = features if features is not None else of_schema(schema)
    image = _asked_images(schema, part, where) or image_column(schema, stored)
    if image is None:
        return None
    label = asked_column(part.label_column, schema.names, where, "--label-column")
    if label == image:
        raise DataError(f"{where}: the column {label!r} holds the images, and no labels (--label-column)")
    label = label or _only(label_columns(schema, stored, image), where)
    if label is None:
        return None
    check_once(schema.names, (image, label), where)
    return Columns(image, label, _names(stored.get(label)))


def holds_images(schema: pa.Schema) -> bool:
    """Whether this is a table of images: they are in a column of a usual name or type, or labels are next to them."""
    stored = of_schema(schema)
    image = image_column(schema, stored)
    if image is None:
        return False
    is_sure = image in IMAGE_NAMES or image in _marked_images(schema, stored) or is_struct(schema.field(image).type)
    return is_sure or bool(label_columns(schema, stored, image))


def unfit(schema: pa.Schema, where: str) -> str:
    """The line for a table without the columns that are needed."""
    there = ", ".join(schema.names)
    image = image_column(schema, of_schema(schema))
    if image is None or not holds_images(schema):
        return f"{where} has no image and label columns; it has {there}"
    return (
        f"{where} has images in the column {image!r}, and no column of labels that is known: name one with "
        f"--label-column; it has {there}"
    )


def of_schema(schema: pa.Schema) -> Mapping[str, Any]:
    """The features stored in a schema's metadata; empty where there are none."""
    raw = (schema.metadata or {}).get(b"huggingface")
    try:
        found = parse_json(raw)["info"]["features"] if raw else {}
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def image_column(schema: pa.Schema, stored: Mapping[str, Any]) -> str | None:
    """The column that holds images: the one marked so, one of a usual name, else the first that can hold bytes."""
    holders = _holders(schema)
    named = [n for n in IMAGE_NAMES if n in holders]
    return next(iter([*_marked_images(schema, stored), *named, *holders]), None)


def label_columns(schema: pa.Schema, stored: Mapping[str, Any], image: str | None) -> list[str]:
    """The columns that may hold the labels: the one of a usual name whose class names are stored, else each with class
    names, else the one of a usual name."""
    marked = [n for n, f in stored.items() if n != image and _names(f) is not None and n in schema.names]
    named = [n for n in LABEL_NAMES if n in schema.names and n != image]
    of_one = [n for n in marked if not _is_list(stored[n])]
    return [n for n in named if n in marked][:1] or of_one or marked or named[:1]


def _only(options: Sequence[str], where: str) -> str | None:
    """The one column of labels. DataError where several may be meant."""
    if len(options) > 1:
        raise DataError(
            f"{where} has several columns of labels, {listed(options)}: name one with --label-column {options[0]}"
        )
    return next(iter(options), None)


def _asked_images(schema: pa.Schema, part: Part, where: str) -> str | None:
    """The column of images that is asked for. DataError for one that holds none."""
    image = asked_column(part.path_column, schema.names, where, "--path-column")
    holders = _holders(schema)
    if image is None or image in holders:
        return image
    raise DataError(
        f"{where}: the column {image!r} holds no images (--path-column); there is {', '.join(holders) or 'no other'}"
    )


def _marked_images(schema: pa.Schema, stored: Mapping[str, Any]) -> list[str]:
    """The columns that the features call images."""
    marked = [n for n, f in stored.items() if isinstance(f, dict) and f.get("_type") == "Image"]
    return [n for n in marked if n in _holders(schema)]


def _holders(schema: pa.Schema) -> list[str]:
    """The columns that can hold the bytes of images."""
    return [field.name for field in schema if is_struct(field.type) or _is_binary(field.type)]


def _is_list(feature: Any) -> bool:
    """Whether a feature holds several class labels an image."""
    return isinstance(feature, list) or (isinstance(feature, dict) and isinstance(feature.get("feature"), dict))


def _names(feature: Any) -> tuple[str, ...] | None:
    if isinstance(feature, dict) and isinstance(feature.get("feature"), dict):  # a list of class labels
        return _names(feature["feature"])
    names: Sequence[Any] | None = feature.get("names") if isinstance(feature, dict) else None
    if isinstance(names, dict):  # {"0": "cat", ...}
        names = [names[key] for key in sorted(names, key=int)]
    return tuple(str(name) for name in names) if names else None


def is_struct(kind: pa.DataType) -> bool:
    """Whether an arrow type is a struct with a field `bytes`."""
    import pyarrow.types as types

    return bool(types.is_struct(kind)) and any(kind.field(i).name == "bytes" for i in range(kind.num_fields))


def _is_binary(kind: pa.DataType) -> bool:
    import pyarrow.types as types

    return bool(types.is_binary(kind) or types.is_large_binary(kind))
