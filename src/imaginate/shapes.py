"""What a JSON or YAML file of ours must look like, so that a damaged one is one line and not a traceback.

    TOTALS = {"kept": int, "rejected": {...: int}, "new_size?": [int]}
    misfit(values, TOTALS)      # "" or "totals.kept must be a number, got a text"

A shape is a type, a tuple of types, a list with the shape of its items, or an object: its keys with their shapes, a `?`
behind those that may be missing, and `...` for all other keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import EllipsisType
from typing import Any

Shape = dict[str | EllipsisType, Any]

NUMBER = (int, float)
_WORDS = {
    bool: "true or false", int: "a whole number", float: "a number", str: "a text", list: "a list", dict: "an object",
    type(None): "nothing",
}  # fmt: skip
_ITEM: Shape = {"name": str, "seeds?": int, "new?": int, "synonyms?": [str]}
_REFILTERED: Shape = {...: (str, int, float, bool, list, type(None))}

_RENDERING: Shape = {
    "windows": [{"kind": str, "black": NUMBER, "white": NUMBER}], "channels": ([int], None), "page": (int, type(None)),
}  # fmt: skip
RUN_FACTS: Shape = {
    "imaginate?": str, "fingerprint?": str, "data_fingerprint?": str, "shards?": int, "wanted?": int,
    "classes?": [_ITEM], "data_notes?": [str], "finished?": bool,
    "sessions?": [{"seconds": NUMBER, "images": int}], "versions?": {...: (str, type(None))}, "machine?": dict,
    "totals?": {"originals": int, "kept": int, "rejected": {...: int}, "skipped": int, "skipped_reasons?": {...: int},
                "seed_size?": ([int], None), "new_size?": ([int], None)},
    "cost?": {"seconds": NUMBER, "seconds_per_image?": (int, float, type(None))}, "refiltered?": [[_REFILTERED]],
    "notes?": [str], "weights?": ({...: {...: str}}, None), "rendering?": (_RENDERING, None),
    "agreement?": ({"copies": NUMBER, "seeds": (int, float, type(None)),
                    "classes": {...: {"copies": [int]}}}, None),
}  # fmt: skip
RECIPE: Shape = {
    "data?": {"path?": (str, type(None))}, "method?": (str, {"name?": str}), "expand?": dict, "roles?": dict,
    "write?": dict, "select?": (dict, type(None), str), "filters?": [(str, {"name": str})],
}  # fmt: skip
STUDY: Shape = {
    "protocol?": {"arch": (str, type(None))}, "data?": {...: str}, "arms?": {...: {"spec": str, "fingerprint": str}},
    "duplicate?": (int, type(None)), "budgets?": {...: int}, "seconds_per_update?": {...: NUMBER},
}  # fmt: skip
_COUNT = (int, float, type(None))
ANSWER: Shape = {  # of one classifier of a study
    "arm": str, "seed": int, "resample": int, "kind": str, "images": {"original": int, "synthetic?": int, "real": int,
    "total?": int, "excluded?": {...: int}}, "top1": NUMBER, "mean_per_class": NUMBER,
    "per_class": [_COUNT], "validation?": _COUNT, "corruption?": _COUNT, "best_update?": _COUNT,
    "updates?": _COUNT, "stopped_early?": bool, "epochs?": _COUNT, "seconds": NUMBER, "parameters?": int,
    "weight_new?": _COUNT, "image_size?": int, "arch?": str, "processes?": int, "device?": str, "precision?": str,
}  # fmt: skip
RESULTS: Shape = {"arms": [{"name": str, "title": str}], "protocol": dict, "data": dict, "warnings?": [str]}
CLASSIFIER: Shape = {
    "classes": [str], "settings": {"arch": (str, type(None))}, "images": int, "excluded?": {...: int},
    "rendering?": (_RENDERING, None),
    "unreadable?": {...: str}, "validation": (int, float, type(None)), "validation_on?": str, "updates": int,
    "held_out": ({"images": int, "top1": NUMBER, "mean_per_class": NUMBER}, None),
    "leak": ({"removed": (int, bool), "same": (int, bool), "near": (int, bool)}, None), "notes?": [str],
    "temperature?": NUMBER,
}  # fmt: skip
TRAINING: Shape = {"settings": {"arch": (str, type(None))}, "data": dict}
ADAPTATION: Shape = {
    "technique": str, "family": str, "prior": str,
    "fingerprint": {"shapes?": str, "probe?": [NUMBER]}, "classes": [str],
    "settings": {...: dict}, "data?": {"skipped?": ({...: int}, None)}, "words?": {...: str}, "clusters?": {...: [int]},
    "template?": str, "chosen?": str, "chosen_by?": str, "checkpoints?": {...: str},
    "history?": [{"epoch": int, "step?": int, "train_loss?": (int, float, type(None)),
                  "validation_loss?": (int, float, type(None))}],
    "accuracy?": {...: NUMBER}, "notes?": [str], "weights?": {...: str}, "finished?": bool, "format?": str,
}  # fmt: skip


def misfit(value: Any, shape: Any, where: str = "") -> str:
    """What is wrong with a value, in words; "" where it has the shape. Keys that the shape lacks may be there."""
    if isinstance(shape, tuple):
        found = [misfit(value, one, where) for one in shape]
        return "" if "" in found else found[0]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return _must(where, list, value)
        return next((m for n, item in enumerate(value) if (m := misfit(item, shape[0], f"{where}[{n}]"))), "")
    if isinstance(shape, Mapping):
        return _of_object(value, shape, where)
    kind = type(None) if shape is None else shape
    is_other = isinstance(value, bool) and kind is not bool
    return "" if isinstance(value, kind) and not is_other else _must(where, kind, value)


def _of_object(value: Any, shape: Mapping[Any, Any], where: str) -> str:
    if not isinstance(value, dict):
        return _must(where, dict, value)
    known = {str(key).removesuffix("?"): (key, part) for key, part in shape.items() if key is not ...}
    for name, (key, part) in known.items():
        if name not in value:
            if not str(key).endswith("?"):
                return f"it has no {_path(where, name)}"
        elif wrong := misfit(value[name], part, _path(where, name)):
            return wrong
    if ... in shape:
        others = (misfit(item, shape[...], _path(where, str(key))) for key, item in value.items() if key not in known)
        return next((wrong for wrong in others if wrong), "")
    return ""


def _path(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _must(where: str, kind: type, value: Any) -> str:
    got = _WORDS.get(type(value), type(value).__name__)
    return f"{where or 'it'} must be {_WORDS.get(kind, kind.__name__)}, got {got}"
