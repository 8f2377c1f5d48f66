"""Croissant metadata of a parquet export: what the files hold, in the vocabulary of schema.org and MLCommons, so that
dataset searches and loaders (mlcroissant, TensorFlow Datasets) find and read it. https://docs.mlcommons.org/croissant
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "equivalentProperty": "cr:equivalentProperty",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_TYPES = {pa.string(): "sc:Text", pa.int64(): "sc:Integer", pa.float64(): "sc:Float", pa.bool_(): "sc:Boolean"}


def croissant(
    name: str, description: str, files: Sequence[tuple[str, str]], schema: pa.Schema, classes: Sequence[str]
) -> Mapping[str, Any]:
    """The metadata. `files`: name and SHA-256 of each parquet file; `schema`: of the rows that they hold, by which
    columns are named. Lists (soft labels) are left out: they have no type of their own here."""
    objects = [
        {
            "@type": "cr:FileObject",
            "@id": file,
            "name": file,
            "contentUrl": file,
            "encodingFormat": "application/x-parquet",
            "sha256": digest,
        }
        for file, digest in files
    ]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "description": description,
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "version": "1.0.0",
        "distribution": objects,
        "recordSet": [_record_set(file, number, schema, classes) for number, (file, _) in enumerate(files)],
    }


def _record_set(file: str, number: int, schema: pa.Schema, classes: Sequence[str]) -> Mapping[str, Any]:
    """The rows of one file: its image, its label, and the other plain columns."""
    title = "default" if number == 0 else f"default-{number}"
    fields = [_field(title, file, "image", "sc:ImageObject", path="bytes"), _field(title, file, "label", "sc:Integer")]
    for field in schema:
        if field.name not in ("file_name", "label") and field.type in _TYPES:
            fields.append(_field(title, file, field.name, _TYPES[field.type]))
    named = ", ".join(f"{label} {text}" for label, text in enumerate(classes))
    return {
        "@type": "cr:RecordSet",
        "@id": title,
        "name": title,
        "description": f"a row an image; labels: {named}"[:4000],
        "field": fields,
    }


def _field(title: str, file: str, name: str, kind: str, path: str = "") -> Mapping[str, Any]:
    source: dict[str, Any] = {"fileObject": {"@id": file}, "extract": {"column": name}}
    if path:
        source["transform"] = {"jsonPath": path}
    return {"@type": "cr:Field", "@id": f"{title}/{name}", "name": name, "dataType": kind, "source": source}
