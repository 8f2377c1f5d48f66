"""Which column of an arrow table is the image, which the label, and the class names: Hugging Face libraries write
them into the schema (`features`); without that, the column's name and type decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imaginate.data.columns import check_once
from imaginate.limits import parse_json

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE_NAMES = ("image", "img", "images", "jpg", "png", "jpeg", "webp", "pixel_values", "bytes")
LABEL_NAMES = ("label", "labels", "fine_label", "class", "class_name", "category", "target", "cls", "y")


@dataclass(frozen=True, slots=True)
class Columns:
    """The image column (a struct of bytes and path, or plain bytes), the label column, and the stored class names."""

    image: str
    label: str
    names: tuple[str, ...] | None


def find(schema: pa.Schema, features: Mapping[str, Any] | None = None) -> Columns | None:
    """The columns of an arrow schema that hold images and labels; None where either is missing. DataError where one of
    them is there twice."""
    stored = features if features is not None else of_schema(schema)
    image = image_column(schema, stored)
    label = _label(schema, stored, image)
    if image is None or label is None:
        return None
    check_once(schema.names, (image, label), "the table")
    return Columns(image, label, _names(stored.get(label)))


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
    marked = [n for n, f in stored.items() if isinstance(f, dict) and f.get("_type") == "Image" and n in schema.names]
    holders = [field.name for field in schema if is_struct(field.type) or _is_binary(field.type)]
    named = [n for n in IMAGE_NAMES if n in holders]
    return next(iter([*[n for n in marked if n in holders], *named, *holders]), None)


def _label(schema: pa.Schema, stored: Mapping[str, Any], image: str | None) -> str | None:
    marked = [n for n, f in stored.items() if n != image and _names(f) is not None and n in schema.names]
    named = [n for n in LABEL_NAMES if n in schema.names and n != image]
    return next(iter([*[n for n in named if n in marked], *marked, *named]), None)


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
