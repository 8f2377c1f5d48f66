"""The whole configuration of a run: what a recipe file says, what the flags say, and what the run folder keeps of it.

data:    {path: flowers/, split: train}
method:  {name: randaugment, num_ops: 2}
expand:  {copies: 5, seed: 0}
roles:   {guide: nano}
filters: [{name: consistency}]
select:  {policy: first}
write:   {format: png}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from imaginate.data.spec import UNSAID, DataSpec
from imaginate.devices import check_device
from imaginate.errors import ConfigError
from imaginate.ops.geometry import FitImage
from imaginate.select import Selection
from imaginate.settings import build, check, nearest, setting, values_of
from imaginate.write.images import Writing


@dataclass(frozen=True, kw_only=True)
class Amount:
    """How much is made, and from which run seed."""

    copies: int = setting(5, "new images of each seed image; of a class-started method, times the class's size", ge=1)
    per_class: int | None = setting(None, "a fixed number of new images per class (class-started methods)", ge=1)
    seed: int = setting(0, "run seed, from which every image's own seed is hashed", ge=0)
    fit_image: FitImage = setting(
        "pad",
        "how a seed image meets the square of a prior: pad = mirrored borders, cut off again, so that a copy has the "
        "shape of its seed; crop = its middle square; stretch = squashed",
    )
    batch: int = setting(16, "seed images given to the method at a time", ge=1)
    shard: int = setting(256, "new images committed at a time; at most this many are lost by a crash", ge=1)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Roles:
    """The networks and data that a method or filter may need."""

    guide: str | None = setting(
        None,
        "guide: nano, clip:ID-or-folder, open_clip:ID, classifier:FOLDER, prototypes:BACKBONE, probe:..., "
        "finetuned:...",
    )
    guide_prompts: str | None = setting(None, "single, clip-80, a sentence with {}, or a file of them (text guides)")
    prior: str | None = setting(None, "prior: nano, or a checkpoint's id or folder")
    vae: str | None = setting(
        None, "autoencoder in place of the prior's own: tiny (TAESD and its kin: decodes fast), or an id or folder"
    )
    adaptation: str | None = setting(None, "adaptation folder written by `imaginate fit`")
    pool: str | None = setting(None, "retrieval pool written by `imaginate pool build`")
    held_out: str | None = setting(None, "dataset that must not leak in: its near-duplicates are rejected")
    held_out_split: str | None = setting(None, "split of the held-out dataset")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = setting(
        "auto", "number format of the prior; auto is float32 on a CPU, bfloat16 on a GPU that has it"
    )
    compile: bool = setting(False, "compile the prior's networks: slower to start, then faster on a GPU")
    device: str = setting("auto", "auto, cpu, cuda, cuda:1, mps")
    judge: str = setting(
        "auto",
        "who says whether copies still show their class: prototypes:BACKBONE, none, or auto "
        "(prototypes:efficientnet-lite0@160 where images come from a prior or a pool); it sees the first shard and "
        "about 500 images more",
    )

    def __post_init__(self) -> None:
        check(self)
        check_device(self.device)


AMOUNTS = ("copies", "per_class", "batch", "shard")  # settings of `expand` that no single image depends on
SECTIONS: dict[str, type] = {"data": DataSpec, "expand": Amount, "roles": Roles, "select": Selection, "write": Writing}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A recipe as it is written: every key and value is checked, each alone. `resolve` puts the parts together."""

    data: DataSpec
    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    expand: Amount = Amount()
    roles: Roles = Roles()
    filters: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    select: Selection = field(default_factory=Selection)
    write: Writing = field(default_factory=Writing)

    def sections(self) -> dict[str, Any]:
        """The sections that consist of settings alone, by their key."""
        return {
            "data": self.data,
            "expand": self.expand,
            "roles": self.roles,
            "select": self.select,
            "write": self.write,
        }

    def as_given(self) -> dict[str, Any]:
        """Plain values that make this recipe again, without what follows from them: each can be changed alone."""
        return {
            **{key: values_of(section) for key, section in self.sections().items()},
            "method": {"name": self.method, **self.settings},
            "filters": [{"name": name, **values} for name, values in self.filters],
        }


def determining(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a recipe that the result depends on: the path of the data, the device and the judge do not count. A
    section that a damaged recipe lacks is empty."""
    out = {k: dict(v) if isinstance(v, Mapping) else v for k, v in recipe.items()}
    for key in ("data", "roles"):
        if not isinstance(out.get(key), dict):
            out[key] = {}
    out["data"].pop("path", None)
    for key, value in UNSAID.items():
        if out["data"].get(key) == value:
            out["data"].pop(key, None)
    for name in ("device", "judge"):
        out["roles"].pop(name, None)
    return out


def read_recipe(values: Mapping[str, Any]) -> Recipe:
    """The recipe as it is written: every key and value checked, each alone."""
    known = [*SECTIONS, "method", "filters"]
    for key in values:
        if key not in known:
            raise ConfigError(f"unknown recipe key {key!r}{nearest(key, known)}")
    name, settings = name_and_settings(values.get("method"), "method")
    sections: dict[str, Any] = {
        key: build(cls, as_mapping(values.get(key) or {}, key), where=f"recipe section {key!r}")
        for key, cls in SECTIONS.items()
    }
    filters = tuple(name_and_settings(item, "filters") for item in as_list(values.get("filters")))
    return Recipe(method=name, settings=settings, filters=filters, **sections)


def as_mapping(value: Any, key: str) -> Mapping[str, Any]:
    """A section of a recipe; ConfigError for anything else than a mapping."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"recipe section {key!r} must be a mapping of settings, got {value!r}")
    return value


def as_list(value: Any) -> list[Any]:
    """The filters of a recipe: a list, or one alone, as a name or a mapping; ConfigError for anything else."""
    if isinstance(value, (str, Mapping)) and value:
        return [value]
    if value is not None and not isinstance(value, (list, tuple)):
        raise ConfigError(f"recipe key 'filters' must be a list of filters, got {value!r}")
    return list(value or [])


def name_and_settings(value: Any, key: str) -> tuple[str, dict[str, Any]]:
    """A method or filter as a recipe writes it, a name or a mapping with a name."""
    if isinstance(value, str):
        return value, {}
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise ConfigError(f"recipe key {key!r} must be a name, or a mapping with a name, got {value!r}")
    return value["name"], {k: v for k, v in value.items() if k != "name"}


def changes(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What differs between two plain recipes: `method.num_ops was 2, is 3`."""
    out = []
    for key in dict.fromkeys([*before, *after]):
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            out += changes(old, new, f"{prefix}{key}.")
        elif old != new:
            out.append(f"{prefix}{key} was {old!r}, is {new!r}")
    return out
